"""Forward kinematics, and the direction in which a body faces."""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from actiongpt_jax.errors import check_choice
from actiongpt_jax.geometry import rotations as rot
from actiongpt_jax.geometry.rotations import AnyArray
from actiongpt_jax.geometry.skeletons import SMPL22, Skeleton, tree_levels
from actiongpt_jax.shapes import check_shape

Compat = Literal["reference"] | None

# Direction in which canonical bodies face in their first frame: the world's -x, as in
# the published features for an upright body, so both headings share statistics.
_CANONICAL_FACING = (-1.0, 0.0)
# The pelvis's +z axis counts as vertical if its projection on the ground is shorter
# than this (6 degrees), so that noise cannot determine the direction.
_VERTICAL_SHADOW = 0.1


def forward_kinematics(
    rotations: Float[AnyArray, "*batch J 3 3"],
    translation: Float[AnyArray, "*batch 3"],
    skeleton: Skeleton = SMPL22,
) -> Float[Array, "*batch J 3"]:
    """Places a skeleton's joints, one batched product per level of the tree.

    Args:
        rotations: (..., J, 3, 3) parent-relative; joint 0 is the orientation in
            the world.
        translation: (..., 3) metres; the root is at translation + rest root.
        skeleton: skeleton with J joints.

    Returns:
        (..., J, 3) joints in the world, metres.

    Raises:
        InputError: if the shapes do not fit the skeleton or each other.
    """
    rotations, translation = jnp.asarray(rotations), jnp.asarray(translation)
    sizes = check_shape("rotations", rotations, f"... {skeleton.num_joints} 3 3")
    check_shape("translation", translation, "... 3", sizes)
    offsets = jnp.asarray(skeleton.offsets, rotations.dtype)
    offsets = jnp.broadcast_to(offsets, rotations.shape[:-1])
    return place_joints(rotations, translation, offsets, skeleton.parents)[0]


def place_on_host(
    rotations: Float[np.ndarray, "*batch J 3 3"],
    translation: Float[np.ndarray, "*batch 3"],
    skeleton: Skeleton = SMPL22,
) -> Float[np.ndarray, "*batch J 3"]:
    """Places a skeleton's joints in numpy's float64, without compilation.

    `forward_kinematics` would be compiled again for every length of a motion.

    Args:
        rotations: (..., J, 3, 3) parent-relative; joint 0 is the orientation in
            the world.
        translation: (..., 3) metres; the root is at translation + rest root.
        skeleton: skeleton with J joints.

    Returns:
        (..., J, 3) joints in the world, metres.
    """
    return world_on_host(rotations, translation, skeleton)[0]


def world_on_host(
    rotations: Float[np.ndarray, "*batch J 3 3"],
    translation: Float[np.ndarray, "*batch 3"],
    skeleton: Skeleton = SMPL22,
) -> tuple[Float[np.ndarray, "*batch J 3"], Float[np.ndarray, "*batch J 3 3"]]:
    """Places and turns a skeleton's joints; see `place_on_host`.

    Returns:
        (..., J, 3) joints, metres, and (..., J, 3, 3) orientations in the world.
    """
    rotations = np.asarray(rotations, np.float64)
    offsets = np.array(skeleton.offsets)
    world, joints = np.empty_like(rotations), np.empty(rotations.shape[:-1])
    for j, parent in enumerate(skeleton.parents):
        if parent < 0:
            world[..., j, :, :] = rotations[..., j, :, :]
            joints[..., j, :] = translation + offsets[j]
        else:
            above = world[..., parent, :, :]
            world[..., j, :, :] = above @ rotations[..., j, :, :]
            joints[..., j, :] = joints[..., parent, :] + above @ offsets[j]
    return joints, world


def place_joints(
    rotations: Float[Array, "*batch J 3 3"],
    translation: Float[Array, "*batch 3"],
    offsets: Float[Array, "*batch J 3"],
    parents: tuple[int, ...],
) -> tuple[Float[Array, "*batch J 3"], Float[Array, "*batch J 3 3"]]:
    """Places joints whose rest offsets may differ from pose to pose.

    Args:
        rotations: (..., J, 3, 3) parent-relative.
        translation: (..., 3) metres.
        offsets: (..., J, 3) offset from the parent at rest, metres; for the root its
            position at zero translation.
        parents: index of each joint's parent; see `skeletons.Skeleton`.

    Returns:
        (..., J, 3) joints, metres, and (..., J, 3, 3) orientations, in the world.
    """
    levels = [np.array(level) for level in tree_levels(parents)]
    placed = translation[..., None, :] + _joints(offsets, levels[0])
    turned = _joints(rotations, levels[0], 3)
    joints_by_level, turns_by_level = [placed], [turned]
    for above, level in zip(levels, levels[1:], strict=False):
        rows = np.searchsorted(above, np.array(parents)[level])
        frames = _joints(turned, rows, 3)
        placed = _joints(placed, rows) + rot.rotate(frames, _joints(offsets, level))
        turned = rot.compose(frames, _joints(rotations, level, 3))
        joints_by_level.append(placed)
        turns_by_level.append(turned)
    order = np.argsort(np.concatenate(levels))
    return (
        _joints(jnp.concatenate(joints_by_level, -2), order),
        _joints(jnp.concatenate(turns_by_level, -3), order, 3),
    )


def facing(
    pelvis: Float[AnyArray, "*batch 3 3"], compat: Compat = None
) -> Float[Array, "*batch 2"]:
    """Returns the direction on the ground in which a body faces.

    It is the ground direction of the pelvis's +z axis (forward). If that axis is nearly
    vertical (a body that lies on its back or front, or is bent double), the direction
    is that of the +x axis (to the left) after a quarter turn clockwise. This is the
    limit of the first case as a body lies down, so lying down does not change the
    facing direction.

    Args:
        pelvis: (..., 3, 3) orientation of joint 0 in a z-up world.
        compat: 'reference' uses the z component of the axis-angle as the yaw of an
            upright body, as TEMOS and TEACH do. It equals the yaw only if the yaw
            is 0.

    Returns:
        (..., 2) unit vectors. An upright body with zero yaw faces (0, -1).

    Raises:
        InputError: if `compat` is neither None nor 'reference'.
    """
    check_choice("compat", compat, (None, "reference"))
    pelvis = jnp.asarray(pelvis)
    if compat == "reference":
        yaw = rot.matrix_to_axis_angle(pelvis)[..., 2]
        return jnp.stack([jnp.sin(yaw), -jnp.cos(yaw)], -1)
    # DIFFERS: the true yaw, so that features do not depend on the initial heading.
    forward, left = pelvis[..., :2, 2], pelvis[..., :2, 0]
    upended = (forward * forward).sum(-1, keepdims=True) < _VERTICAL_SHADOW**2
    from_left = jnp.stack([left[..., 1], -left[..., 0]], -1)
    return rot.unit(jnp.where(upended, from_left, forward))


def turn_between(
    start: Float[AnyArray, "*batch 2"], end: Float[AnyArray, "*batch 2"]
) -> Float[Array, "*batch 3 3"]:
    """Returns the rotation about +z that takes one ground direction to another.

    Args:
        start: (..., 2) unit vectors on the ground.
        end: (..., 2) unit vectors on the ground.

    Returns:
        (..., 3, 3) rotation matrices.
    """
    start, end = jnp.asarray(start), jnp.asarray(end)
    cos = (start * end).sum(-1)
    sin = start[..., 0] * end[..., 1] - start[..., 1] * end[..., 0]
    return rot.rotation_about_z(jnp.stack([cos, sin], -1))


def turn_to_canonical(
    pelvis: Float[AnyArray, "*batch 3 3"], compat: Compat = None
) -> Float[Array, "*batch 3 3"]:
    """Returns the rotation about +z that makes a body face the world's -x.

    Args:
        pelvis: (..., 3, 3) orientation of joint 0 in a z-up world.
        compat: definition of the facing direction; see `facing`.
    """
    now = facing(pelvis, compat)
    goal = jnp.asarray(_CANONICAL_FACING, now.dtype)
    return turn_between(now, jnp.broadcast_to(goal, now.shape))


def turn_motion(
    turn: Float[Array, "*batch 3 3"],
    rotations: Float[Array, "*batch T J 3 3"],
    vectors: Float[Array, "*batch T 3"],
) -> tuple[Float[Array, "*batch T J 3 3"], Float[Array, "*batch T 3"]]:
    """Applies one rotation of the world to a whole motion.

    Args:
        turn: (..., 3, 3) rotation of the world, one for all frames of a motion.
        rotations: (..., T, J, 3, 3) parent-relative; joint 0 in the world.
        vectors: (..., T, 3) translations, or other vectors in the world.

    Returns:
        The turned (rotations, vectors), shapes as given.
    """
    turn = jnp.broadcast_to(turn[..., None, :, :], (*vectors.shape, 3))
    root = rot.compose(turn, rotations[..., 0, :, :])[..., None, :, :]
    rotations = jnp.concatenate([root, rotations[..., 1:, :, :]], -3)
    return rotations, rot.rotate(turn, vectors)


def pelvis_from_joints(
    joints: Float[AnyArray, "*batch J 3"], skeleton: Skeleton = SMPL22
) -> Float[Array, "*batch 3 3"]:
    """Recovers the pelvis's orientation from the hips and the lowest spine joint.

    These three joints move rigidly with the pelvis, so the result is exact for joints
    of `skeleton`; for another body it is as accurate as the two pelvises are similar.

    Args:
        joints: (..., J, 3) metres, in the joint order of `skeleton`.
        skeleton: skeleton with joints 'left_hip', 'right_hip' and 'spine1'.

    Returns:
        (..., 3, 3) orientation of joint 0 in the world.
    """
    left, right, spine = (
        skeleton.names.index(name) for name in ("left_hip", "right_hip", "spine1")
    )

    def frame(points):
        side = points[..., left, :] - points[..., right, :]
        up = points[..., spine, :] - (points[..., left, :] + points[..., right, :]) / 2
        return rot.rot6d_to_matrix(jnp.concatenate([side, up], -1))

    now = frame(jnp.asarray(joints))
    rest = frame(jnp.asarray(skeleton.rest_joints, now.dtype))
    return rot.compose(jnp.swapaxes(now, -1, -2), jnp.broadcast_to(rest, now.shape))


def _joints(array: Array, rows: np.ndarray, axes: int = 2) -> Array:
    """Picks rows of the joint axis, `axes` from the end, by a slice where possible."""
    if len(rows) == array.shape[-axes] and (rows == np.arange(len(rows))).all():
        return array
    first, last = int(rows[0]), int(rows[-1])
    index = slice(first, last + 1)
    if not np.array_equal(rows, np.arange(first, last + 1)):
        index = rows
    return array[(..., index, *[slice(None)] * (axes - 1))]
