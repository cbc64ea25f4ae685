"""Decides which joint of a recorded skeleton plays which joint of SMPL."""

import dataclasses
import json
import os
import pathlib

import numpy as np

from actiongpt_jax.data.mocap.capture import Capture
from actiongpt_jax.data.mocap.names import joints_by_name, mixamo_name
from actiongpt_jax.data.mocap.rest_pose import JOINTS
from actiongpt_jax.data.mocap.structure import joints_by_structure
from actiongpt_jax.errors import InputError, list_names
from actiongpt_jax.files.yaml_reader import read_yaml
from actiongpt_jax.geometry.skeletons import SMPL22

# Offsets within this of SMPL's are SMPL's own, metres.
SAME = 1e-4
_NEEDED = [
    f"{side}_{joint}"
    for joint in ("hip", "knee", "ankle", "shoulder", "elbow")
    for side in ("left", "right")
]


@dataclasses.dataclass(frozen=True)
class JointMap:
    """Which joint plays which.

    Attributes:
        joints: SMPL joint -> joint of the recording, in the order of SMPL's joints.
        how: how they were found: 'names', 'structure' or 'map'.
    """

    joints: dict[int, int]
    how: str


def find_joints(
    capture: Capture, choices: dict[str, str | None] | None = None
) -> JointMap:
    """Finds the joints that play SMPL's, by names and otherwise by structure.

    Args:
        capture: the recording.
        choices: SMPL joint -> name of the joint that plays it, or None for none, in
            place of what is found; see `read_map`.

    Raises:
        InputError: if a chosen joint does not exist, or a body with a head, two arms
            and two legs is not found.
    """
    found, how = joints_by_name(capture), "names"
    if found is None:
        found, how = joints_by_structure(capture), "structure"
    found = dict(found or {})
    if choices is not None:
        found |= _chosen(capture, choices)
        found = {name: joint for name, joint in found.items() if joint >= 0}
        how = f"{how} and map" if set(found) - set(choices) else "map"
    missing = [name for name in ("pelvis", *_NEEDED) if name not in found]
    missing += ["neck or head"] * (not {"neck", "head"} & set(found))
    if missing:
        raise InputError(
            f"{capture.path}: the skeleton must be that of a body with a head, two "
            f"arms and two legs, but {list_names(missing, 3)} was not found; name the "
            "joints with --map"
        )
    if not any(name.startswith("spine") for name in choices or ()):
        found |= _spine(capture, found)
    return JointMap(
        {JOINTS[name]: found[name] for name in JOINTS if name in found}, how
    )


def read_map(path: str | os.PathLike) -> dict[str, str | None]:
    """Reads a file of JSON or YAML {SMPL joint: name of the joint that plays it}.

    Args:
        path: the file; null as a name leaves the SMPL joint without source.

    Raises:
        InputError: if the file holds anything else, or a name that is no SMPL joint.
    """
    path = pathlib.Path(path)
    table = read_yaml(path, "correct the file")
    if not isinstance(table, dict) or not table:
        raise InputError(
            f"{path} must hold names such as {json.dumps({'left_hip': 'LeftUpLeg'})}, "
            f"got {str(table)[:40]!r}; correct the file"
        )
    for joint, name in table.items():
        if joint not in JOINTS:
            raise InputError(
                f"{path}: {joint} must be a joint of SMPL, one of "
                f"{', '.join(SMPL22.names)}; correct the file"
            )
        if name is not None and not isinstance(name, str):
            raise InputError(f"{path}: {joint} must be a name, got {name!r}")
    return table


def show_map(capture: Capture, joints: JointMap) -> str:
    """Draws the skeleton as a tree, with the SMPL joint that each joint plays."""
    roles: dict[int, list[str]] = {}
    for joint, source in joints.joints.items():
        roles.setdefault(source, []).append(SMPL22.names[joint])
    depths: list[int] = []
    rows = []
    for index, joint in enumerate(capture.joints):
        depths.append(depths[joint.parent] + 1 if joint.parent >= 0 else 0)
        if not joint.is_tip or index in roles:
            rows.append(
                ("  " * depths[-1] + joint.name, ", ".join(roles.get(index, ())))
            )
    width = max(len(name) for name, _ in rows) + 2
    lines = [f"{name:{width}}{role}".rstrip() for name, role in rows]
    unused = [n for j, n in enumerate(SMPL22.names) if j not in joints.joints]
    lines.append(f"{capture.path}: found by {joints.how}")
    if unused:
        lines.append(f"played by no joint: {', '.join(unused)}")
    return "\n".join(lines)


def _chosen(capture: Capture, choices: dict[str, str | None]) -> dict[str, int]:
    names = [joint.name for joint in capture.joints]
    unknown = sorted({name for name in choices.values() if name and name not in names})
    if unknown:
        raise InputError(
            f"{capture.path} must have the joints of the map, but has no "
            f"{list_names(unknown)}; its joints are {list_names(names, 30)}"
        )
    return {joint: names.index(name) if name else -1 for joint, name in choices.items()}


def _spine(capture: Capture, found: dict[str, int]) -> dict[str, int]:
    """Returns what plays the spine: the chest, and SMPL's own joints where they are.

    Spines have different numbers of joints; spine1 and spine2 bend as they must for the
    trunk to point where the source's does (`alignment.bend_spine`).
    """
    chest = [joint for joint in _between(capture, found) if joint != found["pelvis"]]
    names = [joint.name for joint in capture.joints]
    spine = [f"spine{i}" for i in (1, 2, 3)]
    if all(name in names for name in SMPL22.names):
        return {name: names.index(name) for name in spine}
    # `render` can write SMPL's skeleton with Mixamo's names.
    if all(mixamo_name(name) in names for name in SMPL22.names):
        own = {name: names.index(mixamo_name(name)) for name in spine}
        offsets = [capture.joints[index].offset for index in own.values()]
        smpl = [SMPL22.offsets[JOINTS[name]] for name in spine]
        if np.abs(np.subtract(offsets, smpl)).max() < SAME:
            return own
    return {"spine3": chest[-1]} if chest else {}


def _between(capture: Capture, found: dict[str, int]) -> list[int]:
    """Returns the joints between pelvis and neck, the lowest first."""
    if "neck" in found:
        way = capture.ancestors(capture.joints[found["neck"]].parent)
    else:  # the chest is the joint that head and arms share
        arm = capture.ancestors(found["left_shoulder"])
        way = [joint for joint in capture.ancestors(found["head"]) if joint in arm]
    below = capture.ancestors(found["pelvis"])
    return [joint for joint in way if joint not in below][::-1]
