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

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from actiongpt_jax.data.batches.item_batches import ItemBatches
from actiongpt_jax.data.batches.plan import BatchPlan, Plan
from actiongpt_jax.data.batches.prefetch import prefetch
from actiongpt_jax.data.batches.segments import Pair, Segment, phrases
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.errors import InputError
from actiongpt_jax.features import rot_velocity
from actiongpt_jax.features.normalizer import Normalizer, fit_normalizer
from actiongpt_jax.geometry.rotations import axis_angle_to_matrix
from actiongpt_jax.shapes import round_up
from actiongpt_jax.text.embeddings.store import EmbeddingStore

# Tensor cores want multiples of 8; on a CPU it costs nothing measurable.
_TOKEN_MULTIPLE = 8

TextItem = TypeVar("TextItem", bound=Segment | Pair)


def padded_tokens(embeddings: EmbeddingStore, texts: Iterable[str], source: str) -> int:
    """Returns the tokens of the longest of the phrases, rounded up to a multiple of 8.

    Raises:
        InputError: if the store lacks one of the phrases.
    """
    longest = embeddings.max_tokens(sorted(set(texts)), source)
    return round_up(max(longest, 1), _TOKEN_MULTIPLE)


class TokenBatches(ItemBatches[TextItem]):
    """Batches whose texts are token embeddings.

    Attributes: those of `ItemBatches`, and
        frames: (n,) whole length of each item.
        num_tokens: N, the same for every batch, so that text adds no shapes.
    """

    def __init__(
        self,
        store: MotionStore,
        items: Sequence[TextItem],
        embeddings: EmbeddingStore,
        plan: Plan,
        *,
        num_tokens: int | None = None,
        **options: Any,
    ):
        """Checks that every phrase is there, before any step.

        Args:
            store: holds the motions.
            items: segments or pairs, in the order of the plan.
            embeddings: holds the phrases' tokens.
            plan: made of the items' lengths.
            num_tokens: N; None takes the longest phrase's, rounded up to 8.
            options: source, process_index and process_count; see `ItemBatches`.

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
        super().__init__(store, items, embeddings, plan, **options)
        needed = padded_tokens(embeddings, phrases(items), self._source)
        if num_tokens is not None and num_tokens < needed:
            raise InputError(
                f"num_tokens must hold the longest phrase's tokens, {needed} when "
                f"rounded up, got {num_tokens}"
            )
        self.num_tokens = needed if num_tokens is None else num_tokens
        self._starts = self._sequence_starts + [item.start for item in items]

    def load_motion(self, items: np.ndarray, frames: int) -> dict[str, np.ndarray]:
        """Reads the motions of (B,) items, -1 = filler row; see `read_motion`."""
        lengths = np.where(items < 0, 0, self.frames[items])
        return self.read_motion(self._starts[items], lengths, frames)

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


class SegmentBatches(TokenBatches[Segment]):
    """Batches of single actions; see the table above.

    Attributes and arguments: those of `TokenBatches`; items are segments, their plan
    a `BatchPlan`.
    """

    def _load(self, items: np.ndarray, shape: int, epoch: int) -> dict[str, np.ndarray]:
        tokens, token_lengths = self.load_text(
            [self.items[item].phrase if item >= 0 else None for item in items]
        )
        return {
            **self.load_motion(items, shape),
            "tokens": tokens,
            "token_lengths": token_lengths,
        }


class NamedSegmentBatches(SegmentBatches):
    """`SegmentBatches` with text_id (B,) int32, equal for equal texts; -1 = filler."""

    @functools.cached_property
    def _text_ids(self) -> np.ndarray:
        number = {phrase: i for i, phrase in enumerate(phrases(self.items))}
        return np.array([number[item.phrase] for item in self.items], np.int32)

    def _load(self, items: np.ndarray, shape: int, epoch: int) -> dict[str, np.ndarray]:
        ids = np.where(items < 0, -1, self._text_ids[items]).astype(np.int32)
        return {**super()._load(items, shape, epoch), "text_id": ids}


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
        (B, T) bool; tokens (B, N, E) float32; token_mask (B, N) bool; text_id (B,)
        where there is one.
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
    } | {name: raw[name] for name in ("text_id",) if name in raw}


def fit_features(batches: TokenBatches, heading: str = "yaw") -> Normalizer:
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
        compat=None if heading == "yaw" else "reference",
    )


def mask_of(lengths: Int[Array, " b"], size: int) -> Bool[Array, "b t"]:
    """Returns (B, size), True at the first `lengths` places of each row."""
    return jnp.arange(size) < lengths[:, None]
