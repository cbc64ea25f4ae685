"""Plants feet that slide: gives feet new paths, and bends the legs accordingly."""

import dataclasses

import numpy as np
from jaxtyping import Float
from scipy.linalg import solveh_banded
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.geometry.kinematics import world_on_host
from actiongpt_jax.geometry.two_bone import reach
from actiongpt_jax.metrics.physical import CONTACT_HEIGHT

CLEAN_FEET = "clean feet"  # what `Motion.edits` then says

# Hip, knee, ankle and toes of each leg.
_LEGS = ((1, 4, 7, 10), (2, 5, 8, 11))
# A foot is on the ground as far as its toes are lower than the first height and slower
# than the first speed; between these and the second ones, ever less. A low foot that is
# faster swings, and is lifted to `_LIFTED`. Heights are those of toe joints above the
# motion's lowest one, metres; speeds are on the ground, metres per second, means over a
# sixth of a second.
_HEIGHTS, _SPEEDS = (0.03, CONTACT_HEIGHT + 0.005), (1.0, 2.0)
_SWING_SPEEDS, _LIFTED = (0.5, 1.2), CONTACT_HEIGHT + 0.02
# Weights at 30 frames per second, relative to that of staying where a foot was: of
# standing still on the ground, of lifting, of a path with half the jerk of the old one
# (a path without jerk would cut the tops of steps), and of keeping the height, which
# the lowest feet do, up to the second height of `_FLAT`.
_HOLD, _LIFT, _SMOOTH, _FPS = 100.0, 10.0, 100.0, 30.0
_KEPT_JERK = 0.5
_LEVEL, _FLAT = 10.0, (0.0, 0.02)
# The weight of staying that fixes a frame.
_FIXED = 1e6


def clean_feet(motion: Motion, keep: int = 0) -> Motion:
    """Plants feet in contact with the ground, and lifts feet that swing too low.

    Each foot gets a new path, the least-squares compromise between its old path, no
    movement on the ground during contact, and little jerk; so a foot comes smoothly
    into and out of contact. The foot keeps its orientation; hip and knee turn so that
    the ankle follows. Everything else stays: pelvis, trunk, arms and the motion's path.

    Args:
        motion: the motion; the ground is at the height of its lowest toe.
        keep: number of frames at the start that do not change.

    Returns:
        The motion with other leg rotations; its `edits` say so.
    """
    edits = (*motion.edits, *({CLEAN_FEET} - set(motion.edits)))
    if len(motion.translation) < 4:  # too short to have jerk
        return dataclasses.replace(motion, edits=edits)
    shape = motion.rotations.shape
    matrices = Rotation.from_rotvec(motion.rotations.reshape(-1, 3)).as_matrix()
    matrices = matrices.reshape(*shape, 3)
    joints, world = world_on_host(matrices, motion.translation)
    floor = joints[:, [leg[-1] for leg in _LEGS], 2].min()
    rotations = motion.rotations.copy()
    for leg in _LEGS:
        toes = joints[:, leg[-1]]
        moved = _new_path(toes, floor, motion.fps, keep) - toes
        changed = _bend(leg, joints, world, moved)
        for joint, turned in zip(leg, changed, strict=False):
            rotations[keep:, joint] = turned.as_rotvec()[keep:]
    return dataclasses.replace(motion, rotations=rotations, edits=edits)


def _bend(
    leg: tuple[int, ...], joints: np.ndarray, world: np.ndarray, moved: np.ndarray
) -> list[Rotation]:
    """Returns the parent-relative rotations of hip, knee and ankle of a moved foot."""
    hip, knee, ankle, _ = leg
    forward = world[:, hip] @ np.array([0.0, 0.0, 1.0])  # where a knee points
    target = joints[:, ankle] + moved
    turns = reach(joints[:, hip], joints[:, knee], joints[:, ankle], target, forward)
    above = Rotation.from_matrix(world[:, 0])
    changed = []
    for joint, turn in ((hip, turns[0]), (knee, turns[1]), (ankle, None)):
        new = Rotation.from_matrix(world[:, joint])
        new = new if turn is None else turn * new
        changed.append(above.inv() * new)
        above = new
    return changed


def _new_path(
    toes: Float[np.ndarray, "t 3"], floor: float, fps: float, keep: int
) -> Float[np.ndarray, "t 3"]:
    """Returns the path of a foot that stands still where it is on the ground."""
    height = toes[:, 2] - floor
    speed = np.linalg.norm(np.diff(toes[:, :2], axis=0), axis=-1) * fps
    half = round(fps / 12)
    window = np.ones(2 * half + 1) / (2 * half + 1)
    speed = np.convolve(np.pad(speed, half, mode="edge"), window, "valid")
    # Of every step from frame to frame, how much it is one on the ground.
    highest = np.maximum(height[1:], height[:-1])
    ground = _fall(speed, *_SPEEDS) * _fall(highest, *_HEIGHTS)
    # Of every frame, how much it belongs to a swing that is too low.
    slowest = np.minimum(np.append(speed, np.inf), np.insert(speed, 0, np.inf))
    swing = (1.0 - _fall(slowest, *_SWING_SPEEDS)) * (height < _LIFTED)

    rate = fps / _FPS
    stay = np.where(np.arange(len(toes)) < keep, _FIXED, 1.0)
    hold, smooth = _HOLD * rate**2 * ground, _SMOOTH * rate**6
    jerk = _KEPT_JERK * smooth * _jerk_gradient(toes)
    flat = _compromise(stay[:, None] * toes[:, :2] + jerk[:, :2], stay, hold, smooth)
    lift = _LIFT * swing
    # The lowest feet keep their height, so that they do not sink.
    still = np.maximum(np.append(ground, 0.0), np.insert(ground, 0, 0.0))
    stay = stay * (1.0 + _LEVEL * still * _fall(height, *_FLAT))
    wanted = stay * toes[:, 2] + jerk[:, 2] + lift * (floor + _LIFTED)
    high = _compromise(wanted[:, None], stay + lift, 0.0 * hold, smooth)
    return np.concatenate([flat, high], axis=1)


def _compromise(
    wanted: np.ndarray, pull: np.ndarray, hold: np.ndarray, smooth: float
) -> np.ndarray:
    """Solves a least-squares problem for a path of T frames.

    Args:
        wanted: (T, n) `pull` times the place to which each frame is pulled.
        pull: (T,) weight of the distance from that place.
        hold: (T - 1,) weight of the step between two frames.
        smooth: weight of every third difference.

    Returns:
        (T, n) the path x that minimises the weighted sum of squares.
    """
    bands = np.zeros((4, len(wanted)))  # of the symmetric matrix, its diagonal last
    bands[3] = pull
    third = np.full(len(wanted) - 3, smooth)
    for weights, row in ((hold, (-1, 1)), (third, (-1, 3, -3, 1))):
        for i, one in enumerate(row):
            for k, other in enumerate(row[i:], start=i):
                bands[3 - (k - i), k : k + len(weights)] += weights * one * other
    return solveh_banded(bands, wanted)


def _jerk_gradient(path: np.ndarray) -> np.ndarray:
    """Returns half the gradient of the sum of squared third differences of (T, n)."""
    third = np.diff(path, n=3, axis=0)
    return -np.diff(np.pad(third, ((3, 3), (0, 0))), n=3, axis=0)


def _fall(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Falls smoothly from 1 at `low` to 0 at `high`."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return 1.0 - t * t * (3.0 - 2.0 * t)
