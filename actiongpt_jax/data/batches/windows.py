"""Windows of equal length out of longer clips, and what is done in them.

A sequence is cut into clips (100 frames); an item of training is a clip, of which a
window (60 frames) is taken, beginning somewhere else in every epoch. What the text
says is what is done in the window that was drawn.

Source: MotionCLIP (arXiv:2203.08063), its data set.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from actiongpt_jax.data.batches.segments import LABELS, is_action, sequences_of
from actiongpt_jax.data.motion_store import Label, MotionStore
from actiongpt_jax.errors import InputError, check_choice

NUM_FRAMES = 60
CLIP_FRAMES = 100
# Keep the draws of windows and turns apart from those of the order of batches.
_STREAM, _TURN_STREAM = 1, 2


class Run(NamedTuple):
    """Windows of the same phrase that begin one frame after each other.

    Attributes:
        start: first frame, within the sequence, of the first of them.
        count: how many they are.
        phrase: what is done in them.
    """

    start: int
    count: int
    phrase: str


@dataclasses.dataclass(frozen=True)
class Clip:
    """A stretch of a sequence, and the windows that may be taken of it.

    Attributes:
        key: '<sequence name>-<index of the clip in its sequence>'.
        sequence: row of the sequence in the store.
        runs: the windows, ascending.
    """

    key: str
    sequence: int
    runs: tuple[Run, ...]

    @property
    def num_windows(self) -> int:
        """How many windows may be taken."""
        return sum(run.count for run in self.runs)

    def window(self, number: int) -> tuple[int, str]:
        """Returns first frame and phrase of one of the `num_windows` windows."""
        for run in self.runs:
            if number < run.count:
                return run.start + number, run.phrase
            number -= run.count
        raise IndexError(f"{self.key} has {self.num_windows} windows")


def clips(
    store: MotionStore,
    split: str | None = None,
    labels: str = "frame+sequence",
    num_frames: int = NUM_FRAMES,
    clip_frames: int = CLIP_FRAMES,
    *,
    window_text: str = "covering",
) -> list[Clip]:
    """Lists the clips of a split that have a window with something to say.

    With `window_text` 'covering', a window's phrase is the action that covers most of
    it. Windows are left out that are labelled for less than half, or in which a
    transition or rest pose takes more time than the action.

    Args:
        store: where to look.
        split: 'train', 'val' or 'test'; None for all.
        labels: 'frame' takes labelled stretches; 'frame+sequence' also the labels
            of a sequence that has no labelled stretch, for all of its frames.
        num_frames: of a window.
        clip_frames: of a clip. What is left of a sequence is a clip too, if a
            window fits.
        window_text: 'covering', or 'reference', which joins all labels of a window,
            sorted, with " and ", a later label hiding an earlier one where they
            overlap; keeps every window with a label; leaves out what does not fill a
            clip.

    Returns:
        In the order of the store.

    Raises:
        InputError: for an unknown `labels`, `window_text` or split, or windows longer
            than clips.
    """
    check_choice("labels", labels, LABELS)
    if window_text not in ("covering", "reference"):
        raise InputError(
            f"window_text must be 'covering' or 'reference', got {window_text!r}"
        )
    if not 2 <= num_frames <= clip_frames:
        raise InputError(
            f"a window must have 2 to {clip_frames} frames, those of a clip, got "
            f"{num_frames}; take longer clips or shorter windows"
        )
    reference = window_text == "reference"
    shortest = clip_frames if reference else num_frames
    name_windows = _joined if reference else _most_covering
    found = []
    for sequence in sequences_of(store, split):
        row, rows = store.sequences[sequence], store.labels_by_sequence[sequence]
        spans = [label for label in rows if label.kind == "frame"]
        if not spans and labels == "frame+sequence":
            spans = rows
        for index, start in enumerate(range(0, row.length, clip_frames)):
            length = min(clip_frames, row.length - start)
            if length < shortest:
                continue
            names = name_windows(spans, start, length, num_frames)
            if runs := tuple(_runs(names, start)):
                found.append(Clip(f"{row.name}-{index}", sequence, runs))
    return found


def phrases(items: Iterable[Clip]) -> list[str]:
    """Returns the distinct phrases of all windows of clips, sorted."""
    return sorted({run.phrase for clip in items for run in clip.runs})


def draw_windows(items: Sequence[Clip], seed: int, epoch: int) -> list[tuple[int, str]]:
    """Draws a window of every clip, any one as likely as another.

    What is drawn for a clip depends on seed, epoch and its place in the list only.

    Args:
        items: the clips.
        seed: of the run, not negative.
        epoch: 0, 1, ...

    Returns:
        First frame, within the sequence, and phrase, for each.
    """
    draws = _draw_bits(len(items), seed, epoch, _STREAM)
    return [
        clip.window(int(draw) % clip.num_windows)
        for clip, draw in zip(items, draws, strict=True)
    ]


def draw_turns(count: int, seed: int, epoch: int) -> np.ndarray:
    """Draws an angle for each of `count` clips, as `draw_windows` does.

    Returns:
        (count,) float32 radians in [0, 2 pi].
    """
    draws = _draw_bits(count, seed, epoch, _TURN_STREAM)
    return (draws * (2.0 * np.pi / 2.0**64)).astype(np.float32)


def _draw_bits(count: int, seed: int, epoch: int, stream: int) -> np.ndarray:
    # Raw bits, which no version of numpy will change: see `BatchPlan`.
    bits = np.random.Philox(np.random.SeedSequence([seed, epoch, stream]))
    return bits.random_raw(count)


def middle_windows(items: Sequence[Clip]) -> list[tuple[int, str]]:
    """Returns the middle one of the windows of every clip, as `draw_windows` does."""
    return [clip.window(clip.num_windows // 2) for clip in items]


def _runs(names: list[str | None], start: int) -> Iterable[Run]:
    """Joins equal neighbours; None is no window."""
    first = 0
    for i in range(1, len(names) + 1):
        if i == len(names) or names[i] != names[first]:
            if (phrase := names[first]) is not None:
                yield Run(start + first, i - first, phrase)
            first = i


def _most_covering(
    spans: Sequence[Label], start: int, length: int, num_frames: int
) -> list[str | None]:
    """Names each window of a clip after the action that covers most of it."""
    order = dict.fromkeys(s.phrase for s in spans)
    spans = _within(spans, start, length)
    here = {s.phrase for s in spans if is_action(s.phrase)}
    actions = [phrase for phrase in order if phrase in here]
    if not actions:
        return [None] * (length - num_frames + 1)
    rows = np.zeros((len(actions) + 2, length), bool)
    *acts, labelled, pauses = rows
    for span in spans:
        frames = slice(max(span.start - start, 0), span.end - start)
        labelled[frames] = True
        row = acts[actions.index(span.phrase)] if is_action(span.phrase) else pauses
        row[frames] = True
    *counts, labelled, pauses = _in_windows(rows, num_frames)
    best = np.argmax(counts, 0)  # of equals the first label of the sequence
    most = np.max(counts, 0)
    kept = (2 * labelled >= num_frames) & (most > 0) & (most >= pauses)
    return [actions[b] if k else None for b, k in zip(best, kept, strict=True)]


def _joined(
    spans: Sequence[Label], start: int, length: int, num_frames: int
) -> list[str | None]:
    """Names each window of a clip after all labels in it.

    # DIFFERS: frames without a label add nothing; published texts begin with
    # " and " there.
    """
    spans = _within(spans, start, length)
    names = sorted({span.phrase for span in spans})
    rows = np.zeros((len(names), length), bool)
    for span in spans:
        frames = slice(max(span.start - start, 0), span.end - start)
        if span.kind == "frame":
            rows[:, frames] = False
        rows[names.index(span.phrase), frames] = True
    present = _in_windows(rows, num_frames) > 0
    return [
        " and ".join(n for n, p in zip(names, column, strict=True) if p) or None
        for column in present.T
    ]


def _within(spans: Sequence[Label], start: int, length: int) -> list[Label]:
    return [s for s in spans if s.end > start and s.start < start + length]


def _in_windows(rows: np.ndarray, num_frames: int) -> np.ndarray:
    """Counts the True of (n, length) rows in every window: (n, windows)."""
    sums = np.cumsum(np.pad(rows, ((0, 0), (1, 0))), -1)
    return sums[:, num_frames:] - sums[:, :-num_frames]
