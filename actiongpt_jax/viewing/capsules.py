"""A triangle mesh of the figure: one capsule per bone, fixed to one joint."""

import dataclasses

import numpy as np

from actiongpt_jax.viewing.figure import BONES, FIGURE

# Vertices per ring around the bone, and rings per hemisphere at either end.
_AROUND, _CAP = 14, 4


@dataclasses.dataclass(frozen=True)
class Mesh:
    """The surface of the figure in its rest pose.

    Attributes:
        vertices: (V, 3) metres, body frame (x left, y up, z forward).
        normals: (V, 3) unit vectors that point outwards.
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.
        joints: (V,) index of the one joint that each vertex moves with.
        parts: (V,) 'left', 'right', 'middle' or 'visor', as in `figure.Bone`.
    """

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    joints: np.ndarray
    parts: np.ndarray


def capsule_mesh() -> Mesh:
    """Builds the mesh of the figure in its rest pose."""
    sphere, faces = _sphere()
    count = len(sphere)
    starts = np.arange(len(BONES))[:, None, None] * count
    upper = np.arange(count) >= count // 2
    vertices, normals = [], []
    for bone in BONES:
        start, end = FIGURE.rest_joints[[bone.start, bone.end]]
        axis = (end - start) / np.linalg.norm(end - start)
        across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
        across /= np.linalg.norm(across)
        outward = sphere @ np.stack([across, np.cross(axis, across), axis])
        centres = np.where(upper[:, None], end, start)
        radii = np.where(upper, bone.radii[1], bone.radii[0])
        vertices.append(centres + radii[:, None] * outward)
        normals.append(outward)
    return Mesh(
        vertices=np.concatenate(vertices),
        normals=np.concatenate(normals),
        faces=(faces + starts).reshape(-1, 3),
        joints=np.repeat([bone.joint for bone in BONES], count),
        parts=np.repeat([bone.part for bone in BONES], count),
    )


def _sphere() -> tuple[np.ndarray, np.ndarray]:
    """Returns a unit sphere: vertices, ring by ring along z, and triangles."""
    lift, turn = np.meshgrid(
        np.linspace(-np.pi / 2, np.pi / 2, 2 * _CAP),
        np.arange(_AROUND) * (2 * np.pi / _AROUND),
        indexing="ij",
    )
    points = [np.cos(lift) * np.cos(turn), np.cos(lift) * np.sin(turn), np.sin(lift)]
    corner = np.arange(lift.size).reshape(lift.shape)
    following = np.roll(corner, -1, 1)
    a, b, c, d = corner[:-1], following[:-1], following[1:], corner[1:]
    faces = np.array([[a, b, c], [a, c, d]]).transpose(2, 0, 3, 1)
    return np.stack(points, -1).reshape(-1, 3), faces.reshape(-1, 3)
