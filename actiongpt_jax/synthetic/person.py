"""The style in which a person of the synthetic corpus moves."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Person:
    """The style in which one person moves.

    Attributes:
        pace: factor of speeds and frequencies.
        size: factor of the extent of movements.
        stance: half the distance between the feet, metres.
        turnout: how far the feet point outwards, radians.
        lean: (pitch, turn, lean) of the torso at rest, radians.
        nod: (pitch, turn, lean) of the head at rest, radians.
        hang: (out, up, forward) position of a hand at rest, arm lengths.
        arm_swing: how far a hand swings forward with a step, arm lengths.
        bounce: how far the pelvis rises and sinks with a step, metres.
        first_foot: foot with which gaits begin, 0 for left and 1 for right; None draws
            one each time.
    """

    pace: float
    size: float
    stance: float
    turnout: float
    lean: tuple[float, float, float]
    nod: tuple[float, float, float]
    hang: tuple[float, float, float]
    arm_swing: float
    bounce: float
    first_foot: int | None = None


def draw_person(rng: np.random.Generator) -> Person:
    """Draws the style of a person at random."""
    return Person(
        pace=rng.uniform(0.85, 1.12),
        size=rng.uniform(0.82, 1.1),
        stance=rng.uniform(0.085, 0.125),
        turnout=rng.uniform(0.05, 0.2),
        lean=(rng.uniform(-0.04, 0.1), rng.normal(0, 0.02), rng.normal(0, 0.02)),
        nod=(rng.uniform(-0.08, 0.15), rng.normal(0, 0.04), rng.normal(0, 0.03)),
        hang=(rng.uniform(0.12, 0.28), -0.91, rng.uniform(0.0, 0.16)),
        arm_swing=rng.uniform(0.2, 0.4),
        bounce=rng.uniform(0.008, 0.02),
    )


def jitter(person: Person, rng: np.random.Generator) -> Person:
    """Returns the person on another occasion: pace and size vary by up to 8 %."""
    return dataclasses.replace(
        person,
        pace=person.pace * rng.uniform(0.92, 1.08),
        size=person.size * rng.uniform(0.92, 1.08),
    )
