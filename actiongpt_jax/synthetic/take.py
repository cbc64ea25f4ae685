"""One action in the making: a time line, a person, controls and footfalls.

A take starts and ends at rest with both feet beside each other under the body; in
between, moves (`moves_gaits`, `moves_legs`, `moves_arms`, `moves_trunk`) write its
controls.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from actiongpt_jax.synthetic import rig

GRAVITY = 9.81

# Where a hand goes (out, up, forward; arm lengths from the shoulder, chest frame) and
# where the elbow points then. "hang" is the person's own.
ARM_POSES = {
    "hip": ((0.06, -0.58, 0.08), (1.0, 0.0, -0.5)),
    "forward": ((-0.08, 0.0, 0.97), (0.5, -1.0, 0.0)),
    "forward_low": ((-0.1, -0.5, 0.8), (0.5, -0.4, -0.6)),
    "side": ((0.97, 0.02, 0.1), (0.0, -0.6, -1.0)),
    "side_low": ((0.75, -0.6, 0.1), (0.2, -0.3, -1.0)),
    "up": ((0.12, 0.97, 0.08), (1.0, 0.0, 0.2)),
    "clasped_up": ((-0.25, 0.93, 0.0), (1.0, 0.0, 0.1)),
    "wave": ((0.42, 0.52, 0.2), (0.8, -0.8, -0.2)),
    "guard": ((-0.12, 0.02, 0.45), (0.4, -1.0, 0.0)),
    "ear": ((-0.16, 0.28, 0.2), (0.8, -0.8, 0.3)),
    "mouth": ((-0.3, 0.12, 0.36), (0.7, -0.9, 0.1)),
    "brow": ((-0.16, 0.4, 0.34), (1.0, -0.3, 0.1)),
    "crossed": ((-0.5, -0.38, 0.42), (0.6, -0.9, -0.1)),
    "clap_open": ((0.15, -0.15, 0.66), (0.7, -0.8, -0.2)),
    "clap_shut": ((-0.31, -0.12, 0.68), (0.7, -0.8, -0.2)),
    "windup": ((0.5, 0.5, -0.42), (1.0, 0.0, -0.4)),
    "release": ((0.08, 0.42, 0.84), (0.8, -0.6, 0.0)),
    "follow": ((-0.45, -0.62, 0.5), (0.6, -0.2, -0.6)),
    "swing_back": ((0.12, -0.8, -0.52), (0.3, 0.3, -1.0)),
    "knock": ((-0.12, 0.15, 0.7), (0.5, -1.0, 0.0)),
    "fist_up": ((0.16, 0.62, 0.3), (0.8, -0.7, 0.3)),
    "thigh": ((-0.05, -0.62, 0.55), (0.6, -0.1, -0.8)),
    "toes": ((-0.12, 0.1, 0.95), (1.0, 0.0, 0.0)),
    "front": ((0.02, -0.42, 0.55), (0.7, -0.6, -0.5)),
    "aside": ((0.62, -0.4, 0.12), (0.5, -0.5, -0.9)),
    "run": ((0.08, -0.5, 0.36), (0.3, -0.4, -1.0)),
}


@dataclasses.dataclass(frozen=True)
class Person:
    """How one person moves.

    Attributes:
        pace: multiplies speeds and frequencies.
        size: multiplies how large movements are.
        stance: half the distance between the feet, metres.
        turnout: how far the feet point outwards, radians.
        lean: (pitch, turn, lean) of the torso at rest, radians.
        nod: the same for the head.
        hang: (out, up, forward) of a hand at rest, arm lengths.
        arm_swing: of a step, arm lengths.
        bounce: of a step, metres.
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


def draw_person(rng: np.random.Generator) -> Person:
    """Draws a person's style."""
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
    """The same person on another occasion: pace and size change by up to 8 %."""
    return dataclasses.replace(
        person,
        pace=person.pace * rng.uniform(0.92, 1.08),
        size=person.size * rng.uniform(0.92, 1.08),
    )


@dataclasses.dataclass(frozen=True)
class Step:
    """One swing of a foot: times in seconds, place in metres, angles in radians."""

    start: float
    end: float
    place: tuple[float, float]
    yaw: float
    height: float = 0.1
    push: float = 0.5
    toes_up: float = 0.15


def smooth(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and a curve with level ends and no jerks between."""
    x = np.clip(x, 0.0, 1.0)
    return x**3 * (10 - 15 * x + 6 * x**2)


def visit(
    pose: str | tuple, via: str, rise: float, fall: float, end: float = 1.0
) -> list[tuple[float, str | tuple]]:
    """Keys for `Take.arm` to a pose and back, both ways past `via`; times in u."""
    return [
        (0.02, "hang"),
        (0.02 + 0.5 * rise, f"~{via}"),
        (rise, pose),
        (fall, pose),
        (0.5 * (fall + end), f"~{via}"),
        (end, "hang"),
    ]


class Take:
    """The controls of one action in its own frame: starts at 0, looking along +x.

    Attributes:
        t: (T,) seconds.
        u: (T,) the same from 0 to 1.
        path, heading, controls: as in `rig.Track`.
        steps: of the left and of the right foot, in order of time.
    """

    def __init__(
        self, seconds: float, fps: float, person: Person, rng: np.random.Generator
    ):
        """Makes a take in which the person just stands."""
        frames = max(2, round(seconds * fps))
        self.t = np.arange(frames) / fps
        self.seconds = float(self.t[-1])
        self.u = self.t / self.seconds
        self.person, self.rng = person, rng
        self.path = np.zeros((frames, 2))
        self.heading = np.zeros(frames)
        self.steps: tuple[list[Step], list[Step]] = ([], [])
        self.controls = {
            name: np.zeros((frames, *shape)) for name, shape in rig.CONTROLS.items()
        }
        self.controls["torso"] += person.lean
        self.controls["head"] += person.nod
        self.controls["hands"] += person.hang
        self.controls["elbows"] += (0.12, 0.0, -1.0)

    def curve(self, keys: list[tuple[float, float]]) -> np.ndarray:
        """(T,) smooth curve through (u, value) keys, level before and after."""
        times, values = zip(*keys, strict=True)
        return PchipInterpolator(times, values)(np.clip(self.u, times[0], times[-1]))

    def add(self, name: str, axis: int | tuple, keys: list[tuple[float, float]]):
        """Adds a curve to one number of a control."""
        index = axis if isinstance(axis, tuple) else (axis,)
        self.controls[name][(slice(None), *index)] += self.curve(keys)

    def hold(self, rise: float = 0.2, fall: float | None = None) -> np.ndarray:
        """(T,) that rises to 1 until u = rise, and from u = fall sinks again."""
        up = smooth(self.u / rise)
        return up if fall is None else up * smooth((1 - self.u) / (1 - fall))

    def arm(self, side: int, keys: Sequence[tuple[float, str | tuple]]):
        """Leads a hand through poses: (u, name of ARM_POSES or (hand, elbow)).

        Between two keys the hand eases from one to the other and rests at each; it
        passes one marked "~" without a rest. "hang" is what the arm did before.
        """
        times = [u for u, _ in keys]
        passing = [isinstance(pose, str) and pose[0] == "~" for _, pose in keys]
        stages = [
            self._arm_pose(pose[1:] if passes else pose, side)
            for (_, pose), passes in zip(keys, passing, strict=True)
        ]
        total = stages[0].copy()
        for i in range(len(keys) - 1):
            start, end = times[i], times[i + 1]
            if passing[i]:
                start -= 0.5 * (times[i] - times[i - 1])
            if passing[i + 1]:
                end += 0.5 * (times[i + 2] - times[i + 1])
            share = smooth((self.u - start) / (end - start))[:, None]
            total += share * (stages[i + 1] - stages[i])
        self.controls["hands"][:, side] = total[:, :3]
        self.controls["elbows"][:, side] = total[:, 3:]

    def _arm_pose(self, pose, side):
        """(T, 6) hand and elbow of a pose; "hang" is what the arm did before."""
        if isinstance(pose, str) and pose == "hang":
            return np.concatenate(
                [self.controls["hands"][:, side], self.controls["elbows"][:, side]], 1
            )
        hand, elbow = ARM_POSES[pose] if isinstance(pose, str) else pose
        rest = np.array(self.person.hang)
        length = np.linalg.norm(hand)
        hand = rest + min(self.person.size, 1.05) * (np.array(hand) - rest)
        hand *= length / np.linalg.norm(hand)  # a straight arm stays straight
        return np.tile(np.concatenate([hand, elbow]), (len(self.t), 1))

    def beat(self, hertz: float, start: float, end: float) -> np.ndarray:
        """(T,) sine of the person's pace that fades in and out at u = start, end."""
        fade = smooth((self.u - start) / 0.12) * smooth((end - self.u) / 0.12)
        seconds = self.t - start * self.seconds
        return fade * np.sin(2 * np.pi * hertz * self.person.pace * seconds)

    def stance(self, side: int, at: float) -> tuple[tuple[float, float], float]:
        """Place and yaw of a foot that stands beside the body at time `at`."""
        heading = float(np.interp(at, self.t, self.heading))
        centre = [float(np.interp(at, self.t, self.path[:, i])) for i in (0, 1)]
        out = rig.OUT[side] * self.person.stance
        ahead = 0.065  # the balls of the feet are ahead of the pelvis
        place = (
            centre[0] + ahead * np.cos(heading) - out * np.sin(heading),
            centre[1] + ahead * np.sin(heading) + out * np.cos(heading),
        )
        return place, heading + rig.OUT[side] * (self.person.turnout - 0.2)

    def step(self, side: int, start: float, end: float, ahead=0.0, out=0.0, **how):
        """Sets a foot down `ahead` and `out` of its stance; times in u."""
        (x, y), yaw = self.stance(side, end * self.seconds)
        heading = float(np.interp(end * self.seconds, self.t, self.heading))
        out *= rig.OUT[side]
        place = (
            x + ahead * np.cos(heading) - out * np.sin(heading),
            y + ahead * np.sin(heading) + out * np.cos(heading),
        )
        start, end = start * self.seconds, end * self.seconds
        self.steps[side].append(Step(start, end, place, yaw, **how))

    def leap(
        self, start: float, off: float, land: float, end: float, crouch: float, feet
    ):
        """Moves the pelvis through a jump: crouch, ballistic flight, landing.

        Times are seconds; the feet that fly need a `Step` from off to land.
        """
        speed = GRAVITY * (land - off) / 2
        tiptoe = 0.05 if len(feet) == 2 else 0.03
        low = start + 0.6 * (off - start), land + 0.45 * (end - land)
        spline = CubicHermiteSpline(
            [start, low[0], off, land, low[1], end],
            [0.0, -crouch, tiptoe, tiptoe, -0.7 * crouch, 0.0],
            [0.0, 0.0, speed, -speed, 0.0, 0.0],
        )
        inside = (self.t >= start) & (self.t <= end)
        self.controls["shift"][inside, 1] += spline(self.t[inside])

    def finish(self) -> rig.Track:
        """Lays out the footfalls and returns the controls."""
        ball, yaw, pitch, contact = zip(
            *(self._footfalls(side) for side in (0, 1)), strict=True
        )
        contact = np.stack(contact, 1) & (self.controls["lift"] == 0.0)
        return rig.Track(
            path=self.path,
            heading=self.heading,
            ball=np.stack(ball, 1),
            foot_yaw=np.stack(yaw, 1),
            foot_pitch=np.stack(pitch, 1),
            contact=contact,
            controls=self.controls,
        )

    def _footfalls(self, side):
        place, angle = self.stance(side, 0.0)
        ball = np.tile([*place, rig.BALL_HEIGHT], (len(self.t), 1))
        yaw, pitch = np.full(len(self.t), angle), np.zeros(len(self.t))
        contact = np.ones(len(self.t), bool)
        free_from = 0.0
        for step in self.steps[side]:
            share = (self.t - step.start) / (step.end - step.start)
            inside = (share > 0) & (share < 1)
            share = np.clip(share, 0.0, 1.0)
            ease = (3 - 2 * share) * share**2
            ball[:, :2] += ease[:, None] * (np.array(step.place) - np.array(place))
            ball[:, 2] += step.height * np.sin(np.pi * share) ** 2
            yaw += ease * (step.yaw - angle)
            lifted = max(step.start - 0.22, free_from)
            keys = [(lifted, 0.0), (max(step.start, lifted + 0.02), step.push)]
            keys += [(step.start + 0.65 * (step.end - step.start), -step.toes_up)]
            keys += [(step.end, 0.0)]
            times, values = zip(*keys, strict=True)
            pitch += PchipInterpolator(times, values)(np.clip(self.t, *times[::3]))
            contact &= ~inside
            place, angle, free_from = step.place, step.yaw, step.end
        return ball, yaw, pitch, contact
