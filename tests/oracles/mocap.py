"""Kinematics of BVH and Acclaim files in float64 numpy, joint by joint."""

import numpy as np


def turn(axis, degrees):
    """Returns (T, 3, 3) turns about 'X', 'Y' or 'Z'."""
    angle = np.radians(np.asarray(degrees, np.float64))
    i, j = {"X": (1, 2), "Y": (2, 0), "Z": (0, 1)}[axis.upper()]
    matrix = np.tile(np.eye(3), (*angle.shape, 1, 1))
    matrix[..., i, i] = matrix[..., j, j] = np.cos(angle)
    matrix[..., i, j], matrix[..., j, i] = -np.sin(angle), np.sin(angle)
    return matrix


def bvh(text):
    """Returns {joint: (orientations, positions)}; positions replace offsets."""
    head, _, motion = text.partition("MOTION")
    joints, stack = [], []
    for line in head.splitlines():
        word, *rest = line.split() or [""]
        if word in ("ROOT", "JOINT", "End"):
            name = rest[0] if word != "End" else f"{stack[-1]} end"
            joints.append([name, stack[-1] if stack else None, np.zeros(3), []])
        elif word == "{":
            stack.append(joints[-1][0])
        elif word == "}":
            stack.pop()
        elif word == "OFFSET":
            next(j for j in joints if j[0] == stack[-1])[2] = np.array(rest, float)
        elif word == "CHANNELS":
            next(j for j in joints if j[0] == stack[-1])[3] = rest[1:]
    rows = motion.split("\n")[3:]
    values = np.array([row.split() for row in rows if row.strip()], np.float64)
    world, column = {}, 0
    for name, parent, offset, channels in joints:
        place = np.tile(offset, (len(values), 1))
        local = np.tile(np.eye(3), (len(values), 1, 1))
        for channel in channels:
            if channel[1:] == "position":
                place[:, "XYZ".index(channel[0])] = values[:, column]
            else:
                local = local @ turn(channel[0], values[:, column])
            column += 1
        world[name] = _below(world.get(parent), local, place)
    return world


def acclaim(asf, amc, frames):
    """Returns {bone: (orientations, starts, ends)} of the first frames, in degrees."""
    bones, below, section, name = {}, {"root": []}, "", "root"
    bones["root"] = {"dof": ["tx", "ty", "tz", "rx", "ry", "rz"], "axis": [0, 0, 0]}
    for line in asf.splitlines():
        key, *rest = line.split() or [""]
        if key.startswith(":"):
            section = key
        elif section == ":bonedata" and key == "name":
            name = rest[0]
            bones[name] = {"dof": []}
        elif section == ":bonedata" and key in ("direction", "length", "axis"):
            bones[name][key] = np.array(rest[:3], float) if key != "length" else rest[0]
        elif section == ":bonedata" and key == "dof":
            bones[name]["dof"] = rest
        elif section == ":hierarchy" and key not in ("begin", "end"):
            below[key] = rest
    values = {bone: np.zeros((frames, len(row["dof"]))) for bone, row in bones.items()}
    frame = -1
    for line in amc.splitlines():
        key, *rest = line.split() or [""]
        if key.isdecimal():
            frame += 1
        elif frame >= 0 and frame < frames:
            values[key][frame] = rest
    world = {}

    def place(bone, parent, start):
        axis = bones[bone]["axis"]
        axes = turn("Z", axis[2]) @ turn("Y", axis[1]) @ turn("X", axis[0])
        local = np.tile(np.eye(3), (frames, 1, 1))
        for dof, column in zip(bones[bone]["dof"], values[bone].T, strict=True):
            if dof[0] == "r":
                local = turn(dof[1], column) @ local
        turned = parent @ axes @ local @ axes.T
        end = start
        if bone != "root":
            vector = bones[bone]["direction"] * float(bones[bone]["length"])
            end = start + turned @ vector
        world[bone] = turned, start, end
        for child in below.get(bone, []):
            place(child, turned, end)

    place("root", np.eye(3), values["root"][:, :3])
    return world


def _below(parent, local, place):
    if parent is None:
        return local, place
    turned, placed = parent
    return turned @ local, placed + np.einsum("tij,tj->ti", turned, place)
