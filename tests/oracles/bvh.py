"""A BVH reader in float64 numpy, channel by channel."""

import numpy as np


def _turn(axis, degrees):
    angle = np.radians(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    i, j = {"X": (1, 2), "Y": (2, 0), "Z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = cos
    matrix[i, j], matrix[j, i] = -sin, sin
    return matrix


def read(text, *, adds_offset):
    """Returns joint names, {name: (T, 3)} positions, and seconds per frame.

    Positions are in the axes of the file. `adds_offset` says whether position channels
    are added to a joint's offset or replace it; BVH readers disagree about this.
    """
    words = iter(text.split())
    joints, stack, site = [], [], False
    for word in words:
        if word in ("ROOT", "JOINT"):
            parent = stack[-1] if stack else None
            joints.append({"name": next(words), "parent": parent, "channels": []})
        elif word == "End":
            site = True
        elif word == "{":
            stack.append(None if site else len(joints) - 1)
        elif word == "}":
            site = False
            stack.pop()
        elif word == "OFFSET":
            offset = np.array([float(next(words)) for _ in range(3)])
            if not site:
                joints[-1]["offset"] = offset
        elif word == "CHANNELS":
            count = int(next(words))
            joints[-1]["channels"] = [next(words) for _ in range(count)]
        elif word == "MOTION":
            break
    assert next(words) == "Frames:"
    frames = int(next(words))
    assert (next(words), next(words)) == ("Frame", "Time:")
    seconds = float(next(words))
    values = np.array([float(word) for word in words]).reshape(frames, -1)
    result = {joint["name"]: np.zeros((frames, 3)) for joint in joints}
    for frame, row in enumerate(values):
        row = iter(row)
        world = []
        for joint in joints:
            place, turn = joint["offset"].copy(), np.eye(3)
            moved = np.zeros(3)
            for channel in joint["channels"]:
                if channel.endswith("position"):
                    moved["XYZ".index(channel[0])] = next(row)
                else:
                    turn = turn @ _turn(channel[0], next(row))
            if any(channel.endswith("position") for channel in joint["channels"]):
                place = moved + (joint["offset"] if adds_offset else 0)
            if joint["parent"] is not None:
                above, centre = world[joint["parent"]]
                place, turn = centre + above @ place, above @ turn
            world.append((turn, place))
            result[joint["name"]][frame] = place
        assert next(row, None) is None
    return [joint["name"] for joint in joints], result, seconds
