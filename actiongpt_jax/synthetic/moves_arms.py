"""Moves of the arms, which can be added to any move of the legs.

Every move is a function of (take, side) that changes the controls of the take; `side`
is 0 for left, 1 for right, and is ignored by moves without sides.
"""

import numpy as np

from actiongpt_jax.synthetic.rig import (
    ACROSS,
    AHEAD,
    BOTH,
    LEAN,
    LEFT,
    OUT,
    PITCH,
    RIGHT,
    TURN,
    UP,
)
from actiongpt_jax.synthetic.take import ARM_POSES, Take, smooth, visit, visit_past


def _one_arm(keys):
    """Returns a move that takes the arm of its side through poses."""
    return lambda take, side: take.arm(side, keys)


def _both_arms(keys):
    """Returns a move that takes both arms through poses."""
    return lambda take, side: take.arms(keys)


def wave(take: Take, side: int):
    """Holds a hand up next to the head and sways it."""
    take.arm(side, visit_past("aside", "wave", 0.26, 0.8))
    beat = take.beat(1.6, 0.2, 0.85)
    take.hands[:, side, ACROSS] += 0.24 * take.person.size * beat
    take.hands[:, side, UP] -= 0.06 * beat**2
    take.wrists[:, side] += 0.3 * beat


def wave_both(take: Take, side: int):
    """Waves with both hands."""
    wave(take, LEFT)
    wave(take, RIGHT)


def punch(take: Take, side: int):
    """Strikes with one fist from a guard in front of the face, and returns to it."""
    hit = ((-0.25, 0.06, 0.96), (0.6, -1.0, 0.0))
    guard = {0.22: "guard", 0.36: "guard", 0.5: hit, 0.68: "guard"}
    take.arm(side, {0.0: "hang", **guard, 1.0: "hang"})
    take.arm(1 - side, visit("guard", 0.22, 0.8))
    strike = {0.3: 0, 0.38: -0.12, 0.5: 0.45, 0.75: 0}
    take.torso[:, TURN] += take.curve(strike, -OUT[side])
    take.torso[:, PITCH] += take.curve({0.1: 0, 0.5: 0.12, 0.9: 0})


def box(take: Take, side: int):
    """Punches left and right in turn from a guard."""
    take.arms(visit("guard", 0.15, 0.88))
    beat = take.beat(1.1, 0.15, 0.9)
    reach = np.array((-0.15, 0.03, 0.5))
    for arm in BOTH:
        out = np.maximum(OUT[arm] * beat, 0.0) ** 2
        take.hands[:, arm] += out[:, None] * reach
        take.torso[:, TURN] -= 0.4 * OUT[arm] * out
    held = take.hold(0.15, 0.88)
    take.shift[:, UP] -= held * (0.08 + 0.02 * take.beat(2.2, 0.15, 0.9))
    take.torso[:, PITCH] += 0.15 * held


def throw(take: Take, side: int):
    """Draws a hand back behind the head, throws over the shoulder, follows through."""
    swing = {0.2: "~aside", 0.4: "windup", 0.56: "release", 0.72: "follow"}
    take.arm(side, {0.0: "hang", **swing, 1.0: "hang"})
    take.arm(1 - side, {0.05: "hang", 0.36: "forward", 0.62: "thigh", 1.0: "hang"})
    twist = {0.05: 0, 0.38: 0.55, 0.6: -0.5, 0.75: -0.45, 1.0: 0}
    take.torso[:, TURN] += take.curve(twist, OUT[side])
    take.torso[:, PITCH] += take.curve({0.1: 0, 0.36: -0.15, 0.66: 0.35, 1.0: 0})
    take.step(1 - side, 0.18, 0.4, ahead=0.3, height=0.12)
    take.step(1 - side, 0.76, 0.97, height=0.08, push=0.3, toes_up=0.0)
    take.shift[:, AHEAD] += take.curve({0.15: 0, 0.5: 0.2, 0.72: 0.2, 0.97: 0})


def bowl(take: Take, side: int):
    """Swings a straight arm low from back to front, with the torso bent forward."""
    front = ((-0.1, -0.3, 0.9), (0.5, -0.8, -0.3))
    take.arm(side, {0.05: "hang", 0.4: "swing_back", 0.62: front, 1.0: "hang"})
    take.torso[:, PITCH] += take.curve({0.05: 0, 0.45: 0.65, 0.65: 0.5, 1.0: 0})
    take.shift[:, UP] += take.curve({0.05: 0, 0.45: -0.16, 0.65: -0.12, 0.95: 0})
    take.step(1 - side, 0.12, 0.36, ahead=0.35, height=0.1)
    take.step(1 - side, 0.74, 0.96, height=0.08, push=0.3, toes_up=0.0)
    take.shift[:, AHEAD] += take.curve({0.1: 0, 0.45: 0.22, 0.7: 0.22, 0.96: 0})


def arm_circles(take: Take, side: int):
    """Swings both straight arms in large circles, forward, up, back and down."""
    turns = max(2, round(take.seconds * take.person.pace / 1.3))
    angle = 2 * np.pi * turns * smooth(take.u) - 0.5 * np.pi
    out = np.full_like(angle, 0.32)
    circle = np.stack([out, 0.9 * np.sin(angle), 0.9 * np.cos(angle)], -1)
    fade = take.hold(0.12, 0.88)[:, None, None]
    take.hands += fade * (circle[:, None] - take.hands)
    take.elbows += fade * ((1.0, 0.0, 0.0) - take.elbows)


def clap(take: Take, side: int):
    """Brings the palms together in front of the chest repeatedly."""
    take.arms(visit("clap_shut", 0.18, 0.85))
    beat = 0.5 - 0.5 * np.cos(2 * np.pi * 1.7 * take.person.pace * take.t)
    shut, apart = (np.array(ARM_POSES[name][0]) for name in ("clap_shut", "clap_open"))
    swing = (take.hold(0.18, 0.85) * beat)[:, None] * (apart - shut)
    take.hands += swing[:, None]


def drink(take: Take, side: int):
    """Lifts a cup to the mouth, tips the head back, lowers it again."""
    cup = ((-0.15, -0.45, 0.5), (0.6, -0.6, -0.5))
    lift = {0.2: cup, 0.42: "mouth", 0.68: "mouth", 0.85: cup}
    take.arm(side, {0.0: "hang", **lift, 1.0: "hang"})
    take.head[:, PITCH] += take.curve({0.36: 0, 0.52: -0.4, 0.62: -0.4, 0.75: 0})


def phone(take: Take, side: int):
    """Holds a hand to the ear, the head leaning towards it."""
    take.arm(side, {0.03: "hang", 0.22: "~front", 0.42: "ear", 1.0: "ear"})
    take.head[:, LEAN] -= 0.2 * OUT[side] * smooth(take.u / 0.45)
    take.head[:, TURN] += 0.15 * take.beat(0.4, 0.4, 0.98)


def salute(take: Take, side: int):
    """Brings a flat hand to the brow, holds it, and lowers it."""
    take.arm(side, visit_past("front", "brow", 0.36, 0.7))
    take.torso[:, PITCH] -= 0.06 * take.hold(0.3, 0.8)


def knock(take: Take, side: int):
    """Holds a fist up in front of the body and taps forward with it."""
    take.arm(side, visit("knock", 0.25, 0.8))
    take.hands[:, side, AHEAD] += 0.1 * take.beat(2.4, 0.25, 0.8)
    take.torso[:, PITCH] += 0.06 * take.hold(0.25, 0.8)


def flap(take: Take, side: int):
    """Beats both arms up and down at the sides."""
    take.arms(visit("side", 0.15, 0.88))
    beat = take.beat(1.2, 0.1, 0.92)[:, None]
    take.hands[:, :, UP] += 0.5 * take.person.size * beat
    take.hands[:, :, ACROSS] -= 0.13 * beat**2
    take.wrists -= 0.3 * beat
    take.shift[:, UP] -= 0.04 * take.hold(0.15, 0.88)


def cheer(take: Take, side: int):
    """Throws both fists up and pumps them."""
    take.arms(visit_past("front", "fist_up", 0.28, 0.78))
    pump = take.beat(1.5, 0.2, 0.85)
    take.hands[:, :, UP] += 0.26 * take.person.size * pump[:, None]
    take.head[:, PITCH] -= 0.2 * take.hold(0.25, 0.85)
    take.shift[:, UP] += -0.04 * take.hold(0.2, 0.85) + 0.03 * pump


def taxi(take: Take, side: int):
    """Raises a straight arm high to the front and shakes the hand."""
    high = ((0.1, 0.75, 0.6), (0.9, -0.4, 0.0))
    take.arm(side, visit_past("forward", high, 0.32, 0.76))
    beat = take.beat(2.0, 0.28, 0.82)
    take.hands[:, side, ACROSS] += 0.12 * beat
    take.wrists[:, side] += 0.3 * beat
    take.head[:, TURN] += 0.3 * OUT[side] * take.hold(0.25, 0.85)


def golf(take: Take, side: int):
    """Swings both joined hands from low, up over the right shoulder, to the left."""
    end = (0.6, 0.4, 0.3)
    # u -> (left, up, forward) of both hands from the middle of the shoulders.
    places = {0.2: (0.0, -0.74, 0.48), 0.46: (-0.62, 0.3, 0.3), 0.6: (0.0, -0.74, 0.52)}
    places |= {0.72: end, 0.82: end}
    for arm in BOTH:
        swing = {
            u: ((OUT[arm] * left - 0.34, up, ahead), (0.7, -0.6, -0.2))
            for u, (left, up, ahead) in places.items()
        }
        take.arm(arm, {0.0: "hang", **swing, 0.9: "~front", 1.0: "hang"})
    turn = {0.2: 0, 0.46: -0.6, 0.72: 0.65, 0.82: 0.65, 1.0: 0}
    bend = {0.0: 0, 0.2: 0.45, 0.62: 0.45, 0.78: 0.1, 1.0: 0}
    take.torso[:, TURN] += take.curve(turn)
    take.torso[:, PITCH] += take.curve(bend)
    take.pelvis[:, PITCH] += take.curve({0.0: 0, 0.2: 0.2, 0.62: 0.2, 0.78: 0})
    take.shift[:, UP] += take.curve({0.0: 0, 0.2: -0.06, 0.7: -0.06, 1.0: 0})
    take.head[:, TURN] += take.curve({0.2: 0, 0.46: 0.4, 0.62: -0.2, 1.0: 0})


RAISE = {0.05: "hang", 0.3: "~forward", 0.6: "up", 1.0: "up"}

ARM_MOVES = {
    "wave": wave,
    "wave_both": wave_both,
    "punch": punch,
    "box": box,
    "throw": throw,
    "bowl": bowl,
    "arm_circles": arm_circles,
    "clap": clap,
    "drink": drink,
    "phone": phone,
    "salute": salute,
    "knock": knock,
    "flap": flap,
    "cheer": cheer,
    "taxi": taxi,
    "golf": golf,
    "raise_arm": _one_arm(RAISE),
    "raise_arms": _both_arms(RAISE),
    "reach_forward": _both_arms({0.05: "hang", 0.45: "forward", 1.0: "forward"}),
    "point": _one_arm(visit("forward", 0.3, 0.75, start=0.05, end=0.98)),
    "hands_on_hips": _both_arms({0.05: "hang", 0.3: "hip", 1.0: "hip"}),
    "cross_arms": _both_arms({0.05: "hang", 0.35: "crossed", 1.0: "crossed"}),
    "spread_arms": _both_arms(visit("side", 0.3, 0.75, start=0.05, end=0.98)),
}
