"""Moves of the legs and the pelvis: jumps, squats, kneeling, sitting, kicks.

Every move is a function of (take, side) that changes the controls of the take; `side`
is 0 for left, 1 for right, and is ignored by moves without sides.
"""

import functools

import numpy as np

from actiongpt_jax.synthetic.rig import (
    ABDUCTION,
    ACROSS,
    AHEAD,
    BOTH,
    FLEXION,
    FOLD,
    LEAN,
    OUT,
    PITCH,
    POINT,
    STAND_HEIGHT,
    UP,
)
from actiongpt_jax.synthetic.take import Take, smooth, visit

PELVIS_ON_CHAIR = 0.5  # height of the pelvis when seated, metres


def jump(take: Take, side: int, forward: float = 0.0, crouch: float = 0.28):
    """Crouches, swings the arms, jumps with both feet and lands with bent knees."""
    size, seconds = take.person.size, take.seconds
    flight = (0.42 if not forward else 0.36) * np.sqrt(size)
    off = 0.45 * seconds
    land = off + flight
    take.leap((0.08 * seconds, off, land, 0.93 * seconds), crouch * size)
    take.path[:, 0] += forward * size * smooth((take.t - off + 0.3) / (flight + 0.5))
    height = 0.12 * flight / 0.4 + 0.1
    for foot in BOTH:
        take.swing(foot, off, land, seconds, height=height, push=0.7, toes_up=-0.2)
    bow = {0.05: 0, 0.3: 0.5, 0.47: 0, 0.72: 0.35, 0.95: 0}
    take.torso[:, PITCH] += take.curve(bow)
    take.pelvis[:, PITCH] += take.curve(bow, 0.6)
    start = {0.05: "hang", 0.26: "swing_back"}
    if forward:
        take.arms({**start, 0.48: "forward", 0.85: "hang"})
    else:
        swing = {0.38: "~forward", 0.5: "up", 0.66: "~forward"}
        take.arms({**start, **swing, 0.9: "hang"})


def frog(take: Take, side: int):
    """Jumps forward out of a deep squat with the hands between the knees."""
    jump(take, side, forward=0.7, crouch=0.42)
    low = ((-0.15, -0.85, 0.45), (0.9, 0.0, -0.3))
    take.arms({0.0: "hang", 0.25: low, 0.5: "forward_low", 0.7: low, 1.0: "hang"})


def hop(take: Take, side: int):
    """Hops on one leg, the other knee bent."""
    other = 1 - side
    _stand_on(take, side, 0.12, 0.88)
    take.lift[:, other] = smooth(take.u / 0.15) * smooth((1 - take.u) / 0.15)
    take.leg[:, other] = (0.55, 0.05, 1.5, 0.4)
    start, end = 0.17 * take.seconds, 0.85 * take.seconds
    count = max(2, round((end - start) * take.person.pace / 0.6))
    period, flight = (end - start) / count, 0.24
    begins = [start + number * period for number in range(count)]
    offs = [begin + 0.6 * (period - flight) for begin in begins]
    for begin, off in zip(begins, offs, strict=True):
        take.leap((begin, off, off + flight, begin + period), 0.08, tiptoe=0.03)
        advance = smooth((take.t - off + 0.1) / (flight + 0.2))
        take.path[:, 0] += 0.14 * take.person.size * advance
    # The feet land on the path, so they are added after all hops have moved it.
    for off in offs:
        after = take.seconds if off == offs[-1] else off + flight + 0.1
        take.swing(side, off, off + flight, after, toes_up=0.0)
    take.swing(other, start, end, take.seconds, push=0.0, toes_up=0.0)
    take.arms(visit("side_low", 0.2, 0.8))


def jacks(take: Take, side: int):
    """Jumps the feet apart and together while the arms go up and down."""
    count = 2 * max(1, round(take.seconds * take.person.pace / 1.1))
    period = 0.96 * take.seconds / count
    flight = min(0.2, 0.4 * period)
    spread = np.zeros(len(take.t))
    for number in range(count):
        begin = number * period
        off, opens = begin + 0.55 * (period - flight), number % 2 == 0
        land = off + flight
        take.leap((begin, off, land, begin + period), 0.07)
        ease = smooth((take.t - off + 0.08) / (flight + 0.16))
        spread += ease if opens else -ease
        out = 0.22 * take.person.size if opens else 0.0
        for foot in BOTH:
            take.swing(
                foot, off, land, land, out=out, height=0.08, push=0.4, toes_up=0.0
            )
    side_pose, top = np.array((0.97, 0.02, 0.1)), np.array((0.15, 0.95, 0.0))
    rest = np.array(take.person.hang)
    way = np.stack([(1 - spread) ** 2, 2 * spread * (1 - spread), spread**2], 1)
    hands = way @ np.stack([rest, 2 * side_pose - (rest + top) / 2, top])
    hands *= 0.95 / np.linalg.norm(hands, axis=1, keepdims=True)
    hands += ((1 - spread) ** 4)[:, None] * (rest - hands)
    take.hands[:] = hands[:, None]
    take.elbows += spread[:, None, None] * np.array((0.3, -0.3, 0.4))


def squat(take: Take, side: int):
    """Bends hips and knees until the thighs are level, then stands up again."""
    depth = min(1.0, take.person.size)
    down = take.curve({0.02: 0, 0.42: depth, 0.55: depth, 0.97: 0})
    take.shift += down[:, None] * np.array((0.0, -0.4, -0.16))
    take.torso[:, PITCH] += 0.45 * down
    take.pelvis[:, PITCH] += 0.4 * down
    take.head[:, PITCH] -= 0.45 * down
    ahead = ((-0.05, -0.25, 0.9), (0.5, -1.0, 0.0))
    take.arms(visit(ahead, 0.4, 0.58, start=0.05, end=0.95))


def lunge(take: Take, side: int):
    """Steps far forward, sinks until the front thigh is level, steps back."""
    size = take.person.size
    take.step(side, 0.08, 0.3, ahead=0.62 * size, height=0.14)
    take.step(side, 0.72, 0.93, height=0.14, push=0.3, toes_up=0.0)
    down = take.curve({0.1: 0, 0.45: 1, 0.6: 1, 0.88: 0})
    forward = take.curve({0.06: 0, 0.38: 1, 0.66: 1, 0.92: 0})
    take.shift[:, AHEAD] += 0.3 * size * forward
    take.shift[:, UP] -= 0.3 * size * down
    take.heel[:, 1 - side] += 0.95 * forward
    take.torso[:, PITCH] += 0.1 * down
    take.arms(visit("hip", 0.3, 0.7, start=0.05, end=0.97))


def kneel(take: Take, side: int):
    """Sets one foot back, lowers that knee to the floor, and rises again."""
    take.step(side, 0.06, 0.26, ahead=-0.68, height=0.08)
    take.step(side, 0.76, 0.95, height=0.1, push=0.5)
    down = take.curve({0.1: 0, 0.42: 1, 0.64: 1, 0.9: 0})
    back = take.curve({0.06: 0, 0.36: 1, 0.68: 1, 0.94: 0})
    heel = take.curve({0.1: 0, 0.36: 1, 0.66: 1, 0.76: 0.3, 0.9: 0})
    take.shift[:, AHEAD] -= 0.28 * back
    take.shift[:, UP] -= 0.42 * down
    take.heel[:, side] += 1.15 * heel
    take.torso[:, PITCH] += 0.12 * down
    on_thigh = ((-0.05, -0.45, 0.62), (0.6, -0.3, -0.6))
    take.arm(1 - side, visit(on_thigh, 0.4, 0.65, start=0.1, end=0.92))


def sit(take: Take, side: int):
    """Leans forward, lowers the hips back onto a chair, and stays there."""
    down = take.curve({0.08: 0, 0.65: 1, 1.0: 1})
    _seat(take, down, take.curve({0.02: 0, 0.4: 1, 0.85: 0}))
    take.arms({0.1: "hang", 0.75: "thigh", 1.0: "thigh"})


def rise(take: Take, side: int):
    """Starts seated, leans forward and stands up."""
    down = take.curve({0.0: 1, 0.2: 1, 0.85: 0, 1.0: 0})
    _seat(take, down, take.curve({0.05: 0, 0.45: 1, 0.9: 0}))
    take.arms({0.0: "thigh", 0.25: "thigh", 0.9: "hang"})


def _seat(take, down, lean):
    drop = STAND_HEIGHT - PELVIS_ON_CHAIR
    take.shift += down[:, None] * np.array((0.0, -drop, -0.42))
    take.torso[:, PITCH] += 0.5 * lean
    take.pelvis[:, PITCH] += 0.45 * lean - 0.1 * down
    take.head[:, PITCH] -= 0.3 * lean


def kick(take: Take, side: int):
    """Raises the knee and kicks the shin forward."""
    top = 1.45 * take.person.size
    _free_leg(take, side, 0.16, 0.9)
    leg = take.leg[:, side]
    leg[:, FLEXION] += take.curve(
        {0.16: 0.2, 0.38: 1.05, 0.5: top, 0.66: 0.9, 0.9: 0.1}
    )
    leg[:, FOLD] += take.curve({0.16: 0.3, 0.36: 1.6, 0.5: 0.12, 0.66: 1.3, 0.9: 0.25})
    leg[:, POINT] += take.curve({0.16: 0, 0.5: 0.5, 0.8: 0})
    take.torso[:, PITCH] += take.curve({0.2: 0, 0.5: -0.22, 0.85: 0})
    take.pelvis[:, PITCH] += take.curve({0.2: 0, 0.5: -0.18, 0.85: 0})
    take.arm(1 - side, {0.1: "hang", 0.48: "forward_low", 0.9: "hang"})
    take.arm(side, {0.1: "hang", 0.48: "swing_back", 0.9: "hang"})


def kick_side(take: Take, side: int):
    """Raises the knee and kicks the foot out to the side."""
    top = 1.15 * take.person.size
    _free_leg(take, side, 0.16, 0.9)
    leg = take.leg[:, side]
    leg[:, FLEXION] += take.curve(
        {0.16: 0.2, 0.36: 0.9, 0.52: 0.15, 0.68: 0.6, 0.9: 0.1}
    )
    leg[:, ABDUCTION] += take.curve({0.16: 0, 0.36: 0.35, 0.52: top, 0.7: 0.4, 0.9: 0})
    leg[:, FOLD] += take.curve({0.16: 0.3, 0.36: 1.6, 0.52: 0.12, 0.68: 1.3, 0.9: 0.25})
    away = {0.2: 0, 0.52: 1, 0.85: 0}
    take.torso[:, LEAN] += take.curve(away, 0.42 * OUT[side])
    take.pelvis[:, LEAN] += take.curve(away, 0.25 * OUT[side])
    take.arms(visit("guard", 0.35, 0.75, start=0.1))


def raise_knee(take: Take, side: int):
    """Lifts a bent knee to hip height and sets it down."""
    top = 1.5 * take.person.size
    _free_leg(take, side, 0.15, 0.9)
    leg = take.leg[:, side]
    leg[:, FLEXION] += take.curve({0.15: 0.2, 0.42: top, 0.62: top, 0.9: 0.1})
    leg[:, FOLD] += take.curve({0.15: 0.3, 0.42: 1.55, 0.62: 1.55, 0.9: 0.25})


def balance(take: Take, side: int):
    """Stands on the leg of `side`, the other foot near the knee, arms spread."""
    _free_leg(take, 1 - side, 0.12, 0.93)
    leg = take.leg[:, 1 - side]
    leg[:, FLEXION] += take.curve({0.12: 0.2, 0.32: 0.85, 0.76: 0.85, 0.93: 0.1})
    leg[:, ABDUCTION] += take.curve({0.12: 0, 0.32: 0.35, 0.76: 0.35, 0.93: 0})
    leg[:, FOLD] += take.curve({0.12: 0.3, 0.32: 1.75, 0.76: 1.75, 0.93: 0.25})
    take.arms(visit("side", 0.3, 0.8, start=0.05))
    take.torso[:, LEAN] += 0.05 * take.beat(0.6, 0.25, 0.85)


def _free_leg(take, side, start, end):
    """Poses a leg by its angles, standing on the other, from u = start to end."""
    rise, fall = (take.u - start) / 0.13, (end - take.u) / 0.13
    take.lift[:, side] = smooth(rise) * smooth(fall)
    _stand_on(take, 1 - side, start, end)


def _stand_on(take, side, start, end):
    """Puts the weight on one foot from u = start to end."""
    held = take.hold(start, end)
    take.shift[:, ACROSS] += OUT[side] * 0.85 * take.person.stance * held
    take.torso[:, LEAN] += OUT[side] * 0.04 * held


LEG_MOVES = {
    "jump": jump,
    "jump_forward": functools.partial(jump, forward=0.75),
    "frog": frog,
    "hop": hop,
    "jacks": jacks,
    "squat": squat,
    "lunge": lunge,
    "kneel": kneel,
    "sit": sit,
    "rise": rise,
    "kick": kick,
    "kick_side": kick_side,
    "raise_knee": raise_knee,
    "balance": balance,
}
