"""Aggregation: compared with the published code and with its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.choices import AGGREGATIONS
from actiongpt_jax.errors import InputError
from actiongpt_jax.text.aggregate import aggregate


def by_item(array):
    # The golden files hold the four texts of an item one after the other.
    return array.reshape(-1, 4, *array.shape[1:])


@pytest.mark.parametrize(
    ("how", "name"),
    [("masked_mean", "v_aggr_masked_variant"), ("reference_mean", "v_aggr_shipped")],
)
@pytest.mark.parametrize("convert", [np.asarray, jnp.asarray])
def test_matches_published_aggregation(how, name, convert, golden):
    case = golden("temos_teach/actiongpt_text_encoder_temos")
    hidden, mask = by_item(case["hidden"]), by_item(case["mask"]) > 0
    tokens, union = aggregate(convert(hidden), convert(mask), how)
    # Means of four float32 numbers differ by rounding alone.
    np.testing.assert_allclose(tokens, case[name], atol=2e-6)
    np.testing.assert_array_equal(union, case["mask_union"] > 0)
    one, one_mask = aggregate(convert(hidden[0]), convert(mask[0]), how)
    np.testing.assert_array_equal(one, tokens[0])
    np.testing.assert_array_equal(one_mask, union[0])


@pytest.fixture
def texts():
    rng = np.random.default_rng(0)
    lengths = np.array([3, 5, 1])
    mask = np.arange(6) < lengths[:, None]
    return rng.normal(size=(3, 6, 4)).astype(np.float32), mask, lengths


def test_masked_mean_is_mean_of_real_tokens(texts):
    tokens, mask, lengths = texts
    joined, union = aggregate(tokens, mask)
    for n in range(6):
        real = [tokens[i, n] for i in range(3) if n < lengths[i]]
        expected = np.mean(real, 0) if real else np.zeros(4)
        # Sums of three float32 numbers differ by rounding alone.
        np.testing.assert_allclose(joined[n], expected, atol=1e-6)
    np.testing.assert_array_equal(union, np.arange(6) < 5)


def test_masked_mean_never_reads_padding(texts):
    tokens, mask, _ = texts
    with_nan = np.where(mask[..., None], tokens, np.nan)
    expected, _ = aggregate(tokens, mask)
    np.testing.assert_array_equal(aggregate(with_nan, mask)[0], expected)


def test_concat_keeps_every_real_token_in_order(texts):
    tokens, mask, lengths = texts
    joined, real = aggregate(tokens, mask, "concat")
    assert joined.shape == (18, 4)
    expected = np.concatenate([t[:n] for t, n in zip(tokens, lengths, strict=True)])
    np.testing.assert_array_equal(joined[real], expected)


@pytest.mark.parametrize("how", AGGREGATIONS)
def test_single_text_is_unchanged(how, texts):
    tokens, mask, lengths = texts
    joined, real = aggregate(tokens[:1], mask[:1], how)
    np.testing.assert_array_equal(joined[real], tokens[0, : lengths[0]])


@pytest.mark.slow
@pytest.mark.parametrize("how", AGGREGATIONS)
def test_order_jit_and_vmap_agree_and_gradient_is_finite(how, texts):
    tokens, mask, _ = texts
    batch = jnp.stack([tokens, tokens[::-1]]), jnp.stack([mask, mask[::-1]])
    direct, _ = aggregate(*batch, how)
    mapped, _ = jax.jit(jax.vmap(lambda t, m: aggregate(t, m, how)))(*batch)
    # Compiled code may fuse the sums of three numbers: float32 rounding.
    np.testing.assert_allclose(mapped, direct, atol=1e-6)
    if how != "concat":
        np.testing.assert_allclose(direct[0], direct[1], atol=1e-6)
    gradient = jax.grad(lambda t: aggregate(t, batch[1], how)[0].sum())(batch[0])
    assert np.isfinite(gradient).all()


def test_rejects_unknown_aggregation(texts):
    with pytest.raises(InputError, match="masked_mean, reference_mean, concat"):
        aggregate(texts[0], texts[1], "median")
