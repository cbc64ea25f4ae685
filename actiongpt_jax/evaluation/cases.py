"""The cases of an evaluation, and the sources of motions: a model or a baseline."""

import dataclasses
import sys
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from tqdm import tqdm

from actiongpt_jax.choices import Align
from actiongpt_jax.config_fields import Config, lookup
from actiongpt_jax.data.batches.segments import middle_window, pairs, segments
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry import kinematics
from actiongpt_jax.geometry import rotations as rot
from actiongpt_jax.inference.generate import generate_sequence
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_series, seed_of
from actiongpt_jax.inference.series import series_prompts
from actiongpt_jax.inference.trained import Trained

# (rotations (T, 22, 3) axis-angle, translation (T, 3)).
Arrays = tuple[np.ndarray, np.ndarray]
_MEAN_FRAMES = 5000


@dataclasses.dataclass(frozen=True)
class Case:
    """A captured motion and its texts.

    Attributes:
        key: key of the segment or pair in the motion store.
        phrases: phrases of its actions.
        lengths: number of frames of each action; a transition belongs to the second.
        start: first frame in the store's arrays.
    """

    key: str
    phrases: tuple[str, ...]
    lengths: tuple[int, ...]
    start: int

    @property
    def frames(self) -> int:
        """Number of frames of the whole motion."""
        return sum(self.lengths)

    @property
    def seam(self) -> int:
        """First frame of the second action; 0 if there is only one action."""
        return self.lengths[0] if len(self.lengths) > 1 else 0

    def captured(self, store: MotionStore) -> Arrays:
        """Reads the captured motion.

        Raises:
            InputError: if it contains NaN or infinity.
        """
        rows = slice(self.start, self.start + self.frames)
        motion = np.array(store.rotations[rows]), np.array(store.translation[rows])
        return check_finite(motion, f"motion {self.key} of {store.path}")


# Cases -> for each case the motions made for it. They may be shorter than the case.
Source = Callable[[Sequence[Case]], list[list[Arrays]]]


def check_finite(motion: Arrays, name: str) -> Arrays:
    """Returns a motion after checking that it is finite.

    Args:
        motion: the motion's rotations and translation.
        name: name of the motion, for the error.

    Raises:
        InputError: if the motion contains NaN or infinity.
    """
    bad = ~np.isfinite(motion[0]).all((1, 2)) | ~np.isfinite(motion[1]).all(1)
    if bad.any():
        raise InputError(
            f"{name} must be finite, got NaN or infinity in frame {int(bad.argmax())}; "
            "remove the motion from the store, or, if a model generated it, train with "
            "a lower learning rate"
        )
    return motion


def list_cases(
    config: Config, store: MotionStore, split: str, paired: bool, middle: bool = False
) -> list[Case]:
    """Lists the motions of a split by the rules of a training run.

    Args:
        config: config of the model.
        store: the motion store.
        split: 'train', 'val' or 'test'.
        paired: whether to list pairs of actions; False lists single actions.
        middle: whether to list, for a model of windows, the window in the middle of
            each action that is long enough, in place of whole actions.

    Returns:
        Cases, the shortest first, so that cases of similar length share a batch.

    Raises:
        InputError: if the split has no motion of a suitable length.
    """
    data = config.data
    limits = data.min_frames, data.max_frames
    window = lookup(config, "data.num_frames", None) if middle else None
    if window:
        limits = window, data.max_frames
    if paired:
        items = pairs(store, split, *limits, cut=data.pair_cut)
        parts = [(p.phrases, (p.lengths[0], sum(p.lengths[1:]))) for p in items]
    else:
        items = segments(store, split, data.labels, *limits)
        if window:
            items = [middle_window(item, window) for item in items]
        parts = [((item.phrase,), (item.end - item.start,)) for item in items]
    if not items:
        raise InputError(
            f"motion store {store.path} has no {'pair' if paired else 'segment'} of "
            f"{limits[0]} to {limits[1]} frames in split {split!r}; give another "
            "--split or --data"
        )
    cases = [
        Case(item.key, *part, store.sequences[item.sequence].start + item.start)
        for item, part in zip(items, parts, strict=True)
    ]
    return sorted(cases, key=lambda case: (case.frames, case.key))


def cut_to_shortest(case: Case, motions: Sequence[Arrays]) -> tuple[Case, list[Arrays]]:
    """Cuts a case and its motions to the length of its shortest motion.

    Raises:
        InputError: if nothing is left of one of its actions.
    """
    frames = min(case.frames, *(len(translation) for _, translation in motions))
    ends = np.minimum(np.cumsum(case.lengths), frames)
    lengths = tuple(int(n) for n in np.diff(ends, prepend=0))
    if not min(lengths):
        raise InputError(
            f"a motion of {case.key} must show {len(lengths)} actions in "
            f"{case.frames} frames, but has {frames} frames; make a longer one"
        )
    cut = [(rots[:frames], trans[:frames]) for rots, trans in motions]
    return dataclasses.replace(case, lengths=lengths), cut


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How motions are drawn; see the flags of `generate`.

    Attributes:
        samples: number of motions per case.
        diverse: source of variation between samples; None takes the model's default.
        fact: factor on the latent's deviation from its mean.
        seed: seed of all random numbers; each case has its own random numbers.
        series: 'past', 'independent', 'joined' or 'off'.
        align: how actions are joined; see `generate_motions`.
        window: length of the slerp transition between actions, in frames.
    """

    samples: int = 1
    diverse: str | None = None
    fact: float = 1.0
    seed: int = 0
    series: str = "off"
    align: Align = "full"
    window: int = 8


def from_model(trained: Trained, embedder: PhraseEmbedder, how: Sampling) -> Source:
    """Returns the source of a trained model's motions."""

    def source(cases: Sequence[Case]) -> list[list[Arrays]]:
        series = [
            requests
            for case in cases
            for texts, lengths in series_prompts(case.phrases, case.lengths, how.series)
            for requests in plan_series(
                embedder,
                texts,
                lengths,
                how.samples,
                how.diverse,
                how.fact,
                seed_of(how.seed, case.key),
            )
        ]
        motions = generate_sequence(
            trained,
            series,
            align=how.align,
            window=how.window if how.series != "off" else 0,
            read_past=how.series == "past",
        )
        arrays = [(motion.rotations, motion.translation) for motion in motions]
        return [
            arrays[i * how.samples : (i + 1) * how.samples] for i in range(len(cases))
        ]

    return source


def random_clips(
    store: MotionStore, training_cases: Sequence[Case], seed: int = 0
) -> Source:
    """Returns a baseline source: a captured motion drawn at random for each case.

    Args:
        store: motion store of all cases.
        training_cases: the cases to draw from. Only those that are long enough are
            drawn; if there are none, the longest is drawn and its last pose is held.
        seed: seed of the draws.
    """
    frames = np.array([case.frames for case in training_cases])

    def one(case: Case) -> Arrays:
        choice = np.flatnonzero(frames >= min(case.frames, frames.max()))
        draw = np.random.default_rng(seed_of(seed, case.key)).choice(choice)
        rows = np.minimum(np.arange(case.frames), frames[draw] - 1)
        rotations, translation = training_cases[draw].captured(store)
        return rotations[rows], translation[rows]

    return lambda cases: [[one(case)] for case in cases]


def mean_pose(store: MotionStore, training_cases: Sequence[Case]) -> Source:
    """Returns a baseline source: a body that stands still in the mean pose.

    Args:
        store: motion store of the cases.
        training_cases: the cases to average over: at most 5000 of their frames, evenly
            spaced.
    """
    rows = np.concatenate(
        [case.start + np.arange(case.frames) for case in training_cases]
    )
    rows = rows[:: -(-len(rows) // _MEAN_FRAMES)]
    matrices = rot.axis_angle_to_matrix(np.array(store.rotations[rows]))
    turn = kinematics.turn_to_canonical(matrices[:, 0])
    matrices = np.array(matrices)
    matrices[:, 0] = rot.compose(turn, matrices[:, 0])
    # The rotations nearest to the means of the matrices.
    left, _, right = np.linalg.svd(matrices.mean(0))
    sign = np.linalg.det(left @ right)
    left[..., -1] *= sign[:, None]
    pose = np.asarray(rot.matrix_to_axis_angle((left @ right).astype(np.float32)))
    height = float(store.translation[rows, 2].mean())

    def one(frames: int) -> Arrays:
        place = np.tile(np.array([0, 0, height], np.float32), (frames, 1))
        return np.tile(pose, (frames, 1, 1)), place

    return lambda cases: [[one(case.frames)] for case in cases]


def quiet(source: Source) -> Source:
    """Makes a source print each of its warnings on stderr once."""
    printed = set()

    def printing(cases: Sequence[Case]):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            motions = source(cases)
        for warning in caught:
            if (message := str(warning.message)) not in printed:
                printed.add(message)
                tqdm.write(f"warning: {message}", file=sys.stderr)
        return motions

    return printing
