"""Moves of the arms; they lie over any move of the legs.

Every move is a function of (take, side) that writes into the take; `side` is 0 for
left, 1 for right and means nothing to moves without sides.
"""

import numpy as np

from actiongpt_jax.synthetic.rig import OUT
from actiongpt_jax.synthetic.take import ARM_POSES, Take, smooth, visit

BOTH = (0, 1)


def _with_arms(keys, arms=None, elbow=None):
    """A move that leads an arm (or `arms`, whatever the side) through poses."""

    def move(take: Take, side: int):
        for arm in (side,) if arms is None else arms:
            take.arm(arm, keys)

    return move


def _held(pose, arms=None, rise=0.3, fall=0.75):
    """A move to a pose and back to the side."""
    return _with_arms(
        [(0.05, "hang"), (rise, pose), (fall, pose), (0.98, "hang")], arms
    )


def _kept(pose, arms=None, rise=0.45, via=()):
    """A move to a pose in which the action ends."""
    return _with_arms([(0.05, "hang"), *via, (rise, pose), (1.0, pose)], arms)


def wave(take: Take, side: int):
    """Holds a hand up beside the head and sways it."""
    take.arm(side, visit("wave", "aside", 0.26, 0.8))
    beat = take.beat(1.6, 0.2, 0.85)
    take.controls["hands"][:, side, 0] += 0.24 * take.person.size * beat
    take.controls["hands"][:, side, 1] -= 0.06 * beat**2
    take.controls["wrists"][:, side] += 0.3 * beat


def wave_both(take: Take, side: int):
    """Waves with both hands."""
    wave(take, 0)
    wave(take, 1)


def punch(take: Take, side: int):
    """From a guard before the face, one fist shoots forward and comes back."""
    hit = ((-0.25, 0.06, 0.96), (0.6, -1.0, 0.0))
    other = [(0.0, "hang"), (0.22, "guard"), (0.8, "guard"), (1.0, "hang")]
    take.arm(1 - side, other)
    take.arm(
        side, [*other[:2], (0.36, "guard"), (0.5, hit), (0.68, "guard"), other[-1]]
    )
    strike = [(0.3, 0.0), (0.38, -0.12), (0.5, 0.45), (0.75, 0.0)]
    take.add("torso", 1, [(u, -OUT[side] * value) for u, value in strike])
    take.add("torso", 0, [(0.1, 0.0), (0.5, 0.12), (0.9, 0.0)])


def box(take: Take, side: int):
    """Punches left and right in turn out of a guard."""
    for arm in BOTH:
        take.arm(arm, [(0.0, "hang"), (0.15, "guard"), (0.88, "guard"), (1.0, "hang")])
    beat = take.beat(1.1, 0.15, 0.9)
    reach = np.array((-0.15, 0.03, 0.5))
    for arm in BOTH:
        out = np.maximum(OUT[arm] * beat, 0.0) ** 2
        take.controls["hands"][:, arm] += out[:, None] * reach
        take.controls["torso"][:, 1] -= 0.4 * OUT[arm] * out
    held = take.hold(0.15, 0.88)
    take.controls["shift"][:, 1] -= held * (0.08 + 0.02 * take.beat(2.2, 0.15, 0.9))
    take.controls["torso"][:, 0] += 0.15 * held


def throw(take: Take, side: int):
    """Draws the hand back behind the head, whips it over the shoulder, follows on."""
    take.arm(
        side,
        [
            (0.0, "hang"),
            (0.2, "~aside"),
            (0.4, "windup"),
            (0.56, "release"),
            (0.72, "follow"),
            (1.0, "hang"),
        ],
    )
    take.arm(
        1 - side, [(0.05, "hang"), (0.36, "forward"), (0.62, "thigh"), (1.0, "hang")]
    )
    twist = [(0.05, 0.0), (0.38, 0.55), (0.6, -0.5), (0.75, -0.45), (1.0, 0.0)]
    take.add("torso", 1, [(u, OUT[side] * value) for u, value in twist])
    take.add("torso", 0, [(0.1, 0.0), (0.36, -0.15), (0.66, 0.35), (1.0, 0.0)])
    take.step(1 - side, 0.18, 0.4, ahead=0.3, height=0.12)
    take.step(1 - side, 0.76, 0.97, height=0.08, push=0.3, toes_up=0.0)
    forward = [(0.15, 0.0), (0.5, 0.2), (0.72, 0.2), (0.97, 0.0)]
    take.add("shift", 2, forward)


def bowl(take: Take, side: int):
    """Swings a straight arm from behind to the front, low, the torso bent."""
    end = ((-0.1, -0.3, 0.9), (0.5, -0.8, -0.3))
    take.arm(side, [(0.05, "hang"), (0.4, "swing_back"), (0.62, end), (1.0, "hang")])
    take.add("torso", 0, [(0.05, 0.0), (0.45, 0.65), (0.65, 0.5), (1.0, 0.0)])
    take.add("shift", 1, [(0.05, 0.0), (0.45, -0.16), (0.65, -0.12), (0.95, 0.0)])
    take.step(1 - side, 0.12, 0.36, ahead=0.35, height=0.1)
    take.step(1 - side, 0.74, 0.96, height=0.08, push=0.3, toes_up=0.0)
    take.add("shift", 2, [(0.1, 0.0), (0.45, 0.22), (0.7, 0.22), (0.96, 0.0)])


def arm_circles(take: Take, side: int):
    """Swings both straight arms in large circles, forward, up, back and down."""
    turns = max(2, round(take.seconds * take.person.pace / 1.3))
    angle = 2 * np.pi * turns * smooth(take.u) - 0.5 * np.pi
    fade = take.hold(0.12, 0.88)[:, None, None]
    size = 0.9
    circle = np.stack(
        [np.full_like(angle, 0.32), size * np.sin(angle), size * np.cos(angle)], -1
    )
    hint = np.stack([np.full_like(angle, 1.0), 0 * angle, 0 * angle], -1)
    for name, goal in (("hands", circle), ("elbows", hint)):
        take.controls[name] += fade * (goal[:, None] - take.controls[name])


def clap(take: Take, side: int):
    """Brings the palms together before the chest again and again."""
    beat = 0.5 - 0.5 * np.cos(2 * np.pi * 1.7 * take.person.pace * take.t)
    middle = take.hold(0.18, 0.85)
    shut, apart = (np.array(ARM_POSES[name][0]) for name in ("clap_shut", "clap_open"))
    for arm in BOTH:
        take.arm(
            arm,
            [(0.0, "hang"), (0.18, "clap_shut"), (0.85, "clap_shut"), (1.0, "hang")],
        )
        swing = (middle * beat)[:, None] * (apart - shut)
        take.controls["hands"][:, arm] += swing


def drink(take: Take, side: int):
    """Lifts a cup to the mouth, tips the head back, lowers it again."""
    cup = ((-0.15, -0.45, 0.5), (0.6, -0.6, -0.5))
    take.arm(
        side,
        [
            (0.0, "hang"),
            (0.2, cup),
            (0.42, "mouth"),
            (0.68, "mouth"),
            (0.85, cup),
            (1.0, "hang"),
        ],
    )
    take.add("head", 0, [(0.36, 0.0), (0.52, -0.4), (0.62, -0.4), (0.75, 0.0)])


def phone(take: Take, side: int):
    """Holds a hand to the ear, the head leaning towards it."""
    take.arm(side, [(0.03, "hang"), (0.22, "~front"), (0.42, "ear"), (1.0, "ear")])
    lean = take.hold(0.45)
    take.controls["head"][:, 2] -= 0.2 * OUT[side] * lean
    take.controls["head"][:, 1] += 0.15 * take.beat(0.4, 0.4, 0.98)


def salute(take: Take, side: int):
    """Brings a flat hand to the brow, holds it, and lowers it."""
    take.arm(side, visit("brow", "front", 0.36, 0.7))
    take.controls["torso"][:, 0] -= 0.06 * take.hold(0.3, 0.8)


def knock(take: Take, side: int):
    """Holds a fist up in front and taps forward with it."""
    take.arm(side, [(0.0, "hang"), (0.25, "knock"), (0.8, "knock"), (1.0, "hang")])
    beat = take.beat(2.4, 0.25, 0.8)
    take.controls["hands"][:, side, 2] += 0.1 * beat
    take.controls["torso"][:, 0] += 0.06 * take.hold(0.25, 0.8)


def flap(take: Take, side: int):
    """Beats both arms up and down at the sides."""
    for arm in BOTH:
        take.arm(arm, [(0.0, "hang"), (0.15, "side"), (0.88, "side"), (1.0, "hang")])
    beat = take.beat(1.2, 0.1, 0.92)
    take.controls["hands"][:, :, 1] += 0.5 * take.person.size * beat[:, None]
    take.controls["hands"][:, :, 0] -= 0.13 * beat[:, None] ** 2
    take.controls["wrists"] -= 0.3 * take.beat(1.2, 0.1, 0.92)[:, None]
    take.controls["shift"][:, 1] -= 0.04 * take.hold(0.15, 0.88)


def cheer(take: Take, side: int):
    """Throws both fists up and pumps them."""
    for arm in BOTH:
        take.arm(arm, visit("fist_up", "front", 0.28, 0.78))
    pump = take.beat(1.5, 0.2, 0.85)
    take.controls["hands"][:, :, 1] += 0.26 * take.person.size * pump[:, None]
    take.controls["head"][:, 0] -= 0.2 * take.hold(0.25, 0.85)
    take.controls["shift"][:, 1] += -0.04 * take.hold(0.2, 0.85) + 0.03 * pump


def taxi(take: Take, side: int):
    """Raises a straight arm high to the front and shakes the hand."""
    pose = ((0.1, 0.75, 0.6), (0.9, -0.4, 0.0))
    take.arm(side, visit(pose, "forward", 0.32, 0.76))
    beat = take.beat(2.0, 0.28, 0.82)
    take.controls["hands"][:, side, 0] += 0.12 * beat
    take.controls["wrists"][:, side] += 0.3 * beat
    take.controls["head"][:, 1] += 0.3 * OUT[side] * take.hold(0.25, 0.85)


def golf(take: Take, side: int):
    """Swings both joined hands from low, up over the right shoulder, to the left."""
    places = (
        (0.0, -0.74, 0.48),
        (-0.62, 0.3, 0.3),
        (0.0, -0.74, 0.52),
        (0.6, 0.4, 0.3),
    )
    for arm in BOTH:
        poses = []
        for left, up, ahead in places:
            out = OUT[arm] * left - 0.34
            poses.append(((out, up, ahead), (0.7, -0.6, -0.2)))
        keys = zip((0.2, 0.46, 0.6, 0.72, 0.82), (*poses, poses[-1]), strict=True)
        take.arm(arm, [(0.0, "hang"), *keys, (0.9, "~front"), (1.0, "hang")])
    take.add(
        "torso", 1, [(0.2, 0.0), (0.46, -0.6), (0.72, 0.65), (0.82, 0.65), (1.0, 0.0)]
    )
    take.add(
        "torso", 0, [(0.0, 0.0), (0.2, 0.45), (0.62, 0.45), (0.78, 0.1), (1.0, 0.0)]
    )
    take.add("pelvis", 0, [(0.0, 0.0), (0.2, 0.2), (0.62, 0.2), (0.78, 0.0)])
    take.add("shift", 1, [(0.0, 0.0), (0.2, -0.06), (0.7, -0.06), (1.0, 0.0)])
    take.add("head", 1, [(0.2, 0.0), (0.46, 0.4), (0.62, -0.2), (1.0, 0.0)])


ARM_MOVES = {
    "wave": wave,
    "wave_both": wave_both,
    "punch": punch,
    "box": box,
    "throw": throw,
    "bowl": bowl,
    "raise_arm": _kept("up", rise=0.6, via=[(0.3, "~forward")]),
    "raise_arms": _kept("up", BOTH, rise=0.6, via=[(0.3, "~forward")]),
    "reach_forward": _kept("forward", BOTH),
    "point": _held("forward"),
    "hands_on_hips": _kept("hip", BOTH, rise=0.3),
    "cross_arms": _kept("crossed", BOTH, rise=0.35),
    "spread_arms": _held("side", BOTH),
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
}
