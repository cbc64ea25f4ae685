"""Statistical tests of the counter hash behind dropout.

Bounds are five standard deviations of independent draws; seeds are fixed, so that the
tests are deterministic.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.nn.dropout import dropout, dropout_seeds, keep_mask

COUNT = 2**19
RATES = [0.01, 0.1, 0.5, 0.9]


def seeds_of(number, count=1):
    return jax.random.bits(jax.random.key(number), (count, 2), jnp.uint32)


def mask_of(number, rate=0.1, count=COUNT):
    return np.asarray(keep_mask(seeds_of(number)[0], (count,), rate))


def correlation(a, b):
    return np.corrcoef(a.astype(float), b.astype(float))[0, 1]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("number", range(3))
def test_dropped_fraction_matches_the_rate(rate, number):
    dropped = (~mask_of(number, rate)).sum()
    deviation = math.sqrt(COUNT * rate * (1 - rate))
    assert abs(dropped - COUNT * rate) < 5 * deviation


@pytest.mark.parametrize("number", range(3))
def test_drop_counts_are_uniform_over_the_array(number):
    # Counts over columns, over rows and over blocks of successive elements.
    mask = mask_of(number, 0.1).reshape(1024, 512)
    for sums, size in [
        (mask.sum(0), 1024),
        (mask.sum(1), 512),
        (mask.reshape(-1, 64).sum(1), 64),
    ]:
        expected = size * 0.9 * 0.1
        # The variance of n counts has a relative deviation of sqrt(2 / n).
        assert abs(sums.var() / expected - 1) < 5 * math.sqrt(2 / len(sums))


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_neighbouring_elements_are_uncorrelated(rate):
    mask = mask_of(0, rate)
    bound = 5 / math.sqrt(COUNT / 2)
    for lag in [1, 2, 3, 4, 7, 8, 16, 64, 100, 128, 256, 1024, 4096, 65536, 2**18]:
        assert abs(correlation(mask[:-lag], mask[lag:])) < bound, lag


def test_triples_of_neighbours_have_the_expected_frequencies():
    mask = mask_of(1, 0.5)[: COUNT // 3 * 3].reshape(-1, 3)
    counts = np.bincount(mask.astype(int) @ np.array([1, 2, 4]), minlength=8)
    expected = len(mask) / 8
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    # 7 degrees of freedom: mean 7, deviation sqrt(14).
    assert chi_squared < 7 + 5 * math.sqrt(14)


def test_masks_of_different_calls_are_uncorrelated():
    # Seeds of one layer, seeds of successive steps, and seeds that share a word.
    seeds = [*seeds_of(0, 4), *seeds_of(1, 2), seeds_of(2)[0]]
    seeds.append(seeds[0].at[1].add(1))
    seeds.append(seeds[0].at[0].add(1))
    masks = [np.asarray(keep_mask(s, (COUNT,), 0.1)) for s in seeds]
    for i, first in enumerate(masks):
        for j, second in enumerate(masks[:i]):
            # All pairs of masks must stay within five deviations.
            assert abs(correlation(first, second)) < 5 / math.sqrt(COUNT), (i, j)


def test_seeds_differ_between_calls_and_keys():
    class Twice(nn.Module):
        @nn.compact
        def __call__(self):
            return dropout_seeds(self, 3), dropout_seeds(self, 3)

    def draw(number) -> Any:
        return Twice().apply({}, rngs={"dropout": jax.random.key(number)})

    result = np.concatenate([np.concatenate(draw(number)) for number in range(4)])
    assert len(np.unique(result, axis=0)) == len(result) == 24
    np.testing.assert_array_equal(np.concatenate(draw(0)), result[:6])


def test_values_are_scaled_or_zero_and_the_gradient_has_the_same_mask():
    seeds = seeds_of(3)[0]
    x = jax.random.normal(jax.random.key(0), (37, 51)) + 10
    weights = jax.random.normal(jax.random.key(1), x.shape)
    keep = np.asarray(keep_mask(seeds, x.shape, 0.3))
    result = dropout(x, seeds, 0.3)
    np.testing.assert_allclose(result, np.where(keep, x / 0.7, 0), rtol=1e-6)

    gradient = jax.jit(jax.grad(lambda x: (dropout(x, seeds, 0.3) * weights).sum()))(x)
    np.testing.assert_allclose(gradient, np.where(keep, weights / 0.7, 0), rtol=1e-6)
    np.testing.assert_array_equal(gradient == 0, ~keep)
    np.testing.assert_array_equal(
        jax.jit(dropout, static_argnums=2)(x, seeds, 0.3), result
    )


def test_rate_zero_keeps_everything():
    x = jnp.arange(1.0, 1000.0)
    np.testing.assert_array_equal(dropout(x, seeds_of(0)[0], 0.0), x)


def test_dropout_keeps_the_dtype():
    x = jnp.ones((64, 8), jnp.bfloat16)
    result = dropout(x, seeds_of(0)[0], 0.5)
    assert result.dtype == jnp.bfloat16
    assert set(np.unique(np.asarray(result, np.float32))) == {0.0, 2.0}
