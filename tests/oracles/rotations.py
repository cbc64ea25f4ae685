"""Rotations in float64 numpy, one at a time, by formulas unlike the library's."""

import numpy as np


def axis_angle_to_matrix(axis_angle):
    """Applies Rodrigues' formula."""
    a = np.asarray(axis_angle, np.float64)
    angle = np.linalg.norm(a)
    if angle == 0:
        return np.eye(3)
    x, y, z = a / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def multiply(p, q):
    """Returns the Hamilton product of two quaternions."""
    return np.array(
        [
            p[0] * q[0] - p[1:] @ q[1:],
            *(p[0] * q[1:] + q[0] * p[1:] + np.cross(p[1:], q[1:])),
        ]
    )


def quaternion_to_matrix(quaternion):
    """Rotates the three unit vectors by q v q*."""
    q = np.asarray(quaternion, np.float64)
    q = q / np.linalg.norm(q)
    conjugate = q * [1, -1, -1, -1]
    columns = [
        multiply(multiply(q, np.array([0, *axis])), conjugate)[1:] for axis in np.eye(3)
    ]
    return np.stack(columns, -1)


def matrix_to_quaternion(matrix):
    """Returns the eigenvector of Bar-Itzhack's matrix, with w >= 0."""
    m = np.asarray(matrix, np.float64)
    wx, wy, wz = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    k = np.empty((4, 4))
    k[0] = [np.trace(m), wx, wy, wz]
    k[:, 0] = k[0]
    k[1:, 1:] = m + m.T - np.trace(m) * np.eye(3)
    q = np.linalg.eigh(k)[1][:, -1]
    return q if q[0] >= 0 else -q


def axis_angle_to_quaternion(axis_angle):
    a = np.asarray(axis_angle, np.float64)
    angle = np.linalg.norm(a)
    axis = a / angle if angle > 0 else a
    return np.array([np.cos(angle / 2), *(np.sin(angle / 2) * axis)])


def quaternion_to_axis_angle(quaternion):
    q = np.asarray(quaternion, np.float64)
    length = np.linalg.norm(q[1:])
    return 2 * np.arctan2(length, q[0]) * q[1:] / length if length > 0 else q[1:] * 0


def rot6d_to_matrix(rot6d):
    """Applies Gram-Schmidt by a QR decomposition with corrected signs."""
    rows = np.asarray(rot6d, np.float64).reshape(2, 3)
    q, r = np.linalg.qr(rows.T)
    first, second = (q * np.sign(np.diag(r))).T
    return np.stack([first, second, np.cross(first, second)])


def slerp(start, end, weight):
    """Returns start (start* end)^weight, the shorter way."""
    if np.dot(start, end) < 0:
        end = -np.asarray(end)
    between = multiply(np.asarray(start) * [1, -1, -1, -1], end)
    step = quaternion_to_axis_angle(between) * weight
    return multiply(start, axis_angle_to_quaternion(step))


def about_z(angle):
    return axis_angle_to_matrix([0, 0, angle])


def angle_between(a, b):
    """Returns the angles (...) between matrices a and b (..., 3, 3), radians."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    # The chord |a - b| = 2 sqrt(2) sin(angle / 2) stays accurate at small angles.
    chord = np.sqrt(((a - b) ** 2).sum((-1, -2))) / (2 * np.sqrt(2))
    return 2 * np.arcsin(np.clip(chord, 0, 1))
