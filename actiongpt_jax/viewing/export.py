"""Exports motions to the file formats of other tools."""

import json
import os
import pathlib

import numpy as np

from actiongpt_jax.data.motion import Motion, save_motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import write_text
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.viewing.bvh import write_bvh
from actiongpt_jax.viewing.figure import check_motion
from actiongpt_jax.viewing.plot import motion_joints

SUFFIXES = (".glb", ".bvh", ".npz", ".json")


def export(
    path: str | os.PathLike,
    motion: Motion,
    layout: str = "smplh",
    names: str = "smpl",
    t_pose: bool = False,
) -> None:
    """Writes a motion in the format that the file's suffix names.

    Args:
        path: file to write, ending in .glb (y-up, for Blender, three.js, game engines),
            .bvh (y-up, metres), .npz (AMASS's format, z-up) or .json (z-up); replaced
            atomically.
        motion: the motion to write.
        layout: column layout of an .npz, 'smplh' (156) or 'smplx' (165).
        names: names of the joints of a .bvh, 'smpl' or 'mixamo'.
        t_pose: whether a .bvh starts with a T-pose.

    Raises:
        InputError: if the suffix, layout or names are unknown, if the motion has no
            frames or another skeleton, or if a .glb is requested but pygltflib is
            missing.
    """
    suffix = pathlib.Path(path).suffix.lower()
    check_motion(motion, str(path))
    if suffix == ".glb":
        try:
            from actiongpt_jax.viewing.glb import write_glb
        except ImportError as error:
            raise InputError(
                ".glb needs pygltflib; run `pip install actiongpt_jax[view]`"
            ) from error
        write_glb(path, motion)
    elif suffix == ".bvh":
        write_bvh(path, motion, names, t_pose)
    elif suffix == ".npz":
        save_motion(path, motion, layout)
    elif suffix == ".json":
        _write_json(path, motion)
    else:
        raise InputError(
            f"{path} must end in one of {', '.join(SUFFIXES)}, got {suffix!r}"
        )


def _write_json(path: str | os.PathLike, motion: Motion) -> None:
    content = {
        "format": "actiongpt_jax motion 1",
        "axes": "z-up world; rotations are parent-relative axis-angle",
        "units": "metres, radians, frames per second",
        "fps": motion.fps,
        "text": motion.text,
        "lengths": motion.lengths,
        "edits": motion.edits,
        "names": SMPL22.names,
        "parents": SMPL22.parents,
        "offsets": SMPL22.offsets,
        "translation": _rounded(motion.translation),
        "rotations": _rounded(motion.rotations),
        "joints": _rounded(motion_joints(motion)),
    }
    write_text(path, json.dumps(content, separators=(",", ":")))


def _rounded(values: np.ndarray) -> list:
    # Precision: a hundredth of a millimetre or of a milliradian.
    return np.round(np.asarray(values, np.float64), 5).tolist()
