"""What must be seen of each move of the trunk and the head.

Every predicate is a function of (recording, side) that says whether the move is there;
`side` is 0 for left, 1 for right, and is ignored by moves without sides. Limits are in
metres, seconds and degrees. They follow from what the move's words say, with room for
any person, not from the numbers of the generator.
"""

import numpy as np

from actiongpt_jax.metrics.semantic import BOTH, Recording
from actiongpt_jax.metrics.swings import swings
from actiongpt_jax.synthetic.predicates.arms import HELD, TOUCHED, at_brow, is_up


def lookout(body: Recording, side: int) -> bool:
    """Shades the eyes with a hand and looks from side to side."""
    at = at_brow(body, side)
    return body.longest(at) > HELD and swings(body.head[:, 0], 12) >= 2


def bow(body: Recording, side: int) -> bool:
    """Bends forward at the hips, not down to the feet, and comes up."""
    bent = body.trunk[:, 0]
    return bool(
        30 < bent.max() < 95
        and bent[-1] < 20
        and body.wrists.min() > 0.3
        and body.knee_bends.max() < 60
    )


def touch_toes(body: Recording, side: int) -> bool:
    """Folds forward until the hands are at the feet."""
    return body.trunk[:, 0].max() > 70 and body.wrists.max(1).min() < 0.3


def stretch_up(body: Recording, side: int) -> bool:
    """Reaches up with both hands together and rises to the toes."""
    high = is_up(body, 0) & is_up(body, 1) & (body.wrists_apart < 0.3)
    heels = (body.ankles - body.toes).min(1)
    return body.longest(high) > HELD and bool(
        heels[high].max() - np.quantile(heels, 0.1) > 0.02
    )


def bend_side(body: Recording, side: int) -> bool:
    """Bends the trunk to a side and comes up."""
    lean = body.trunk[:, 1] * (1 - 2 * side)
    return bool(lean.max() > 15 and lean[-1] < 10 and body.ankles.max() < 0.3)


def look(body: Recording, side: int) -> bool:
    """Turns the head to a side and holds it there."""
    turn = body.head[:, 0] * (1 - 2 * side)
    return body.longest(turn > 14) > 0.3


def nod(body: Recording, side: int) -> bool:
    """Lowers and lifts the head a few times."""
    return swings(body.head[:, 1], 6) >= 3


def shake_head(body: Recording, side: int) -> bool:
    """Turns the head left and right a few times."""
    return swings(body.head[:, 0], 14) >= 3


def twist(body: Recording, side: int) -> bool:
    """Turns the trunk left and right, the elbows bent."""
    bent = body.reach.max(1) < 0.42
    return swings(body.twist, 38) >= 3 and bent.mean() > 0.4


def shrug(body: Recording, side: int) -> bool:
    """Lifts both shoulders and lowers them."""
    level = np.quantile(body.shoulders, 0.1, axis=0)
    up = (body.shoulders - level).min(1) > 0.012
    for arm in BOTH:
        up &= body.hand(arm)[:, 2] < 0.0
    return body.longest(up) > TOUCHED and not up[-1]


TRUNK = {
    function.__name__: function
    for function in (
        lookout,
        bow,
        touch_toes,
        stretch_up,
        bend_side,
        look,
        nod,
        shake_head,
        twist,
        shrug,
    )
}
