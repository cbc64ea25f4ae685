"""Motions as BVH text files, y-up, metres, degrees.

Source: the format as written down by M. Meredith and S. Maddock, "Motion Capture File
Formats Explained", 2001.
"""

import os

import numpy as np

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.files.atomic import write_text
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.viewing.figure import FIGURE, check_motion
from actiongpt_jax.viewing.glb import y_up

# A leaf needs an end; the head's and the limbs' tips are the figure's.
_TIPS = {
    FIGURE.parents[tip]: FIGURE.offsets[tip]
    for tip in range(SMPL22.num_joints, FIGURE.num_joints)
}
_TURNS = "Zrotation Xrotation Yrotation"


def write_bvh(path: str | os.PathLike, motion: Motion) -> None:
    """Writes a motion as .bvh.

    The root's offset is zero, since readers disagree on whether the position channels
    replace it or are added to it.

    Args:
        path: of the file; replaced as a whole.
        motion: what to write.

    Raises:
        InputError: for a motion without frames or of another skeleton.
    """
    check_motion(motion, str(path))
    lines, order = ["HIERARCHY"], []
    _joint(0, 0, lines, order)
    matrices, pelvis = y_up(motion)
    frames = len(pelvis)
    angles = _zxy(matrices[:, order])
    # Without jumps by full turns, readers may mix the angles of two frames.
    angles = np.degrees(np.unwrap(angles.reshape(frames, -1), axis=0))
    lines += ["MOTION", f"Frames: {frames}", f"Frame Time: {1 / motion.fps:.9f}"]
    lines += [
        " ".join(f"{value:.6f}" for value in (*place, *turn))
        for place, turn in zip(pelvis, angles, strict=True)
    ]
    write_text(path, (f"{line}\n" for line in lines))


def _zxy(matrices: np.ndarray) -> np.ndarray:
    """Returns (..., 3) the angles of Rz Rx Ry, radians."""
    x = np.arcsin(np.clip(matrices[..., 2, 1], -1.0, 1.0))
    # A limb along its parent's z axis has no one reading: all the turn goes to z.
    unique = np.hypot(matrices[..., 0, 1], matrices[..., 1, 1]) > 1e-6
    z = np.where(
        unique,
        np.arctan2(-matrices[..., 0, 1], matrices[..., 1, 1]),
        np.arctan2(matrices[..., 1, 0], matrices[..., 0, 0]),
    )
    y = np.where(unique, np.arctan2(-matrices[..., 2, 0], matrices[..., 2, 2]), 0.0)
    return np.stack([z, x, y], -1)


def _joint(joint: int, depth: int, lines: list[str], order: list[int]) -> None:
    order.append(joint)
    root = joint == 0
    offset = (0.0, 0.0, 0.0) if root else SMPL22.offsets[joint]
    position = "6 Xposition Yposition Zposition" if root else "3"
    indent = "  " * depth
    lines += [
        f"{indent}{'ROOT' if root else 'JOINT'} {SMPL22.names[joint]}",
        f"{indent}{{",
        f"{indent}  OFFSET {_numbers(offset)}",
        f"{indent}  CHANNELS {position} {_TURNS}",
    ]
    for child in range(SMPL22.num_joints):
        if SMPL22.parents[child] == joint:
            _joint(child, depth + 1, lines, order)
    if joint in _TIPS:
        lines += [
            f"{indent}  End Site",
            f"{indent}  {{",
            f"{indent}    OFFSET {_numbers(_TIPS[joint])}",
            f"{indent}  }}",
        ]
    lines.append(f"{indent}}}")


def _numbers(values) -> str:
    return " ".join(f"{value:.6f}" for value in values)
