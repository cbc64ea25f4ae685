"""Which stretches of a motion store are training items: segments and pairs.

Source: TEACH (arXiv:2209.04066), its `seg` and `separate_pairs` data sets.
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
    """One action.

    Attributes:
        key: '<sequence name>-<index of the label in its sequence>'.
        sequence: row of the sequence in the store.
        start: first frame within the sequence.
        end: one past the last.
        phrase: what is done.
    """

    key: str
    sequence: int
    start: int
    end: int
    phrase: str


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two actions in succession.

    Attributes:
        key: '<sequence name>-<index of the pair in its sequence>'.
        sequence: row of the sequence in the store.
        start: first frame within the sequence.
        end: one past the last; the sum of `lengths` after `start`.
        lengths: frames of first action, transition (often 0), second action.
        phrases: what is done first and second.
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
    """Lists the actions of a split.

    Args:
        store: where to look.
        split: 'train', 'val' or 'test'; None for all.
        labels: 'frame' takes labelled stretches; 'frame+sequence' also takes each
            sequence that has no labelled stretch as a whole, once for every one
            of its labels.
        min_frames: shortest segment.
        max_frames: longest segment.

    Returns:
        In the order of the store; rest poses and transitions are left out.
    """
    check_choice("labels", labels, LABELS)
    found = []
    for sequence in sequences_of(store, split):
        rows = store.labels_by_sequence[sequence]
        spans = _spans(rows, "frame")
        if not spans and labels == "frame+sequence":
            spans = _spans(rows, "sequence")
        name = store.sequences[sequence].name
        found += [
            Segment(f"{name}-{index}", sequence, *span)
            for index, span in enumerate(spans)
            if is_action(span.phrase)
            and min_frames <= span.end - span.start <= max_frames
        ]
    return found


def pairs(
    store: MotionStore,
    split: str | None = None,
    min_frames: int = MIN_FRAMES,
    max_frames: int = MAX_FRAMES,
    *,
    cut: Cut = "middle",
) -> list[Pair]:
    """Lists the pairs of actions of a split.

    Args:
        store: where to look.
        split: 'train', 'val' or 'test'; None for all.
        min_frames: least frames of the first action, and of the second with the
            transition before it.
        max_frames: most frames of either.
        cut: 'middle' cuts overlapping actions in the middle of their overlap;
            'reference' cuts where TEACH does; see `cut_pair`.

    Returns:
        In the order of the store.
    """
    found = []
    for sequence in sequences_of(store, split):
        spans = _spans(store.labels_by_sequence[sequence], "frame")
        name = store.sequences[sequence].name
        for index, parts in enumerate(pair_spans(spans)):
            lengths = cut_pair(parts, cut)
            if is_accepted(lengths, min_frames, max_frames):
                first, last = parts[0], parts[-1]
                found.append(
                    Pair(
                        key=f"{name}-{index}",
                        sequence=sequence,
                        start=first.start,
                        end=last.end,
                        lengths=lengths,
                        phrases=(first.phrase, last.phrase),
                    )
                )
    return found


def phrases(items: Iterable[Segment | Pair]) -> list[str]:
    """Returns the distinct phrases of segments or pairs, sorted."""
    found = set()
    for item in items:
        found.update(item.phrases if isinstance(item, Pair) else (item.phrase,))
    return sorted(found)


def is_action(phrase: str) -> bool:
    """Whether a label names an action: no rest pose and no transition."""
    return phrase != TRANSITION and phrase not in REST_POSES


def pair_spans(spans: Sequence[Span]) -> list[tuple[Span, ...]]:
    """Finds actions that follow each other in one sequence.

    Two actions follow each other if they touch or overlap in part; with a labelled
    transition between them, if both touch or overlap the transition.

    Args:
        spans: the labelled stretches, in any order.

    Returns:
        (first, second) or (first, transition, second) tuples. Of several labels
        with the same frames the last one counts.
    """
    named = {
        (span.start, span.end): span
        for span in sorted(spans, key=lambda span: span[:2])
        if span.phrase not in REST_POSES
    }
    found: dict[tuple, tuple[Span, ...]] = {}
    for x in named.values():
        before = [s for s in named.values() if s.start < x.start <= s.end < x.end]
        after = [s for s in named.values() if x.start < s.start <= x.end < s.end]
        if x.phrase == TRANSITION:
            candidates = [(b, x, a) for b in before for a in after]
        else:
            candidates = [(b, x) for b in before if b.phrase != TRANSITION]
            candidates += [(x, a) for a in after if a.phrase != TRANSITION]
        for parts in candidates:
            found.setdefault(tuple(part[:2] for part in parts), parts)
    return list(found.values())


def cut_pair(parts: tuple[Span, ...], cut: Cut = "middle") -> tuple[int, int, int]:
    """Divides the frames of a pair among first action, transition and second.

    Args:
        parts: a tuple of `pair_spans`.
        cut: 'middle' cuts in the middle of an overlap. 'reference' counts the
            boundary frame to the first action, and cuts overlapping pairs as far
            beyond the first action's end as the middle lies before it.

    Returns:
        Frames of the three; they add up to last end - first start.
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
    """Whether both parts of a pair, the second with its transition, fit."""
    first, transition, second = lengths
    return (
        min_frames <= first <= max_frames
        and min_frames <= second + transition <= max_frames
    )


def _spans(rows, kind: str) -> list[Span]:
    return [Span(r.start, r.end, r.phrase) for r in rows if r.kind == kind]


def sequences_of(store: MotionStore, split: str | None) -> list[int]:
    """Returns the rows of the sequences of a split, of all for None.

    Raises:
        InputError: if the store has no such split.
    """
    known = sorted({row.split for row in store.sequences})
    if split is not None and split not in known:
        raise InputError(
            f"split must be one of those in {store.path} ({', '.join(known)}), "
            f"got {split!r}; choose one or prepare a store that has it"
        )
    return [i for i, row in enumerate(store.sequences) if split in (None, row.split)]
