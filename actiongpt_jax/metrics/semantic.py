"""What a body does, read from its joints: steps, strides, turns, reaches, beats.

These measurements are the words in which it can be said what a motion shows ("the left
wrist is above the head", "three strides of 0.9 m"). They need only the 22 joints of
SMPL in a z-up world, in metres, and the frame rate. None depends on where a body is or
on where it faces; heights are above the motion's own floor, the lowest position of its
toes.

In the name of a measurement, side 0 is the left and 1 the right; "out" means away from
the middle of the body on that side.
"""

import functools

import numpy as np
from jaxtyping import Bool, Float

from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.metrics.swings import longest, swings, turning_points
from actiongpt_jax.shapes import check_shape

PELVIS, SPINE3, NECK, HEAD = 0, 9, 12, 15
# (left, right) joints.
HIP, KNEE, ANKLE, TOES = (1, 2), (4, 5), (7, 8), (10, 11)
SHOULDER, ELBOW, WRIST = (16, 17), (18, 19), (20, 21)
BOTH = (0, 1)
OFF_THE_FLOOR = 0.05  # height of toes that touch nothing, metres
# A swing of the ankles past each other counts as a step from this distance, metres.
LEAST_STRIDE = 0.12
# Angle by which the head joint is to the left of the neck at rest.
_REST_TURN = float(np.degrees(np.arctan2(SMPL22.offsets[15][0], SMPL22.offsets[15][2])))
# Speeds are averaged over this time, seconds, so that noise is no speed.
_SPEED_SECONDS = 0.3


def stride(joints: Float[np.ndarray, "T 22 3"], fps: float) -> float:
    """Measures how far the feet pass each other in walking, jogging or running.

    It is the median change, from one step to the next, of the distance by which the
    left ankle is ahead of the right one; steps at the beginning and the end, from and
    to a stand, count only if there are no others. On firm ground, the body travels half
    as far in this time. A body that slides with frozen legs has a stride of 0.

    Args:
        joints: (T, 22, 3) metres, z up.
        fps: frames per second.

    Returns:
        Metres; 0 without steps.

    Raises:
        InputError: for a wrong shape, or a frame rate that is not above 0.
    """
    return Recording(joints, fps).stride


class Recording:
    """The joints of one action, with everything that can be read from them.

    Positions in the body's frame are (ahead, out or left, up), metres, where ahead and
    left are horizontal. Angles are in degrees. All are computed when first used.

    Attributes:
        joints: (T, 22, 3) metres, z up, the floor at 0.
        fps: frames per second.
    """

    def __init__(self, joints: Float[np.ndarray, "T 22 3"], fps: float):
        """Keeps a copy of the joints, moved onto the floor.

        Args:
            joints: (T, 22, 3) metres, z up, at least 2 frames.
            fps: frames per second.

        Raises:
            InputError: for a wrong shape, or a frame rate that is not above 0.
        """
        check_shape("joints", joints, f"t {SMPL22.num_joints} 3")
        if len(joints) < 2:
            raise InputError(f"joints must have 2 frames or more, got {len(joints)}")
        if not fps > 0:
            raise InputError(f"fps must be above 0, got {fps}; give frames per second")
        self.joints = np.array(joints, np.float64)
        self.joints[..., 2] -= self.joints[:, TOES, 2].min()
        self.fps = fps

    def longest(self, mask: Bool[np.ndarray, " T"]) -> float:
        """Returns the longest time for which something holds, seconds."""
        return longest(mask, self.fps)

    # Where the body is, and how it travels.

    @functools.cached_property
    def facing(self) -> Float[np.ndarray, "T 2"]:
        """Direction on the ground in which the pelvis faces."""
        return _ahead_of(self.joints[:, HIP[0]] - self.joints[:, HIP[1]])

    @functools.cached_property
    def chest(self) -> Float[np.ndarray, "T 2"]:
        """Direction on the ground in which the chest faces."""
        return _ahead_of(self.joints[:, SHOULDER[0]] - self.joints[:, SHOULDER[1]])

    @functools.cached_property
    def heading(self) -> Float[np.ndarray, " T"]:
        """Angle by which the pelvis has turned to the left since the first frame."""
        return _degrees(self.facing) - _degrees(self.facing)[0]

    @property
    def turned(self) -> float:
        """Angle by which the pelvis turns to the left from the first to last frame."""
        return float(self.heading[-1])

    @functools.cached_property
    def velocity(self) -> Float[np.ndarray, "T 2"]:
        """(ahead, left) m/s of the pelvis, averaged over a third of a second."""
        half = max(round(_SPEED_SECONDS * self.fps / 2), 1)
        frames = np.arange(len(self.joints))
        before, after = frames - half, frames + half
        before, after = before.clip(0), after.clip(max=len(frames) - 1)
        place = self.joints[:, PELVIS, :2]
        step = place[after] - place[before]
        return _turned(step, self.facing) * self.fps / (after - before)[:, None]

    @functools.cached_property
    def travelled(self) -> Float[np.ndarray, " 2"]:
        """(ahead, left) metres, as seen by the body, summed over its way."""
        step = np.diff(self.joints[:, PELVIS, :2], axis=0)
        return _turned(step, self.facing[:-1]).sum(0)

    @functools.cached_property
    def speed(self) -> float:
        """Speed ahead (backwards: below 0) that is kept for a third of the time."""
        ahead = self.velocity[:, 0]
        return float(np.quantile(ahead, 0.67 if self.travelled[0] > 0 else 0.33))

    @functools.cached_property
    def range(self) -> float:
        """Largest distance of the pelvis from its middle place on the ground."""
        place = self.joints[:, PELVIS, :2]
        return float(np.linalg.norm(place - np.median(place, 0), axis=1).max())

    # Legs and feet.

    @functools.cached_property
    def apart(self) -> Float[np.ndarray, "T 2"]:
        """(ahead, left) by which the left ankle is away from the right one."""
        ankles = self.joints[:, ANKLE, :2]
        return _turned(ankles[:, 0] - ankles[:, 1], self.facing)

    @functools.cached_property
    def stride(self) -> float:
        """Stride; see `stride`."""
        values = self.apart[:, 0]
        sizes = np.abs(np.diff(values[turning_points(values, LEAST_STRIDE)]))
        sizes = sizes[1:-1] if len(sizes) > 2 else sizes
        return float(np.median(sizes)) if len(sizes) else 0.0

    @property
    def steps(self) -> int:
        """Number of times that one foot passes the other."""
        return swings(self.apart[:, 0], LEAST_STRIDE)

    @property
    def cadence(self) -> float:
        """Steps per second while feet pass each other; 0 without steps."""
        points = turning_points(self.apart[:, 0], LEAST_STRIDE)
        if len(points) < 2:
            return 0.0
        return (len(points) - 1) * self.fps / float(points[-1] - points[0])

    @functools.cached_property
    def toes(self) -> Float[np.ndarray, "T 2"]:
        """Heights of the left and right toes."""
        return self.joints[:, TOES, 2]

    def flights(self, least: float) -> list[tuple[int, int]]:
        """Lists the (first, last) frames of flights of both feet, `least` s or more."""
        up = self.toes.min(1) > OFF_THE_FLOOR
        edges = np.flatnonzero(np.diff(np.concatenate([[0], up.astype(int), [0]])))
        pairs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        return [(a, b - 1) for a, b in pairs if b - a >= least * self.fps]

    @functools.cached_property
    def ankles(self) -> Float[np.ndarray, "T 2"]:
        """Heights of the left and right ankles."""
        return self.joints[:, ANKLE, 2]

    @functools.cached_property
    def knees(self) -> Float[np.ndarray, "T 2"]:
        """Heights of the left and right knees."""
        return self.joints[:, KNEE, 2]

    @functools.cached_property
    def pelvis(self) -> Float[np.ndarray, " T"]:
        """Height of the pelvis."""
        return self.joints[:, PELVIS, 2]

    @functools.cached_property
    def thighs(self) -> Float[np.ndarray, "T 2"]:
        """Angles of the thighs: 0 hanging down, 90 level."""
        thigh = self.joints[:, KNEE] - self.joints[:, HIP]
        return _angle(thigh, np.array((0.0, 0.0, -1.0)))

    @functools.cached_property
    def knee_bends(self) -> Float[np.ndarray, "T 2"]:
        """Angles between thighs and shins: 0 for a straight leg."""
        thigh = self.joints[:, KNEE] - self.joints[:, HIP]
        return _angle(thigh, self.joints[:, ANKLE] - self.joints[:, KNEE])

    def ankle(self, side: int) -> Float[np.ndarray, "T 3"]:
        """Returns (ahead, out, up) of an ankle from the pelvis."""
        return self._from(ANKLE[side], PELVIS, self.facing, side)

    def wrist(self, side: int) -> Float[np.ndarray, "T 3"]:
        """Returns (ahead, out, up) of a wrist from the pelvis."""
        return self._from(WRIST[side], PELVIS, self.facing, side)

    # Trunk, head and arms.

    @functools.cached_property
    def trunk(self) -> Float[np.ndarray, "T 2"]:
        """(forward, left) angles by which the line from pelvis to neck leans."""
        ahead, left, up = self._from(NECK, PELVIS, self.facing, 0).T
        leans = np.arctan2(ahead, up), np.arctan2(left, np.hypot(ahead, up))
        return np.degrees(np.stack(leans, 1))

    @functools.cached_property
    def twist(self) -> Float[np.ndarray, " T"]:
        """Angle by which the chest is turned to the left of the pelvis."""
        return _between(self.facing, self.chest)

    @functools.cached_property
    def _chest_axes(self) -> Float[np.ndarray, "T 3 3"]:
        """Unit vectors (ahead, left, up) of the chest, up along the spine."""
        up = _unit(self.joints[:, NECK] - self.joints[:, SPINE3])
        left = self.joints[:, SHOULDER[0]] - self.joints[:, SHOULDER[1]]
        left = _unit(left - (left * up).sum(1, keepdims=True) * up)
        return np.stack([np.cross(left, up), left, up], 1)

    @functools.cached_property
    def head(self) -> Float[np.ndarray, "T 2"]:
        """(left, up) angles of the line from the neck to the head, in the chest.

        Joints show how the neck is bent, not how the head is turned on the neck.
        """
        way = self.joints[:, HEAD] - self.joints[:, NECK]
        ahead, left, up = np.einsum("tij,tj->it", self._chest_axes, way)
        turn, pitch = np.arctan2(left, ahead), np.arctan2(up, np.hypot(ahead, left))
        return np.degrees(np.stack([turn, pitch], 1)) - (_REST_TURN, 0.0)

    @functools.cached_property
    def shoulders(self) -> Float[np.ndarray, "T 2"]:
        """Distances of the shoulders from the middle of the chest, along the spine."""
        way = self.joints[:, SHOULDER] - self.joints[:, SPINE3, None]
        return np.einsum("tj,tsj->ts", self._chest_axes[:, 2], way)

    def hand(self, side: int) -> Float[np.ndarray, "T 3"]:
        """Returns (ahead, out, up) of a wrist from its shoulder, as the chest faces."""
        return self._hands[side]

    def hand_at_head(self, side: int) -> Float[np.ndarray, "T 3"]:
        """Returns (ahead, out, up) of a wrist from the head, as the chest faces."""
        return self._hands_at_head[side]

    @functools.cached_property
    def _hands(self):
        return [self._from(WRIST[s], SHOULDER[s], self.chest, s) for s in BOTH]

    @functools.cached_property
    def _hands_at_head(self):
        return [self._from(WRIST[s], HEAD, self.chest, s) for s in BOTH]

    @functools.cached_property
    def reach(self) -> Float[np.ndarray, "T 2"]:
        """Distances of the wrists from their shoulders; 0.5 m for a straight arm."""
        return np.stack([np.linalg.norm(self.hand(s), axis=1) for s in BOTH], 1)

    @functools.cached_property
    def elbows_out(self) -> Float[np.ndarray, "T 2"]:
        """Distances by which the elbows are farther out than the line of each arm."""
        outs = []
        for side in BOTH:
            elbow = self._from(ELBOW[side], SHOULDER[side], self.chest, side)
            outs.append(elbow[:, 1] - self.hand(side)[:, 1] / 2)
        return np.stack(outs, 1)

    @functools.cached_property
    def wrists_apart(self) -> Float[np.ndarray, " T"]:
        """Distance between the wrists."""
        wrists = self.joints[:, WRIST]
        return np.linalg.norm(wrists[:, 0] - wrists[:, 1], axis=1)

    @functools.cached_property
    def wrists(self) -> Float[np.ndarray, "T 2"]:
        """Heights of the wrists."""
        return self.joints[:, WRIST, 2]

    def _from(self, joint, origin, ahead, side):
        """Returns (ahead, out, up) of a joint from another."""
        way = self.joints[:, joint] - self.joints[:, origin]
        level = _turned(way[:, :2], ahead) * np.array((1.0, 1.0 - 2 * side))
        return np.concatenate([level, way[:, 2:]], 1)


def _ahead_of(left: np.ndarray) -> np.ndarray:
    """Returns (T, 2) unit vectors a quarter turn to the right of (T, 3) vectors."""
    return _unit(np.stack([left[:, 1], -left[:, 0]], 1))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _turned(vectors: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Returns (ahead, left) of ground vectors, for a body that faces `ahead`."""
    left = np.stack([-ahead[:, 1], ahead[:, 0]], 1)
    return np.stack([(vectors * ahead).sum(1), (vectors * left).sum(1)], 1)


def _degrees(directions: np.ndarray) -> np.ndarray:
    """Returns the angles of (T, 2) directions, without jumps of a full turn."""
    return np.degrees(np.unwrap(np.arctan2(directions[:, 1], directions[:, 0])))


def _between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Returns the angles to the left from one (T, 2) direction to another."""
    cos, sin = _turned(end, start).T
    return np.degrees(np.arctan2(sin, cos))


def _angle(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the angles between (..., 3) vectors."""
    cross = np.linalg.norm(np.cross(one, other), axis=-1)
    return np.degrees(np.arctan2(cross, (one * other).sum(-1)))
