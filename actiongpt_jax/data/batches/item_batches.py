"""Base class of all batches: reads the items of a plan from memory-mapped stores."""

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
    """Reads batches of motion stretches with their texts.

    Nothing is kept between batches, so memory does not grow with the stores. Subclasses
    define the content of a batch.

    Attributes:
        plan: assigns items to batches.
        items: the items, in the order of the plan.
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
            store: motion store of the items.
            items: the items, in the order of the plan.
            embeddings: embedding store with the texts of the items.
            plan: assigns items to batches.
            source: which texts to use, 'descriptions', 'phrase' or, for batches with
                tokens, 'mixed'; see `config.text.source`.
            process_index: p; this process of P loads rows [p B / P, (p + 1) B / P).
            process_count: P, number of processes.

        Raises:
            InputError: if the batch size is not a multiple of the process count.
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
        # Plain views, because each slice of an np.memmap creates a costly object.
        self._rotations = np.asarray(store.rotations)
        self._translation = np.asarray(store.translation)
        self._hands = None if store.hands is None else np.asarray(store.hands)
        self._sequence_starts = np.array(
            [store.sequences[item.sequence].start for item in items]
        )
        rows = plan.batch_size // process_count
        self._rows = slice(process_index * rows, (process_index + 1) * rows)

    def load(self, step: int) -> dict[str, np.ndarray]:
        """Returns this process's rows of the raw batch of a global step."""
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
        """Reads motions and pads them to one length.

        Args:
            starts: (B,) first frame of each motion, as a row of the store's arrays.
            lengths: (B,) number of frames to read; 0 for a filler row.
            frames: T, the padded length.
            hands: whether to read the hands too, as joints 22 and 23.

        Returns:
            rotations (B, T, 22 or 24, 3), translation (B, T, 3) and lengths (B,)
            int32. Padded frames repeat the last real one; filler rows hold the rest
            pose.
        """
        # New arrays every time: on a CPU a device array may share their memory.
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
