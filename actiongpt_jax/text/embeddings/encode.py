"""Encodes many texts in batches of similar length, so that there is little padding."""

import concurrent.futures
import dataclasses
import warnings
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Float, Int

from actiongpt_jax.errors import InputError
from actiongpt_jax.shapes import next_power_of_two, round_up, stack_padded
from actiongpt_jax.text import aggregate
from actiongpt_jax.text.encoders.loader import PretrainedEncoder, parallel_calls
from actiongpt_jax.text.encoders.tokenizer import Pieces

# Lengths are padded to multiples of this. There are at most 64 shapes for 512
# positions; for descriptions of 60 to 110 tokens, 4 % fewer tokens than with 16.
_LENGTH_STEP = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Embedding:
    """Token embeddings of one text, or of several that were aggregated.

    Attributes:
        tokens: (n, E) float32.
        pooled: (P,) float32, or None if the encoder has no pooled vector.
    """

    tokens: Float[np.ndarray, "n e"]
    pooled: Float[np.ndarray, " p"] | None


def default_batch_size() -> int:
    """Returns how many texts go through the encoder at once on this machine."""
    return 8 if jax.default_backend() == "cpu" else 128


def encode_pieces(
    encoder: PretrainedEncoder,
    pieces: Sequence[Pieces],
    extents: Sequence[int] | None = None,
    batch_size: int | None = None,
    on_batch: Callable[[int], object] | None = None,
) -> list[Embedding]:
    """Encodes texts in batches of similar length.

    Batches have a fixed number of rows (that of a small last batch is rounded up to a
    power of two), and their lengths are rounded up, so that few shapes are compiled.
    Apart from rounding, the result for a text does not depend on its batch.

    Args:
        encoder: the encoder, from `encoders.load`.
        pieces: the texts as word pieces, from the encoder's tokenizer.
        extents: number of token states to return for each text, at least its own
            length; states beyond its length are those at padding. None returns as many
            states as the text has pieces.
        batch_size: number of texts encoded at once; None asks `default_batch_size`.
        on_batch: called with the number of texts of every finished batch.

    Returns:
        Embeddings in the order of `pieces`.
    """
    if extents is None:
        extents = [len(text.ids) for text in pieces]
    batch_size = batch_size or default_batch_size()
    # The longest texts come first, so that a lack of memory shows at once.
    order = sorted(range(len(pieces)), key=lambda i: -extents[i])
    batches = [
        order[start : start + batch_size] for start in range(0, len(order), batch_size)
    ]

    def encode(rows: Sequence[int]) -> list[Embedding]:
        length = min(round_up(extents[rows[0]], _LENGTH_STEP), encoder.limit)
        count = min(batch_size, next_power_of_two(len(rows)))
        return _encode_batch(
            encoder,
            [pieces[i].ids for i in rows],
            [extents[i] for i in rows],
            (count, length),
        )

    results: list[Embedding | None] = [None] * len(pieces)
    threads = concurrent.futures.ThreadPoolExecutor(parallel_calls())
    try:
        for rows, embeddings in zip(batches, threads.map(encode, batches), strict=True):
            for i, embedding in zip(rows, embeddings, strict=True):
                results[i] = embedding
            if on_batch is not None:
                on_batch(len(rows))
    finally:
        threads.shutdown(cancel_futures=True)
    return [embedding for embedding in results if embedding is not None]


def _encode_batch(
    encoder: PretrainedEncoder,
    texts: Sequence[Int[np.ndarray, " _"]],
    extents: Sequence[int],
    shape: tuple[int, int],
) -> list[Embedding]:
    rows, length = shape
    pad = encoder.tokenizer.pad_id
    ids, mask = stack_padded(texts, length, rows, fill=pad, dtype=np.int32)
    features = encoder.encode(ids, mask)
    tokens = np.asarray(features.tokens)
    pooled = None if features.pooled is None else np.asarray(features.pooled)
    # A view instead of a copy would keep the whole padded batch in memory.
    return [
        Embedding(
            tokens[row, :extent].copy(), None if pooled is None else pooled[row].copy()
        )
        for row, extent in enumerate(extents)
    ]


def group_extents(lengths: Sequence[int], how: str) -> list[int]:
    """Returns how many token states of each of a phrase's k texts are needed.

    Args:
        lengths: number of word pieces of each text.
        how: the aggregation; 'reference_mean' includes the states at padding, up to the
            length of the longest text.
    """
    if how == "reference_mean":
        return [max(lengths)] * len(lengths)
    return list(lengths)


def join(
    embeddings: Sequence[Embedding], lengths: Sequence[int], how: str
) -> Embedding:
    """Aggregates the embeddings of a phrase's k texts.

    Args:
        embeddings: the embedding of each text, with the extents of `group_extents`.
        lengths: number of word pieces of each text.
        how: the aggregation; see `aggregate.aggregate`.

    Returns:
        Embedding whose tokens are all real; its pooled vector is the mean of the k
        vectors.
    """
    states = [embedding.tokens for embedding in embeddings]
    longest = max(map(len, states))
    tokens, _ = stack_padded(states, longest)
    mask = np.arange(longest) < np.array(lengths)[:, None]
    joined, real = aggregate.aggregate(tokens, mask, how)
    vectors = [e.pooled for e in embeddings if e.pooled is not None]
    pooled = np.stack(vectors).mean(axis=0) if vectors else None
    return Embedding(np.asarray(joined)[np.asarray(real)], pooled)


def embed_texts(
    encoder: PretrainedEncoder, texts: Sequence[str], how: str = aggregate.DEFAULT
) -> Embedding:
    """Embeds the k texts of one phrase into the form in which a store holds them.

    Warns if a text is cut at the encoder's limit.

    Args:
        encoder: the encoder, from `encoders.load`.
        texts: k descriptions, or the phrase alone.
        how: the aggregation; see `aggregate.aggregate`.

    Returns:
        Embedding with tokens (G, E), all real.

    Raises:
        InputError: if `texts` is empty.
    """
    if not texts:
        raise InputError("texts must hold at least one text to embed, got none")
    pieces = encoder.tokenizer(texts)
    if cut := [text for text, piece in zip(texts, pieces, strict=True) if piece.cut]:
        warnings.warn(
            f"{len(cut)} of {len(texts)} texts are cut at the encoder's limit of "
            f"{encoder.limit} word pieces, and their ends are not read; first: "
            f"{cut[0][:60]!r}",
            stacklevel=2,
        )
    lengths = [len(text.ids) for text in pieces]
    embeddings = encode_pieces(encoder, pieces, group_extents(lengths, how))
    return join(embeddings, lengths, how)
