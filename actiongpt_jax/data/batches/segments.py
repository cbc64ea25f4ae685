"""Lists the training items of a motion store: segments and pairs of actions.

Source: TEACH (arXiv:2209.04066), data sets `seg` and `separate_pairs`.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.errors import InputError, check_choice

MIN_FRAMES = 15
MAX_FRAMES = 750
TRANSITION = "transition"
REST_POSES = frozenset({"t-pose", "a-pose", "a pose", "t pose", "tpose", "apose"})
LABELS = ("frame", "frame+sequence")

Cut = Literal["middle", "reference"]


class Span(NamedTuple):
    """A labelled stretch of a sequence: frames [start, end) and its phrase."""

    start: int
    end: int
    phrase: str


@dataclasses.dataclass(frozen=True)
class Segment:
    """One labelled action in a sequence.

    Attributes:
        key: `<sequence name>-<index of the label in its sequence>`.
        sequence: row of the sequence in the store.
        start: first frame within the sequence.
        end: one past the last frame.
        phrase: phrase of the action.
    """

    key: str
    sequence: int
    start: int
    end: int
    phrase: str


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two successive actions in a sequence.

    Attributes:
        key: `<sequence name>-<index of the pair in its sequence>`.
        sequence: row of the sequence in the store.
        start: first frame within the sequence.
        end: one past the last frame, start + sum(lengths).
        lengths: number of frames of the first action, of the transition (often 0)
            and of the second action.
        phrases: phrases of the first and the second action.
    """

    key: str
    sequence: int
    start: int
    end: int
    lengths: tuple[int, int, int]
    phrases: tuple[str, str]


def segments(
    store: MotionStore,
    split: str | None = None,
    labels: str = "frame",
    min_frames: int = MIN_FRAMES,
    max_frames: int = MAX_FRAMES,
) -> list[Segment]:
    """Lists the labelled actions of a split.

    Args:
        store: the motion store.
        split: 'train', 'val' or 'test'; None for all splits.
        labels: 'frame' uses labelled stretches; 'frame+sequence' also uses every
            sequence without labelled stretches as a whole, once per label.
        min_frames: number of frames of the shortest segment.
        max_frames: number of frames of the longest segment.

    Returns:
        The segments in the order of the store, without rest poses and transitions.
    """
    check_choice("labels", labels, LABELS)
    items = []
    for sequence in sequences_of(store, split):
        rows = store.labels_by_sequence[sequence]
        spans = _spans(rows, "frame")
        if not spans and labels == "frame+sequence":
            spans = _spans(rows, "sequence")
        name = store.sequences[sequence].name
        items += [
            Segment(f"{name}-{index}", sequence, *span)
            for index, span in enumerate(spans)
            if is_action(span.phrase)
            and min_frames <= span.end - span.start <= max_frames
        ]
    return items


def middle_window(segment: Segment, frames: int) -> Segment:
    """Returns the middle of a segment, of this number of frames."""
    start = segment.start + (segment.end - segment.start - frames) // 2
    return dataclasses.replace(segment, start=start, end=start + frames)


def pairs(
    store: MotionStore,
    split: str | None = None,
    min_frames: int = MIN_FRAMES,
    max_frames: int = MAX_FRAMES,
    *,
    cut: Cut = "middle",
) -> list[Pair]:
    """Lists the pairs of successive actions of a split.

    Args:
        store: the motion store.
        split: 'train', 'val' or 'test'; None for all splits.
        min_frames: smallest number of frames of the first action, and of the second
            including the transition before it.
        max_frames: largest number of frames of each.
        cut: where to cut overlapping actions, 'middle' or 'reference'; see `cut_pair`.

    Returns:
        The pairs in the order of the store.
    """
    items = []
    for sequence in sequences_of(store, split):
        spans = _spans(store.labels_by_sequence[sequence], "frame")
        name = store.sequences[sequence].name
        for index, parts in enumerate(pair_spans(spans)):
            lengths = cut_pair(parts, cut)
            if is_accepted(lengths, min_frames, max_frames):
                first, last = parts[0], parts[-1]
                items.append(
                    Pair(
                        key=f"{name}-{index}",
                        sequence=sequence,
                        start=first.start,
                        end=last.end,
                        lengths=lengths,
                        phrases=(first.phrase, last.phrase),
                    )
                )
    return items


def phrases(items: Iterable[Segment | Pair]) -> list[str]:
    """Returns the distinct phrases of segments or pairs, sorted."""
    distinct = set()
    for item in items:
        distinct.update(item.phrases if isinstance(item, Pair) else (item.phrase,))
    return sorted(distinct)


def is_action(phrase: str) -> bool:
    """Returns whether a label is an action, not a rest pose or a transition."""
    return phrase != TRANSITION and phrase not in REST_POSES


def pair_spans(spans: Sequence[Span]) -> list[tuple[Span, ...]]:
    """Finds the pairs of successive actions in one sequence.

    Two actions are successive if they touch or partly overlap, or if both touch or
    overlap a labelled transition between them.

    Args:
        spans: labelled stretches of the sequence, in any order.

    Returns:
        (first, second) or (first, transition, second) tuples. Of several labels with
        the same frames, the last is used.
    """
    named = {
        (span.start, span.end): span
        for span in sorted(spans, key=lambda span: span[:2])
        if span.phrase not in REST_POSES
    }
    pairs_by_frames: dict[tuple, tuple[Span, ...]] = {}
    for x in named.values():
        before = [s for s in named.values() if s.start < x.start <= s.end < x.end]
        after = [s for s in named.values() if x.start < s.start <= x.end < s.end]
        if x.phrase == TRANSITION:
            candidates = [(b, x, a) for b in before for a in after]
        else:
            candidates = [(b, x) for b in before if b.phrase != TRANSITION]
            candidates += [(x, a) for a in after if a.phrase != TRANSITION]
        for parts in candidates:
            pairs_by_frames.setdefault(tuple(part[:2] for part in parts), parts)
    return list(pairs_by_frames.values())


def cut_pair(parts: tuple[Span, ...], cut: Cut = "middle") -> tuple[int, int, int]:
    """Divides the frames of a pair among first action, transition and second action.

    Args:
        parts: the spans of the pair, a tuple returned by `pair_spans`.
        cut: 'middle' cuts in the middle of an overlap. 'reference' assigns the boundary
            frame to the first action, and cuts overlapping pairs after the first
            action's end, by as much as the middle of the overlap lies before it.

    Returns:
        The three numbers of frames, whose sum is the last end - the first start.
    """
    first, last = parts[0], parts[-1]
    boundary = 1 if cut == "reference" else 0
    if len(parts) == 3 and first.end < last.start:
        end = parts[1].start + boundary
        return end - first.start, last.start - end, last.end - last.start
    if cut == "reference":
        overlap = first.end - last.start
        sign = -1 if len(parts) == 3 else 1
        end = int(first.end + sign * overlap / 2) + boundary
    else:
        end = (first.end + last.start) // 2
    return end - first.start, 0, last.end - end


def is_accepted(
    lengths: tuple[int, int, int],
    min_frames: int = MIN_FRAMES,
    max_frames: int = MAX_FRAMES,
) -> bool:
    """Returns whether both lengths of a pair are within the limits.

    The transition counts towards the second action.
    """
    first, transition, second = lengths
    return (
        min_frames <= first <= max_frames
        and min_frames <= second + transition <= max_frames
    )


def _spans(rows, kind: str) -> list[Span]:
    return [Span(r.start, r.end, r.phrase) for r in rows if r.kind == kind]


def sequences_of(store: MotionStore, split: str | None) -> list[int]:
    """Returns the rows of a split's sequences in the store; None selects all splits.

    Raises:
        InputError: if the store does not have the split.
    """
    known = sorted({row.split for row in store.sequences})
    if split is not None and split not in known:
        raise InputError(
            f"split must be one of those in {store.path} ({', '.join(known)}), "
            f"got {split!r}; choose one or prepare a store that has it"
        )
    return [i for i, row in enumerate(store.sequences) if split in (None, row.split)]
