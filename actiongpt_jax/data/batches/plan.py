"""Assigns items to batches by length, reproducibly from seed and epoch."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from actiongpt_jax.errors import InputError
from actiongpt_jax.shapes import round_up

# The dynamic program considers every pair of candidate edges: 2048 candidates take a
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
    """Chooses the padded lengths (bucket edges) that give the fewest padded frames.

    The choice is optimal under the rules of `BatchPlan`: items that do not fill a batch
    of their bucket move to the next longer bucket, and filler rows go to the shortest.
    The cost is therefore that of whole batches. It is found by dynamic programming.

    Args:
        lengths: (n,) number of frames of each item.
        max_shapes: largest number of edges.
        batch_size: B, number of rows of a batch.

    Returns:
        Ascending edges; the last is long enough for the longest item. Of equally good
        choices, the one with the fewest edges, because each edge costs a compilation.

    Raises:
        InputError: if there is no item or a length is below 1.
    """
    lengths = check_lengths(lengths)
    # Candidate edges: the rounded lengths, rounded more coarsely while too many.
    multiple = MULTIPLE
    while (edges := np.unique(round_up(lengths, multiple))).size > _MAX_CANDIDATES:
        multiple *= 2
    shorter = np.searchsorted(np.sort(lengths), edges, side="right")
    fillers = -lengths.size % batch_size
    # Number of whole batches that the items up to each edge fill; it does not depend on
    # which items the shuffle moves to the next bucket.
    batches = (shorter + fillers) // batch_size
    # cost[i]: frames of one row, summed over all batches up to edge i, if edge i is
    # chosen. With one edge, every batch up to edge i has its length.
    cost = edges * batches
    origin = np.full(edges.size, -1)
    costs, origins = [cost], [origin]
    # Each round allows one more edge; origin[i] is the edge chosen before edge i.
    later = np.triu(np.ones((edges.size, edges.size), bool), 1)
    for _ in range(min(max_shapes, edges.size) - 1):
        step = cost[:, None] + edges * (batches - batches[:, None])
        step = np.where(later, step, np.iinfo(np.int64).max)
        origin = step.argmin(0)
        # No edge precedes edge 0, so its cost stays.
        cost = np.where(later.any(0), step.min(0), cost)
        origin[0] = -1
        costs.append(cost)
        origins.append(origin)
    # Take the cheapest number of edges and walk back from the last edge.
    level = int(np.argmin([c[-1] for c in costs]))
    chosen, at = [], edges.size - 1
    while at >= 0:
        chosen.append(int(edges[at]))
        at = int(origins[level][at])
        level -= 1
    return tuple(reversed(chosen))


class Plan:
    """The batches of every epoch, computed from (seed, epoch) alone.

    Every item occurs exactly once in an epoch, and every epoch has the same number of
    batches of each shape. Filler rows make the number of rows a multiple of the batch
    size.

    Attributes:
        lengths: number of frames of each item, at least 1.
        batch_size: B, number of rows of a batch.
        batches_per_epoch: number of batches, the same in every epoch.
        shapes: the padded lengths that occur, ascending.
        padding: fraction of all frames that is padding, filler rows included.
    """

    lengths: np.ndarray
    batches_per_epoch: int
    shapes: tuple
    padding: float

    def __init__(self, batch_size: int, seed: int, max_shapes: int, shuffle: bool):
        """Checks the arguments that all plans share.

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
        """Returns the batch of a global step.

        Args:
            step: 0, 1, ..., counted over all epochs.

        Returns:
            (B,) int32 item numbers, -1 for a filler row; and the padded length, one of
            `shapes`.
        """
        epoch, within = divmod(step, self.batches_per_epoch)
        # A single assignment, so that another thread never sees half an update.
        cached = self._epoch
        if cached[0] != epoch:
            self._epoch = cached = (epoch, *self._make_epoch(epoch))
        frames = cached[2][within].tolist()
        shape = tuple(frames) if isinstance(frames, list) else frames
        return cached[1][within].copy(), shape

    def _make_epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns (batches, B) item numbers and (batches, ...) padded lengths."""
        raise NotImplementedError

    def _shuffler(self, epoch: int) -> Callable[[np.ndarray], np.ndarray]:
        """Returns a function that shuffles arrays, reproducible from seed and epoch."""
        # numpy guarantees only raw bits to stay the same across versions, and a run
        # must be resumable after an update of numpy.
        bits = np.random.Philox(np.random.SeedSequence([self._seed, epoch]))

        def shuffled(items: np.ndarray) -> np.ndarray:
            if not self._shuffle:
                return items
            return items[np.argsort(bits.random_raw(len(items)), kind="stable")]

        return shuffled


class BatchPlan(Plan):
    """Batches of items that have one length each, bucketed by it.

    An item belongs to the shortest bucket that it fits in. If the items of a bucket do
    not fill its last batch, the remaining ones (drawn again in each epoch) move to the
    next longer bucket.

    The filler rows are spread over the batches of the shortest bucket, where a row
    costs the fewest frames. (One partial batch of the longest items would cost five
    times as many frames, on small data sets a tenth of all work, and its items would
    have the largest weight.)

    The attributes are those of `Plan`; `lengths` is (n,), and `shapes` has at most
    `max_shapes` numbers.
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
        """Chooses the buckets and counts the batches.

        Args:
            lengths: (n,) number of frames of each item.
            batch_size: B, number of rows of a batch.
            seed: seed of the order of items and batches, 0 or more.
            max_shapes: largest number of padded lengths.
            shuffle: False orders items by bucket and, within a bucket, as given.
            edges: ascending padded lengths to use instead of choosing them, so that
                two plans share their compiled shapes.

        Raises:
            InputError: if there is no item, a length or the batch size is below
                1, or an item is longer than the last edge.
        """
        super().__init__(batch_size, seed, max_shapes, shuffle)
        self.lengths = check_lengths(lengths)
        # Choose the bucket edges, or check the given ones.
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
        # The counts are the same in every epoch, so they are taken from the first.
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
            # The bucket's items, after those left by the shorter bucket.
            pool = np.concatenate([left, order[self._bucket[order] == bucket]])
            # Fill whole batches; the remaining items move to the next bucket.
            count = (pool.size + fillers) // self.batch_size
            used = max(count * self.batch_size - fillers, 0)
            now, left = pool[:used], pool[used:]
            if count == 0:
                continue
            # Spread the fillers evenly over the batches, at the end of each.
            real = self.batch_size - np.diff(np.arange(count + 1) * fillers // count)
            table = np.full((count, self.batch_size), -1, np.int32)
            table[np.arange(self.batch_size) < real[:, None]] = shuffled(now)
            rows.append(table)
            frames.append(np.full(count, edge))
            fillers = 0
        # Shuffle the batches of all buckets.
        sequence = shuffled(np.arange(sum(map(len, frames))))
        return np.concatenate(rows)[sequence], np.concatenate(frames)[sequence]


def check_lengths(lengths: np.ndarray, axes: int = 1) -> np.ndarray:
    """Returns the lengths of items as int64; (n,), or (n, m) with 2 axes.

    Raises:
        InputError: if there are no items or a length is below 1.
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
