"""Moves that travel: walking, running, sidestepping, turning, sneaking.

Every move is a function of (take, side) that changes the controls of the take; `side`
is 0 for left, 1 for right, and is ignored by moves without sides.
"""

import numpy as np

from actiongpt_jax.synthetic.rig import ACROSS, AHEAD, BOTH, OUT, PITCH, TURN, UP
from actiongpt_jax.synthetic.take import Take, smooth, visit


def stand(take: Take, side: int):
    """Stays where it is."""


def travel(
    take: Take,
    side: int,
    speed: float = 1.1,
    half_period: float = 0.5,
    direction: float = 0.0,
    turn: float = 0.0,
    height: float = 0.09,
    flight: float = -0.08,
    arms: float = 1.0,
    push: float = 0.5,
    high_steps: tuple[int, ...] = (),
    gather: bool = False,
):
    """Walks, runs or turns with steps.

    Args:
        take: the take to change.
        side: side of the foot that starts.
        speed: metres per second at pace and size 1.
        half_period: seconds from step to step at pace 1.
        direction: direction of travel relative to the heading, radians.
        turn: change of the heading over the whole way, radians.
        height: height to which the swinging foot rises, metres.
        flight: seconds by which a swing is longer than the half period, so that both
            feet are off the floor; if negative, both feet stand for as long.
        arms: factor of the person's arm swing.
        push: angle by which the heel rises before a swing, radians.
        high_steps: numbers of the steps that clear an obstacle, counted from 0.
        gather: whether the second foot stops next to the first instead of passing it.
    """
    person, t = take.person, take.t
    count = max(2, round(take.seconds * person.pace / half_period))
    lead = 0.12  # seconds before the first step, in which the heel rises
    half = (take.seconds - max(flight, 0.0) - 0.03 - lead) / count

    # The path of the body; its speed starts and ends at 0.
    ramp = smooth(t / (1.6 * half)) * smooth((take.seconds - t) / (1.6 * half))
    progress = np.cumsum(ramp)
    take.heading += turn * (progress / progress[-1])
    stride = speed * person.pace * (0.5 + 0.5 * person.size) * ramp * t[1]
    course = take.heading + direction
    way = np.stack([stride * np.cos(course), stride * np.sin(course)], 1)
    take.path += np.cumsum(way, axis=0) - way[0]

    # The steps, left and right in turn.
    double = min(flight, 0.0)
    for number in range(count):
        foot = (side + number) % 2
        start = lead + number * half - double / 2
        end = lead + (number + 1) * half + double / 2 + max(flight, 0.0)
        if number == 0:
            start += 0.05
        # A foot lands where the body will be halfway through the foot's stance.
        after = min(end + max(2 * half - (end - start), 0.0) / 2, take.seconds)
        if gather and foot != side:
            after = end - 0.25 * half
        if number >= count - 2:
            after = take.seconds
        lift = 0.3 if number in high_steps else height
        take.swing(foot, start, end, after, height=lift, push=push)
    _sway(take, side, ramp, np.pi * (t - lead) / half, arms, speed)


def _sway(take, side, ramp, phase, arms, speed):
    """Moves pelvis, torso and arms in time with the steps."""
    first, person = OUT[side], take.person
    swing = min(1.0, abs(speed)) * ramp
    take.shift[:, ACROSS] -= 0.025 * first * np.sin(phase) * ramp
    take.shift[:, UP] -= person.bounce * np.cos(2 * phase) * ramp
    take.pelvis[:, TURN] += 0.07 * first * np.cos(phase) * swing
    take.torso[:, TURN] -= 0.14 * first * np.cos(phase) * swing * arms
    for arm in BOTH:
        # A foot is farthest forward when its swing ends, and so is the opposite arm.
        sign = 1.0 if arm == side else -1.0
        ahead = sign * person.arm_swing * arms * np.cos(phase) * swing
        take.hands[:, arm, AHEAD] += ahead
        take.hands[:, arm, UP] += 0.35 * ahead**2


def run(take: Take, side: int, speed: float):
    """Runs or jogs, with flight between the steps, bent elbows and a forward lean."""
    _run(take, side, speed, lean=0.05 * speed, height=0.16 + 0.06 * speed)


def jog_in_place(take: Take, side: int):
    """Jogs on the spot with swinging arms."""
    _run(take, side, speed=0.0, lean=0.05, height=0.24)
    swing = np.sin(2 * np.pi * take.t / 0.72 * take.person.pace) * take.hold(0.15, 0.85)
    take.hands[:, :, AHEAD] += 0.25 * OUT * swing[:, None]


def _run(take, side, speed, lean, height):
    held = take.hold(0.15, 0.85)
    take.arms(visit("run", 0.15, 0.85))
    take.torso[:, PITCH] += lean * held
    take.shift[:, UP] -= 0.05 * held
    travel(take, side, speed, 0.36, height=height, flight=0.03, arms=1.1, push=0.8)


def march(take: Take, side: int):
    """Walks stiffly with high knees and widely swinging straight arms."""
    travel(take, side, speed=0.7, half_period=0.55, height=0.32, arms=2.6, push=0.3)
    take.torso[:, PITCH] -= 0.06 * smooth(take.u / 0.2)
    take.hands[:, :, UP] -= 0.04


def sneak(take: Take, side: int):
    """Walks slowly and bent forward, with high, careful steps."""
    held = take.hold(0.2, 0.85)
    take.shift[:, UP] -= 0.2 * held
    take.torso[:, PITCH] += 0.55 * held
    take.head[:, PITCH] -= 0.35 * held
    take.arms(visit(((0.05, -0.35, 0.5), (0.6, -0.5, -0.4)), 0.2, 0.85))
    travel(take, side, speed=0.5, half_period=0.72, height=0.2, arms=0.5)


def tiptoe(take: Take, side: int):
    """Walks with small steps on the balls of the feet."""
    held = take.hold(0.15, 0.88)
    take.heel += 0.65 * held[:, None]
    take.shift[:, UP] += 0.06 * held
    take.arms(visit("side_low", 0.2, 0.85))
    travel(take, side, speed=0.4, half_period=0.45, height=0.06, arms=0.1, push=0.1)


def sidestep(take: Take, side: int):
    """Steps sideways without turning the body."""
    way = OUT[side] * np.pi / 2
    travel(take, side, 0.42, half_period=0.48, direction=way, arms=0.2, gather=True)


def _turning(turn: float, **how):
    """Returns a move that turns by `turn` radians to its side while it travels."""

    def move(take: Take, side: int):
        amount = turn * OUT[side]
        travel(take, side, turn=amount * (1 + 0.1 * take.rng.uniform(-1, 1)), **how)

    return move


def _either_foot(move, **how):
    """Returns a move that starts with the person's first foot, or any."""

    def start(take: Take, side: int):
        foot = int(take.rng.integers(2))  # drawn in any case, for what is drawn after
        first = take.person.first_foot
        move(take, foot if first is None else first, **how)

    return start


GAITS = {
    "stand": stand,
    "walk": _either_foot(travel),
    "stroll": _either_foot(travel, speed=0.65, half_period=0.68, arms=0.6),
    "stride": _either_foot(travel, speed=1.6, half_period=0.42, arms=1.4),
    "back": _either_foot(
        travel, speed=0.6, half_period=0.55, direction=np.pi, arms=0.4, push=0.2
    ),
    "jog": _either_foot(run, speed=1.7),
    "run": _either_foot(run, speed=2.6),
    "jog_in_place": _either_foot(jog_in_place),
    "sidestep": sidestep,
    "walk_turn": _turning(np.pi / 2, speed=1.0),
    "circle": _turning(1.9 * np.pi, speed=1.05),
    "turn": _turning(np.pi, speed=0.0, half_period=0.42, height=0.07, arms=0.2),
    "march": _either_foot(march),
    "sneak": _either_foot(sneak),
    "tiptoe": _either_foot(tiptoe),
    "step_over": _either_foot(travel, speed=0.8, half_period=0.62, high_steps=(1, 2)),
}
