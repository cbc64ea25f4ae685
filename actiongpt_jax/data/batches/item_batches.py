"""What every kind of batch shares: rows of a plan, read from memory-mapped stores."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from actiongpt_jax.data.batches.plan import Plan
from actiongpt_jax.data.batches.segments import Pair, Segment
from actiongpt_jax.data.batches.windows import Clip
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.errors import InputError
from actiongpt_jax.text.embeddings.store import EmbeddingStore

_BODY_JOINTS = 22

Item = TypeVar("Item", bound=Segment | Pair | Clip)


class ItemBatches(Generic[Item]):
    """Reads stretches of motion and their texts.

    Nothing is kept between batches: memory does not grow with the stores. Subclasses
    say what a batch is made of.

    Attributes:
        plan: which items make which batch.
        items: the items of the plan, in its order.
    """

    def __init__(
        self,
        store: MotionStore,
        items: Sequence[Item],
        embeddings: EmbeddingStore,
        plan: Plan,
        *,
        source: str = "descriptions",
        process_index: int = 0,
        process_count: int = 1,
    ):
        """Opens the stores' arrays.

        Args:
            store: holds the motions.
            items: the items of the plan, in its order.
            embeddings: holds the texts of the items.
            plan: which items make which batch.
            source: 'descriptions' or 'phrase'.
            process_index: this process p of P loads rows [p B / P, (p + 1) B / P).
            process_count: P.

        Raises:
            InputError: if the batch does not divide among processes.
        """
        if plan.batch_size % process_count:
            raise InputError(
                f"the batch size must be a multiple of the {process_count} "
                f"processes, got {plan.batch_size}"
            )
        self.plan = plan
        self.items = items
        self._embeddings = embeddings
        self._source = source
        # Plain views: slicing np.memmap itself makes a costly object each time.
        self._rotations = np.asarray(store.rotations)
        self._translation = np.asarray(store.translation)
        self._hands = None if store.hands is None else np.asarray(store.hands)
        self._sequence_starts = np.array(
            [store.sequences[item.sequence].start for item in items]
        )
        rows = plan.batch_size // process_count
        self._rows = slice(process_index * rows, (process_index + 1) * rows)

    def load(self, step: int) -> dict[str, np.ndarray]:
        """Returns the raw batch of a global step: the rows of this process."""
        items, shape = self.plan.batch(step)
        index = np.arange(items.size, dtype=np.int32)[self._rows]
        items = items[self._rows]
        raw = self._load(items, shape, step // self.plan.batches_per_epoch)
        return {**raw, "index": index, "item": items}

    def _load(self, items: np.ndarray, shape: Any, epoch: int) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def read_motion(
        self, starts: np.ndarray, lengths: np.ndarray, frames: int, hands: bool = False
    ) -> dict[str, np.ndarray]:
        """Reads motions and pads them.

        Args:
            starts: (B,) first frames, as rows of the store's arrays.
            lengths: (B,) frames to read; 0 = filler row.
            frames: T.
            hands: read the hands too, as joints 22 and 23.

        Returns:
            rotations (B, T, 22 or 24, 3), translation (B, T, 3) and lengths (B,)
            int32. Padded frames repeat the last real one; filler rows are the rest
            pose.
        """
        # Fresh arrays: on a CPU a device array may share memory with its source.
        joints = _BODY_JOINTS + 2 * hands
        rotations = np.empty((lengths.size, frames, joints, 3), np.float32)
        translation = np.empty((lengths.size, frames, 3), np.float32)
        outputs = [
            (rotations[:, :, :_BODY_JOINTS], self._rotations),
            (translation, self._translation),
        ]
        if hands and self._hands is not None:
            outputs.append((rotations[:, :, _BODY_JOINTS:], self._hands))
        elif hands:
            rotations[:, :, _BODY_JOINTS:] = 0
        for row, (start, length) in enumerate(zip(starts, lengths, strict=True)):
            for out, source in outputs:
                if length:
                    out[row, :length] = source[start : start + length]
                    out[row, length:] = source[start + length - 1]
                else:
                    out[row] = 0
        lengths = lengths.astype(np.int32)
        return {"rotations": rotations, "translation": translation, "lengths": lengths}
