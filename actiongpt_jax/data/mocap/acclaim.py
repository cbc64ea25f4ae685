"""Reads Acclaim recordings: a skeleton (.asf) and its motion (.amc).

Source: the format of Acclaim Advanced Technologies as J. Lander describes it, "Working
with Motion Capture File Formats", Game Developer, January 1998.
"""

import os
import pathlib
import re
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.mocap.capture import Capture, Joint, checked, read_loose
from actiongpt_jax.errors import InputError, list_names

# AMC files do not state their rate. CMU and HDM05 recorded at 120 frames per second.
DEFAULT_FPS = 120.0
_CHANNELS = ("tx", "ty", "tz", "rx", "ry", "rz", "l")


def read_acclaim(
    path: str | os.PathLike,
    skeleton: str | os.PathLike | None = None,
    fps: float | None = None,
) -> Capture:
    """Reads a motion and its skeleton.

    Every bone becomes a joint at the bone's start; its tip is the start of the next.

    Args:
        path: the .amc file.
        skeleton: the .asf file; None finds it with `find_skeleton`.
        fps: frames per second; None for `DEFAULT_FPS`, since no AMC file states them.

    Returns:
        The recording on its own skeleton.

    Raises:
        InputError: if a file is missing or damaged, the two do not fit each other, or
            there are fewer than two frames; the message names the file and the place.
    """
    path = pathlib.Path(path)
    asf = pathlib.Path(skeleton) if skeleton is not None else find_skeleton(path)
    bones, radians = _read_skeleton(asf)
    joints, order, columns = _joints(asf, bones)
    values = _read_motion(path, asf, bones, order, columns, radians)
    rate = DEFAULT_FPS if fps is None else fps
    return checked(Capture(path, tuple(joints), values, rate))


def find_skeleton(path: str | os.PathLike) -> pathlib.Path:
    """Finds the skeleton of a motion: the .asf whose name begins the motion's name.

    `01_01.amc` belongs to `01.asf`, and `HDM_mm_walk.amc` to `HDM_mm.asf`.

    Args:
        path: the .amc file.

    Returns:
        The .asf file in the same folder; the longest name if several fit.

    Raises:
        InputError: if none fits.
    """
    path = pathlib.Path(path)
    found = []
    for file in path.parent.iterdir() if path.parent.is_dir() else ():
        rest = path.stem.lower().removeprefix(file.stem.lower())
        fits = path.stem.lower().startswith(file.stem.lower())
        if file.suffix.lower() == ".asf" and fits and not rest[:1].isalnum():
            found.append(file)
    if not found:
        raise InputError(
            f"{path} must have its skeleton in the same folder, in an .asf file with "
            "the first letters of its name; give another file as --skeleton"
        )
    return max(found, key=lambda file: len(file.stem))


def _read_skeleton(path: pathlib.Path) -> tuple[dict[str, dict[str, Any]], bool]:
    """Returns the bones by name, 'root' first, and whether angles are in radians."""
    sections = re.split(r"^[ \t]*:(?=[a-zA-Z])", read_loose(path), flags=re.MULTILINE)
    found = {}
    for section in sections[1:]:
        name, *lines = section.split("\n")
        key, *value = name.split()
        found[key.lower()] = [" ".join(value), *lines]
    for needed in ("root", "bonedata", "hierarchy"):
        if needed not in found:
            raise InputError(
                f"{path} must be an Acclaim skeleton with the section :{needed}, but "
                "has none; download the .asf file again"
            )
    units = " ".join(found.get("units", ())).lower()
    radians = re.search(r"\bangle\s+rad", units) is not None
    turn = 1.0 if radians else np.pi / 180
    bones = {"root": _bone(path, "root", found["root"], turn)}
    for block in re.split(r"\bbegin\b", "\n".join(found["bonedata"]))[1:]:
        lines = block.split("\n")
        names = [w[1] for w in map(str.split, lines) if len(w) > 1 and w[0] == "name"]
        if len(names) != 1 or names[0] in bones:
            raise InputError(
                f"{path}: each block of :bonedata must have a name of its own, got "
                f"{names or 'none'}; repair the file"
            )
        bones[names[0]] = _bone(path, names[0], lines, turn)
    for line in found["hierarchy"]:
        parent, *children = line.split() or [""]
        if parent in ("", "begin", "end"):
            continue
        for child in children:
            if parent not in bones or child not in bones or "parent" in bones[child]:
                raise InputError(
                    f"{path}: :hierarchy must name every bone once below a known bone, "
                    f"got {line.strip()[:60]!r}; repair the file"
                )
            bones[child]["parent"] = parent
    return bones, radians


def _bone(
    path: pathlib.Path, name: str, lines: list[str], turn: float
) -> dict[str, Any]:
    """Returns the vector, the axes and the channels of one bone."""
    words: dict[str, list[str]] = {}
    for line in lines:
        key, *rest = line.split() or [""]
        words.setdefault(key.lower(), rest)
    try:
        angles = words["orientation" if name == "root" else "axis"][:3]
        order = (words.get("axis") or ["XYZ"])[-1].lower()
        if name == "root":
            vector = np.array(words.get("position", [0, 0, 0])[:3], np.float64)
            dofs = words["order"]
        else:
            direction = np.array(words["direction"][:3], np.float64)
            length = float(words["length"][0])
            vector = length * direction / (np.linalg.norm(direction) or 1.0)
            dofs = words.get("dof", [])
        # Lower case: about fixed axes, one after the other.
        axes = Rotation.from_euler(order, turn * np.array(angles, np.float64))
        dofs = [re.sub(r"[^a-z]", "", dof.lower()) for dof in dofs]
        turns = [dof for dof in dofs if dof[0] == "r"]
        valid = set(dofs) <= set(_CHANNELS) and len(set(dofs)) == len(dofs)
    except (KeyError, ValueError, IndexError):
        valid = False
    if not valid or vector.shape != (3,) or not np.isfinite(vector).all():
        raise InputError(
            f"{path}: {name} must have a direction, a length, an axis such as "
            "'0 0 20 XYZ' and dofs such as 'rx ry rz' (the root an order and an "
            "orientation); repair the file"
        )
    return {"vector": vector, "axes": axes.as_matrix(), "dofs": dofs, "turns": turns}


def _joints(
    path: pathlib.Path, bones: dict[str, dict[str, Any]]
) -> tuple[list[Joint], dict[str, int], int]:
    """Returns the joints, the first column of every bone, and the number of columns."""
    below: dict[str, list[str]] = {}
    for name, bone in bones.items():
        if name != "root":
            below.setdefault(bone.get("parent", ""), []).append(name)
    if "" in below:
        raise InputError(
            f"{path}: :hierarchy must hold every bone, but lacks "
            f"{list_names(below[''])}; repair the file"
        )
    joints: list[Joint] = []
    first: dict[str, int] = {}
    columns, todo = 0, [("root", -1)]
    while todo:
        name, parent = todo.pop()
        bone = bones[name]
        column = {dof: columns + i for i, dof in enumerate(bone["dofs"])}
        first[name] = columns
        columns += len(column)
        shifts = [d for d in bone["dofs"] if d[0] == "t"] if name == "root" else []
        start = bones[bone.get("parent", "root")]["vector"] if parent > 0 else None
        joints.append(
            Joint(
                name=name,
                parent=parent,
                offset=np.zeros(3) if start is None else start,
                # About fixed axes in order is about moving axes in reverse order.
                turns="".join(dof[1].upper() for dof in reversed(bone["turns"])),
                turn_columns=tuple(column[dof] for dof in reversed(bone["turns"])),
                shifts="".join(dof[1].upper() for dof in shifts),
                shift_columns=tuple(column[dof] for dof in shifts),
                axes=bone["axes"],
            )
        )
        index = len(joints) - 1
        children = below.get(name, [])
        todo += [(child, index) for child in reversed(children)]
        if not children and name != "root":
            tip = f"{name} (tip)"
            joints.append(Joint(tip, index, bone["vector"], is_tip=True))
    return joints, first, columns


def _read_motion(
    path: pathlib.Path,
    asf: pathlib.Path,
    bones: dict[str, dict[str, Any]],
    first: dict[str, int],
    columns: int,
    radians: bool,
) -> np.ndarray:
    """Returns the (T, columns) values of an AMC file; missing bones are at zero."""
    text = read_loose(path)
    start = re.search(r"^\s*\d+\s*$", text, re.MULTILINE)
    if start is None:
        raise InputError(
            f"{path} must be an Acclaim motion whose frames begin with their number, "
            "but has no frame; download the file again"
        )
    head = text[: start.start()].lower()
    if ":degrees" in head or ":radians" in head:
        radians = ":radians" in head
    lines = text[start.start() :].strip().split("\n")
    numbers = [i for i, line in enumerate(lines) if line.strip().isdecimal()]
    values = np.zeros((len(numbers), columns))
    ends = [*numbers[1:], len(lines)]
    names = None
    for frame, (begin, end) in enumerate(zip(numbers, ends, strict=True)):
        rows = [line.split() for line in lines[begin + 1 : end] if line.strip()]
        keys = [row[0] for row in rows]
        names = keys if names is None else names
        if keys != names:
            raise InputError(
                f"{path}: every frame must hold the same bones, but frame "
                f"{lines[begin].strip()} differs; the file is truncated or damaged, "
                "download it again"
            )
        for name, *words in rows:
            count = len(bones[name]["dofs"]) if name in bones else -1
            try:
                if count != len(words):
                    raise ValueError
                begin_column = first[name]
                values[frame, begin_column : begin_column + count] = words
            except ValueError as error:
                raise InputError(
                    f"{path}: in frame {lines[begin].strip()} {name} must have "
                    f"{max(count, 0)} numbers as in {asf.name}, got "
                    f"{' '.join(words)[:60]!r}; check that the skeleton belongs to the "
                    "motion (--skeleton)"
                ) from error
    if not radians:
        turns = [
            first[name] + i
            for name, bone in bones.items()
            for i, dof in enumerate(bone["dofs"])
            if dof[0] == "r"
        ]
        values[:, turns] *= np.pi / 180
    return values
