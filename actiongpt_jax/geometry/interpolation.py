"""Interpolation of rotations, and joining one motion to the next."""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from actiongpt_jax.errors import InputError, check_choice
from actiongpt_jax.geometry import kinematics
from actiongpt_jax.geometry import rotations as rot
from actiongpt_jax.geometry.rotations import AnyArray

# TEMOS and TEACH blend linearly if the cosine of half the angle is above 0.99, that is
# below 16 degrees; kept for equal results. The error is at most 1e-4 rad.
_JOIN_LINEAR_ABOVE = 0.99


def slerp(
    start: Float[AnyArray, "*batch 4"],
    end: Float[AnyArray, "*batch 4"],
    weight: Float[AnyArray, "*batch"] | float,
    *,
    linear_above: float = 1.0 - 1e-6,
) -> Float[Array, "*batch 4"]:
    """Interpolates at constant speed from one rotation to another, the shortest way.

    Args:
        start: (..., 4) unit quaternions (w, x, y, z).
        end: (..., 4) unit quaternions; their sign does not matter.
        weight: (...) position on the way: 0 gives `start`, 1 gives `end` or its
            negative.
        linear_above: cosine of half the angle above which linear interpolation
            replaces the arc; the default is exact to rounding.

    Returns:
        (..., 4) unit quaternions.
    """
    start, end = jnp.asarray(start), jnp.asarray(end)
    weight = jnp.broadcast_to(jnp.asarray(weight, start.dtype), start.shape[:-1])
    weight = weight[..., None]
    cos = (start * end).sum(-1, keepdims=True)
    end = jnp.where(cos < 0, -end, end)
    cos = jnp.abs(cos)
    straight = cos > linear_above
    # The half angle comes from the chord, which stays accurate where arccos does not.
    chord, sum_ = _length(end - start, straight), _length(end + start, straight)
    angle = 2.0 * jnp.arctan2(chord, sum_)
    sin = jnp.sin(angle)
    from_start = jnp.where(
        straight, 1.0 - weight, jnp.sin((1.0 - weight) * angle) / sin
    )
    from_end = jnp.where(straight, weight, jnp.sin(weight * angle) / sin)
    return rot.unit(from_start * start + from_end * end)


def align_to(
    last_rots: Float[AnyArray, "*batch J 3 3"],
    last_trans: Float[AnyArray, "*batch 3"],
    rots: Float[AnyArray, "*batch T J 3 3"],
    trans: Float[AnyArray, "*batch T 3"],
    how: Literal["full", "translation"] = "full",
    *,
    compat: kinematics.Compat = None,
) -> tuple[Float[Array, "*batch T J 3 3"], Float[Array, "*batch T 3"]]:
    """Turns and shifts a motion so that it continues from a given pose.

    Its first frame gets the ground position of the last pose and, with `how='full'`,
    the same heading. Heights do not change.

    Args:
        last_rots: (..., J, 3, 3) pose to continue from; joint 0 in the world.
        last_trans: (..., 3) translation of that pose, metres.
        rots: (..., T, J, 3, 3) motion to turn and shift; joint 0 in the world.
        trans: (..., T, 3) translation of the motion, metres.
        how: 'full' turns and shifts, 'translation' only shifts.
        compat: definition of the yaw in `kinematics.facing`; 'reference' is the
            published one.

    Returns:
        The moved (rots, trans), shapes as given.

    Raises:
        InputError: if `how` or `compat` is unknown.
    """
    check_choice("how", how, ("full", "translation"))
    last_rots, last_trans = jnp.asarray(last_rots), jnp.asarray(last_trans)
    rots, trans = jnp.asarray(rots), jnp.asarray(trans)
    path = trans - trans[..., :1, :]
    if how == "full":
        turn = kinematics.turn_between(
            kinematics.facing(rots[..., 0, 0, :, :], compat),
            kinematics.facing(last_rots[..., 0, :, :], compat),
        )
        rots, path = kinematics.turn_motion(turn, rots, path)
    ground = path[..., :2] + last_trans[..., None, :2]
    return rots, jnp.concatenate([ground, trans[..., 2:]], -1)


def slerp_between(
    rots_a: Float[AnyArray, "*batch J 3 3"],
    trans_a: Float[AnyArray, "*batch 3"],
    rots_b: Float[AnyArray, "*batch J 3 3"],
    trans_b: Float[AnyArray, "*batch 3"],
    n: int,
) -> tuple[Float[Array, "*batch n J 3 3"], Float[Array, "*batch n 3"]]:
    """Fills the gap between two poses with `n` evenly spaced frames.

    Args:
        rots_a: (..., J, 3, 3) pose before the gap.
        trans_a: (..., 3) translation before the gap, metres.
        rots_b: (..., J, 3, 3) pose after the gap.
        trans_b: (..., 3) translation after the gap, metres.
        n: number of frames between the two poses.

    Returns:
        (rots (..., n, J, 3, 3), trans (..., n, 3)), without the two given poses.

    Raises:
        InputError: if n is negative.
    """
    if n < 0:
        raise InputError(
            f"n must be 0 or more frames, got {n}; pass 0 to add no frames"
        )
    rots_a, rots_b = jnp.asarray(rots_a), jnp.asarray(rots_b)
    trans_a, trans_b = jnp.asarray(trans_a), jnp.asarray(trans_b)
    start = rot.matrix_to_quaternion(rots_a)[..., None, :, :]
    end = rot.matrix_to_quaternion(rots_b)[..., None, :, :]
    frames = (*start.shape[:-3], n, *start.shape[-2:])
    weight = jnp.asarray(np.arange(1, n + 1) / (n + 1), start.dtype)[:, None]
    quaternions = slerp(
        jnp.broadcast_to(start, frames),
        jnp.broadcast_to(end, frames),
        jnp.broadcast_to(weight, frames[:-1]),
        linear_above=_JOIN_LINEAR_ABOVE,
    )
    weight = jnp.broadcast_to(weight, (*trans_a.shape[:-1], n, 3))
    path = trans_a[..., None, :] * (1.0 - weight) + trans_b[..., None, :] * weight
    return rot.quaternion_to_matrix(quaternions), path


def _length(vector: Array, unused: Array) -> Array:
    """Returns lengths (..., 1), 1 where `unused`: at 0 the gradient is infinite."""
    return jnp.sqrt(jnp.where(unused, 1.0, (vector * vector).sum(-1, keepdims=True)))
