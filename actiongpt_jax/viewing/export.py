"""Motions in the formats of other tools."""

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
from actiongpt_jax.viewing.glb import write_glb
from actiongpt_jax.viewing.plot import motion_joints

SUFFIXES = (".glb", ".bvh", ".npz", ".json")


def export(path: str | os.PathLike, motion: Motion, layout: str = "smplh") -> None:
    """Writes a motion in the format that the file's suffix names.

    Args:
        path: ends in .glb (y-up, for Blender, three.js, game engines), .bvh (y-up,
            metres), .npz (AMASS's, z-up) or .json (z-up); replaced as a whole.
        motion: what to write.
        layout: of an .npz, 'smplh' (156 columns) or 'smplx' (165).

    Raises:
        InputError: for another suffix or layout, a motion without frames or of
            another skeleton.
    """
    suffix = pathlib.Path(path).suffix.lower()
    check_motion(motion, str(path))
    if suffix == ".glb":
        write_glb(path, motion)
    elif suffix == ".bvh":
        write_bvh(path, motion)
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
        "text": list(motion.text),
        "lengths": list(motion.lengths),
        "names": list(SMPL22.names),
        "parents": list(SMPL22.parents),
        "offsets": [list(offset) for offset in SMPL22.offsets],
        "translation": _rounded(motion.translation),
        "rotations": _rounded(motion.rotations),
        "joints": _rounded(motion_joints(motion)),
    }
    write_text(path, json.dumps(content, separators=(",", ":")))


def _rounded(values: np.ndarray) -> list:
    # A hundredth of a millimetre, and of a milliradian.
    return np.round(np.asarray(values, np.float64), 5).tolist()
