import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st

from actiongpt_jax.features.normalizer import Normalizer, fit_normalizer


def features(frames=500, seed=0):
    rng = np.random.default_rng(seed)
    scale, shift = rng.uniform(0.01, 10, 7), rng.normal(size=7) * 100
    return (rng.normal(size=(frames, 7)) * scale + shift).astype(np.float32)


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(st.lists(st.integers(0, 500), max_size=6))
def test_moments_do_not_depend_on_the_batches(cuts):
    whole = features()
    fitted = fit_normalizer(np.split(whole, sorted(cuts)))
    exact = whole.astype(np.float64)
    # Sums are in float64, so only the final rounding to float32 remains.
    np.testing.assert_allclose(fitted.mean, exact.mean(0), rtol=1e-7)
    np.testing.assert_allclose(fitted.std, exact.std(0, ddof=1), rtol=1e-7)
    assert fitted.mean.dtype == fitted.std.dtype == np.float32


def test_small_variation_far_from_zero_is_measured():
    """The mean square minus the squared mean would lose every digit here."""
    rng = np.random.default_rng(1)
    column = 1e6 + rng.integers(0, 9, size=(2000, 1)) / 1.0
    fitted = fit_normalizer(np.array_split(column, 7))
    np.testing.assert_allclose(fitted.std, column.std(0, ddof=1), rtol=1e-6)


def test_generator_is_read_once_and_lazily():
    read = []

    def batches():
        for i in range(5):
            read.append(i)
            yield features(10, seed=i)

    fit_normalizer(batches())
    assert read == [0, 1, 2, 3, 4]


def test_normalize_uses_the_published_formula_and_round_trips():
    whole = features()
    fitted = fit_normalizer([whole])
    normalised = fitted.normalize(whole)
    np.testing.assert_array_equal(
        normalised, (whole - fitted.mean) / (fitted.std + np.float32(1e-12))
    )
    np.testing.assert_allclose(normalised.std(0, ddof=1), 1, rtol=1e-4)
    # Intermediate values up to 400 are rounded to 2e-5.
    np.testing.assert_allclose(fitted.unnormalize(normalised), whole, atol=5e-5)
    assert isinstance(normalised, np.ndarray)
    assert normalised.dtype == np.float32


def test_normalizer_is_a_pytree_and_takes_leading_axes():
    fitted = fit_normalizer([features()])
    batch = features(12).reshape(2, 2, 3, 7)
    with jax.numpy_rank_promotion("raise"):
        normalised = jax.jit(lambda n, f: n.normalize(f))(fitted, batch)
    np.testing.assert_allclose(
        normalised, fitted.normalize(batch), rtol=1e-4, atol=1e-5
    )
    assert len(jax.tree.leaves(fitted)) == 2


def test_constant_feature_gets_std_one():
    whole = features()
    whole[:, 2] = 0.7
    whole[:, 3] = np.float32(0.5) + np.float32(6e-8) * (np.arange(500) % 2)
    fitted = fit_normalizer([whole])
    np.testing.assert_array_equal(fitted.std[2:4], 1)
    assert np.abs(fitted.normalize(whole + np.float32(0.01))[:, 2:4]).max() < 0.02


def test_invalid_input_raises():
    with pytest.raises(ValueError, match="at least 2 frames, got 1"):
        fit_normalizer([np.zeros((0, 3)), np.zeros((1, 3))])
    with pytest.raises(ValueError, match="at least 2 frames, got 0"):
        fit_normalizer([])
    with pytest.raises(ValueError, match=r"batch 1 must .* \(n, 3\), got \(2, 4\)"):
        fit_normalizer([np.zeros((2, 3)), np.zeros((2, 4))])
    broken = np.zeros((4, 3))
    broken[2, 1] = np.nan
    with pytest.raises(ValueError, match="got nan in batch 0, frame 2, column 1"):
        fit_normalizer([broken])
    with pytest.raises(ValueError, match="normalizer that was fitted on"):
        Normalizer(np.zeros(3), np.ones(3)).normalize(np.zeros((2, 4)))
