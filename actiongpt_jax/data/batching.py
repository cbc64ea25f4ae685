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

import jax
import jax.numpy as jnp
import numpy as np

from actiongpt_jax.data.batch_plan import BatchPlan
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.data.prefetch import prefetch
from actiongpt_jax.data.segments import Segment
from actiongpt_jax.errors import InputError
from actiongpt_jax.features import rot_velocity
from actiongpt_jax.features.normalizer import Normalizer, fit_normalizer
from actiongpt_jax.geometry.rotations import axis_angle_to_matrix
from actiongpt_jax.text.embedding_store import EmbeddingStore

_JOINTS = 22
# Tensor cores want multiples of 8; on a CPU it costs nothing measurable.
_TOKEN_MULTIPLE = 8


def padded_tokens(
    embeddings: EmbeddingStore, phrases: Iterable[str], source: str
) -> int:
    """Returns the tokens of the longest of the phrases, rounded up to a multiple of 8.

    Raises:
        InputError: if the store lacks one of the phrases.
    """
    longest = embeddings.max_tokens(sorted(set(phrases)), source)
    return max(-(-longest // _TOKEN_MULTIPLE), 1) * _TOKEN_MULTIPLE


class SegmentBatches:
    """Reads batches of segments with their text from memory-mapped stores.

    Nothing is kept between batches: RAM does not grow with the stores.

    Attributes:
        plan: which items make which batch.
        num_tokens: N, the same for every batch, so that text adds no shapes.
    """

    def __init__(
        self,
        store: MotionStore,
        segments: Sequence[Segment],
        embeddings: EmbeddingStore,
        plan: BatchPlan,
        source: str = "descriptions",
        num_tokens: int | None = None,
        process_index: int = 0,
        process_count: int = 1,
    ):
        """Checks that every phrase is there, before any step.

        Args:
            store: holds the motions.
            segments: items of the plan, in its order.
            embeddings: holds the phrases' tokens.
            plan: of the segments' lengths.
            source: 'descriptions' or 'phrase'.
            num_tokens: N; None takes the longest phrase's, rounded up to 8.
            process_index: this process p of P loads rows [p B / P, (p + 1) B / P).
            process_count: P.

        Raises:
            InputError: if plan and segments differ, a phrase is missing or longer
                than `num_tokens`, or the batch does not divide among processes.
        """
        lengths = np.array([s.end - s.start for s in segments])
        if not np.array_equal(lengths, plan.lengths):
            raise InputError(
                f"the plan must be made of the segments' lengths, got "
                f"{plan.lengths.size} items for {len(segments)} segments; pass "
                "[s.end - s.start for s in segments]"
            )
        if plan.batch_size % process_count:
            raise InputError(
                f"the batch size must be a multiple of the {process_count} "
                f"processes, got {plan.batch_size}"
            )
        needed = padded_tokens(embeddings, (s.phrase for s in segments), source)
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
            [store.sequences[s.sequence].start + s.start for s in segments]
        )
        self._phrases = [s.phrase for s in segments]
        self._embeddings = embeddings
        self._source = source
        rows = plan.batch_size // process_count
        self._rows = slice(process_index * rows, (process_index + 1) * rows)

    def load(self, step: int) -> dict[str, np.ndarray]:
        """Returns the raw batch of a global step: this process's rows."""
        items, frames = self.plan.batch(step)
        index = np.arange(items.size, dtype=np.int32)[self._rows]
        items = items[self._rows]
        return {
            **self.load_motion(items, frames),
            **self._load_text(items),
            "index": index,
            "item": items,
        }

    def load_motion(self, items: np.ndarray, frames: int) -> dict[str, np.ndarray]:
        """Reads motions behind each other's padding.

        Args:
            items: (B,) segments; -1 = filler row.
            frames: T.

        Returns:
            rotations, translation and lengths of the raw batch. Padded frames
            repeat the last real one; filler rows are the rest pose.
        """
        # Fresh arrays: on a CPU a device array may share memory with its source.
        rotations = np.empty((items.size, frames, _JOINTS, 3), np.float32)
        translation = np.empty((items.size, frames, 3), np.float32)
        lengths = np.where(items < 0, 0, self.plan.lengths[items]).astype(np.int32)
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

    def _load_text(self, items: np.ndarray) -> dict[str, np.ndarray]:
        shape = (items.size, self.num_tokens, self._embeddings.width)
        tokens = np.empty(shape, np.float16)
        lengths = np.zeros(items.size, np.int32)
        for row, item in enumerate(items):
            if item >= 0:
                found = self._embeddings.tokens(self._phrases[item], self._source)
                lengths[row] = len(found)
                tokens[row, : len(found)] = found
            tokens[row, lengths[row] :] = 0
        return {"tokens": tokens, "token_lengths": lengths}


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
    features = _features(raw["rotations"], raw["translation"], heading)
    frame_mask = _mask(raw["lengths"], features.shape[1])
    return {
        "features": jnp.where(
            frame_mask[..., None], normalizer.normalize(features), 0.0
        ),
        "frame_mask": frame_mask,
        "tokens": raw["tokens"].astype(jnp.float32),
        "token_mask": _mask(raw["token_lengths"], raw["tokens"].shape[1]),
    }


def fit_features(batches: SegmentBatches, heading: str = "yaw") -> Normalizer:
    """Fits a normalizer to the real frames of all segments, in one pass.

    The order is not the seed's and every process reads all rows: the result is the
    same for all seeds and in all processes.

    Args:
        batches: of the training split.
        heading: 'yaw' or 'reference'.

    Returns:
        Mean and standard deviation of the 135 features.
    """
    plan = batches.plan
    plan = BatchPlan(plan.lengths, plan.batch_size, 0, shuffle=False, edges=plan.shapes)
    encode = jax.jit(_features, static_argnames="heading")

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


def _features(rotations: jax.Array, translation: jax.Array, heading: str) -> jax.Array:
    if heading not in ("yaw", "reference"):
        raise InputError(f"heading must be 'yaw' or 'reference', got {heading!r}")
    return rot_velocity.encode(
        axis_angle_to_matrix(rotations),
        translation,
        canonicalize=True,
        compat="reference" if heading == "reference" else None,
    )


def _mask(lengths: jax.Array, size: int) -> jax.Array:
    return jnp.arange(size) < lengths[:, None]
