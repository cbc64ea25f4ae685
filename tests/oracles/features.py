"""Motion features in float64 numpy, frame by frame."""

import numpy as np

from tests.oracles import kinematics, rotations

FEET = (14, 15, 19, 20)


def rot_velocity(rots, trans, heading=None):
    """Returns (T, 135) features; `heading` replaces the true yaw of frame 0."""
    rots, trans = np.asarray(rots, np.float64), np.asarray(trans, np.float64)
    if heading is None:
        heading = kinematics.yaw(rots[0, 0])
    turn = rotations.about_z(np.pi - heading)
    rows = []
    for t in range(len(rots)):
        move = turn @ (trans[t] - trans[max(t - 1, 0)])
        frame = [turn @ rots[t, 0], *rots[t, 1:]]
        rows.append([trans[t, 2], *move[:2], *np.ravel([m[:2] for m in frame])])
    return np.array(rows)


def rot_velocity_inverse(features):
    rots = [
        [rotations.rot6d_to_matrix(r) for r in f[3:].reshape(22, 6)] for f in features
    ]
    trans, ground = [], np.zeros(2)
    for t, f in enumerate(np.asarray(features, np.float64)):
        ground = ground + f[1:3] * (t > 0)
        trans.append([*ground, f[0]])
    return np.array(rots), np.array(trans)


def floor(joints):
    lowest = np.array([min(frame[foot, 1] for foot in FEET) for frame in joints])
    return lowest.min() - np.log(0.5 + np.exp(lowest.min() - lowest.max()))


def rifke(joints):
    """Returns (T, 64) features for joints (T, 21, 3)."""
    joints = np.array(joints, np.float64)
    joints[..., 1] -= floor(joints)
    rows, before, angle_before = [], joints[0, 0], None
    for frame in joints:
        across = frame[17] - frame[12] + frame[9] - frame[6]
        angle = np.arctan2(-across[2], across[0])
        turn = rotations.axis_angle_to_matrix([0, -angle, 0])
        root = frame[0] * [1, 0, 1]
        poses = [turn @ (joint - root) for joint in frame[1:]]
        move = turn @ (frame[0] - before)
        turned = 0.0 if angle_before is None else angle - angle_before
        rows.append([frame[0, 1], *np.ravel(poses), turned, move[0], move[2]])
        before, angle_before = frame[0], angle
    return np.array(rows)


def rifke_inverse(features):
    angle, ground, joints = 0.0, np.zeros(3), []
    for t, f in enumerate(np.asarray(features, np.float64)):
        angle += f[61] * (t > 0)
        turn = rotations.axis_angle_to_matrix([0, angle, 0])
        ground = ground + turn @ np.array([f[62], 0, f[63]]) * (t > 0)
        poses = [turn @ p + ground for p in f[1:61].reshape(20, 3)]
        joints.append([ground + [0, f[0], 0], *poses])
    return np.array(joints)


def pose6d(rots, trans, turn=None):
    """Returns (T, 150) features; `turn` (3, 3) is applied to the whole motion."""
    rots, trans = np.asarray(rots, np.float64), np.asarray(trans, np.float64)
    turn = np.eye(3) if turn is None else turn
    rows = []
    for t in range(len(rots)):
        frame = [turn @ rots[t, 0], *rots[t, 1:]]
        move = turn @ (trans[t] - trans[0])
        rows.append([*np.ravel([m[:2] for m in frame]), *move, 0, 0, 0])
    return np.array(rows)
