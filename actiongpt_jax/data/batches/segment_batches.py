"""From stores to what a model of one phrase and one motion is trained on.

A raw batch (`SegmentBatches.load`, numpy, this process's rows) has

| key | shape | |
|---|---|---|
| rotations | (B, T, 22, 3) float32 | axis-angle, radians |
| translation | (B, T, 3) float32 | metres |
| lengths | (B,) int32 | real frames; 0 = filler row |
| tokens | (B, N, E) float16 | aggregated text tokens |
| token_lengths | (B,) int32 | real tokens |
| index | (B,) int32 | row in the global batch |
| item | (B,) int32 | row in the list of segments; -1 = filler row |

and `model_batch` turns it, on the device, into features and masks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from actiongpt_jax.data.batches.plan import BatchPlan, Plan
from actiongpt_jax.data.batches.prefetch import prefetch
from actiongpt_jax.data.batches.segments import Pair, Segment, phrases
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.errors import InputError
from actiongpt_jax.features import rot_velocity
from actiongpt_jax.features.normalizer import Normalizer, fit_normalizer
from actiongpt_jax.geometry.rotations import axis_angle_to_matrix
from actiongpt_jax.text.embeddings.store import EmbeddingStore

_JOINTS = 22
# Tensor cores want multiples of 8; on a CPU it costs nothing measurable.
_TOKEN_MULTIPLE = 8


def padded_tokens(embeddings: EmbeddingStore, texts: Iterable[str], source: str) -> int:
    """Returns the tokens of the longest of the phrases, rounded up to a multiple of 8.

    Raises:
        InputError: if the store lacks one of the phrases.
    """
    longest = embeddings.max_tokens(sorted(set(texts)), source)
    return max(-(-longest // _TOKEN_MULTIPLE), 1) * _TOKEN_MULTIPLE


class ItemBatches:
    """Reads stretches of motion and their texts from memory-mapped stores.

    Nothing is kept between batches: RAM does not grow with the stores. Subclasses
    say what a batch is made of.

    Attributes:
        plan: which items make which batch.
        frames: (n,) whole length of each item.
        num_tokens: N, the same for every batch, so that text adds no shapes.
    """

    def __init__(
        self,
        store: MotionStore,
        items: Sequence[Segment | Pair],
        embeddings: EmbeddingStore,
        plan: Plan,
        source: str = "descriptions",
        num_tokens: int | None = None,
        process_index: int = 0,
        process_count: int = 1,
    ):
        """Checks that every phrase is there, before any step.

        Args:
            store: holds the motions.
            items: of the plan, in its order.
            embeddings: holds the phrases' tokens.
            plan: of the items' lengths.
            source: 'descriptions' or 'phrase'.
            num_tokens: N; None takes the longest phrase's, rounded up to 8.
            process_index: this process p of P loads rows [p B / P, (p + 1) B / P).
            process_count: P.

        Raises:
            InputError: if plan and items differ, a phrase is missing or longer than
                `num_tokens`, or the batch does not divide among processes.
        """
        self.frames = np.array([item.end - item.start for item in items])
        if not np.array_equal(
            self.frames, plan.lengths.reshape(len(plan.lengths), -1).sum(1)
        ):
            raise InputError(
                f"the plan must be made of the items' lengths, got "
                f"{len(plan.lengths)} in the plan for {len(items)} items; pass the "
                "frames of each item, and to a plan of pairs those of both actions"
            )
        if plan.batch_size % process_count:
            raise InputError(
                f"the batch size must be a multiple of the {process_count} "
                f"processes, got {plan.batch_size}"
            )
        needed = padded_tokens(embeddings, phrases(items), source)
        if num_tokens is not None and num_tokens < needed:
            raise InputError(
                f"num_tokens must hold the longest phrase's tokens, {needed} when "
                f"rounded up, got {num_tokens}"
            )
        self.plan = plan
        self.num_tokens = needed if num_tokens is None else num_tokens
        # Plain views: slicing np.memmap itself makes a costly object each time.
        self._rotations = np.asarray(store.rotations)
        self._translation = np.asarray(store.translation)
        self._starts = np.array(
            [store.sequences[item.sequence].start + item.start for item in items]
        )
        self._embeddings = embeddings
        self._source = source
        rows = plan.batch_size // process_count
        self._rows = slice(process_index * rows, (process_index + 1) * rows)

    def load(self, step: int) -> dict[str, np.ndarray]:
        """Returns the raw batch of a global step: this process's rows."""
        items, shape = self.plan.batch(step)
        index = np.arange(items.size, dtype=np.int32)[self._rows]
        items = items[self._rows]
        return {**self._load(items, shape), "index": index, "item": items}

    def _load(self, items: np.ndarray, shape: Any) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def load_motion(self, items: np.ndarray, frames: int) -> dict[str, np.ndarray]:
        """Reads motions behind each other's padding.

        Args:
            items: (B,) rows in the list of items; -1 = filler row.
            frames: T.

        Returns:
            rotations (B, T, 22, 3), translation (B, T, 3) and lengths (B,) int32.
            Padded frames repeat the last real one; filler rows are the rest pose.
        """
        # Fresh arrays: on a CPU a device array may share memory with its source.
        rotations = np.empty((items.size, frames, _JOINTS, 3), np.float32)
        translation = np.empty((items.size, frames, 3), np.float32)
        lengths = np.where(items < 0, 0, self.frames[items]).astype(np.int32)
        for row, (item, length) in enumerate(zip(items, lengths, strict=True)):
            for out, source in (
                (rotations[row], self._rotations),
                (translation[row], self._translation),
            ):
                if item < 0:
                    out[:] = 0
                    continue
                end = self._starts[item] + length
                out[:length] = source[end - length : end]
                out[length:] = source[end - 1]
        return {"rotations": rotations, "translation": translation, "lengths": lengths}

    def load_text(
        self, row_phrases: Sequence[str | None]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Reads the tokens of each row's phrase; None = filler row.

        Returns:
            (B, N, E) float16 tokens, 0 where there are no more, and (B,) int32 how
            many are real.
        """
        shape = (len(row_phrases), self.num_tokens, self._embeddings.width)
        tokens = np.empty(shape, np.float16)
        lengths = np.zeros(len(row_phrases), np.int32)
        for row, phrase in enumerate(row_phrases):
            if phrase is not None:
                found = self._embeddings.tokens(phrase, self._source)
                lengths[row] = len(found)
                tokens[row, : len(found)] = found
            tokens[row, lengths[row] :] = 0
        return tokens, lengths


class SegmentBatches(ItemBatches):
    """Batches of single actions, see the table above.

    Attributes and arguments: those of `ItemBatches`; items are segments, their plan
    a `BatchPlan`.
    """

    def __init__(
        self,
        store: MotionStore,
        segments: Sequence[Segment],
        embeddings: EmbeddingStore,
        plan: Plan,
        **options: Any,
    ):
        """Opens; arguments and errors as of `ItemBatches`."""
        super().__init__(store, segments, embeddings, plan, **options)
        self._phrases = [segment.phrase for segment in segments]

    def _load(self, items: np.ndarray, shape: int) -> dict[str, np.ndarray]:
        tokens, token_lengths = self.load_text(
            [self._phrases[item] if item >= 0 else None for item in items]
        )
        return {
            **self.load_motion(items, shape),
            "tokens": tokens,
            "token_lengths": token_lengths,
        }


def model_batch(
    raw: Mapping[str, jax.Array], normalizer: Normalizer, heading: str = "yaw"
) -> dict[str, jax.Array]:
    """Turns a raw batch into what models and losses read; pure, for use under jit.

    Args:
        raw: at least rotations, translation, lengths, tokens, token_lengths.
        normalizer: of the 135 features.
        heading: 'yaw' or 'reference', see `features.rot_velocity.encode`.

    Returns:
        features (B, T, 135) float32, normalised, 0 where padded; frame_mask
        (B, T) bool; tokens (B, N, E) float32; token_mask (B, N) bool.
    """
    features = encode_features(raw["rotations"], raw["translation"], heading)
    frame_mask = mask_of(raw["lengths"], features.shape[1])
    return {
        "features": jnp.where(
            frame_mask[..., None], normalizer.normalize(features), 0.0
        ),
        "frame_mask": frame_mask,
        "tokens": raw["tokens"].astype(jnp.float32),
        "token_mask": mask_of(raw["token_lengths"], raw["tokens"].shape[1]),
    }


def fit_features(batches: ItemBatches, heading: str = "yaw") -> Normalizer:
    """Fits a normalizer to the real frames of all items, in one pass.

    The order is not the seed's and every process reads all rows: the result is the
    same for all seeds and in all processes.

    Args:
        batches: of the training split.
        heading: 'yaw' or 'reference'.

    Returns:
        Mean and standard deviation of the 135 features.
    """
    plan = BatchPlan(batches.frames, batches.plan.batch_size, 0, 4, shuffle=False)
    encode = jax.jit(encode_features, static_argnames="heading")

    def frames() -> Iterator[np.ndarray]:
        loads = prefetch(
            lambda step: batches.load_motion(*plan.batch(step)),
            range(plan.batches_per_epoch),
        )
        for raw in loads:
            features = encode(raw["rotations"], raw["translation"], heading=heading)
            real = np.arange(features.shape[1]) < raw["lengths"][:, None]
            yield np.asarray(features)[real]

    return fit_normalizer(frames())


def encode_features(
    rotations: Float[Array, "b t j 3"], translation: Float[Array, "b t 3"], heading: str
) -> Float[Array, "b t f"]:
    """Returns the features, not normalised, of axis-angle rotations; see `load`."""
    if heading not in ("yaw", "reference"):
        raise InputError(f"heading must be 'yaw' or 'reference', got {heading!r}")
    return rot_velocity.encode(
        axis_angle_to_matrix(rotations),
        translation,
        canonicalize=True,
        compat="reference" if heading == "reference" else None,
    )


def mask_of(lengths: Int[Array, " b"], size: int) -> Bool[Array, "b t"]:
    """Returns (B, size), True at the first `lengths` places of each row."""
    return jnp.arange(size) < lengths[:, None]
