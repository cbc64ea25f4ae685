"""Batching by length: equal states to single texts, few shapes, little padding."""

import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.text import encoders
from actiongpt_jax.text.embeddings.encode import (
    embed_texts,
    encode_pieces,
    group_extents,
    join,
)
from tests.text.encoders import clip_folder

# Sums in batches of other shapes have another order: float32 rounding.
ATOL = 2e-5


@pytest.fixture(scope="module")
def encoder(bert_folder):
    return encoders.load(bert_folder)


@pytest.fixture
def shapes(encoder, monkeypatch):
    """Records the shape and the number of real tokens of every batch."""
    seen = []
    encode = encoder.encode

    def recording(ids, mask):
        seen.append((ids.shape, int(mask.sum())))
        return encode(ids, mask)

    monkeypatch.setattr(encoder, "encode", recording)
    return seen


def pooled_of(embedding):
    assert embedding.pooled is not None
    return np.asarray(embedding.pooled)


def random_texts(count, seed=0, longest=30):
    rng = np.random.default_rng(seed)
    words = ["walk", "forward", "jump", "over", "it", "kicks", "left", "zebra"]
    return [" ".join(rng.choice(words, rng.integers(1, longest))) for _ in range(count)]


@pytest.mark.slow
def test_batching_by_length_does_not_change_embeddings(encoder, shapes):
    pieces = encoder.tokenizer(random_texts(45))
    done = []
    batched = encode_pieces(encoder, pieces, batch_size=8, on_batch=done.append)
    assert sum(done) == 45
    # Lengths up to 40 in steps of 8, and a last batch with fewer rows.
    assert len({shape for shape, _ in shapes}) <= 6
    # One shape for all texts; another test shows that padding changes nothing.
    for text, embedding in zip(pieces, batched, strict=True):
        length = len(text.ids)
        ids, mask = np.zeros((1, 40), np.int32), np.arange(40)[None] < length
        ids[0, :length] = text.ids
        alone = encoder.encode(ids, mask)
        np.testing.assert_allclose(
            embedding.tokens, alone.tokens[0, :length], atol=ATOL
        )
        np.testing.assert_allclose(pooled_of(embedding), pooled_of(alone)[0], atol=ATOL)


def test_little_padding_and_few_shapes(encoder, shapes):
    encode_pieces(encoder, encoder.tokenizer(random_texts(400, longest=38)))
    assert len({shape for shape, _ in shapes}) <= 6
    cells = sum(rows * length for (rows, length), _ in shapes)
    real = sum(count for _, count in shapes)
    # Lengths of at most 40 are rounded up to multiples of 8, and one batch is not full.
    assert real > 0.8 * cells


def test_padded_length_stays_within_the_limit(tmp_path):
    # The limit of 20 is not a multiple of 8.
    encoder = encoders.load(clip_folder.write_folder(tmp_path / "clip"))
    (long,) = encode_pieces(encoder, encoder.tokenizer(["walk " * 60]))
    assert len(long.tokens) == encoder.limit == 20


def test_empty_input_yields_nothing_or_an_error(encoder):
    assert encode_pieces(encoder, []) == []
    with pytest.raises(InputError, match="texts must hold at least one text"):
        embed_texts(encoder, [])


def test_masked_mean_is_mean_of_single_embeddings(encoder):
    texts = ["walk forward", "jump over it and turns", "kicks"]
    singles = [embed_texts(encoder, [text]) for text in texts]
    joined = embed_texts(encoder, texts)
    longest = max(len(single.tokens) for single in singles)
    assert joined.tokens.shape == (longest, encoder.width)
    for n in range(longest):
        mean = np.mean([s.tokens[n] for s in singles if n < len(s.tokens)], 0)
        np.testing.assert_allclose(joined.tokens[n], mean, atol=ATOL)
    pooled = np.mean([pooled_of(single) for single in singles], 0)
    np.testing.assert_allclose(pooled_of(joined), pooled, atol=ATOL)


def test_reference_mean_pads_the_texts_of_a_phrase_together(encoder):
    phrases = [["walk", "jump over it and turns"], ["kicks left", "the person"]]
    for texts in phrases:
        pieces = encoder.tokenizer(texts)
        longest = max(len(text.ids) for text in pieces)
        ids = np.full((2, longest), encoder.tokenizer.pad_id)
        for row, text in enumerate(pieces):
            ids[row, : len(text.ids)] = text.ids
        mask = np.arange(longest) < [[len(text.ids)] for text in pieces]
        together = np.asarray(encoder.encode(ids, mask).tokens).sum(0) / 2
        joined = embed_texts(encoder, texts, "reference_mean")
        np.testing.assert_allclose(joined.tokens, together, atol=ATOL)
    # The other texts of the batch do not matter either.
    pieces = encoder.tokenizer([text for texts in phrases for text in texts])
    lengths = [len(text.ids) for text in pieces]
    extents = [
        extent
        for part in (lengths[:2], lengths[2:])
        for extent in group_extents(part, "reference_mean")
    ]
    embeddings = encode_pieces(encoder, pieces, extents)
    last = join(embeddings[2:], lengths[2:], "reference_mean")
    np.testing.assert_allclose(last.tokens, joined.tokens, atol=ATOL)


def test_concat_joins_single_embeddings(encoder):
    texts = ["walk forward", "kicks"]
    singles = [embed_texts(encoder, [text]).tokens for text in texts]
    joined = embed_texts(encoder, texts, "concat")
    np.testing.assert_allclose(joined.tokens, np.concatenate(singles), atol=ATOL)


def test_texts_that_are_cut_are_said(encoder, recwarn):
    embed_texts(encoder, ["walk " * (encoder.limit - 2)])
    assert not recwarn.list
    with pytest.warns(UserWarning, match="1 of 2 texts are cut .*first: 'jump jump"):
        embed_texts(encoder, ["walk", "jump " * (encoder.limit - 1)])


def test_pooled_is_none_without_pooled_vectors(make_folder):
    encoder = encoders.load(make_folder("distilbert"))
    assert embed_texts(encoder, ["walk", "jump"]).pooled is None
