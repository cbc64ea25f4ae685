"""A triangle mesh of the figure: one capsule per bone, fixed to one joint."""

import dataclasses

import numpy as np

from actiongpt_jax.viewing.figure import BONES, FIGURE

_AROUND, _CAP = 14, 4


@dataclasses.dataclass(frozen=True)
class Mesh:
    """The figure's surface at rest.

    Attributes:
        vertices: (V, 3) metres, body frame (x left, y up, z forward).
        normals: (V, 3) unit, outward.
        faces: (F, 3) counter-clockwise seen from outside.
        joints: (V,) the one joint that each vertex moves with.
        sides: (V,) 'left', 'right' or 'middle'.
    """

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    joints: np.ndarray
    sides: np.ndarray


def capsule_mesh() -> Mesh:
    """Builds the figure at rest."""
    rest = FIGURE.rest_joints
    vertices, normals, faces, joints, sides = [], [], [], [], []
    count = 0
    for bone in BONES:
        own, outward, triangles = _capsule(rest[bone.start], rest[bone.end], bone.radii)
        vertices.append(own)
        normals.append(outward)
        faces.append(triangles + count)
        joints.append(np.full(len(own), bone.start))
        sides.append(np.full(len(own), bone.side))
        count += len(own)
    return Mesh(
        *(np.concatenate(parts) for parts in (vertices, normals, faces, joints, sides))
    )


def _capsule(start, end, radii) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    axis = (end - start) / np.linalg.norm(end - start)
    across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    across /= np.linalg.norm(across)
    basis = np.stack([across, np.cross(axis, across), axis], -1)
    turns = np.arange(_AROUND) * (2 * np.pi / _AROUND)
    ring = np.stack([np.cos(turns), np.sin(turns)], -1)
    lifts = np.linspace(-np.pi / 2, np.pi / 2, 2 * _CAP)
    points, normals = [], []
    for number, lift in enumerate(lifts):
        centre, radius = (start, radii[0]) if number < _CAP else (end, radii[1])
        height = np.full((_AROUND, 1), np.sin(lift))
        outward = np.concatenate([np.cos(lift) * ring, height], -1) @ basis.T
        normals.append(outward)
        points.append(centre + radius * outward)
    corner = np.arange(_AROUND)
    following = (corner + 1) % _AROUND
    faces = []
    for low in range(0, (2 * _CAP - 1) * _AROUND, _AROUND):
        high = low + _AROUND
        faces.append(np.stack([low + corner, low + following, high + following], -1))
        faces.append(np.stack([low + corner, high + following, high + corner], -1))
    return np.concatenate(points), np.concatenate(normals), np.concatenate(faces)
