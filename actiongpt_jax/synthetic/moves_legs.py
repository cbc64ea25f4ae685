"""Moves of the legs and the pelvis: jumps, squats, kneeling, sitting, kicks.

Every move is a function of (take, side) that writes into the take; `side` is 0 for
left, 1 for right and means nothing to moves without sides.
"""

import functools

import numpy as np

from actiongpt_jax.synthetic.rig import OUT, STAND_HEIGHT
from actiongpt_jax.synthetic.take import Step, Take, smooth

PELVIS_ON_CHAIR = 0.5  # metres


def jump(take: Take, side: int, forward: float = 0.0, crouch: float = 0.28):
    """Crouches, swings the arms, flies with both feet, lands in the knees."""
    size = take.person.size
    flight = (0.42 if not forward else 0.36) * np.sqrt(size)
    off = 0.45 * take.seconds
    land = off + flight
    take.leap(
        0.08 * take.seconds, off, land, 0.93 * take.seconds, crouch * size, (0, 1)
    )
    take.path[:, 0] += forward * size * smooth((take.t - off + 0.3) / (flight + 0.5))
    for foot in (0, 1):
        place, yaw = take.stance(foot, take.seconds)
        step = Step(off, land, place, yaw, 0.12 * flight / 0.4 + 0.1, 0.7, -0.2)
        take.steps[foot].append(step)
    bow = [(0.05, 0.0), (0.3, 0.5), (0.47, 0.0), (0.72, 0.35), (0.95, 0.0)]
    take.add("torso", 0, bow)
    take.add("pelvis", 0, [(u, 0.6 * value) for u, value in bow])
    keys = [(0.05, "hang"), (0.26, "swing_back"), (0.48, "forward"), (0.85, "hang")]
    if not forward:
        keys[2:] = [(0.38, "~forward"), (0.5, "up"), (0.66, "~forward"), (0.9, "hang")]
    for arm in (0, 1):
        take.arm(arm, keys)


def frog(take: Take, side: int):
    """Jumps forward out of a deep squat with the hands between the knees."""
    jump(take, side, forward=0.7, crouch=0.42)
    pose = ((-0.15, -0.85, 0.45), (0.9, 0.0, -0.3))
    for arm in (0, 1):
        take.arm(
            arm,
            [
                (0.0, "hang"),
                (0.25, pose),
                (0.5, "forward_low"),
                (0.7, pose),
                (1.0, "hang"),
            ],
        )


def hop(take: Take, side: int):
    """Hops on one leg, the other knee bent."""
    other = 1 - side
    _stand_on(take, side, 0.12, 0.88)
    lift = smooth(take.u / 0.15) * smooth((1 - take.u) / 0.15)
    take.controls["lift"][:, other] = lift
    take.controls["leg"][:, other] = (0.55, 0.05, 1.5, 0.4)
    start, end = 0.17 * take.seconds, 0.85 * take.seconds
    count = max(2, round((end - start) * take.person.pace / 0.6))
    period, flight = (end - start) / count, 0.24
    for number in range(count):
        begin = start + number * period
        off = begin + 0.6 * (period - flight)
        land = off + flight
        advance = smooth((take.t - off + 0.1) / (flight + 0.2))
        take.path[:, 0] += 0.14 * take.person.size * advance
        take.leap(begin, off, land, begin + period, 0.08, (side,))
    for number in range(count):
        off = start + number * period + 0.6 * (period - flight)
        place, yaw = take.stance(side, off + flight + 0.1)
        if number == count - 1:
            place, yaw = take.stance(side, take.seconds)
        take.steps[side].append(Step(off, off + flight, place, yaw, 0.1, 0.5, 0.0))
    place, yaw = take.stance(other, take.seconds)
    take.steps[other].append(Step(start, end, place, yaw, 0.1, 0.0, 0.0))
    for arm in (0, 1):
        take.arm(
            arm, [(0.0, "hang"), (0.2, "side_low"), (0.8, "side_low"), (1.0, "hang")]
        )


def jacks(take: Take, side: int):
    """Jumps the feet apart and together while the arms go up and down."""
    count = 2 * max(1, round(take.seconds * take.person.pace / 1.1))
    period = 0.96 * take.seconds / count
    flight = min(0.2, 0.4 * period)
    spread = np.zeros(len(take.t))
    for number in range(count):
        begin = number * period
        off, opens = begin + 0.55 * (period - flight), number % 2 == 0
        take.leap(begin, off, off + flight, begin + period, 0.07, (0, 1))
        ease = smooth((take.t - off + 0.08) / (flight + 0.16))
        spread += ease if opens else -ease
        for foot in (0, 1):
            out = 0.22 * take.person.size if opens else 0.0
            times = off / take.seconds, (off + flight) / take.seconds
            take.step(foot, *times, out=out, height=0.08, push=0.4, toes_up=0.0)
    side_pose, top = np.array((0.97, 0.02, 0.1)), np.array((0.15, 0.95, 0.0))
    rest = np.array(take.person.hang)
    way = np.stack([(1 - spread) ** 2, 2 * spread * (1 - spread), spread**2], 1)
    hands = way @ np.stack([rest, 2 * side_pose - (rest + top) / 2, top])
    hands *= 0.95 / np.linalg.norm(hands, axis=1, keepdims=True)
    hands += ((1 - spread) ** 4)[:, None] * (rest - hands)
    take.controls["hands"][:] = hands[:, None]
    take.controls["elbows"][:] += spread[:, None, None] * np.array((0.3, -0.3, 0.4))


def squat(take: Take, side: int):
    """Bends hips and knees until the thighs are level, then stands up again."""
    depth = min(1.0, take.person.size)
    down = take.curve([(0.02, 0.0), (0.42, depth), (0.55, depth), (0.97, 0.0)])
    take.controls["shift"] += down[:, None] * np.array((0.0, -0.4, -0.16))
    take.controls["torso"][:, 0] += 0.45 * down
    take.controls["pelvis"][:, 0] += 0.4 * down
    take.controls["head"][:, 0] -= 0.45 * down
    for arm in (0, 1):
        pose = ((-0.05, -0.25, 0.9), (0.5, -1.0, 0.0))
        take.arm(arm, [(0.05, "hang"), (0.4, pose), (0.58, pose), (0.95, "hang")])


def lunge(take: Take, side: int):
    """Steps far forward, sinks until the front thigh is level, steps back."""
    size = take.person.size
    take.step(side, 0.08, 0.3, ahead=0.62 * size, height=0.14)
    take.step(side, 0.72, 0.93, height=0.14, push=0.3, toes_up=0.0)
    down = take.curve([(0.1, 0.0), (0.45, 1.0), (0.6, 1.0), (0.88, 0.0)])
    forward = take.curve([(0.06, 0.0), (0.38, 1.0), (0.66, 1.0), (0.92, 0.0)])
    take.controls["shift"][:, 2] += 0.3 * size * forward
    take.controls["shift"][:, 1] -= 0.3 * size * down
    take.controls["heel"][:, 1 - side] += 0.95 * forward
    take.controls["torso"][:, 0] += 0.1 * down
    for arm in (0, 1):
        take.arm(arm, [(0.05, "hang"), (0.3, "hip"), (0.7, "hip"), (0.97, "hang")])


def kneel(take: Take, side: int):
    """Sets one foot back, lowers that knee to the floor, and rises again."""
    take.step(side, 0.06, 0.26, ahead=-0.68, height=0.08)
    take.step(side, 0.76, 0.95, height=0.1, push=0.5)
    down = take.curve([(0.1, 0.0), (0.42, 1.0), (0.64, 1.0), (0.9, 0.0)])
    back = take.curve([(0.06, 0.0), (0.36, 1.0), (0.68, 1.0), (0.94, 0.0)])
    take.controls["shift"][:, 2] -= 0.28 * back
    take.controls["shift"][:, 1] -= 0.42 * down
    take.controls["heel"][:, side] += 1.15 * take.curve(
        [(0.1, 0.0), (0.36, 1.0), (0.66, 1.0), (0.76, 0.3), (0.9, 0.0)]
    )
    take.controls["torso"][:, 0] += 0.12 * down
    front = 1 - side
    pose = ((-0.05, -0.45, 0.62), (0.6, -0.3, -0.6))
    take.arm(front, [(0.1, "hang"), (0.4, pose), (0.65, pose), (0.92, "hang")])


def _seat(take: Take, down: np.ndarray, lean: np.ndarray):
    drop = STAND_HEIGHT - PELVIS_ON_CHAIR
    take.controls["shift"] += down[:, None] * np.array((0.0, -drop, -0.42))
    take.controls["torso"][:, 0] += 0.5 * lean
    take.controls["pelvis"][:, 0] += 0.45 * lean - 0.1 * down
    take.controls["head"][:, 0] -= 0.3 * lean


def sit(take: Take, side: int):
    """Leans forward, lowers the hips back onto a chair, and stays there."""
    down = take.curve([(0.08, 0.0), (0.65, 1.0), (1.0, 1.0)])
    _seat(take, down, take.curve([(0.02, 0.0), (0.4, 1.0), (0.85, 0.0)]))
    for arm in (0, 1):
        take.arm(arm, [(0.1, "hang"), (0.75, "thigh"), (1.0, "thigh")])


def rise(take: Take, side: int):
    """Starts seated, leans forward and stands up."""
    down = take.curve([(0.0, 1.0), (0.2, 1.0), (0.85, 0.0), (1.0, 0.0)])
    _seat(take, down, take.curve([(0.05, 0.0), (0.45, 1.0), (0.9, 0.0)]))
    for arm in (0, 1):
        take.arm(arm, [(0.0, "thigh"), (0.25, "thigh"), (0.9, "hang")])


def _stand_on(take: Take, side: int, start: float, end: float):
    """Puts the weight on one foot from u = start to end."""
    held = smooth(take.u / start) * smooth((1 - take.u) / (1 - end))
    take.controls["shift"][:, 0] += OUT[side] * 0.85 * take.person.stance * held
    take.controls["torso"][:, 2] += OUT[side] * 0.04 * held


def _raise_leg(take: Take, side: int, start: float, end: float, **keys):
    """Hands a leg to joint angles between u = start and end."""
    ramp = 0.13
    lift = smooth((take.u - start) / ramp) * smooth((end - take.u) / ramp)
    take.controls["lift"][:, side] = lift
    for axis, name in enumerate(("flexion", "abduction", "knee", "point")):
        if name in keys:
            take.add("leg", (side, axis), keys[name])
    _stand_on(take, 1 - side, start, end)


def kick_forward(take: Take, side: int):
    """Draws up the knee and snaps the shin forward."""
    size, other = take.person.size, 1 - side
    _raise_leg(
        take,
        side,
        0.16,
        0.9,
        flexion=[
            (0.16, 0.2),
            (0.38, 1.05),
            (0.5, 1.45 * size),
            (0.66, 0.9),
            (0.9, 0.1),
        ],
        knee=[(0.16, 0.3), (0.36, 1.6), (0.5, 0.12), (0.66, 1.3), (0.9, 0.25)],
        point=[(0.16, 0.0), (0.5, 0.5), (0.8, 0.0)],
    )
    take.add("torso", 0, [(0.2, 0.0), (0.5, -0.22), (0.85, 0.0)])
    take.add("pelvis", 0, [(0.2, 0.0), (0.5, -0.18), (0.85, 0.0)])
    take.arm(other, [(0.1, "hang"), (0.48, "forward_low"), (0.9, "hang")])
    take.arm(side, [(0.1, "hang"), (0.48, "swing_back"), (0.9, "hang")])


def kick_side(take: Take, side: int):
    """Draws up the knee and drives the foot out to the side."""
    size = take.person.size
    _raise_leg(
        take,
        side,
        0.16,
        0.9,
        flexion=[(0.16, 0.2), (0.36, 0.9), (0.52, 0.15), (0.68, 0.6), (0.9, 0.1)],
        abduction=[
            (0.16, 0.0),
            (0.36, 0.35),
            (0.52, 1.15 * size),
            (0.7, 0.4),
            (0.9, 0.0),
        ],
        knee=[(0.16, 0.3), (0.36, 1.6), (0.52, 0.12), (0.68, 1.3), (0.9, 0.25)],
    )
    away = [(0.2, 0.0), (0.52, 1.0), (0.85, 0.0)]
    take.add("torso", 2, [(u, 0.42 * OUT[side] * value) for u, value in away])
    take.add("pelvis", 2, [(u, 0.25 * OUT[side] * value) for u, value in away])
    for arm in (0, 1):
        take.arm(arm, [(0.1, "hang"), (0.35, "guard"), (0.75, "guard"), (1.0, "hang")])


def raise_knee(take: Take, side: int):
    """Lifts a bent knee to hip height and sets it down."""
    top = 1.5 * take.person.size
    _raise_leg(
        take,
        side,
        0.15,
        0.9,
        flexion=[(0.15, 0.2), (0.42, top), (0.62, top), (0.9, 0.1)],
        knee=[(0.15, 0.3), (0.42, 1.55), (0.62, 1.55), (0.9, 0.25)],
    )


def balance(take: Take, side: int):
    """Stands on the leg of `side`, the other foot near the knee, arms spread."""
    _raise_leg(
        take,
        1 - side,
        0.12,
        0.93,
        flexion=[(0.12, 0.2), (0.32, 0.85), (0.76, 0.85), (0.93, 0.1)],
        abduction=[(0.12, 0.0), (0.32, 0.35), (0.76, 0.35), (0.93, 0.0)],
        knee=[(0.12, 0.3), (0.32, 1.75), (0.76, 1.75), (0.93, 0.25)],
    )
    for arm in (0, 1):
        take.arm(arm, [(0.05, "hang"), (0.3, "side"), (0.8, "side"), (1.0, "hang")])
    take.controls["torso"][:, 2] += 0.05 * take.beat(0.6, 0.25, 0.85)


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
    "kick": kick_forward,
    "kick_side": kick_side,
    "raise_knee": raise_knee,
    "balance": balance,
}
