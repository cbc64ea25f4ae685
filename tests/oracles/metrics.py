"""APE and AVE in float64 numpy, motion by motion."""

import numpy as np

from tests.oracles import features, rotations

NAMES = ("root", "traj", "local", "global")


def paper_parts(joints, yaw):
    """Returns parts (n, joints, coordinates) for (n, 22, 3) z-up and frame 0's yaw."""
    joints = np.asarray(joints, np.float64)
    moved = (joints - joints[0, 0] * [1, 1, 0]) @ rotations.about_z(-yaw).T
    root = moved[:, :1]
    return {
        "root": root,
        "traj": root[..., :2],
        "local": moved[:, 1:] - root,
        "global": moved,
    }


def reference_parts(joints, n):
    """Returns parts of n compared frames for MMM joints (T, 21, 3), all T real."""
    rows = features.rifke(joints)
    moved = features.rifke_inverse(rows)[:n]
    root = moved[:, :1]
    return {
        "root": root,
        "traj": root[..., [0, 2]],
        "local": rows[:n, 1:61].reshape(n, 20, 3),
        "global": moved,
    }


def ape_ave(generated, reference):
    """Returns the eight figures for two lists of parts, one entry per motion."""
    figures = {}
    for name in NAMES:
        pairs = [(g[name], r[name]) for g, r in zip(generated, reference, strict=True)]
        distances = [np.linalg.norm(g - r, axis=-1) for g, r in pairs]
        figures[f"ape_{name}"] = np.concatenate(distances).mean(0).mean()
        variances = [
            np.linalg.norm(g.var(0, ddof=1) - r.var(0, ddof=1), axis=-1)
            for g, r in pairs
        ]
        figures[f"ave_{name}"] = np.mean(variances, 0).mean()
    return figures
