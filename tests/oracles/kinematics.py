"""Forward kinematics and facing in float64 numpy, joint by joint."""

import numpy as np


def forward_kinematics(rotations, translation, parents, offsets):
    """Returns joints (J, 3) by one 4 x 4 transform per bone."""
    world = []
    for j, parent in enumerate(parents):
        local = np.eye(4)
        local[:3, :3] = rotations[j]
        local[:3, 3] = offsets[j]
        world.append(local if parent < 0 else world[parent] @ local)
    return np.stack([w[:3, 3] for w in world]) + np.asarray(translation, np.float64)


def yaw(pelvis):
    """Returns the ground angle of the pelvis's forward axis from +x, radians."""
    forward = np.asarray(pelvis, np.float64)[:, 2]
    if np.hypot(forward[0], forward[1]) < 0.1:
        left = np.asarray(pelvis, np.float64)[:, 0]
        return np.arctan2(left[1], left[0]) - np.pi / 2
    return np.arctan2(forward[1], forward[0])
