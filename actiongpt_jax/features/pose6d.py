"""The 25 x 6 pose features that MotionCLIP learns, as 150 columns.

| column | content |
|---|---|
| 0:144 | 24 parent-relative rotations as rot6d: SMPL's 22 body joints, left hand, right hand |
| 144:147 | displacement of the body since the first frame, metres |
| 147:150 | 0 |

Nothing is normalised. The features do not contain the absolute position or height of
the body.

Source: MotionCLIP (arXiv:2203.08063); ACTOR (arXiv:2104.05670).
"""  # noqa: E501 (a table row)

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from actiongpt_jax.errors import check_choice
from actiongpt_jax.geometry import kinematics
from actiongpt_jax.geometry import rotations as rot
from actiongpt_jax.geometry.rotations import AnyArray
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.shapes import check_shape

NUM_JOINTS = 24
NFEATS = (NUM_JOINTS + 1) * 6
ALIGNMENTS = ("none", "yaw", "full")

Align = Literal["none", "yaw", "full"]


def encode(
    rotations: Float[AnyArray, "*batch T 24 3 3"],
    translation: Float[AnyArray, "*batch T 3"],
    *,
    align: Align = "none",
    displacement: str = "pelvis",
) -> Float[Array, "*batch T 150"]:
    """Turns a motion into pose features and the displacement of the body.

    Later frames never change earlier ones, so padding at the end does no harm.

    Args:
        rotations: (..., T, 24, 3, 3) parent-relative; joint 0 in a z-up world;
            joints 22 and 23 stand for the left and the right hand.
        translation: (..., T, 3) metres.
        align: 'none' leaves orientations as they are in the world, as published;
            'yaw' turns the whole motion about the vertical so that the body of
            frame 0 faces -x; 'full' removes the whole orientation of frame 0 (the
            published `align_pose_frontview`), so that the body stands along +y and
            faces +z.
        displacement: 'pelvis' uses the true displacement of the pelvis; 'reference'
            uses that of the right ankle of a body whose pelvis stays in place, which
            MotionCLIP's data contain and official checkpoints need.

    Returns:
        (..., T, 150) features.

    Raises:
        InputError: for wrong shapes, or an unknown `align` or `displacement`.
    """
    rotations, translation = jnp.asarray(rotations), jnp.asarray(translation)
    remedy = "pass matrices of the 22 body joints and both hands"
    axes = f"... T {NUM_JOINTS} 3 3"
    sizes = check_shape("rotations", rotations, axes, remedy=remedy)
    check_shape("translation", translation, "... T 3", sizes)
    check_choice("align", align, ALIGNMENTS)
    check_choice("displacement", displacement, ("pelvis", "reference"))
    if displacement == "reference":
        translation = _ankle(rotations)
    moved = _since_first(translation)
    if align != "none":
        first = rotations[..., 0, 0, :, :]
        turn = (
            kinematics.turn_to_canonical(first)
            if align == "yaw"
            else jnp.swapaxes(first, -1, -2)
        )
        rotations, moved = kinematics.turn_motion(turn, rotations, moved)
    rot6d = rot.matrix_to_rot6d(rotations)
    rot6d = rot6d.reshape(*rot6d.shape[:-2], NUM_JOINTS * 6)
    return jnp.concatenate([rot6d, moved, jnp.zeros_like(moved)], -1)


def decode(
    features: Float[AnyArray, "*batch T 150"],
) -> tuple[Float[Array, "*batch T 24 3 3"], Float[Array, "*batch T 3"]]:
    """Turns features back into a motion.

    Args:
        features: (..., T, 150) features as `encode` returns them; the rotations need
            not be orthonormal, because those of a network are not.

    Returns:
        (rotations (..., T, 24, 3, 3), translation (..., T, 3) metres). The translation
        of frame 0 is 0; the height of the feet is therefore arbitrary.

    Raises:
        InputError: if the last axis is not 150.
    """
    features = jnp.asarray(features)
    check_shape("features", features, f"... T {NFEATS}")
    rotations = rot.rot6d_to_matrix(joint_rows(features))
    start = NUM_JOINTS * 6
    return rotations, _since_first(features[..., start : start + 3])


def joint_rows(features: Float[Array, "*batch T 150"]) -> Float[Array, "*batch T 24 6"]:
    """Returns the rot6d rotation of each joint."""
    rows = features[..., : NUM_JOINTS * 6]
    return rows.reshape(*features.shape[:-1], NUM_JOINTS, 6)


def _ankle(rotations: Array) -> Array:
    still = jnp.zeros(rotations.shape[:-3] + (3,), rotations.dtype)
    body = rotations[..., : SMPL22.num_joints, :, :]
    joints = kinematics.forward_kinematics(body, still)
    return joints[..., SMPL22.names.index("right_ankle"), :]


def _since_first(translation: Array) -> Array:
    return translation - jnp.broadcast_to(translation[..., :1, :], translation.shape)
