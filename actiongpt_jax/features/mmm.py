"""The 21 joints of the MMM body, on which the published APE and AVE are computed.

Nineteen of them are joints of SMPL; the two heels are points of its surface. Without a
body model, the heels are placed at a fixed offset from the ankles.

Source: KIT Motion-Language (Plappert et al. 2016); TEMOS (arXiv:2204.14109).
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.body import Body, heels, skin
from actiongpt_jax.geometry.kinematics import forward_kinematics
from actiongpt_jax.geometry.rotations import AnyArray
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.shapes import check_shape

_LEFT_HEEL, _RIGHT_HEEL = 22, 23
# Root, pelvis to head 1-4, left arm 5-7, right arm 8-10, left leg 11-15, right leg
# 16-20, as rows of SMPL's 22 joints followed by both heels.
_TRUNK_AND_ARMS = (0, 3, 9, 12, 15, 16, 18, 20, 17, 19, 21)
_LEGS = (1, 4, 7, _LEFT_HEEL, 10, 2, 5, 8, _RIGHT_HEEL, 11)
_ROWS = _TRUNK_AND_ARMS + _LEGS
NAMES = tuple(
    "root BP BT BLN BUN LS LE LW RS RE RW LH LK LA LMrot LF RH RK RA RMrot RF".split()
)
# Offset from the ankle (below and behind it), in the axes of a body at rest, metres. An
# estimate: the toe joints of the built-in skeleton lie 0.05 to 0.06 m below its ankles.
_HEEL_OFFSET = (0.0, -0.06, -0.05)
_WITH_HEELS = dataclasses.replace(
    SMPL22,
    names=(*SMPL22.names, "left_heel", "right_heel"),
    parents=(*SMPL22.parents, 7, 8),
    offsets=(*SMPL22.offsets, _HEEL_OFFSET, _HEEL_OFFSET),
)


def from_smpl(
    joints: Float[AnyArray, "*batch J 3"], heel_points: Float[AnyArray, "*batch 2 3"]
) -> Float[Array, "*batch 21 3"]:
    """Picks the joints of the MMM body.

    Args:
        joints: (..., J, 3) metres, z up; the first 22 are those of SMPL or SMPL-H.
        heel_points: (..., 2, 3) left and right heel, metres.

    Returns:
        (..., 21, 3) MMM joints, metres, y up.

    Raises:
        InputError: for fewer than 22 joints.
    """
    joints, heel_points = jnp.asarray(joints), jnp.asarray(heel_points)
    if check_shape("joints", joints, "... J 3")["J"] < SMPL22.num_joints:
        raise InputError(
            f"joints must be at least the {SMPL22.num_joints} body joints of SMPL, got "
            f"{joints.shape[-2]}; pass the joints of SMPL or SMPL-H"
        )
    joints = joints[..., : SMPL22.num_joints, :]
    picked = jnp.concatenate([joints, heel_points], -2)[..., _ROWS, :]
    # In the y-up world of the MMM body, the body faces -z.
    return jnp.stack([picked[..., 1], picked[..., 2], -picked[..., 0]], -1)


def body_with_heels(body: Body) -> Body:
    """Reduces a body's surface to the vertices that `joints_and_heels` needs.

    Args:
        body: SMPL or SMPL-H, with 6890 vertices.

    Returns:
        A body of the mean shape whose first two vertices are the heels; the other
        vertices are its joints at rest.

    Raises:
        InputError: for a surface with another number of vertices.
    """
    template, posedirs, weights = (
        np.asarray(array) for array in (body.v_template, body.posedirs, body.weights)
    )
    rows = heels(np.repeat(np.arange(len(template))[:, None], 3, 1))[:, 0]
    count = body.num_joints
    rest = np.asarray(body.J_regressor) @ template
    still = np.zeros((count, *posedirs.shape[1:]), posedirs.dtype)
    return Body(
        v_template=np.concatenate([template[rows], rest]),
        shapedirs=np.zeros((len(rows) + count, 3, 1), np.float32),
        posedirs=np.concatenate([posedirs[rows], still]),
        J_regressor=np.eye(count, len(rows) + count, len(rows), dtype=np.float32),
        weights=np.concatenate([weights[rows], np.eye(count, dtype=np.float32)]),
        parents=body.parents,
    )


def joints_and_heels(
    rotations: Float[AnyArray, "*batch 22 3 3"],
    translation: Float[AnyArray, "*batch 3"],
    body: Body | None = None,
) -> tuple[Float[Array, "*batch 22 3"], Float[Array, "*batch 2 3"]]:
    """Places the joints and heels of a body.

    Args:
        rotations: (..., 22, 3, 3) parent-relative.
        translation: (..., 3) metres.
        body: a body from `body_with_heels`; None uses the built-in skeleton, whose
            heels are an estimate.

    Returns:
        (..., 22, 3) joints and (..., 2, 3) left and right heel, metres.
    """
    rotations = jnp.asarray(rotations)
    if body is not None:
        joints, vertices = skin(body, rotations, translation)
        return joints[..., : SMPL22.num_joints, :], vertices[..., :2, :]
    still = jnp.broadcast_to(
        jnp.eye(3, dtype=rotations.dtype), (*rotations.shape[:-3], 2, 3, 3)
    )
    joints = forward_kinematics(
        jnp.concatenate([rotations, still], -3), translation, _WITH_HEELS
    )
    return joints[..., : SMPL22.num_joints, :], joints[..., SMPL22.num_joints :, :]
