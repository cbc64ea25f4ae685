"""A take: the time line, controls and steps of one action being animated.

A take starts and ends at rest, with both feet next to each other under the body. In
between, moves (`moves_gaits`, `moves_legs`, `moves_arms`, `moves_trunk`) write its
controls.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from actiongpt_jax.synthetic.person import Person
from actiongpt_jax.synthetic.rig import (
    BALL_HEIGHT,
    BOTH,
    CONTROLS,
    OUT,
    UP,
    Controls,
    Track,
)

GRAVITY = 9.81

Pose = tuple[tuple[float, float, float], tuple[float, float, float]]
# Position of a hand (out, up, forward; arm lengths from the shoulder, chest frame) and
# direction of the elbow. The pose "hang" is not listed: it depends on the person.
ARM_POSES: dict[str, Pose] = {
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
class Step:
    """One step of a foot; times in seconds, lengths in metres, angles in radians.

    Attributes:
        start: time at which the foot leaves the floor.
        end: time at which it lands.
        place: ground position at which the ball of the foot lands.
        yaw: heading of the foot after landing.
        height: height to which the foot rises.
        push: angle by which the heel rises before the foot leaves the floor.
        toes_up: angle by which the toes are raised before landing.
    """

    start: float
    end: float
    place: tuple[float, float]
    yaw: float
    height: float = 0.1
    push: float = 0.5
    toes_up: float = 0.15


def smooth(x: np.ndarray) -> np.ndarray:
    """Returns 0 below 0, 1 above 1, and in between a smooth curve with level ends."""
    x = np.clip(x, 0.0, 1.0)
    return x**3 * (10 - 15 * x + 6 * x**2)


def visit(
    pose: str | Pose, rise: float, fall: float, start: float = 0.0, end: float = 1.0
) -> dict[float, str | Pose]:
    """Returns keys for `Take.arm`: a pose held from u = rise to u = fall, and back."""
    return {start: "hang", rise: pose, fall: pose, end: "hang"}


def visit_past(
    via: str, pose: str | Pose, rise: float, fall: float
) -> dict[float, str | Pose]:
    """Returns keys as `visit` does, passing the pose `via` on both ways."""
    back = {0.5 * (fall + 1.0): f"~{via}", 1.0: "hang"}
    return {0.02: "hang", 0.02 + 0.5 * rise: f"~{via}", rise: pose, fall: pose, **back}


class Take(Controls):
    """The controls of one action, which starts at the origin, facing along +x.

    Attributes:
        t: (T,) time of each frame, seconds.
        u: (T,) time of each frame as a fraction of the duration, from 0 to 1.
        seconds: duration.
        person: who performs the action.
        rng: random numbers of this performance.
        path, heading: as in `rig.Track`.
        steps: steps of the left and of the right foot, in order of time.
    """

    def __init__(
        self, seconds: float, fps: float, person: Person, rng: np.random.Generator
    ):
        """Makes a take in which the person stands still."""
        frames = max(2, round(seconds * fps))
        pair = np.ones((frames, 2, 1))
        super().__init__(
            shift=np.zeros((frames, 3)),
            pelvis=np.zeros((frames, 3)),
            torso=np.tile(person.lean, (frames, 1)),
            head=np.tile(person.nod, (frames, 1)),
            hands=pair * person.hang,
            elbows=pair * (0.12, 0.0, -1.0),
            wrists=np.zeros((frames, 2)),
            shoulders=np.zeros((frames, 2)),
            lift=np.zeros((frames, 2)),
            leg=np.zeros((frames, 2, 4)),
            heel=np.zeros((frames, 2)),
        )
        self.t = np.arange(frames) / fps
        self.seconds = float(self.t[-1])
        self.u = self.t / self.seconds
        self.person, self.rng = person, rng
        self.path = np.zeros((frames, 2))
        self.heading = np.zeros(frames)
        self.steps: tuple[list[Step], list[Step]] = ([], [])

    def curve(self, keys: Mapping[float, float], scale: float = 1.0) -> np.ndarray:
        """Returns a (T,) smooth curve through {u: value}, constant outside the keys."""
        times, values = list(keys), scale * np.array(list(keys.values()))
        return PchipInterpolator(times, values)(np.clip(self.u, times[0], times[-1]))

    def hold(self, rise: float, fall: float) -> np.ndarray:
        """Returns (T,) weights that reach 1 at u = rise and fall after u = fall."""
        return smooth(self.u / rise) * smooth((1 - self.u) / (1 - fall))

    def beat(self, hertz: float, start: float, end: float) -> np.ndarray:
        """Returns a (T,) sine at the person's pace, faded at u = start and u = end."""
        fade = smooth((self.u - start) / 0.12) * smooth((end - self.u) / 0.12)
        seconds = self.t - start * self.seconds
        return fade * np.sin(2 * np.pi * hertz * self.person.pace * seconds)

    def arm(self, side: int, keys: Mapping[float, str | Pose]) -> None:
        """Moves a hand through poses: {u: name in ARM_POSES or (hand, elbow)}.

        Between two keys, the hand eases from one pose to the other. It stops at each
        pose, except those whose name begins with "~". The pose "hang" is the motion
        that the arm had before this call.
        """
        times = list(keys)
        passing = [str(pose).startswith("~") for pose in keys.values()]
        stages = [self._arm_pose(side, pose) for pose in keys.values()]
        total = stages[0].copy()
        for i in range(len(keys) - 1):
            start, end = times[i], times[i + 1]
            if passing[i]:
                start -= 0.5 * (times[i] - times[i - 1])
            if passing[i + 1]:
                end += 0.5 * (times[i + 2] - times[i + 1])
            share = smooth((self.u - start) / (end - start))[:, None]
            total += share * (stages[i + 1] - stages[i])
        self.hands[:, side], self.elbows[:, side] = total[:, :3], total[:, 3:]

    def arms(self, keys: Mapping[float, str | Pose]) -> None:
        """Moves both hands through the same poses, mirrored; see `arm`."""
        for side in BOTH:
            self.arm(side, keys)

    def _arm_pose(self, side, pose):
        """Returns (T, 6) hand position and elbow direction of a pose."""
        if isinstance(pose, str):
            pose = pose.removeprefix("~")
            if pose == "hang":
                return np.hstack([self.hands[:, side], self.elbows[:, side]])
            pose = ARM_POSES[pose]
        hand, elbow = pose
        rest = np.array(self.person.hang)
        length = np.linalg.norm(hand)
        hand = rest + min(self.person.size, 1.05) * (np.array(hand) - rest)
        hand *= length / np.linalg.norm(hand)  # so that a straight arm stays straight
        return np.tile(np.concatenate([hand, elbow]), (len(self.t), 1))

    def stance(self, side: int, at: float) -> tuple[tuple[float, float], float]:
        """Returns place and yaw of a foot under the body at time `at`, seconds."""
        heading = float(np.interp(at, self.t, self.heading))
        centre = [float(np.interp(at, self.t, self.path[:, i])) for i in (0, 1)]
        ahead = 0.065  # the balls of the feet are ahead of the pelvis
        place = _offset(centre, heading, ahead, OUT[side] * self.person.stance)
        return place, heading + OUT[side] * (self.person.turnout - 0.2)

    def swing(
        self,
        side: int,
        start: float,
        end: float,
        at: float,
        ahead: float = 0.0,
        out: float = 0.0,
        **how: float,
    ) -> None:
        """Adds a step to the stance of a foot, or to a place next to it.

        Args:
            side: 0 for the left foot, 1 for the right.
            start: time at which the foot leaves the floor, seconds.
            end: time at which the foot lands, seconds.
            at: time at which the body is over the stance, seconds.
            ahead: distance of the place in front of the stance, metres.
            out: distance of the place outwards from the stance, metres.
            **how: `height`, `push` and `toes_up` of the `Step`.
        """
        place, yaw = self.stance(side, at)
        heading = float(np.interp(at, self.t, self.heading))
        place = _offset(place, heading, ahead, OUT[side] * out)
        self.steps[side].append(Step(start, end, place, yaw, **how))

    def step(self, side: int, start: float, end: float, **how: float) -> None:
        """Adds a step as `swing` does, with times in u and the stance of its end."""
        start, end = start * self.seconds, end * self.seconds
        self.swing(side, start, end, end, **how)

    def leap(
        self, times: tuple[float, ...], crouch: float, tiptoe: float = 0.05
    ) -> None:
        """Moves the pelvis through a jump: crouch, ballistic flight, landing.

        The feet that leave the floor need a `swing` from take-off to landing.

        Args:
            times: start of the crouch, take-off, landing and end, seconds.
            crouch: how far the pelvis sinks, metres.
            tiptoe: height of the pelvis at take-off above standing height, metres.
        """
        start, off, land, end = times
        speed = GRAVITY * (land - off) / 2
        low = start + 0.6 * (off - start), land + 0.45 * (end - land)
        spline = CubicHermiteSpline(
            [start, low[0], off, land, low[1], end],
            [0.0, -crouch, tiptoe, tiptoe, -0.7 * crouch, 0.0],
            [0.0, 0.0, speed, -speed, 0.0, 0.0],
        )
        inside = (self.t >= start) & (self.t <= end)
        self.shift[inside, UP] += spline(self.t[inside])

    def finish(self) -> Track:
        """Returns all controls, with the feet computed from the steps."""
        left, right = (self._footfalls(side) for side in BOTH)
        ball, yaw, pitch, contact = (
            np.stack(pair, 1) for pair in zip(left, right, strict=True)
        )
        return Track(
            **{name: getattr(self, name) for name in CONTROLS},
            path=self.path,
            heading=self.heading,
            ball=ball,
            foot_yaw=yaw,
            foot_pitch=pitch,
            contact=contact & (self.lift == 0.0),
        )

    def _footfalls(self, side):
        """Returns ball, yaw, pitch and contact of one foot; see `rig.Track`."""
        place, angle = self.stance(side, 0.0)
        ball = np.tile([*place, BALL_HEIGHT], (len(self.t), 1))
        yaw, pitch = np.full(len(self.t), angle), np.zeros(len(self.t))
        contact = np.ones(len(self.t), bool)
        free_from = 0.0
        for step in self.steps[side]:
            share = (self.t - step.start) / (step.end - step.start)
            contact &= (share <= 0) | (share >= 1)
            share = np.clip(share, 0.0, 1.0)
            ease = (3 - 2 * share) * share**2
            ball[:, :2] += ease[:, None] * (np.array(step.place) - np.array(place))
            ball[:, 2] += step.height * np.sin(np.pi * share) ** 2
            yaw += ease * (step.yaw - angle)
            lifted = max(step.start - 0.22, free_from)
            times = [lifted, max(step.start, lifted + 0.02)]
            times += [step.start + 0.65 * (step.end - step.start), step.end]
            roll = PchipInterpolator(times, [0.0, step.push, -step.toes_up, 0.0])
            pitch += roll(np.clip(self.t, lifted, step.end))
            place, angle, free_from = step.place, step.yaw, step.end
        return ball, yaw, pitch, contact


def _offset(place, heading, ahead, left):
    """Returns the place `ahead` and `left` metres from a place, facing `heading`."""
    return (
        place[0] + ahead * np.cos(heading) - left * np.sin(heading),
        place[1] + ahead * np.sin(heading) + left * np.cos(heading),
    )
