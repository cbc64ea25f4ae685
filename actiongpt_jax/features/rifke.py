"""The 64 joint features on which the published APE and AVE are computed.

| column | content |
|---|---|
| 0 | height of the root above the estimated floor |
| 1:61 | joints 1 to 20: (across, height above the floor, along) from the root's ground position, in axes that turn with the body |
| 61 | turn since the previous frame, radians |
| 62:64 | movement of the root on the ground since the previous frame, in the same axes |

Joints are the 21 of the MMM body, y up. Heading and floor are computed exactly as in
the published code, oddities included, because all reported figures depend on them.

Source: Holden et al. 2016; TEMOS (arXiv:2204.14109).
"""  # noqa: E501 (a table row)

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from actiongpt_jax.geometry import rotations as rot
from actiongpt_jax.geometry.rotations import AnyArray
from actiongpt_jax.shapes import check_shape

NUM_JOINTS = 21
NFEATS = 64
# Rows of the MMM body: root, pelvis to head 1-4, left arm 5-7, right arm 8-10,
# left leg 11-15 (hip, knee, ankle, heel, toe), right leg 16-20.
_FEET = (14, 15, 19, 20)
# The published code intends hips and shoulders, but indexes after dropping the root and
# therefore uses the knees and elbows.
_RIGHT_KNEE, _LEFT_KNEE, _RIGHT_ELBOW, _LEFT_ELBOW = 17, 12, 9, 6


def encode(
    joints: Float[AnyArray, "*batch T 21 3"],
    *,
    mask: Bool[AnyArray, "*batch T"] | None = None,
) -> Float[Array, "*batch T 64"]:
    """Turns joints into features relative to the body's own heading and position.

    Args:
        joints: (..., T, 21, 3) MMM joints, metres, y up.
        mask: (..., T) True for real frames. The floor is a soft minimum over all
            frames, so without a mask padding changes the heights.

    Returns:
        (..., T, 64) features. The first frame's velocities are 0.

    Raises:
        InputError: if the last axes are not (T, 21, 3).
    """
    joints = jnp.asarray(joints)
    axes = f"... T {NUM_JOINTS} 3"
    check_shape("joints", joints, axes, remedy="pass the 21 MMM joints")
    height = joints[..., 1] - floor_height(joints, mask)[..., None, None]
    root = joints[..., :1, :]
    poses = jnp.stack(
        [
            joints[..., 1:, 0] - root[..., 0],
            height[..., 1:],
            joints[..., 1:, 2] - root[..., 2],
        ],
        -1,
    )
    heading = _heading(joints)
    angle = jnp.arctan2(heading[..., 0], heading[..., 1])
    ground = joints[..., 0, ::2]
    moves = _into_body(_difference(ground), heading)
    poses_ground = _into_body(poses[..., ::2], heading[..., None, :])
    poses = jnp.stack([poses_ground[..., 0], poses[..., 1], poses_ground[..., 1]], -1)
    return jnp.concatenate(
        [
            height[..., :1],
            poses.reshape(*poses.shape[:-2], (NUM_JOINTS - 1) * 3),
            _difference(angle[..., None]),
            moves,
        ],
        -1,
    )


def decode(features: Float[AnyArray, "*batch T 64"]) -> Float[Array, "*batch T 21 3"]:
    """Turns features back into joints.

    Args:
        features: (..., T, 64) features as `encode` returns them.

    Returns:
        (..., T, 21, 3) MMM joints, metres, y up. The floor is at 0; in frame 0 the
        root is above the origin and the heading is 0.

    Raises:
        InputError: if the last axis is not 64.
    """
    features = jnp.asarray(features)
    check_shape("features", features, f"... T {NFEATS}")
    angle = _running_sum(features[..., 61:62])[..., 0]
    heading = jnp.stack([jnp.sin(angle), jnp.cos(angle)], -1)
    ground = _running_sum(_into_world(features[..., 62:], heading))
    poses = local_poses(features)
    poses_ground = _into_world(poses[..., ::2], heading[..., None, :])
    poses_ground = poses_ground + ground[..., None, :]
    root = jnp.stack([ground[..., 0], features[..., 0], ground[..., 1]], -1)
    poses = jnp.stack([poses_ground[..., 0], poses[..., 1], poses_ground[..., 1]], -1)
    return jnp.concatenate([root[..., None, :], poses], -2)


def local_poses(
    features: Float[AnyArray, "*batch T 64"],
) -> Float[Array, "*batch T 20 3"]:
    """Returns joints 1 to 20 in axes that move and turn with the body, metres."""
    features = jnp.asarray(features)
    return features[..., 1:61].reshape(*features.shape[:-1], NUM_JOINTS - 1, 3)


def floor_height(
    joints: Float[AnyArray, "*batch T 21 3"],
    mask: Bool[AnyArray, "*batch T"] | None = None,
) -> Float[Array, "*batch"]:
    """Returns the floor height (...), a soft minimum over time of the foot joints.

    The formula is the published one, whose softness suits millimetres: in metres the
    result is up to 0.41 m below a standing foot, depending on how high the feet are
    lifted.
    """
    lowest = jnp.asarray(joints)[..., _FEET, 1].min(-1)
    low = lowest if mask is None else jnp.where(mask, lowest, jnp.inf)
    high = lowest if mask is None else jnp.where(mask, lowest, -jnp.inf)
    low, high = low.min(-1), high.max(-1)
    if mask is not None:
        some = mask.any(-1)
        low, high = jnp.where(some, low, 0.0), jnp.where(some, high, 0.0)
    return low - jnp.log(0.5 + jnp.exp(low - high))


def _heading(joints: Array) -> Array:
    """Returns (sine, cosine) (..., 2) of the angle of the body's heading."""
    across = (
        joints[..., _RIGHT_KNEE, ::2]
        - joints[..., _LEFT_KNEE, ::2]
        + joints[..., _RIGHT_ELBOW, ::2]
        - joints[..., _LEFT_ELBOW, ::2]
    )
    squared = (across * across).sum(-1, keepdims=True)
    known = squared > 1e-24
    across = rot.unit(across)
    # A body with no width on the ground has no heading; its angle is set to 0.
    return jnp.where(
        known,
        jnp.stack([-across[..., 1], across[..., 0]], -1),
        jnp.broadcast_to(jnp.asarray([0.0, 1.0], across.dtype), across.shape),
    )


def _into_body(ground: Array, heading: Array) -> Array:
    sin, cos = heading[..., 0], heading[..., 1]
    x, z = ground[..., 0], ground[..., 1]
    return jnp.stack([x * cos - z * sin, x * sin + z * cos], -1)


def _into_world(ground: Array, heading: Array) -> Array:
    sin, cos = heading[..., 0], heading[..., 1]
    x, z = ground[..., 0], ground[..., 1]
    return jnp.stack([x * cos + z * sin, -x * sin + z * cos], -1)


def _difference(array: Array) -> Array:
    return jnp.diff(array, axis=-2, prepend=array[..., :1, :])


def _running_sum(array: Array) -> Array:
    """Sums over time, starting with 0 in place of the first entry."""
    moves = jnp.cumsum(array[..., 1:, :], -2)
    return jnp.concatenate([jnp.zeros_like(array[..., :1, :]), moves], -2)
