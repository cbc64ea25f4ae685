"""Sequences of the synthetic corpus: several actions in succession, blended.

Every join is smooth. Either a transition between the actions eases from one pose to the
other, or the offset between them fades out during the second action. Planted feet do
not slide.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Bool, Float

from actiongpt_jax.choices import FRAMERATE
from actiongpt_jax.synthetic import rig
from actiongpt_jax.synthetic.moves_arms import ARM_MOVES
from actiongpt_jax.synthetic.moves_gaits import GAITS
from actiongpt_jax.synthetic.moves_legs import LEG_MOVES
from actiongpt_jax.synthetic.moves_trunk import TRUNK_MOVES
from actiongpt_jax.synthetic.person import Person, jitter
from actiongpt_jax.synthetic.phrases import Phrase
from actiongpt_jax.synthetic.take import Take, smooth

MOVES = GAITS | LEG_MOVES | ARM_MOVES | TRUNK_MOVES
TRANSITION_SHARE = 0.6  # share of joins with a labelled transition
# Amplitude of the small idle movements of each control, in the unit of the control.
FIDGETS = {
    "torso": 0.015,
    "head": 0.03,
    "pelvis": 0.008,
    "hands": 0.02,
    "elbows": 0.05,
    "wrists": 0.04,
}


@dataclasses.dataclass(frozen=True)
class Label:
    """A phrase with its start and end in seconds."""

    text: str
    start: float
    end: float
    categories: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class SyntheticSequence:
    """One generated sequence.

    Attributes:
        rotations: (T, 22, 3) parent-relative axis-angle; joint 0 is global.
        translation: (T, 3) metres, z-up.
        contact: (T, 2) True where the left or right foot is planted.
        fps: frames per second.
        labels: actions and transitions, in order of time.
    """

    rotations: Float[np.ndarray, "T 22 3"]
    translation: Float[np.ndarray, "T 3"]
    contact: Bool[np.ndarray, "T 2"]
    fps: float
    labels: tuple[Label, ...]


def make_action(
    phrase: Phrase, person: Person, rng: np.random.Generator, fps: float = FRAMERATE
) -> rig.Track:
    """Performs one phrase from the origin, looking along +x.

    Args:
        phrase: the phrase to perform.
        person: style of the person; the pace sets the duration.
        rng: random numbers of this performance.
        fps: frames per second.

    Returns:
        The controls of all frames.
    """
    person = jitter(person, rng)
    seconds = rng.uniform(*phrase.seconds) / person.pace
    take = Take(seconds, fps, person, rng)
    for name, side in phrase.parts:
        MOVES[name](take, -1 if side is None else side)
    return take.finish()


def make_sequence(
    phrases: list[Phrase],
    person: Person,
    rng: np.random.Generator,
    fps: float = FRAMERATE,
) -> SyntheticSequence:
    """Performs phrases in succession, starting at a random place and heading.

    Args:
        phrases: the phrases to perform, in order; a phrase that starts on a chair must
            come first or after one that ends on a chair.
        person: style of the person.
        rng: random numbers of this performance.
        fps: frames per second.
    """
    place, heading = rng.uniform(-2.0, 2.0, 2), rng.uniform(-np.pi, np.pi)
    pieces: list[rig.Track] = []
    labels: list[Label] = []
    frames = 0
    for phrase in phrases:
        piece = _placed(make_action(phrase, person, rng, fps), place, heading)
        if pieces:
            blend = max(2, round(rng.uniform(0.35, 0.6) * fps))
            before = pieces[-1]
            # Getting up from a chair, if no phrase says so, is a longer transition.
            if before.shift[-1, rig.UP] < -0.3 and not phrase.seated[0]:
                blend = max(blend, round(0.9 * fps))
                labelled = True
            else:
                labelled = rng.random() < TRANSITION_SHARE
            if labelled:
                pieces.append(_transition(before, piece, blend))
                start, frames = frames, frames + blend
                labels.append(_label("transition", start, frames, fps, ("transition",)))
            else:
                _blend_in(before, piece, blend)
                if rng.random() < 0.5:  # the actions' labels overlap
                    last = labels[-1]
                    end = round(last.end + rng.uniform(0.05, 0.25), 3)
                    labels[-1] = dataclasses.replace(last, end=end)
        start, frames = frames, frames + len(piece)
        labels.append(_label(phrase.text, start, frames, fps, phrase.categories))
        pieces.append(piece)
        place, heading = piece.path[-1], piece.heading[-1]
    track = rig.join(pieces)
    _fidget(track, rng, fps)
    rotations, translation = rig.solve(track, fps)
    return SyntheticSequence(rotations, translation, track.contact, fps, tuple(labels))


def _label(text, start, end, fps, categories):
    return Label(text, seconds_of(start, fps), seconds_of(end, fps), categories)


def seconds_of(frame: int, fps: float) -> float:
    """Returns the time of a frame in seconds, rounded up to a millisecond.

    Readers round times down to frames; a time rounded down would lose a frame.
    """
    return math.ceil(round(1000 * frame / fps, 6)) / 1000


def _placed(track: rig.Track, place: np.ndarray, heading: float) -> rig.Track:
    """Returns a track moved from the origin to a place and heading."""
    cos, sin = np.cos(heading), np.sin(heading)
    turn = np.array([[cos, sin], [-sin, cos]])  # for rows
    ball = track.ball.copy()
    ball[..., :2] = ball[..., :2] @ turn + place
    return dataclasses.replace(
        track,
        path=track.path @ turn + place,
        heading=track.heading + heading,
        ball=ball,
        foot_yaw=track.foot_yaw + heading,
    )


def _transition(before: rig.Track, after: rig.Track, frames: int) -> rig.Track:
    """Returns a track that stands still and eases from `before` to `after`."""

    def still(pose):
        return np.stack([pose] * frames)

    arrays = {name: still(getattr(before, name)[-1]) for name in rig.FIELDS}
    for name in rig.CONTROLS:
        goal = still(getattr(after, name)[0])
        arrays[name] = _eased(name, arrays[name][0], goal)
    return rig.Track(**arrays)


def _blend_in(before: rig.Track, after: rig.Track, frames: int) -> None:
    """Fades out the offset between two actions in the first frames of the second."""
    for name in rig.CONTROLS:
        values = getattr(after, name)[:frames]
        values[:] = _eased(name, getattr(before, name)[-1], values)


def _eased(name, start, values):
    """Eases from `start` into `values`; hands move on an arc about the shoulder."""
    share = smooth((np.arange(len(values)) + 1) / (len(values) + 1))
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    if name != "hands":
        return (1 - share) * start + share * values
    far, near = (np.linalg.norm(x, axis=-1, keepdims=True) for x in (start, values))
    one, other = start / far, values / near
    angle = np.arccos(np.clip(np.sum(one * other, axis=-1, keepdims=True), -1.0, 1.0))
    angle = np.clip(angle, 1e-4, np.pi - 1e-4)
    way = np.sin((1 - share) * angle) * one + np.sin(share * angle) * other
    return way / np.sin(angle) * ((1 - share) * far + share * near)


def _fidget(track: rig.Track, rng: np.random.Generator, fps: float) -> None:
    """Adds the slow, small movements that people make even when standing still."""
    t = np.arange(len(track))[:, None] / fps
    for name, size in FIDGETS.items():
        values = getattr(track, name)
        width = values[0].size
        noise = np.zeros((len(track), width))
        for low, high in ((0.1, 0.3), (0.3, 0.7)):
            hertz = rng.uniform(low, high, width)
            phase = rng.uniform(0, 2 * np.pi, width)
            noise += size * np.sin(2 * np.pi * hertz * t + phase)
        values += noise.reshape(values.shape)
