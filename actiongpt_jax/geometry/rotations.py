"""Conversions between the four representations of rotations in this project.

Axis-angle vectors are in radians, matrices act on columns, quaternions are
(w, x, y, z), and rot6d is the first two ROWS of the matrix, row after row. Every
function takes any leading axes; its values and gradients are finite everywhere,
including singular points.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from actiongpt_jax.shapes import check_shape

AnyArray = Array | np.ndarray

# Below this squared angle the series are used, whose first omitted term is then under
# 1e-12. Above it the gradient of sin(a)/a loses at most two digits.
_SMALL_SQUARED_ANGLE = 0.05
_SMALL_SQUARED_TANGENT = 1e-3
# Squared lengths below these count as zero, because gradients would overflow float32.
_NO_AXIS = 1e-30
_NO_QUATERNION = 1e-18


def compose(
    a: Float[AnyArray, "*batch 3 3"], b: Float[AnyArray, "*batch 3 3"]
) -> Float[Array, "*batch 3 3"]:
    """Returns a @ b as explicit sums of products, in full precision.

    Accelerators round batched 3 x 3 matrix products to TF32 or bfloat16; they do not
    round explicit sums of products, which XLA also fuses with neighbouring operations.
    """
    a, b = jnp.asarray(a), jnp.asarray(b)
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


def rotate(
    matrix: Float[AnyArray, "*batch 3 3"], vector: Float[AnyArray, "*batch 3"]
) -> Float[Array, "*batch 3"]:
    """Returns matrix @ vector as explicit sums of products, as in `compose`."""
    matrix, vector = jnp.asarray(matrix), jnp.asarray(vector)
    return (matrix * vector[..., None, :]).sum(-1)


def rotation_about_z(
    direction: Float[AnyArray, "*batch 2"],
) -> Float[Array, "*batch 3 3"]:
    """Returns the rotation about +z that takes +x to a direction on the ground.

    Args:
        direction: (..., 2) (cosine, sine) of the rotation angle, unit length.

    Returns:
        (..., 3, 3) rotation matrices.
    """
    direction = _checked("direction", direction, "2")
    cos, sin = direction[..., 0], direction[..., 1]
    zero, one = jnp.zeros_like(cos), jnp.ones_like(cos)
    return _matrix(((cos, -sin, zero), (sin, cos, zero), (zero, zero, one)))


def axis_angle_to_quaternion(
    axis_angle: Float[AnyArray, "*batch 3"],
) -> Float[Array, "*batch 4"]:
    """Turns axis-angle into unit quaternions.

    Args:
        axis_angle: (..., 3) radians; may have any length.

    Returns:
        (..., 4) (w, x, y, z); w = cos(angle / 2) is negative for angles in (pi, 3 pi).

    Raises:
        InputError: if the last axis is not 3.
    """
    axis_angle = _checked("axis_angle", axis_angle, "3")
    squared = (axis_angle * axis_angle).sum(-1, keepdims=True)
    small = squared < _SMALL_SQUARED_ANGLE
    s = jnp.where(small, squared, 0.0)
    angle = jnp.sqrt(jnp.where(small, 1.0, squared))
    cos = jnp.where(
        small,
        1.0 + s * (-1 / 8 + s * (1 / 384 + s * (-1 / 46080 + s / 10321920))),
        jnp.cos(angle / 2),
    )
    sin_over_angle = jnp.where(
        small,
        1 / 2 + s * (-1 / 48 + s * (1 / 3840 - s / 645120)),
        jnp.sin(angle / 2) / angle,
    )
    return jnp.concatenate([cos, sin_over_angle * axis_angle], -1)


def quaternion_to_axis_angle(
    quaternion: Float[AnyArray, "*batch 4"],
) -> Float[Array, "*batch 3"]:
    """Turns quaternions into axis-angle.

    The sign is kept: w >= 0 gives angles up to pi, w < 0 gives angles from pi to 2 pi
    (the same rotation the long way round), so `axis_angle_to_quaternion` returns the
    same quaternion again. `matrix_to_axis_angle` always takes the short way.

    Args:
        quaternion: (..., 4) (w, x, y, z) of any length; zero gives no rotation.

    Returns:
        (..., 3) radians. A full turn, (w, 0, 0, 0) with w < 0, has no axis and
        gives zero.

    Raises:
        InputError: if the last axis is not 4.
    """
    quaternion = _checked("quaternion", quaternion, "4")
    w, v = quaternion[..., :1], quaternion[..., 1:]
    squared = (v * v).sum(-1, keepdims=True)
    small = (w > 0) & (squared < _SMALL_SQUARED_TANGENT * w * w)
    axis_known = ~small & (squared > _NO_AXIS)
    # Small angles: 2 atan(r) / |v| with r = |v| / w, as a series in r^2.
    w_small = jnp.where(small, w, 1.0)
    r = jnp.where(small, squared, 0.0) / (w_small * w_small)
    series = 2.0 / w_small * (1.0 + r * (-1 / 3 + r * (1 / 5 - r / 7)))
    length = jnp.sqrt(jnp.where(axis_known, squared, 1.0))
    full = 2.0 * jnp.arctan2(length, jnp.where(axis_known, w, 1.0)) / length
    return v * jnp.where(small, series, jnp.where(axis_known, full, 0.0))


def quaternion_to_matrix(
    quaternion: Float[AnyArray, "*batch 4"],
) -> Float[Array, "*batch 3 3"]:
    """Turns quaternions into rotation matrices.

    Args:
        quaternion: (..., 4) (w, x, y, z) of any length; zero gives the identity.

    Returns:
        (..., 3, 3) rotation matrices.

    Raises:
        InputError: if the last axis is not 4.
    """
    quaternion = _checked("quaternion", quaternion, "4")
    squared = (quaternion * quaternion).sum(-1)
    known = squared > _NO_QUATERNION
    scale = jnp.where(known, 2.0 / jnp.where(known, squared, 1.0), 0.0)
    w, x, y, z = (quaternion[..., i] for i in range(4))
    xs, ys, zs = x * scale, y * scale, z * scale
    return _matrix(
        (
            (1.0 - (y * ys + z * zs), x * ys - w * zs, x * zs + w * ys),
            (x * ys + w * zs, 1.0 - (x * xs + z * zs), y * zs - w * xs),
            (x * zs - w * ys, y * zs + w * xs, 1.0 - (x * xs + y * ys)),
        )
    )


def matrix_to_quaternion(
    matrix: Float[AnyArray, "*batch 3 3"],
) -> Float[Array, "*batch 4"]:
    """Turns rotation matrices into unit quaternions with w >= 0.

    The rows of 4 q q^T are linear functions of the matrix. The row with the largest
    diagonal entry (at least 1, because the four sum to 4) is divided by its length, so
    tiny angles keep all their digits and half turns are exact.

    Args:
        matrix: (..., 3, 3) rotation matrices.

    Returns:
        (..., 4) (w, x, y, z), w >= 0. For a half turn, for which both signs are
        valid, the largest component is positive.

    Raises:
        InputError: if the last two axes are not (3, 3).
    """
    matrix = _checked("matrix", matrix, "3 3")
    # DIFFERS: the published form takes four roots and copies signs; rounding destroys
    # angles below 2e-4 rad and the axes of half turns.
    m = [[matrix[..., i, j] for j in range(3)] for i in range(3)]
    wx, wy, wz = m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]
    xy, xz, yz = m[1][0] + m[0][1], m[0][2] + m[2][0], m[2][1] + m[1][2]
    ww = 1.0 + m[0][0] + m[1][1] + m[2][2]
    xx = 1.0 + m[0][0] - m[1][1] - m[2][2]
    yy = 1.0 - m[0][0] + m[1][1] - m[2][2]
    zz = 1.0 - m[0][0] - m[1][1] + m[2][2]
    row = jnp.stack([ww, wx, wy, wz], -1)
    largest = ww
    for diagonal, candidate in (
        (xx, (wx, xx, xy, xz)),
        (yy, (wy, xy, yy, yz)),
        (zz, (wz, xz, yz, zz)),
    ):
        larger = diagonal > largest
        row = jnp.where(larger[..., None], jnp.stack(candidate, -1), row)
        largest = jnp.where(larger, diagonal, largest)
    row = jnp.where(row[..., :1] < 0, -row, row)
    return row / jnp.sqrt((row * row).sum(-1, keepdims=True))


def axis_angle_to_matrix(
    axis_angle: Float[AnyArray, "*batch 3"],
) -> Float[Array, "*batch 3 3"]:
    """Turns axis-angle (..., 3), radians, into rotation matrices (..., 3, 3).

    Raises:
        InputError: if the last axis is not 3.
    """
    return quaternion_to_matrix(axis_angle_to_quaternion(axis_angle))


def matrix_to_axis_angle(
    matrix: Float[AnyArray, "*batch 3 3"],
) -> Float[Array, "*batch 3"]:
    """Turns rotation matrices (..., 3, 3) into axis-angle (..., 3), radians.

    The angle is at most pi; `matrix_to_quaternion` determines the sign of the axis of
    a half turn.

    Raises:
        InputError: if the last two axes are not (3, 3).
    """
    return quaternion_to_axis_angle(matrix_to_quaternion(matrix))


def matrix_to_rot6d(matrix: Float[AnyArray, "*batch 3 3"]) -> Float[Array, "*batch 6"]:
    """Returns the first two rows of matrices (..., 3, 3), row after row: (..., 6).

    Raises:
        InputError: if the last two axes are not (3, 3).

    Source: Zhou et al. 2019, arXiv:1812.07035 (there: columns).
    """
    matrix = _checked("matrix", matrix, "3 3")
    return matrix[..., :2, :].reshape(*matrix.shape[:-2], 6)


def rot6d_to_matrix(rot6d: Float[AnyArray, "*batch 6"]) -> Float[Array, "*batch 3 3"]:
    """Turns the 6D form of a rotation into a matrix by Gram-Schmidt.

    Args:
        rot6d: (..., 6) first two matrix rows, row after row; they need not be unit
            vectors.

    Returns:
        (..., 3, 3) orthonormal, determinant +1. For zero or parallel rows only finite
        values and gradients are guaranteed.

    Raises:
        InputError: if the last axis is not 6.

    Source: Zhou et al. 2019, arXiv:1812.07035.
    """
    rot6d = _checked("rot6d", rot6d, "6")
    first = unit(rot6d[..., :3])
    second = unit(_without(rot6d[..., 3:], first))
    # Repeated, because nearly parallel rows leave a remainder that is mostly rounding.
    second = unit(_without(second, first))
    return jnp.stack([first, second, jnp.cross(first, second)], -2)


def unit(vector: Float[AnyArray, "*batch n"]) -> Float[Array, "*batch n"]:
    """Scales vectors (..., n) to length 1; vectors shorter than 1e-12 become zero.

    The gradient of the latter is zero, not infinite.
    """
    vector = jnp.asarray(vector)
    squared = (vector * vector).sum(-1, keepdims=True)
    known = squared > 1e-24
    return jnp.where(known, vector, 0.0) / jnp.sqrt(jnp.where(known, squared, 1.0))


def _without(vector: Array, direction: Array) -> Array:
    return vector - (vector * direction).sum(-1, keepdims=True) * direction


def _matrix(rows: tuple[tuple[Array, ...], ...]) -> Array:
    return jnp.stack([jnp.stack(row, -1) for row in rows], -2)


def _checked(name: str, array: AnyArray, last_axes: str) -> Array:
    check_shape(name, array, f"... {last_axes}")
    return jnp.asarray(array)
