"""Moves the end of a limb of two bones, such as a leg, to a target."""

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

# A limb is stretched freely up to this share of its length; beyond, ever less of the
# way to the target is gone, so that the middle joint never snaps straight.
_FREE = 0.97
_LONGEST = 0.9999
_SWEEPS = 3


def reach(
    root: Float[np.ndarray, "n 3"],
    middle: Float[np.ndarray, "n 3"],
    end: Float[np.ndarray, "n 3"],
    target: Float[np.ndarray, "n 3"],
    forward: Float[np.ndarray, "n 3"],
) -> tuple[Rotation, Rotation]:
    """Finds how a limb's bones turn, so that its end comes to a target.

    The middle joint bends in the plane in which it is bent; the limb is then turned by
    the smallest rotation. If the end is at its target already, nothing turns.

    Args:
        root: (N, 3) first joints, such as hips, metres; they stay.
        middle: (N, 3) knees or elbows, metres.
        end: (N, 3) ankles or wrists, metres.
        target: (N, 3) where the ends should be, metres. One out of reach is approached
            as far as the limb allows.
        forward: (N, 3) direction in which the middle joint points when it bends; it
            matters for straight limbs only.

    Returns:
        The rotations, in the world, of the N upper and of the N lower bones.
    """
    upper, lower = middle - root, end - middle
    turns = Rotation.identity(len(root)), Rotation.identity(len(root))
    lengths = _length(upper), _length(lower)
    goal = target - root
    asked = _span(_length(goal), _length(end - root), lengths[0] + lengths[1])
    asked = np.maximum(asked, 1.001 * np.abs(lengths[0] - lengths[1]) + 1e-6)
    # A nearly straight limb bends about an axis that its joints do not show exactly:
    # what remains after one sweep is removed by the next.
    for _ in range(_SWEEPS):
        one, two = turns[0].apply(upper), turns[1].apply(lower)
        span = one + two
        now = np.maximum(_length(span), 1e-9)
        axis = span / now[:, None]
        bulge = one - (one * axis).sum(-1, keepdims=True) * axis
        # A hundredth of the way forward decides only where the limb is straight.
        hint = turns[0].apply(forward)
        hint = hint - (hint * axis).sum(-1, keepdims=True) * axis
        hinge = _unit(np.cross(axis, bulge + 0.01 * lengths[0][:, None] * hint))
        bend = [
            _corner(lengths[i], asked, lengths[1 - i])
            - _corner(lengths[i], now, lengths[1 - i])
            for i in (0, 1)
        ]
        turns = (
            Rotation.from_rotvec(hinge * bend[0][:, None]) * turns[0],
            Rotation.from_rotvec(-hinge * bend[1][:, None]) * turns[1],
        )
        span = turns[0].apply(upper) + turns[1].apply(lower)
        swing = _between(span, goal)
        turns = swing * turns[0], swing * turns[1]
    return turns


def _span(goal: np.ndarray, first: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Returns the distance that a limb spans for a goal; equal to `first` at `first`.

    Args:
        goal: (N,) distance of the target from the root.
        first: (N,) distance of the end before.
        whole: (N,) length of the limb.
    """
    free, room = _FREE * whole, (_LONGEST - _FREE) * whole

    def soft(distance):
        beyond = np.maximum(distance - free, 0.0)
        return np.minimum(distance, free) + room * -np.expm1(-beyond / room)

    # A limb that is nearly straight already may stay so.
    share = np.clip((goal - free) / np.maximum(first - free, 1e-9), 0.0, 1.0)
    spans = soft(goal) + share * (first - soft(first))
    return np.minimum(spans, np.maximum(first, _LONGEST * whole))


def _corner(side: np.ndarray, base: np.ndarray, opposite: np.ndarray) -> np.ndarray:
    """Returns the angle of a triangle between `side` and `base`, by their lengths."""
    cosine = (side**2 + base**2 - opposite**2) / (2 * side * base)
    return np.arccos(np.clip(cosine, -1.0, 1.0))


def _between(start: np.ndarray, end: np.ndarray) -> Rotation:
    """Returns the smallest rotations that turn (N, 3) directions into others."""
    start, end = _unit(start), _unit(end)
    cross = np.cross(start, end)
    angle = np.arctan2(_length(cross), (start * end).sum(-1))
    return Rotation.from_rotvec(_unit(cross) * angle[:, None])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(_length(vectors), 1e-12)[:, None]


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1)
