"""Windows of equal length from longer clips, and their phrases.

A sequence is cut into clips (100 frames). A training item is a clip, from which a
window (60 frames) is drawn, at another place in every epoch. The text describes what
happens in the drawn window.

Source: MotionCLIP (arXiv:2203.08063), data set.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from actiongpt_jax.choices import CLIP_FRAMES, NUM_FRAMES
from actiongpt_jax.data.batches.segments import LABELS, is_action, sequences_of
from actiongpt_jax.data.motion_store import Label, MotionStore
from actiongpt_jax.errors import InputError, check_choice

# Random streams of windows and of turns, distinct from that of the order of batches.
_STREAM, _TURN_STREAM = 1, 2


class Run(NamedTuple):
    """Windows with the same phrase whose starts are consecutive frames.

    Attributes:
        start: first frame of the first window, within the sequence.
        count: number of windows.
        phrase: phrase of the windows.
    """

    start: int
    count: int
    phrase: str


@dataclasses.dataclass(frozen=True)
class Clip:
    """A stretch of a sequence, and the windows that can be taken from it.

    Attributes:
        key: `<sequence name>-<index of the clip in its sequence>`.
        sequence: row of the sequence in the store.
        runs: the windows, in ascending order of their starts.
    """

    key: str
    sequence: int
    runs: tuple[Run, ...]

    @property
    def num_windows(self) -> int:
        """Number of windows that can be taken from the clip."""
        return sum(run.count for run in self.runs)

    def window(self, number: int) -> tuple[int, str]:
        """Returns first frame and phrase of window `number`, counted from 0."""
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
    """Lists the clips of a split that have at least one window with a phrase.

    With `window_text` 'covering', a window's phrase is the action that covers most of
    it. A window is left out if less than half of it is labelled, or if transitions and
    rest poses cover more of it than the action.

    With 'reference', a window's phrase joins all its labels, sorted, with " and ";
    where labels overlap, a later one replaces an earlier one. Every window with a label
    is kept, and the end of a sequence that does not fill a clip is left out.

    Args:
        store: the motion store.
        split: 'train', 'val' or 'test'; None for all splits.
        labels: 'frame' uses labelled stretches; 'frame+sequence' also uses the labels
            of sequences without labelled stretches, for all their frames.
        num_frames: number of frames of a window.
        clip_frames: number of frames of a clip. With 'covering', the end of a sequence
            may be a shorter clip if a window fits into it.
        window_text: how to name a window, 'covering' or 'reference'.

    Returns:
        The clips in the order of the store.

    Raises:
        InputError: if `labels`, `window_text` or `split` is unknown, or windows are
            longer than clips.
    """
    check_choice("labels", labels, LABELS)
    if window_text not in ("covering", "reference"):
        raise InputError(
            f"window_text must be 'covering' or 'reference', got {window_text!r}"
        )
    if not 2 <= num_frames <= clip_frames:
        raise InputError(
            f"a window must have 2 to {clip_frames} frames, the length of a clip, got "
            f"{num_frames}; choose longer clips or shorter windows"
        )
    reference = window_text == "reference"
    shortest = clip_frames if reference else num_frames
    name_windows = _joined if reference else _most_covering
    items = []
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
                items.append(Clip(f"{row.name}-{index}", sequence, runs))
    return items


def phrases(items: Iterable[Clip]) -> list[str]:
    """Returns the distinct phrases of all windows of the clips, sorted."""
    return sorted({run.phrase for clip in items for run in clip.runs})


def draw_windows(items: Sequence[Clip], seed: int, epoch: int) -> list[tuple[int, str]]:
    """Draws one window of every clip, all windows of a clip with equal probability.

    The draw for a clip depends only on seed, epoch and the clip's place in the list.

    Args:
        items: the clips.
        seed: seed of the run, 0 or more.
        epoch: 0, 1, ...

    Returns:
        (first frame within the sequence, phrase) of each clip's window.
    """
    draws = _draw_bits(len(items), seed, epoch, _STREAM)
    return [
        clip.window(int(draw) % clip.num_windows)
        for clip, draw in zip(items, draws, strict=True)
    ]


def draw_turns(count: int, seed: int, epoch: int) -> np.ndarray:
    """Draws an angle for each of `count` clips, reproducibly as in `draw_windows`.

    Returns:
        (count,) float32 radians in [0, 2 pi].
    """
    draws = _draw_bits(count, seed, epoch, _TURN_STREAM)
    return (draws * (2.0 * np.pi / 2.0**64)).astype(np.float32)


def _draw_bits(count: int, seed: int, epoch: int, stream: int) -> np.ndarray:
    # numpy guarantees that raw bits stay the same across versions.
    bits = np.random.Philox(np.random.SeedSequence([seed, epoch, stream]))
    return bits.random_raw(count)


def middle_windows(items: Sequence[Clip]) -> list[tuple[int, str]]:
    """Returns (first frame, phrase) of the middle window of every clip."""
    return [clip.window(clip.num_windows // 2) for clip in items]


def _runs(names: list[str | None], start: int) -> Iterable[Run]:
    """Joins neighbouring windows with equal names; a window named None is left out."""
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
    # The actions in the clip, in the order of the sequence's labels.
    order = dict.fromkeys(s.phrase for s in spans)
    spans = _within(spans, start, length)
    here = {s.phrase for s in spans if is_action(s.phrase)}
    actions = [phrase for phrase in order if phrase in here]
    if not actions:
        return [None] * (length - num_frames + 1)
    # Mark the frames of each action, of any label, and of transitions and rest poses.
    rows = np.zeros((len(actions) + 2, length), bool)
    *acts, labelled, pauses = rows
    for span in spans:
        frames = slice(max(span.start - start, 0), span.end - start)
        labelled[frames] = True
        row = acts[actions.index(span.phrase)] if is_action(span.phrase) else pauses
        row[frames] = True
    # Name each window after the action with the most frames in it.
    *counts, labelled, pauses = _in_windows(rows, num_frames)
    best = np.argmax(counts, 0)  # if several are equal, the first in `order`
    most = np.max(counts, 0)
    kept = (2 * labelled >= num_frames) & (most > 0) & (most >= pauses)
    return [actions[b] if k else None for b, k in zip(best, kept, strict=True)]


def _joined(
    spans: Sequence[Label], start: int, length: int, num_frames: int
) -> list[str | None]:
    """Names each window of a clip after all its labels.

    # DIFFERS: frames without a label add nothing to the text; in the published code
    # they make it begin with " and ".
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
    """Returns (n, windows) counts of True in every window of (n, length) rows."""
    sums = np.cumsum(np.pad(rows, ((0, 0), (1, 0))), -1)
    return sums[:, num_frames:] - sums[:, :-num_frames]
