import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.nn.ops import gelu, layer_norm
from actiongpt_jax.nn.positional import sinusoids
from tests.oracles import transformer as oracle

# Rounding of a few float32 operations on numbers of order 1 to 10.
ROUNDING = 5e-6
# Step of central differences in float64; their error is far below `ROUNDING`.
STEP = 1e-6


def differences(function, x):
    """Returns the gradient of a scalar float64 function by central differences."""
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][i] -= STEP
        moved[1][i] += STEP
        gradient[i] = (function(moved[1]) - function(moved[0])) / (2 * STEP)
    return gradient


def test_gelu_matches_its_definition_and_differences():
    x = np.concatenate([np.linspace(-6, 6, 241), [-40.0, 40.0, 1e-20]])
    np.testing.assert_allclose(
        gelu(jnp.asarray(x, jnp.float32)), oracle.gelu(x), atol=ROUNDING
    )
    slopes = (oracle.gelu(x + STEP) - oracle.gelu(x - STEP)) / (2 * STEP)
    result = jax.vmap(jax.grad(gelu))(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(result, slopes, rtol=0, atol=ROUNDING)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(6,), (3, 8), (2, 3, 4)])
@pytest.mark.parametrize("eps", [1e-5, 1e-12])
def test_layer_norm_matches_its_definition_and_differences(shape, eps):
    rng = np.random.default_rng(0)
    x = rng.normal(1.0, 2.0, shape)
    scale, bias = rng.normal(1.0, 0.3, (2, shape[-1]))
    upstream = rng.normal(size=shape)
    arguments = [jnp.asarray(a, jnp.float32) for a in (x, scale, bias)]
    actual = layer_norm(arguments[0], arguments[1], arguments[2], eps)
    np.testing.assert_allclose(
        actual, oracle.layer_norm(x, scale, bias, eps), rtol=0, atol=ROUNDING
    )

    def scalar(x, scale, bias):
        return (layer_norm(x, scale, bias, eps) * upstream).sum()

    gradients = jax.grad(scalar, argnums=(0, 1, 2))(*arguments)
    exact = [x, scale, bias]
    for i, gradient in enumerate(gradients):

        def moved(value, i=i):
            x, scale, bias = (value if j == i else a for j, a in enumerate(exact))
            return (oracle.layer_norm(x, scale, bias, eps) * upstream).sum()

        expected = differences(moved, exact[i])
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=10 * ROUNDING)


@pytest.mark.slow
def test_layer_norm_of_a_constant_row_is_finite():
    x = jnp.full((2, 8), 3.0)
    gradient = jax.grad(lambda x: layer_norm(x, jnp.ones(8), jnp.ones(8), 1e-5)[0, 0])(
        x
    )
    np.testing.assert_array_equal(layer_norm(x, jnp.ones(8), jnp.ones(8), 1e-5), 1.0)
    assert np.isfinite(gradient).all()


@pytest.mark.slow
def test_half_precision_dtypes_are_kept():
    x = jax.random.normal(jax.random.key(0), (4, 8), jnp.bfloat16)
    one = jnp.ones(8)
    for function in (gelu, lambda x: layer_norm(x, one, one, 1e-5)):
        assert function(x).dtype == jnp.bfloat16
        gradient = jax.grad(lambda x, f=function: f(x).astype(jnp.float32).sum())(x)
        assert gradient.dtype == jnp.bfloat16


def test_sinusoids_match_their_definition():
    table = np.asarray(sinusoids(50, 8))
    angles = np.arange(50)[:, None] / 10000 ** (np.arange(0, 8, 2) / 8)
    # Rounding of float32 angles up to 50 radians.
    np.testing.assert_allclose(table[:, 0::2], np.sin(angles), rtol=0, atol=1e-5)
    np.testing.assert_allclose(table[:, 1::2], np.cos(angles), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(sinusoids(20, 8), table[:20])
    with pytest.raises(ValueError, match="even, got 7"):
        sinusoids(3, 7)
