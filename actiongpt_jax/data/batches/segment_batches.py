"""Batches of single actions, for training TEMOS and the retrieval evaluator.

A raw batch (`SegmentBatches.load`, numpy, this process's rows) has

| key | shape | |
|---|---|---|
| rotations | (B, T, 22, 3) float32 | axis-angle, radians |
| translation | (B, T, 3) float32 | metres |
| lengths | (B,) int32 | number of real frames; 0 = filler row |
| tokens | (B, N, E) float16 | aggregated text tokens |
| token_lengths | (B,) int32 | number of real tokens |
| index | (B,) int32 | row in the global batch |
| item | (B,) int32 | row in the list of segments; -1 = filler row |

and `model_batch` turns a raw batch into features and masks, on the device.
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
from actiongpt_jax.text.embeddings.store import SOURCES, EmbeddingStore

# Tensor cores work best with multiples of 8; on a CPU the cost is not measurable.
_TOKEN_MULTIPLE = 8

TextItem = TypeVar("TextItem", bound=Segment | Pair)


def padded_tokens(embeddings: EmbeddingStore, texts: Iterable[str], source: str) -> int:
    """Returns the number of tokens of the longest text, rounded up to a multiple of 8.

    Raises:
        InputError: if the store lacks one of the phrases.
    """
    sources = SOURCES if source == "mixed" else (source,)
    names = sorted(set(texts))
    longest = max(embeddings.max_tokens(names, source) for source in sources)
    return round_up(max(longest, 1), _TOKEN_MULTIPLE)


class TokenBatches(ItemBatches[TextItem]):
    """Batches whose texts are token embeddings.

    The class also has the attributes of `ItemBatches`.

    Attributes:
        frames: (n,) number of frames of each item, both actions of a pair together.
        num_tokens: N, the same for every batch, so that texts add no shapes to compile.
    """

    def __init__(
        self,
        store: MotionStore,
        items: Sequence[TextItem],
        embeddings: EmbeddingStore,
        plan: Plan,
        *,
        draw: str = "all",
        seed: int | None = None,
        num_tokens: int | None = None,
        **options: Any,
    ):
        """Opens the stores and checks that every phrase has tokens.

        Args:
            store: motion store of the items.
            items: segments or pairs, in the order of the plan.
            embeddings: embedding store with the phrases' tokens.
            plan: plan made from the items' lengths.
            draw: 'all' for the descriptions of a phrase joined, 'one' for a single one.
            seed: seed of the texts, which are drawn again in each epoch; None takes the
                first description, and not the bare phrase.
            num_tokens: N; None takes that of the longest phrase, rounded up to a
                multiple of 8.
            options: source, process_index and process_count; see `ItemBatches`.

        Raises:
            InputError: if the plan does not match the items, a phrase is missing or
                longer than `num_tokens`, a single description is missing with 'one',
                or the batch size is not a multiple of the
                process count.
        """
        self.frames = np.array([item.end - item.start for item in items])
        if not np.array_equal(
            self.frames, plan.lengths.reshape(len(plan.lengths), -1).sum(1)
        ):
            raise InputError(
                f"the plan must be made from the items' lengths, got "
                f"{len(plan.lengths)} in the plan for {len(items)} items; pass the "
                "frames of each item, and for pairs those of both actions"
            )
        super().__init__(store, items, embeddings, plan, **options)
        self._draw, self._seed = draw, seed
        if draw == "one" and self._source != "phrase":
            for phrase in phrases(items):
                embeddings.tokens(phrase, index=0)
        needed = padded_tokens(embeddings, phrases(items), self._source)
        if num_tokens is not None and num_tokens < needed:
            raise InputError(
                f"num_tokens must hold the longest phrase's tokens, {needed} when "
                f"rounded up, got {num_tokens}"
            )
        self.num_tokens = needed if num_tokens is None else num_tokens
        self._starts = self._sequence_starts + [item.start for item in items]

    def load_motion(self, items: np.ndarray, frames: int) -> dict[str, np.ndarray]:
        """Reads the motions of (B,) items; -1 is a filler row. See `read_motion`."""
        lengths = np.where(items < 0, 0, self.frames[items])
        return self.read_motion(self._starts[items], lengths, frames)

    def load_text(
        self,
        row_phrases: Sequence[str | None],
        items: np.ndarray,
        epoch: int,
        action: int = 0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Reads the tokens of each row's phrase; None = filler row.

        Args:
            row_phrases: B phrases.
            items: (B,) items of the phrases.
            epoch: number of the epoch; texts that are drawn depend on it.
            action: number of the phrase within its item.

        Returns:
            (B, N, E) float16 tokens, padded with 0, and (B,) int32 number of real
            tokens.
        """
        shape = (len(row_phrases), self.num_tokens, self._embeddings.width)
        tokens = np.empty(shape, np.float16)
        lengths = np.zeros(len(row_phrases), np.int32)
        for row, phrase in enumerate(row_phrases):
            if phrase is not None:
                real = self._tokens(phrase, (epoch, int(items[row]), action))
                lengths[row] = len(real)
                tokens[row, : len(real)] = real
            tokens[row, lengths[row] :] = 0
        return tokens, lengths

    def _tokens(self, phrase: str, key: tuple[int, ...]) -> np.ndarray:
        """Reads the text of a phrase that the seed and a key draw."""
        rng = None if self._seed is None else np.random.default_rng([self._seed, *key])
        source, index = self._source, None
        if source == "mixed":
            bare = rng is not None and rng.random() < 0.5
            source = "phrase" if bare else "descriptions"
        if source == "descriptions" and self._draw == "one":
            stored = self._embeddings.singles(phrase)
            index = 0 if rng is None else int(rng.integers(stored))
        return self._embeddings.tokens(phrase, source, index)


class SegmentBatches(TokenBatches[Segment]):
    """Raw batches of segments, as in the table at the top of this module.

    Attributes and arguments: those of `TokenBatches`; the items are segments and the
    plan is a `BatchPlan`.
    """

    def _load(self, items: np.ndarray, shape: int, epoch: int) -> dict[str, np.ndarray]:
        tokens, token_lengths = self.load_text(
            [self.items[item].phrase if item >= 0 else None for item in items],
            items,
            epoch,
        )
        return {
            **self.load_motion(items, shape),
            "tokens": tokens,
            "token_lengths": token_lengths,
        }


class NamedSegmentBatches(SegmentBatches):
    """`SegmentBatches` with a text_id (B,) int32 per phrase; -1 = filler row."""

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
    """Turns a raw batch into the input of models and losses; pure, for use under jit.

    Args:
        raw: at least rotations, translation, lengths, tokens, token_lengths.
        normalizer: normalizer of the 135 features.
        heading: how to measure the heading, 'yaw' or 'reference'; see
            `features.rot_velocity.encode`.

    Returns:
        features (B, T, 135) float32, normalised, 0 where padded; frame_mask
        (B, T) bool; tokens (B, N, E) float32; token_mask (B, N) bool; text_id (B,)
        if `raw` has it.
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

    The order does not depend on the seed and every process reads all rows, so the
    result is the same for all seeds and in all processes.

    Args:
        batches: batches of the training split.
        heading: how to measure the heading, 'yaw' or 'reference'.

    Returns:
        A normalizer with mean and standard deviation of the 135 features.
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
            yield jax.device_get(features)[real]

    return fit_normalizer(frames())


def encode_features(
    rotations: Float[Array, "b t j 3"], translation: Float[Array, "b t 3"], heading: str
) -> Float[Array, "b t f"]:
    """Returns the features of a raw batch's motion, before normalisation."""
    if heading not in ("yaw", "reference"):
        raise InputError(f"heading must be 'yaw' or 'reference', got {heading!r}")
    return rot_velocity.encode(
        axis_angle_to_matrix(rotations),
        translation,
        canonicalize=True,
        compat=None if heading == "yaw" else "reference",
    )


def mask_of(lengths: Int[Array, " b"], size: int) -> Bool[Array, "b t"]:
    """Returns (B, size) bool, True at the first `lengths` places of each row."""
    return jnp.arange(size) < lengths[:, None]
