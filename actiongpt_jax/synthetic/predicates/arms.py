"""What must be seen of each move of the arms.

Every predicate is a function of (recording, side) that says whether the move is there;
`side` is 0 for left, 1 for right, and is ignored by moves without sides. Limits are in
metres, seconds and degrees. They follow from what the move's words say, with room for
any person, not from the numbers of the generator.
"""

import numpy as np
from jaxtyping import Bool

from actiongpt_jax.metrics.semantic import BOTH, Recording
from actiongpt_jax.metrics.swings import swings, turning_points

HELD = 0.35  # shortest time for which a pose counts as held, seconds
TOUCHED = 0.2  # the same for a pose that is only visited
STRAIGHT = 0.44  # distance of the wrist of a nearly straight arm from its shoulder


def kept(body: Recording, mask: Bool[np.ndarray, " T"]) -> bool:
    """Says whether something holds without a break for a good part of the action."""
    return body.longest(mask) > max(HELD, 0.22 * len(mask) / body.fps)


def is_up(body: Recording, side: int) -> Bool[np.ndarray, " T"]:
    """Says in which frames a wrist is above the head."""
    return body.hand_at_head(side)[:, 2] > 0.15


def _ahead(body, side):
    """Where a straight arm points ahead."""
    hand = body.hand(side)
    level = (np.abs(hand[:, 2]) < 0.27) & (np.abs(hand[:, 1]) < 0.25)
    return (hand[:, 0] > 0.34) & level & (body.reach[:, side] > STRAIGHT)


def raise_arm(body: Recording, side: int) -> bool:
    """Lifts a straight arm above the head and keeps it there."""
    return kept(body, is_up(body, side) & (body.reach[:, side] > 0.42))


def raise_arms(body: Recording, side: int) -> bool:
    """Lifts both straight arms above the head."""
    return all(raise_arm(body, arm) for arm in BOTH)


def reach_forward(body: Recording, side: int) -> bool:
    """Holds both straight arms ahead."""
    return kept(body, _ahead(body, 0) & _ahead(body, 1))


def point(body: Recording, side: int) -> bool:
    """Holds a straight arm ahead."""
    return kept(body, _ahead(body, side))


def wave(body: Recording, side: int) -> bool:
    """Holds a hand up next to the head and sways it."""
    hand = body.hand(side)
    up = (hand[:, 2] > 0.08) & (body.reach[:, side] < 0.48)
    bent = np.median(body.reach[up, side]) < 0.43 if up.any() else False
    return swings(hand[up, 1], 0.07) >= 4 and kept(body, up) and bool(bent)


def wave_both(body: Recording, side: int) -> bool:
    """Waves with both hands."""
    return all(wave(body, arm) for arm in BOTH)


def _strikes(body, side):
    """Counts the quick straight strikes of a fist ahead, at shoulder height."""
    hand, points = body.hand(side), turning_points(body.reach[:, side], 0.12)
    count = 0
    for start, end in zip(points, points[1:], strict=False):
        out = body.reach[end, side] > 0.4 and body.reach[start, side] < 0.36
        ahead = hand[end, 0] > 0.33 and abs(hand[end, 2]) < 0.27
        from_guard = hand[start, 2] > -0.2
        count += bool(out and ahead and from_guard)
    return count


def _guards(body, side):
    """How long a fist is held in front of the shoulder."""
    hand = body.hand(side)
    near = (body.reach[:, side] < 0.36) & (hand[:, 0] > 0.1) & (hand[:, 2] > -0.15)
    return body.longest(near)


def punch(body: Recording, side: int) -> bool:
    """Strikes with one fist from a guard, the other fist in guard."""
    return _strikes(body, side) >= 1 and _guards(body, 1 - side) > 0.3


def box(body: Recording, side: int) -> bool:
    """Strikes with both fists in turn."""
    struck = [_strikes(body, arm) for arm in BOTH]
    return min(struck) >= 1 and sum(struck) >= 3


def throw(body: Recording, side: int) -> bool:
    """Draws a hand back behind the head and throws over the shoulder, then down."""
    hand = body.hand(side)
    behind = (hand[:, 0] < 0.0) & (hand[:, 2] > 0.05)
    in_front = (hand[:, 0] > 0.25) & (hand[:, 2] > 0.0)
    low = (hand[:, 2] < -0.1) & (hand[:, 0] > 0.0)
    if not behind.any():
        return False
    last = int(np.flatnonzero(behind)[-1])
    soon = in_front[last : last + max(round(0.25 * len(hand)), 2)]
    return bool(soon.any() and low[last:].any())


def bowl(body: Recording, side: int) -> bool:
    """Swings a straight arm low from back to front, the trunk bent forward."""
    hand = body.hand(side)
    back = (hand[:, 0] < -0.15) & (hand[:, 2] < -0.2)
    front = (hand[:, 0] > 0.18) & (body.reach[:, side] > 0.36)
    bent = body.trunk[:, 0].max() > 10
    if not back.any() or not bent:
        return False
    last = int(np.flatnonzero(back)[-1])
    return bool(front[last:].any()) and hand[last:, 2].max() < 0.05


def arm_circles(body: Recording, side: int) -> bool:
    """Swings both straight arms round in large circles."""
    for arm in BOTH:
        hand = body.hand(arm)
        angle = np.unwrap(np.arctan2(hand[:, 2], hand[:, 0]))
        if np.ptp(angle) < np.radians(500) or np.median(body.reach[:, arm]) < 0.4:
            return False
    return True


def clap(body: Recording, side: int) -> bool:
    """Brings the hands together in front of the chest again and again."""
    points = turning_points(body.wrists_apart, 0.2)
    meets = body.wrists_apart[points] < 0.2
    front = [body.hand(arm)[points, 0] > 0.15 for arm in BOTH]
    height = [np.abs(body.hand(arm)[points, 2] + 0.05) < 0.25 for arm in BOTH]
    return (meets & front[0] & front[1] & height[0] & height[1]).sum() >= 2


def _near_head(body, side, ahead, out, up):
    """Where a wrist is in a box (low, high) around the head."""
    at = body.hand_at_head(side)
    limits = np.array((ahead, out, up))
    return ((limits[:, 0] < at) & (at < limits[:, 1])).all(1)


def at_brow(body: Recording, side: int) -> Bool[np.ndarray, " T"]:
    """Says in which frames a wrist is next to the brow."""
    return _near_head(body, side, (-0.02, 0.28), (-0.02, 0.22), (-0.1, 0.27))


def drink(body: Recording, side: int) -> bool:
    """Lifts a hand to the mouth, tips the head back, lowers the hand."""
    at = _near_head(body, side, (0.0, 0.3), (-0.1, 0.13), (-0.33, 0.05))
    if body.longest(at) < TOUCHED or at[-max(len(at) // 20, 1) :].all():
        return False
    level = np.median(body.head[:, 1])
    return bool(body.head[at, 1].max() - level > 4)


def phone(body: Recording, side: int) -> bool:
    """Holds a hand to the ear until the end."""
    at = _near_head(body, side, (-0.12, 0.2), (0.0, 0.25), (-0.2, 0.2))
    return at[len(at) // 2 :].mean() > 0.8


def salute(body: Recording, side: int) -> bool:
    """Holds a hand to the brow and lowers it."""
    at = at_brow(body, side)
    return body.longest(at) > HELD and not at[-max(len(at) // 20, 1) :].all()


def knock(body: Recording, side: int) -> bool:
    """Holds a fist up in front of the body and taps forward with it."""
    hand = body.hand(side)
    up = (hand[:, 0] > 0.2) & (np.abs(hand[:, 2]) < 0.2)
    return swings(hand[up, 0], 0.04) >= 4 and kept(body, up)


def _beats_together(body, least):
    """Counts the common swings of both wrists up and down."""
    up = [body.hand(arm)[:, 2] for arm in BOTH]
    apart = np.std(up[0] - up[1]) > 0.7 * np.std(up[0] + up[1])
    return 0 if apart else swings((up[0] + up[1]) / 2, least)


def flap(body: Recording, side: int) -> bool:
    """Beats both arms up and down at the sides."""
    out = np.minimum(body.hand(0)[:, 1], body.hand(1)[:, 1]) > 0.25
    return _beats_together(body, 0.2) >= 4 and out.mean() > 0.5


def cheer(body: Recording, side: int) -> bool:
    """Throws both fists up and pumps them."""
    up = np.minimum(body.hand(0)[:, 2], body.hand(1)[:, 2])
    high = np.maximum(up, 0.0)
    return (up > 0.15).mean() > 0.3 and swings(high, 0.08) >= 4


def taxi(body: Recording, side: int) -> bool:
    """Raises a straight arm high to the front and shakes the hand."""
    hand = body.hand(side)
    high = (hand[:, 2] > 0.2) & (hand[:, 0] > 0.1) & (body.reach[:, side] > 0.4)
    return body.longest(high) > HELD and swings(hand[high, 1], 0.05) >= 3


def golf(body: Recording, side: int) -> bool:
    """Swings both joined hands from the right shoulder, past the feet, to the left."""
    middle = (body.hand(0) * (1, 1, 1) + body.hand(1) * (1, -1, 1)) / 2
    joined = body.wrists_apart < 0.3
    right = joined & (middle[:, 1] < -0.1) & (middle[:, 2] > -0.05)
    left = joined & (middle[:, 1] > 0.1) & (middle[:, 2] > -0.05)
    if not right.any():
        return False
    top = int(np.flatnonzero(right)[0])
    low = joined & (middle[:, 2] < -0.2)
    if not low[top:].any():
        return False
    return bool(left[top + int(low[top:].argmax()) :].any())


def hands_on_hips(body: Recording, side: int) -> bool:
    """Puts both hands on the hips, the elbows out."""
    on = np.ones(len(body.joints), bool)
    for arm in BOTH:
        hand = body.hand(arm)
        near = (np.abs(hand[:, 0]) < 0.17) & (np.abs(hand[:, 1]) < 0.2)
        on &= near & (hand[:, 2] < -0.15) & (body.reach[:, arm] < 0.38)
        on &= body.elbows_out[:, arm] > 0.08
    return on.mean() > 0.25


def cross_arms(body: Recording, side: int) -> bool:
    """Crosses the arms in front of the chest."""
    on = np.ones(len(body.joints), bool)
    for arm in BOTH:
        hand = body.hand(arm)
        on &= (
            (hand[:, 1] < -0.15)
            & (hand[:, 0] > -0.08)
            & (np.abs(hand[:, 2] + 0.15) < 0.25)
        )
    return on.mean() > 0.25


def spread_arms(body: Recording, side: int) -> bool:
    """Holds both straight arms out to the sides."""
    on = np.ones(len(body.joints), bool)
    for arm in BOTH:
        hand = body.hand(arm)
        on &= (hand[:, 1] > 0.36) & (np.abs(hand[:, 2]) < 0.18)
    return kept(body, on) and _beats_together(body, 0.2) < 4


ARMS = {
    function.__name__: function
    for function in (
        raise_arm,
        raise_arms,
        reach_forward,
        point,
        wave,
        wave_both,
        punch,
        box,
        throw,
        bowl,
        arm_circles,
        clap,
        drink,
        phone,
        salute,
        knock,
        flap,
        cheer,
        taxi,
        golf,
        hands_on_hips,
        cross_arms,
        spread_arms,
    )
}
