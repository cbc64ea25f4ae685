"""Reads a motion-capture file as a motion of SMPL's body."""

import dataclasses
import os
import pathlib

from actiongpt_jax.choices import FPS_LIMITS, UPS
from actiongpt_jax.data.mocap.acclaim import read_acclaim
from actiongpt_jax.data.mocap.bvh import read_bvh
from actiongpt_jax.data.mocap.capture import Capture
from actiongpt_jax.data.mocap.joint_map import (
    JointMap,
    find_joints,
    read_map,
    show_map,
)
from actiongpt_jax.data.mocap.retarget import Retargeted, retarget
from actiongpt_jax.errors import InputError, check_choice

SUFFIXES = (".bvh", ".amc")
_SCALES = (1e-6, 1e6)  # metres per unit


@dataclasses.dataclass(frozen=True)
class MocapSettings:
    """What to take in place of what a motion-capture file shows.

    Attributes:
        skeleton: the .asf file of an .amc file; None finds it by its name.
        joint_map: file that names the joints; see `joint_map.read_map`.
        rest: the rest pose: 'zero', the number of a frame, or 'directions'.
        up: the axis that is up, 'x', 'y' or 'z'.
        scale: metres per unit; None makes the legs as long as SMPL's.
        fps: frames per second; None for the file's, or 120 for an .amc file.
    """

    skeleton: str | os.PathLike | None = None
    joint_map: str | os.PathLike | None = None
    rest: str | None = None
    up: str | None = None
    scale: float | None = None
    fps: float | None = None


def is_mocap(path: str | os.PathLike) -> bool:
    """Says by its suffix whether a file is one that `read_mocap` reads."""
    return pathlib.Path(path).suffix.lower() in SUFFIXES


def open_mocap(
    path: str | os.PathLike, settings: MocapSettings
) -> tuple[Capture, JointMap]:
    """Reads a recording on its own skeleton, and finds its joints.

    Raises:
        InputError: if a file is missing or damaged, or is not that of a human body.
    """
    _check(settings)
    if pathlib.Path(path).suffix.lower() == ".bvh":
        capture = read_bvh(path, settings.fps)
    else:
        capture = read_acclaim(path, settings.skeleton, settings.fps)
    chosen = read_map(settings.joint_map) if settings.joint_map else None
    return capture, find_joints(capture, chosen)


def _check(settings: MocapSettings) -> None:
    if settings.up is not None:
        check_choice("up", settings.up, UPS)
    for name, value, limits in (
        ("scale", settings.scale, _SCALES),
        ("frames per second", settings.fps, FPS_LIMITS),
    ):
        if value is not None and not limits[0] <= value <= limits[1]:
            raise InputError(
                f"the {name} must be from {limits[0]:g} to {limits[1]:g}, got {value:g}"
            )


def read_mocap(
    path: str | os.PathLike, settings: MocapSettings | None = None
) -> tuple[Retargeted, float, list[str]]:
    """Reads a .bvh or .amc file as a motion of SMPL's body.

    Args:
        path: the file.
        settings: what to take in place of what the file shows.

    Returns:
        The motion, its frames per second, and a sentence for everything that was left
        out.

    Raises:
        InputError: if a file is missing or damaged, or is not that of a human body; the
            message names the file and the place.
    """
    settings = settings or MocapSettings()
    return _read(path, settings, *open_mocap(path, settings))


def describe_mocap(
    path: str | os.PathLike, settings: MocapSettings | None = None
) -> str:
    """Draws the skeleton of a file as a tree, and says how the file was understood.

    Args:
        path: the file.
        settings: what to take in place of what the file shows.

    Raises:
        InputError: as in `read_mocap`.
    """
    settings = settings or MocapSettings()
    capture, joints = open_mocap(path, settings)
    motion, fps, notes = _read(path, settings, capture, joints)
    lines = [
        show_map(capture, joints),
        f"{path}: {len(motion.rotations)} frames at {fps:g} per second; {motion.up} is "
        f"up; one unit is {motion.scale:.4g} m; rest pose: {motion.rest}",
        *notes,
    ]
    return "\n".join(lines)


def _read(
    path: str | os.PathLike,
    settings: MocapSettings,
    capture: Capture,
    joints: JointMap,
) -> tuple[Retargeted, float, list[str]]:
    motion = retarget(
        capture,
        joints.joints,
        rest=settings.rest,
        up=settings.up,
        scale=settings.scale,
    )
    notes = []
    if motion.dropped:
        notes.append(f"{path}: frame 0 is a rest pose and is left out")
    return motion, capture.fps, notes
