import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actiongpt_jax.losses.terms import kl_divergence, masked_term, smooth_l1
from actiongpt_jax.structs import Gaussian

numbers = st.floats(-5, 5, width=32)


@settings(deadline=None)  # the first example compiles
@given(a=numbers, b=numbers)
def test_smooth_l1_matches_its_definition(a, b):
    distance = abs(a - b)
    expected = distance**2 / 2 if distance < 1 else distance - 0.5
    actual = smooth_l1(jnp.float32(a), jnp.float32(b))
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)


def test_smooth_l1_slope_is_clipped_to_one_and_zero_at_zero():
    slopes = jax.vmap(jax.grad(smooth_l1), (0, None))(jnp.linspace(-3, 3, 13), 0.0)
    np.testing.assert_allclose(
        slopes, np.clip(np.linspace(-3, 3, 13), -1, 1), rtol=1e-6
    )


@settings(deadline=None)  # the first example compiles
@given(numbers, numbers, numbers, numbers)
def test_kl_divergence_matches_its_definition(mu_q, log_q, mu_p, log_p):
    std_q, std_p = np.exp(0.5 * log_q), np.exp(0.5 * log_p)
    expected = np.log(std_p / std_q) - 0.5
    expected += (std_q**2 + (mu_q - mu_p) ** 2) / (2 * std_p**2)
    q, p = (
        Gaussian(jnp.float32(mu), jnp.float32(log))
        for mu, log in [(mu_q, log_q), (mu_p, log_p)]
    )
    actual = kl_divergence(q, p)
    # Numbers up to 1e4 cancel in float32.
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
    assert actual > -1e-5
    np.testing.assert_allclose(kl_divergence(q, q), 0, atol=1e-6)


def test_masked_term_sums_and_counts_unmasked_values():
    values = jnp.arange(24.0).reshape(2, 3, 4)
    frames = jnp.array([[True, False, True], [False, False, False]])
    total, count = masked_term(values, frames)
    assert (total, count) == (values[0, [0, 2]].sum(), 8)
    items = jnp.array([False, True])
    total, count = masked_term(values, items)
    assert (total, count) == (values[1].sum(), 12)
    total, count = masked_term(values.at[0].set(jnp.nan), items)
    assert (total, count) == (values[1].sum(), 12)
    assert masked_term(values, jnp.zeros(2, bool)) == (0, 0)


def test_half_precision_values_are_summed_in_float32():
    values = jnp.full((4096, 8), 0.01, jnp.bfloat16)
    total, count = masked_term(values, jnp.ones(4096, bool))
    assert total.dtype == count.dtype == jnp.float32
    # A running sum in bfloat16 would stop growing at 2.
    np.testing.assert_allclose(total, 4096 * 8 * float(jnp.bfloat16(0.01)), rtol=1e-5)
