"""Which items make which batch: bucketed by length, repeatable, never replayed."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from actiongpt_jax.errors import InputError
from actiongpt_jax.shapes import round_up

# The dynamic program looks at every pair of candidate edges: 2048 of them take a
# second and 32 MB.
_MAX_CANDIDATES = 2048
# Padded lengths are rounded up to multiples of this.
MULTIPLE = 4


def choose_edges(
    lengths: np.ndarray,
    max_shapes: int = 8,
    *,
    batch_size: int = 16,
) -> tuple[int, ...]:
    """Chooses the padded lengths that leave the fewest padded frames.

    The optimum over all choices, by dynamic programming, under the rules of
    `BatchPlan`: what is left of a bucket moves to the next longer one and filler
    rows stand in the shortest. What is counted are therefore whole batches.

    Args:
        lengths: (n,) frames of each item.
        max_shapes: how many edges there may be.
        batch_size: B, rows of a batch.

    Returns:
        Ascending edges; the last holds the longest item. Of equally good choices
        the one with the fewest edges: each costs a compilation.

    Raises:
        InputError: if there is no item or a length is below 1.
    """
    lengths = check_lengths(lengths)
    multiple = MULTIPLE
    while (edges := np.unique(round_up(lengths, multiple))).size > _MAX_CANDIDATES:
        multiple *= 2
    shorter = np.searchsorted(np.sort(lengths), edges, side="right")
    fillers = -lengths.size % batch_size
    # Whole batches that items up to each edge fill; nothing depends on the draw.
    batches = (shorter + fillers) // batch_size
    # cost[i]: frames of one row over all batches up to edge i, edge i being used.
    cost = edges * batches
    origin = np.full(edges.size, -1)
    costs, origins = [cost], [origin]
    later = np.triu(np.ones((edges.size, edges.size), bool), 1)
    for _ in range(min(max_shapes, edges.size) - 1):
        step = cost[:, None] + edges * (batches - batches[:, None])
        step = np.where(later, step, np.iinfo(np.int64).max)
        origin = step.argmin(0)
        # Edge 0 has nothing below it.
        cost = np.where(later.any(0), step.min(0), cost)
        origin[0] = -1
        costs.append(cost)
        origins.append(origin)
    level = int(np.argmin([c[-1] for c in costs]))
    chosen, at = [], edges.size - 1
    while at >= 0:
        chosen.append(int(edges[at]))
        at = int(origins[level][at])
        level -= 1
    return tuple(reversed(chosen))


class Plan:
    """The batches of every epoch, computed from (seed, epoch) alone.

    Every item comes exactly once in an epoch, and every epoch has the same number of
    batches of each shape. What is missing to whole batches are filler rows.

    Attributes:
        lengths: of each item, frames; whole numbers from 1.
        batch_size: B, rows of a batch.
        batches_per_epoch: the same for every epoch.
        shapes: padded lengths that occur, ascending.
        padding: fraction of all frames that are not real, fillers included.
    """

    lengths: np.ndarray
    batches_per_epoch: int
    shapes: tuple
    padding: float

    def __init__(self, batch_size: int, seed: int, max_shapes: int, shuffle: bool):
        """Checks what every plan is given.

        Raises:
            InputError: if a number is out of range.
        """
        if batch_size < 1 or max_shapes < 1 or seed < 0:
            raise InputError(
                "batch_size and max_shapes must be at least 1 and seed at least 0, "
                f"got {batch_size}, {max_shapes} and {seed}"
            )
        self.batch_size = batch_size
        self._seed = seed
        self._shuffle = shuffle
        self._epoch = (-1, np.empty(0), np.empty(0))

    def batch(self, step: int) -> tuple[np.ndarray, Any]:
        """Looks up the batch of a global step, of whatever epoch.

        Args:
            step: 0, 1, ... over all epochs.

        Returns:
            (B,) int32 items, -1 = filler row; and the padded length, an entry of
            `shapes`.
        """
        epoch, within = divmod(step, self.batches_per_epoch)
        # One assignment: a second thread sees either epoch whole.
        cached = self._epoch
        if cached[0] != epoch:
            self._epoch = cached = (epoch, *self._make_epoch(epoch))
        frames = cached[2][within].tolist()
        shape = tuple(frames) if isinstance(frames, list) else frames
        return cached[1][within].copy(), shape

    def _make_epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns (batches, B) items and (batches, ...) padded lengths."""
        raise NotImplementedError

    def _shuffler(self, epoch: int) -> Callable[[np.ndarray], np.ndarray]:
        """Returns what draws an order for an array, the same for the same calls."""
        # Raw bits are the one thing numpy promises never to change, so a run can
        # be resumed after an update of numpy.
        bits = np.random.Philox(np.random.SeedSequence([self._seed, epoch]))

        def shuffled(items: np.ndarray) -> np.ndarray:
            if not self._shuffle:
                return items
            return items[np.argsort(bits.random_raw(len(items)), kind="stable")]

        return shuffled


class BatchPlan(Plan):
    """Batches of items of one length.

    An item goes into the shortest bucket that holds it; when a bucket's items do
    not fill its last batch, those left (drawn anew in each epoch) move on to the
    next longer bucket.

    The filler rows that make the whole a multiple of the batch size are spread
    over the batches of the shortest bucket: there a row costs the fewest frames.
    (One last partial batch of the longest items costs five times as many, and on
    small data sets a tenth of all work; an item in it would also weigh the most.)

    Attributes: those of `Plan`; lengths (n,), shapes at most `max_shapes` numbers.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        batch_size: int,
        seed: int,
        max_shapes: int = 8,
        *,
        shuffle: bool = True,
        edges: Sequence[int] | None = None,
    ):
        """Plans.

        Args:
            lengths: (n,) frames of each item.
            batch_size: B.
            seed: not negative.
            max_shapes: how many padded lengths there may be.
            shuffle: False orders items by bucket, then as given.
            edges: ascending padded lengths to use instead of choosing them, so
                that two plans share their compiled shapes.

        Raises:
            InputError: if there is no item, a length or the batch size is below
                1, or an item is longer than the last edge.
        """
        super().__init__(batch_size, seed, max_shapes, shuffle)
        self.lengths = check_lengths(lengths)
        if edges is None:
            edges = choose_edges(self.lengths, max_shapes, batch_size=batch_size)
        self._edges = np.asarray(edges, np.int64)
        if self._edges.size == 0 or np.any(np.diff(self._edges, prepend=0) <= 0):
            raise InputError(
                f"edges must be positive and ascending, got {tuple(edges)}"
            )
        if self.lengths.max() > self._edges[-1]:
            raise InputError(
                f"the last edge must hold the longest item ({self.lengths.max()} "
                f"frames), got {self._edges[-1]}; pass larger edges"
            )
        self._bucket = np.searchsorted(self._edges, self.lengths)
        _, frames = self._make_epoch(0)
        self.batches_per_epoch = int(frames.size)
        self.shapes = tuple(int(edge) for edge in np.unique(frames))
        self.padding = 1 - float(self.lengths.sum() / (frames.sum() * batch_size))

    def _make_epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        shuffled = self._shuffler(epoch)
        order = shuffled(np.arange(self.lengths.size))
        fillers = -self.lengths.size % self.batch_size
        left = np.empty(0, np.int64)
        rows, frames = [], []
        for bucket, edge in enumerate(self._edges):
            pool = np.concatenate([left, order[self._bucket[order] == bucket]])
            count = (pool.size + fillers) // self.batch_size
            used = max(count * self.batch_size - fillers, 0)
            now, left = pool[:used], pool[used:]
            if count == 0:
                continue
            real = self.batch_size - np.diff(np.arange(count + 1) * fillers // count)
            table = np.full((count, self.batch_size), -1, np.int32)
            table[np.arange(self.batch_size) < real[:, None]] = shuffled(now)
            rows.append(table)
            frames.append(np.full(count, edge))
            fillers = 0
        sequence = shuffled(np.arange(sum(map(len, frames))))
        return np.concatenate(rows)[sequence], np.concatenate(frames)[sequence]


def check_lengths(lengths: np.ndarray, axes: int = 1) -> np.ndarray:
    """Returns the lengths of items, (n,) or with 2 axes (n, m), as int64.

    Raises:
        InputError: if there is none, or one is below 1.
    """
    lengths = np.asarray(lengths, np.int64)
    if lengths.ndim != axes or lengths.size == 0:
        raise InputError(
            "lengths must hold at least one item, got none; check the split and the "
            "limits on frames"
        )
    if lengths.min() < 1:
        item = int(lengths.argmin()) // int(np.prod(lengths.shape[1:], initial=1))
        raise InputError(
            f"every length must be at least 1 frame, got {lengths.min()} at item {item}"
        )
    return lengths
