"""Assigns pairs of actions to batches by their two lengths."""

import numpy as np

from actiongpt_jax.data.batches.plan import MULTIPLE, Plan, check_lengths
from actiongpt_jax.shapes import round_up

# Number of rounds in which every item is offered one exchange. After this many, two
# items of one initial group share a batch hardly more often than any other two.
_ROUNDS = 32


class PairPlan(Plan):
    """Batches of items that have two lengths each.

    The items are divided once into groups of whole batches that share a shape; see
    `divide`. In each epoch, items of different groups are exchanged if each fits the
    other's shape. The items that share a batch thus vary, while the number of batches
    of each shape, and with it the padding, stays the same.

    The attributes are those of `Plan`; `lengths` is (n, 2), and `shapes` has at most
    `max_shapes` pairs.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        batch_size: int,
        seed: int,
        max_shapes: int = 16,
        *,
        shuffle: bool = True,
    ):
        """Divides the items into groups and counts the batches.

        Args:
            lengths: (n, 2) number of frames of the first action, and of the second
                including the transition before it.
            batch_size: B, number of rows of a batch.
            seed: seed of the order of items and batches, 0 or more.
            max_shapes: largest number of pairs of padded lengths.
            shuffle: False leaves items in their groups, in the order given.

        Raises:
            InputError: if there are no items or a number is out of range.
        """
        super().__init__(batch_size, seed, max_shapes, shuffle)
        self.lengths = check_lengths(lengths, axes=2)
        # Filler rows have no frames, so they fit any shape.
        fillers = np.zeros((-len(self.lengths) % batch_size, 2), np.int64)
        self._padded = np.concatenate([self.lengths, fillers])
        groups = divide(self._padded, batch_size, max_shapes)
        self._slots = np.concatenate(groups)
        self._group = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
        self._tops = np.array([_top(self._padded[group]) for group in groups])
        frames = self._tops[self._group[::batch_size]]
        self.batches_per_epoch = len(frames)
        self.shapes = tuple(sorted({tuple(top) for top in self._tops.tolist()}))
        self.padding = 1 - float(self.lengths.sum() / (frames.sum() * batch_size))

    def _make_epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        shuffled = self._shuffler(epoch)
        slots = self._slots.copy()
        if self._shuffle:
            for _ in range(_ROUNDS):
                self._exchange(slots, shuffled(np.arange(slots.size)))
        for group in range(len(self._tops)):
            places = np.flatnonzero(self._group == group)
            slots[places] = shuffled(np.sort(slots[places]))
        table = slots.reshape(-1, self.batch_size)
        table = np.where(table < len(self.lengths), table, -1).astype(np.int32)
        sequence = shuffled(np.arange(len(table)))
        frames = self._tops[self._group[:: self.batch_size]]
        return table[sequence], frames[sequence]

    def _exchange(self, slots: np.ndarray, order: np.ndarray) -> None:
        """Exchanges items of neighbouring slots in `order` if both fit."""
        a, b = order[: order.size // 2 * 2].reshape(-1, 2).T
        fits = (self._padded[slots[a]] <= self._tops[self._group[b]]).all(1)
        fits &= (self._padded[slots[b]] <= self._tops[self._group[a]]).all(1)
        a, b = a[fits], b[fits]
        slots[a], slots[b] = slots[b], slots[a]


def divide(lengths: np.ndarray, batch_size: int, max_groups: int) -> list[np.ndarray]:
    """Divides items into groups of whole batches, with few padded frames.

    Starts from one group and repeatedly makes the cut that saves the most frames. A cut
    separates whole batches of a group whose items are ordered by their first length,
    their second, or the sum. (Finding the optimal division would take too long.)

    Args:
        lengths: (n, 2) number of frames; n is a multiple of the batch size.
        batch_size: B, number of rows of a batch.
        max_groups: largest number of groups.

    Returns:
        The item numbers of each group.
    """
    groups = [np.arange(len(lengths))]
    cuts = [_best_cut(lengths, batch_size)]
    while len(groups) < max_groups:
        i = int(np.argmax([gain for gain, _ in cuts]))
        gain, (left, right) = cuts[i]
        if gain <= 0:
            break
        group = groups[i]
        groups[i : i + 1] = [group[left], group[right]]
        cuts[i : i + 1] = [_best_cut(lengths[g], batch_size) for g in groups[i : i + 2]]
    return groups


def _best_cut(
    lengths: np.ndarray, batch_size: int
) -> tuple[int, tuple[np.ndarray, np.ndarray]]:
    """Returns how many frames the best cut of a group saves, and its two parts."""
    count = len(lengths)
    whole = count * int(_top(lengths).sum())
    best, parts = 0, (np.arange(count), np.arange(0))
    at = np.arange(batch_size, count, batch_size)
    if not at.size:
        return best, parts
    for key in (lengths[:, 0], lengths[:, 1], lengths.sum(1)):
        order = np.lexsort((lengths.sum(1), key))
        sorted_ = lengths[order]
        below = round_up(np.maximum.accumulate(sorted_), MULTIPLE).sum(1)
        above = np.maximum.accumulate(sorted_[::-1])[::-1]
        above = round_up(above, MULTIPLE).sum(1)
        frames = at * below[at - 1] + (count - at) * above[at]
        i = int(frames.argmin())
        if whole - frames[i] > best:
            best = int(whole - frames[i])
            parts = order[: at[i]], order[at[i] :]
    return best, parts


def _top(lengths: np.ndarray) -> np.ndarray:
    """Returns the (2,) smallest padded lengths that fit all of the (n, 2) lengths."""
    return round_up(lengths.max(0), MULTIPLE)
