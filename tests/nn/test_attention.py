import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.nn.attention import (
    Dense,
    SelfAttention,
    SingleTokenAttention,
    mask_to_bias,
)
from actiongpt_jax.nn.sizes import Sizes
from tests.oracles import transformer as oracle

BATCH, TOKENS, WIDTH, HEADS = 3, 7, 12, 3
# Rounding of float32 against float64, for numbers of order 1.
ROUNDING = 5e-6


def run(module, *arguments) -> Any:
    return module.apply(*arguments)


def double(tree):
    return jax.tree.map(lambda a: np.asarray(a, np.float64), tree)


def perturbed(variables):
    """Adds noise everywhere, so that biases and scales are tested too."""
    leaves, structure = jax.tree.flatten(variables)
    rng = np.random.default_rng(0)
    noisy = [
        leaf + 0.1 * rng.normal(size=leaf.shape).astype(np.float32) for leaf in leaves
    ]
    return jax.tree.unflatten(structure, noisy)


@pytest.fixture
def tokens():
    return jax.random.normal(jax.random.key(0), (BATCH, TOKENS, WIDTH))


@pytest.fixture
def mask():
    return jnp.arange(TOKENS) < jnp.array([[TOKENS], [4], [1]])


@pytest.mark.slow
@pytest.mark.parametrize("num_queries", [None, 1, 2, TOKENS])
def test_self_attention_matches_its_float64_definition(tokens, mask, num_queries):
    module = SelfAttention(Sizes(num_heads=HEADS))
    flat, bias = tokens.reshape(-1, WIDTH), mask_to_bias(mask)
    variables = perturbed(module.init(jax.random.key(1), flat, bias))
    actual = run(module, variables, flat, bias, None, num_queries)
    expected = oracle.self_attention(
        double(variables["params"]), double(tokens), np.asarray(mask), HEADS
    )
    expected = expected[:, :num_queries].reshape(-1, WIDTH)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=ROUNDING)


@pytest.mark.slow
def test_outputs_without_a_real_token_are_finite(tokens):
    module = SelfAttention(Sizes(num_heads=HEADS))
    flat = tokens.reshape(-1, WIDTH)
    bias = mask_to_bias(jnp.zeros((BATCH, TOKENS), bool))
    variables = module.init(jax.random.key(1), flat, bias)
    value, gradients = jax.value_and_grad(
        lambda v, x: jnp.sum(run(module, v, x, bias) ** 2), argnums=(0, 1)
    )(variables, flat)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


@pytest.mark.slow
def test_attention_dropout_acts_only_in_training(tokens, mask):
    module = SelfAttention(Sizes(num_heads=HEADS, dropout=0.5))
    flat, bias = tokens.reshape(-1, WIDTH), mask_to_bias(mask)
    variables = module.init(jax.random.key(1), flat, bias)
    seeds = jax.random.bits(jax.random.key(2), (400, 2), jnp.uint32)
    drawn = jax.vmap(lambda s: run(module, variables, flat, bias, s))(seeds)
    evaluated = run(module, variables, flat, bias)
    assert np.abs(drawn[0] - evaluated).max() > 0.01
    # Dropout keeps the mean; the bound is five deviations of a mean of 400 draws.
    error = np.abs(drawn.mean(0) - evaluated)
    assert (error <= 5 * drawn.std(0) / math.sqrt(len(seeds)) + ROUNDING).all()
    never = SelfAttention(Sizes(num_heads=HEADS, dropout=0.0))
    still = run(never, variables, flat, bias, seeds[0])
    np.testing.assert_array_equal(still, evaluated)


def test_single_token_attention_matches_full_attention(tokens):
    module = SingleTokenAttention(Sizes(num_heads=HEADS))
    memory = jax.random.normal(jax.random.key(3), (BATCH, WIDTH))
    variables = perturbed(module.init(jax.random.key(1), memory, TOKENS))
    actual = run(module, variables, memory, TOKENS)
    exact = double(variables)
    expected = oracle.cross_attention(
        exact["params"], exact["unused"], double(tokens), double(memory)[:, None], HEADS
    )
    actual = jnp.broadcast_to(jnp.asarray(actual), expected.shape)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=ROUNDING)


def test_single_token_attention_keeps_inert_weights_in_unused():
    module = SingleTokenAttention(Sizes(num_heads=HEADS))
    memory = jnp.ones((1, WIDTH))
    variables = module.init(jax.random.key(1), memory, 1)
    shapes = jax.tree.map(jnp.shape, variables["unused"])
    assert shapes == {"kernel": (WIDTH, 2 * WIDTH), "bias": (2 * WIDTH,)}
    without = run(module, {"params": variables["params"]}, memory, 1)
    np.testing.assert_array_equal(without, run(module, variables, memory, 1))


@pytest.mark.slow
def test_single_token_attention_drops_per_item_query_and_head():
    # With identity projections, output / memory is the attention weight.
    rate, queries, batch = 0.2, 500, 40
    module = SingleTokenAttention(Sizes(num_heads=HEADS, dropout=rate))
    memory = 1 + jax.random.uniform(jax.random.key(3), (batch, WIDTH))
    eye, zero = jnp.eye(WIDTH), jnp.zeros(WIDTH)
    params = {
        "value_kernel": eye,
        "value_bias": zero,
        "out_kernel": eye,
        "out_bias": zero,
    }
    seeds = jax.random.bits(jax.random.key(4), (2,), jnp.uint32)
    result = run(module, {"params": params}, memory, queries, seeds)
    weights = np.asarray(result) / np.asarray(memory)[:, None]
    weights = weights.reshape(batch, queries, HEADS, -1)
    # All columns of a head share one weight per item and query.
    np.testing.assert_allclose(weights, weights[..., :1].repeat(4, -1), rtol=1e-6)
    weights = weights[..., 0]
    kept = weights > 0
    np.testing.assert_allclose(weights[kept], 1 / (1 - rate), rtol=1e-6)
    deviation = math.sqrt(kept.size * rate * (1 - rate))
    assert abs(kept.sum() - kept.size * (1 - rate)) < 5 * deviation
    flat = kept.reshape(-1, HEADS).astype(float)
    between = [
        *(
            np.corrcoef(flat[:, i], flat[:, j])[0, 1]
            for i, j in [(0, 1), (0, 2), (1, 2)]
        ),
        np.corrcoef(flat[:-1, 0], flat[1:, 0])[0, 1],
        np.corrcoef(flat[:-queries, 0], flat[queries:, 0])[0, 1],
    ]
    assert np.abs(between).max() < 5 / math.sqrt(len(flat) - queries)


@pytest.mark.slow
@pytest.mark.parametrize("out_in", [False, True])
def test_dense_gives_the_same_result_for_both_kernel_layouts(out_in):
    x = jax.random.normal(jax.random.key(0), (5, 4))
    module = Dense(6, out_in=out_in)
    variables = module.init(jax.random.key(1), x)
    params: Any = variables["params"]
    kernel = params["kernel_out_in"].T if out_in else params["kernel"]
    expected = np.asarray(x, np.float64) @ np.asarray(kernel) + params["bias"]
    np.testing.assert_allclose(run(module, variables, x), expected, rtol=0, atol=1e-6)
    # Initialised as in torch: U(+-1/sqrt(fan_in)).
    assert 0.3 < np.abs(kernel).max() <= 0.5 and np.abs(params["bias"]).max() <= 0.5
