"""Latent arithmetic: interpolation and editing."""

import jax
import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.editing import edit, interpolate


def latents(count, *shape):
    return np.random.default_rng(0).normal(size=(count, *shape)).astype(np.float32)


@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 3, 6)])
def test_interpolation_is_linear_and_includes_both_ends(shape):
    start, end = latents(2, *shape)
    with jax.numpy_rank_promotion("raise"):
        result = interpolate(start, end, 5)
    np.testing.assert_array_equal(result[0], start)
    np.testing.assert_array_equal(result[-1], end)
    for i, share in enumerate((0, 0.25, 0.5, 0.75, 1)):
        exact = start.astype(np.float64) * (1 - share) + end * share
        # Two products and a sum in float32.
        np.testing.assert_allclose(result[i], exact, rtol=0, atol=1e-6)


def test_edit_replaces_start_by_end_and_can_be_undone():
    base, start, end = latents(3, 4, 6)
    result = edit(base, start, end)
    np.testing.assert_allclose(result, base - start + end, rtol=0, atol=1e-6)
    np.testing.assert_allclose(edit(start, start, end), end, rtol=0, atol=1e-6)
    np.testing.assert_allclose(edit(result, end, start), base, rtol=0, atol=1e-6)


def test_invalid_latents_are_errors():
    with pytest.raises(InputError, match="at least 2 steps"):
        interpolate(np.zeros(3), np.zeros(3), 1)
    with pytest.raises(InputError, match=r"end must have shape \(3,\), got \(4,\)"):
        interpolate(np.zeros(3), np.zeros(4), 2)
    with pytest.raises(InputError, match="encode all latents with one"):
        edit(np.zeros((2, 3)), np.zeros(3), np.zeros(3))
