"""What must be seen of each move that travels: walking, running, sidestepping, turning.

Every predicate is a function of (recording, side) that says whether the move is there;
`side` is 0 for left, 1 for right, and is ignored by moves without sides. Limits are in
metres, seconds and degrees. They follow from what the move's words say, with room for
any person, not from the numbers of the generator.
"""

import numpy as np

from actiongpt_jax.metrics.semantic import BOTH, OFF_THE_FLOOR, Recording
from actiongpt_jax.metrics.swings import swings, turning_points

STANDING = 0.85  # least height of the pelvis of a body that stands upright, metres


def stand(body: Recording, side: int) -> bool:
    """Stays upright in place: at most a step and back, no turn, no jump."""
    lifted = swings(body.toes[:, 0] - body.toes[:, 1], OFF_THE_FLOOR)
    return bool(
        body.range < 0.4
        and lifted <= 5
        and abs(body.turned) < 60
        and np.quantile(body.pelvis, 0.1) > 0.7
        and body.ankles.max() < 0.35
        and not body.flights(0.1)
    )


def _ahead(body, least, turn=45.0):
    """Whether the body travels ahead by some distance, more or less straight."""
    ahead, left = body.travelled
    return ahead >= least and abs(left) < 0.5 * ahead and abs(body.turned) < turn


def _strides(body, least, steps=3):
    return body.stride >= least and body.steps >= steps


def _upright(body):
    """Whether the body is upright and its feet stay low, as in ordinary walking."""
    low = body.ankles.max() < 0.32 and not _springs(body)
    return low and np.median(body.pelvis) > 0.82 and np.median(body.trunk[:, 0]) < 15


def walk(body: Recording, side: int) -> bool:
    """Walks ahead at an ordinary pace."""
    return (
        _ahead(body, 0.8)
        and _strides(body, 0.5)
        and 0.5 < body.speed < 1.7
        and _upright(body)
    )


def stroll(body: Recording, side: int) -> bool:
    """Walks ahead slowly."""
    return (
        _ahead(body, 0.5)
        and _strides(body, 0.35)
        and 0.25 < body.speed < 0.95
        and _upright(body)
    )


def stride(body: Recording, side: int) -> bool:
    """Walks ahead quickly, with long steps."""
    return (
        _ahead(body, 1.2)
        and _strides(body, 0.65)
        and body.speed > 1.05
        and _upright(body)
    )


def back(body: Recording, side: int) -> bool:
    """Walks backwards."""
    ahead, left = body.travelled
    return (
        ahead <= -0.4
        and abs(left) < -0.5 * ahead
        and abs(body.turned) < 45
        and _strides(body, 0.3)
    )


def _springs(body):
    """Whether the feet rise behind in turn as they do in running."""
    lift = body.ankles - body.ankles.min()
    return swings(lift[:, 0] - lift[:, 1], 0.24) >= 2 and body.cadence >= 2.0


def _runs(body, speed, stride):
    return (
        _ahead(body, speed)
        and _strides(body, stride)
        and body.speed >= speed
        and _springs(body)
    )


def jog(body: Recording, side: int) -> bool:
    """Runs ahead at an easy pace: springing steps, not walking ones."""
    return _runs(body, speed=0.9, stride=0.45) and body.speed < 2.3


def run(body: Recording, side: int) -> bool:
    """Runs ahead fast."""
    return _runs(body, speed=1.7, stride=0.8)


def jog_in_place(body: Recording, side: int) -> bool:
    """Lifts the feet in turn in a quick rhythm without travelling."""
    lifted = swings(body.ankles[:, 0] - body.ankles[:, 1], 0.3)
    seconds = len(body.joints) / body.fps
    return (
        body.range < 0.4
        and lifted >= 3
        and lifted / seconds > 1.3
        and abs(body.turned) < 60
    )


def sidestep(body: Recording, side: int) -> bool:
    """Steps to a side, foot by foot, while facing ahead."""
    ahead, left = body.travelled
    way = left * (1 - 2 * side)
    return (
        way >= 0.3
        and abs(ahead) < 0.5 * way
        and abs(body.turned) < 40
        and swings(body.apart[:, 1], 0.1) >= 2
        and swings(body.toes[:, 0] - body.toes[:, 1], OFF_THE_FLOOR) >= 3
    )


def _turns(body, side, least, most):
    return least <= body.turned * (1 - 2 * side) <= most


def walk_turn(body: Recording, side: int) -> bool:
    """Walks ahead and turns by about a quarter."""
    ahead, left = body.travelled
    return (
        _turns(body, side, 50, 140)
        and ahead >= 0.7
        and abs(left) < 0.5 * ahead
        and _strides(body, 0.4)
    )


def circle(body: Recording, side: int) -> bool:
    """Walks ahead all the way round."""
    ahead, left = body.travelled
    return (
        _turns(body, side, 250, 450)
        and ahead >= 1.5
        and abs(left) < 0.5 * ahead
        and _strides(body, 0.4)
    )


def turn(body: Recording, side: int) -> bool:
    """Turns around on the spot, by steps."""
    walked = swings(body.toes[:, 0] - body.toes[:, 1], 0.04)
    return _turns(body, side, 125, 235) and body.range < 0.4 and walked >= 3


def march(body: Recording, side: int) -> bool:
    """Walks ahead with high knees, and down on straight legs."""
    lifted = swings(body.ankles[:, 0] - body.ankles[:, 1], 0.4)
    return (
        _ahead(body, 0.5)
        and _strides(body, 0.3)
        and lifted >= 2
        and body.speed < 1.3
        and np.quantile(np.abs(body.trunk[:, 0]), 0.5) < 20
    )


def sneak(body: Recording, side: int) -> bool:
    """Walks ahead slowly, crouched and bent forward."""
    low = body.pelvis < STANDING
    bent = body.trunk[:, 0] > 8
    return (
        _ahead(body, 0.4)
        and _strides(body, 0.25)
        and body.speed < 0.9
        and (low & bent).mean() > 0.4
    )


def tiptoe(body: Recording, side: int) -> bool:
    """Walks ahead on the balls of the feet."""
    raised = (body.ankles - body.toes).min(1) > 0.08
    return _ahead(body, 0.3) and _strides(body, 0.15) and raised.mean() > 0.5


def step_over(body: Recording, side: int) -> bool:
    """Walks ahead and lifts each foot high once, over an obstacle."""
    peaks = [_peaks(body.toes[:, foot], 0.04) for foot in BOTH]
    highest = [max(heights, default=0.0) for heights in peaks]
    others = sorted(height for heights in peaks for height in heights)[:-2]
    return (
        _ahead(body, 0.8)
        and _strides(body, 0.4)
        and min(highest) > 0.2
        and all(height < 0.2 for height in others)
    )


def _peaks(height, least):
    """Returns the heights of all peaks that rise by `least` from what is before."""
    points = turning_points(height, least)
    values = height[points]
    return [b for a, b in zip(values, values[1:], strict=False) if b > a]


GAITS = {
    function.__name__: function
    for function in (
        stand,
        walk,
        stroll,
        stride,
        back,
        jog,
        run,
        jog_in_place,
        sidestep,
        walk_turn,
        circle,
        turn,
        march,
        sneak,
        tiptoe,
        step_over,
    )
}
