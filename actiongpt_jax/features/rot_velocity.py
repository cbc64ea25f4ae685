"""The 135 rotation features that TEMOS and TEACH learn.

| column | content |
|---|---|
| 0 | height: z of the translation, metres above the world's origin |
| 1:3 | movement of the ground position since the previous frame, metres |
| 3:135 | 22 parent-relative rotations as rot6d, joint 0 first |

Source: TEMOS (arXiv:2204.14109), TEACH (arXiv:2209.04066).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from actiongpt_jax.geometry import kinematics
from actiongpt_jax.geometry import rotations as rot
from actiongpt_jax.geometry.rotations import AnyArray
from actiongpt_jax.shapes import check_shape

NUM_JOINTS = 22
NFEATS = 3 + NUM_JOINTS * 6


def encode(
    rotations: Float[AnyArray, "*batch T 22 3 3"],
    translation: Float[AnyArray, "*batch T 3"],
    *,
    canonicalize: bool = True,
    compat: kinematics.Compat = None,
) -> Float[Array, "*batch T 135"]:
    """Turns a motion into features that do not depend on its starting position.

    The whole motion is turned about the vertical by one angle, so that the body of
    frame 0 faces -x; heading changes within the motion stay in the features. Later
    frames never change earlier ones, so padding at the end does no harm.

    Args:
        rotations: (..., T, 22, 3, 3) parent-relative; joint 0 in a z-up world.
        translation: (..., T, 3) metres.
        canonicalize: whether to turn the motion; False leaves the heading as it is.
        compat: definition of the heading of frame 0: None uses the direction in which
            the pelvis faces, 'reference' the z component of its axis-angle (see
            `kinematics.facing`), which official checkpoints need.

    Returns:
        (..., T, 135) features, not normalised. The first frame's velocity is 0.

    Raises:
        InputError: for wrong shapes or an unknown `compat`.
    """
    rotations, translation = jnp.asarray(rotations), jnp.asarray(translation)
    sizes = check_shape("rotations", rotations, f"... T {NUM_JOINTS} 3 3")
    check_shape("translation", translation, "... T 3", sizes)
    velocity = jnp.diff(translation, axis=-2, prepend=translation[..., :1, :])
    if canonicalize:
        turn = kinematics.turn_to_canonical(rotations[..., 0, 0, :, :], compat)
        rotations, velocity = kinematics.turn_motion(turn, rotations, velocity)
    rot6d = rot.matrix_to_rot6d(rotations)
    rot6d = rot6d.reshape(*rot6d.shape[:-2], NUM_JOINTS * 6)
    return jnp.concatenate([translation[..., 2:], velocity[..., :2], rot6d], -1)


def decode(
    features: Float[AnyArray, "*batch T 135"],
) -> tuple[Float[Array, "*batch T 22 3 3"], Float[Array, "*batch T 3"]]:
    """Turns unnormalised features back into a motion.

    Args:
        features: (..., T, 135) features as `encode` returns them; the rotations need
            not be orthonormal, because those of a network are not.

    Returns:
        (rotations (..., T, 22, 3, 3), translation (..., T, 3) metres). The motion
        keeps the canonical heading and starts above the origin of the ground.

    Raises:
        InputError: if the last axis is not 135.
    """
    features = jnp.asarray(features)
    check_shape("features", features, f"... T {NFEATS}")
    rot6d = features[..., 3:].reshape(*features.shape[:-1], NUM_JOINTS, 6)
    # The velocity of the first frame is left out, because no frame precedes it.
    moves = features[..., 1:, 1:3]
    ground = jnp.concatenate(
        [jnp.zeros_like(features[..., :1, 1:3]), jnp.cumsum(moves, -2)], -2
    )
    return rot.rot6d_to_matrix(rot6d), jnp.concatenate([ground, features[..., :1]], -1)
