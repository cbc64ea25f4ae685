"""What must be seen of each move of the legs and the pelvis: jumps, squats, kicks.

Every predicate is a function of (recording, side) that says whether the move is there;
`side` is 0 for left, 1 for right, and is ignored by moves without sides. Limits are in
metres, seconds and degrees. They follow from what the move's words say, with room for
any person, not from the numbers of the generator.
"""

import numpy as np

from actiongpt_jax.metrics.semantic import OFF_THE_FLOOR, Recording
from actiongpt_jax.metrics.swings import swings
from actiongpt_jax.synthetic.predicates.gaits import STANDING


def _jumps(body, crouch, forward):
    """Whether the body crouches, jumps once with both feet, and goes ahead so far."""
    flights = body.flights(0.12)
    if not 1 <= len(flights) <= 2:
        return False
    start, end = flights[0][0], flights[-1][-1]
    stood = max(np.median(body.pelvis), STANDING)
    crouched = stood - body.pelvis[:start].min(initial=stood) >= crouch
    together = np.abs(body.apart[start : end + 1, 0]).max() < 0.3
    return bool(
        crouched
        and together
        and body.pelvis[start : end + 1].max() > stood
        and forward[0] <= body.travelled[0] <= forward[1]
        and abs(body.turned) < 60
    )


def jump(body: Recording, side: int) -> bool:
    """Jumps up with both feet and lands where it was."""
    spread = np.abs(body.apart[:, 1]).max() > 0.45
    return _jumps(body, 0.1, (-0.3, 0.3)) and body.range < 0.4 and not spread


def jump_forward(body: Recording, side: int) -> bool:
    """Jumps forward with both feet."""
    return _jumps(body, 0.1, (0.35, 2.0))


def frog(body: Recording, side: int) -> bool:
    """Jumps forward out of a deep squat with the hands low between the knees."""
    low = (body.pelvis < 0.65) & (body.wrists.max(1) < 0.7)
    ahead = np.minimum(body.wrist(0)[:, 0], body.wrist(1)[:, 0]) > 0.05
    return _jumps(body, 0.25, (0.3, 2.0)) and bool((low & ahead).any())


def hop(body: Recording, side: int) -> bool:
    """Hops on one leg again and again, the other foot off the floor."""
    hops = swings(body.toes[:, side], OFF_THE_FLOOR) // 2
    other = body.toes[:, 1 - side] > OFF_THE_FLOOR
    return len(body.flights(0.06)) >= 2 and hops >= 2 and other.mean() > 0.5


def _correlation(one, other):
    one, other = one - one.mean(), other - other.mean()
    return (one * other).sum() / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-9)


def jacks(body: Recording, side: int) -> bool:
    """Jumps the feet apart and together while the arms go up and down."""
    apart = body.apart[:, 1]
    up = (body.hand(0)[:, 2] + body.hand(1)[:, 2]) / 2
    return (
        swings(apart, 0.2) >= 2
        and swings(up, 0.5) >= 2
        and _correlation(apart, up) > 0.5
        and len(body.flights(0.04)) >= 2
        and body.range < 0.4
    )


def _sinks(body, least):
    """Whether the pelvis goes down by so much and comes up again."""
    lowest = int(body.pelvis.argmin())
    after = body.pelvis[lowest:].max()
    before = body.pelvis[: lowest + 1].max()
    return min(before, after) - body.pelvis[lowest] >= least


def squat(body: Recording, side: int) -> bool:
    """Bends both knees deeply, feet side by side on the floor, and stands up."""
    lowest = body.pelvis < body.pelvis.min() + 0.05
    return bool(
        _sinks(body, 0.22)
        and body.range < 0.4
        and np.abs(body.apart[lowest, 0]).max() < 0.25
        and body.thighs[lowest].min() > 45
        and not body.flights(0.1)
    )


def lunge(body: Recording, side: int) -> bool:
    """Steps far ahead with one leg, sinks onto it, and steps back."""
    lowest = body.pelvis < body.pelvis.min() + 0.05
    ahead = body.apart[:, 0] * (1 - 2 * side)
    return bool(
        _sinks(body, 0.15)
        and ahead[lowest].min() > 0.3
        and body.thighs[lowest, side].max() > 50
        and np.median(body.knees[lowest, 1 - side]) > 0.05
        and body.ankle(side)[lowest, 0].max() > 0.1
        and body.range < 0.5
    )


def kneel(body: Recording, side: int) -> bool:
    """Lowers one knee to the floor, the other foot in front, and rises."""
    ahead = body.apart[:, 0] * (1 - 2 * side)
    down = (body.knees[:, side] < 0.12) & (body.knees[:, 1 - side] > 0.3)
    return bool(
        _sinks(body, 0.25)
        and body.longest(down & (ahead < -0.2)) > 0.25
        and body.range < 0.5
    )


def _seated(body):
    level = body.thighs.min(1) > 60
    return level & (body.pelvis < 0.7) & (np.abs(body.trunk[:, 0]) < 30)


def sit(body: Recording, side: int) -> bool:
    """Goes down from standing and ends sitting."""
    last = _seated(body)[-max(round(0.1 * len(body.joints)), 1) :]
    return body.pelvis[: len(body.pelvis) // 2].max() > STANDING and bool(last.all())


def rise(body: Recording, side: int) -> bool:
    """Begins sitting and ends standing."""
    first = body.pelvis[: max(round(0.1 * len(body.joints)), 1)]
    level = body.thighs[: len(first)].min()
    return bool(first.max() < 0.75 and level > 50 and body.pelvis[-1] > STANDING)


def _one_leg(body, side, free):
    """Whether the foot of `side` is planted while something else holds."""
    return free & (body.toes[:, side] < OFF_THE_FLOOR)


def kick(body: Recording, side: int) -> bool:
    """Kicks a straight leg forward and up, standing on the other."""
    foot = body.ankle(side)
    out = (foot[:, 0] > 0.45) & (foot[:, 1] < 0.35) & (body.ankles[:, side] > 0.35)
    straight = body.knee_bends[:, side] < 45
    return bool(_one_leg(body, 1 - side, out & straight).any()) and body.range < 0.45


def kick_side(body: Recording, side: int) -> bool:
    """Kicks a straight leg out to the side, standing on the other."""
    foot = body.ankle(side)
    out = (foot[:, 1] > 0.45) & (foot[:, 0] < 0.4) & (body.ankles[:, side] > 0.3)
    straight = body.knee_bends[:, side] < 45
    return bool(_one_leg(body, 1 - side, out & straight).any()) and body.range < 0.45


def raise_knee(body: Recording, side: int) -> bool:
    """Lifts a bent knee to the height of the hip, standing on the other leg."""
    up = (body.thighs[:, side] > 58) & (body.knee_bends[:, side] > 45)
    up &= body.toes[:, side] > 0.15
    kicked = (body.thighs[:, side] > 40) & (body.knee_bends[:, side] < 35)
    held = body.longest(_one_leg(body, 1 - side, up))
    return held > 0.2 and not kicked.any() and body.range < 0.45


def balance(body: Recording, side: int) -> bool:
    """Stands on one leg, the other foot held still near the knee."""
    foot = body.ankles[:, 1 - side]
    held = (foot > 0.25) & (foot > foot.max() - 0.08)
    seconds = max(0.7, 0.43 * len(foot) / body.fps)
    return body.longest(_one_leg(body, side, held)) > seconds and body.range < 0.45


LEGS = {
    function.__name__: function
    for function in (
        jump,
        jump_forward,
        frog,
        hop,
        jacks,
        squat,
        lunge,
        kneel,
        sit,
        rise,
        kick,
        kick_side,
        raise_knee,
        balance,
    )
}
