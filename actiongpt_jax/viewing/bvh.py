"""Writes motions as BVH text files: y-up, metres, degrees.

Source: the format as described by M. Meredith and S. Maddock, "Motion Capture File
Formats Explained", 2001.
"""

import itertools
import os
import textwrap
import warnings

import numpy as np
from scipy.spatial.transform import Rotation

from actiongpt_jax.choices import JOINT_NAMES
from actiongpt_jax.data.mocap.names import mixamo_name
from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import check_choice
from actiongpt_jax.files.atomic import replaced
from actiongpt_jax.geometry.skeletons import SMPL22, STANDING_PELVIS
from actiongpt_jax.viewing.figure import BONES, FIGURE, y_up

_TURNS = "Zrotation Xrotation Yrotation"


def write_bvh(
    path: str | os.PathLike, motion: Motion, names: str = "smpl", t_pose: bool = False
) -> None:
    """Writes a motion as a .bvh file.

    The root's offset is zero, since readers disagree on whether the position channels
    replace it or are added to it.

    Args:
        path: file to write, replaced atomically.
        motion: the motion to write; it must have passed `check_motion`.
        names: names of the joints, one of `choices.JOINT_NAMES`.
        t_pose: whether to put a frame in front in which the body stands in a T-pose,
            with all angles zero, where the motion starts.

    Raises:
        InputError: if the kind of names is unknown.
    """
    check_choice("names", names, JOINT_NAMES)
    matrices, pelvis = y_up(motion)
    if t_pose:
        place = [[pelvis[0, 0], STANDING_PELVIS, pelvis[0, 2]]]
        pelvis = np.concatenate([place, pelvis])
        matrices = np.concatenate([np.eye(3) + 0 * matrices[:1], matrices])
    frames, order = len(pelvis), []
    hierarchy = _joint(0, order, names == "mixamo")
    turns = Rotation.from_matrix(matrices[:, order].reshape(-1, 3, 3))
    with warnings.catch_warnings():
        # In gimbal lock the angles are not unique; scipy puts all of the turn in z.
        warnings.filterwarnings("ignore", "Gimbal lock", UserWarning)
        angles = turns.as_euler("ZXY").reshape(frames, -1, 3)
    angles = np.degrees(_without_jumps(angles)).reshape(frames, -1)
    header = (
        f"HIERARCHY\n{hierarchy}\nMOTION\n"
        f"Frames: {frames}\nFrame Time: {1 / motion.fps:.9f}"
    )
    rows = np.concatenate([pelvis, angles], -1)
    with replaced(path) as new:
        np.savetxt(new, rows, "%.6f", header=header, comments="", encoding="ascii")


def _without_jumps(angles: np.ndarray) -> np.ndarray:
    """Chooses angles of the same rotations that change little from frame to frame.

    Readers can then interpolate between two frames.

    Args:
        angles: (T, J, 3) about z, x and y, radians; x from -90 to 90 degrees.
    """
    turn = 2 * np.pi
    angles = angles.copy()
    for before, now in itertools.pairwise(angles):
        # In gimbal lock only z + y or z - y counts; keep y.
        side = np.sign(now[:, 1])
        locked = np.cos(now[:, 1]) < 1e-6
        kept = now[:, 0] + side * (now[:, 2] - before[:, 2])
        now[locked] = np.stack([kept, now[:, 1], before[:, 2]], -1)[locked]
        # Every rotation has two readings within a turn.
        other = now * [1, -1, 1] + np.pi
        readings = np.stack([now, other])
        readings += turn * np.round((before - readings) / turn)
        nearest = np.abs(readings - before).sum(-1).argmin(0)
        now[:] = np.take_along_axis(readings, nearest[None, :, None], 0)[0]
    return angles


def _joint(joint: int, order: list[int], mixamo: bool) -> str:
    """Returns the block of a joint and all below it; appends indices to `order`."""
    order.append(joint)
    below = [
        _joint(bone.end, order, mixamo)
        if bone.end < SMPL22.num_joints
        else _block(
            "End Site", FIGURE.offsets[bone.end]
        )  # BVH requires one end site at each leaf
        for bone in BONES
        if bone.start == joint
    ]
    name = FIGURE.names[joint]
    if mixamo:
        name = mixamo_name(name)
    if joint == 0:
        channels = f"CHANNELS 6 Xposition Yposition Zposition {_TURNS}"
        return _block(f"ROOT {name}", (0.0, 0.0, 0.0), channels, *below)
    head, channels = f"JOINT {name}", f"CHANNELS 3 {_TURNS}"
    return _block(head, FIGURE.offsets[joint], channels, *below)


def _block(head: str, offset: tuple[float, float, float], *inside: str) -> str:
    numbers = " ".join(f"{value:.6f}" for value in offset)
    lines = textwrap.indent("\n".join([f"OFFSET {numbers}", *inside]), "  ")
    return f"{head}\n{{\n{lines}\n}}"
