"""Counts how often a quantity swings to and fro, and for how long something holds."""

import numpy as np
from jaxtyping import Bool, Float, Int


def turning_points(
    values: Float[np.ndarray, " T"], least: float
) -> Int[np.ndarray, " n"]:
    """Finds the frames between which a quantity swings to and fro.

    Args:
        values: (T,) the quantity.
        least: smallest change that counts as a swing, above 0, in the same unit.

    Returns:
        Frames of the successive extremes, which differ by `least` or more; empty for a
        quantity that never changes as much. There is one swing fewer than extremes.
    """
    low = high = 0  # frames of the extremes since the last turning point
    points: list[int] = []
    rising = None  # direction of the swing in progress
    for frame, value in enumerate(values):
        if rising is None:
            low = frame if value < values[low] else low
            high = frame if value > values[high] else high
            if values[high] - values[low] >= least:
                rising = low < high
                points = [min(low, high), max(low, high)]
            continue
        further = value - values[points[-1]]
        if (further > 0) == rising and further != 0:
            points[-1] = frame
        elif abs(further) >= least:
            points.append(frame)
            rising = not rising
    return np.array(points, int)


def swings(values: Float[np.ndarray, " T"], least: float) -> int:
    """Counts the swings of a quantity; two make one full oscillation.

    Args:
        values: (T,) the quantity.
        least: smallest change that counts as a swing, in the same unit.
    """
    return max(len(turning_points(values, least)) - 1, 0)


def longest(mask: Bool[np.ndarray, " T"], fps: float) -> float:
    """Returns the longest time for which something holds without a break.

    Args:
        mask: (T,) whether it holds.
        fps: frames per second.

    Returns:
        Seconds; 0 if it never holds.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return float((edges[1::2] - edges[::2]).max(initial=0)) / fps
