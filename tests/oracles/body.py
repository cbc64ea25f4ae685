"""Linear blend skinning in float64 numpy, vertex by vertex and joint by joint."""

import numpy as np


def skin(body, rotations, translation, betas):
    """Returns joints (J, 3) and vertices (V, 3) for (J, 3, 3), (3,) and (S,)."""
    shaped = np.array(body.v_template, np.float64)
    for beta, column in zip(betas, np.moveaxis(body.shapedirs, -1, 0), strict=True):
        shaped += beta * np.asarray(column, np.float64)
    rest = np.asarray(body.J_regressor, np.float64) @ shaped
    world = []
    for j, parent in enumerate(body.parents):
        local = np.eye(4)
        local[:3, :3] = rotations[j]
        local[:3, 3] = rest[j] - (rest[parent] if parent >= 0 else 0)
        world.append(local if parent < 0 else world[parent] @ local)
    joints = np.stack([w[:3, 3] for w in world]) + translation
    vertices = []
    for v, place in enumerate(shaped):
        place = place.copy()
        entries = np.asarray(body.posedirs[v], np.float64)
        for j in range(1, len(world)):
            bend = (rotations[j] - np.eye(3)).ravel()
            place += entries[:, 9 * (j - 1) : 9 * j] @ bend
        # Into the rest axes of each joint, then moved with the joint.
        moved = [
            weight * (w @ [*(place - rest[j]), 1])[:3]
            for j, (w, weight) in enumerate(zip(world, body.weights[v], strict=True))
        ]
        vertices.append(np.sum(moved, 0) + translation)
    return joints, np.stack(vertices)
