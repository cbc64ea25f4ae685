import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.nn.attention import mask_to_bias
from actiongpt_jax.nn.ops import quick_gelu
from actiongpt_jax.nn.sizes import Sizes
from actiongpt_jax.nn.transformer import Decoder, Encoder, LayerStyle
from tests.oracles import transformer as oracle

BATCH, TOKENS, WIDTH = 3, 6, 8
SIZES = Sizes(WIDTH, ff_size=20, num_layers=2, num_heads=2)
# Rounding of float32 against float64 over two layers, and of float32 sums in another
# order.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def mask():
    return jnp.arange(TOKENS) < jnp.array([[TOKENS], [4], [2]])


@pytest.fixture(scope="module")
def x():
    return jax.random.normal(jax.random.key(0), (BATCH, TOKENS, WIDTH))


@pytest.fixture(scope="module")
def memory():
    return jax.random.normal(jax.random.key(1), (BATCH, WIDTH))


def perturbed(variables):
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda a: a + 0.1 * rng.normal(size=a.shape).astype(np.float32), variables
    )


@pytest.fixture(scope="module")
def encoder(x, mask):
    init = jax.jit(Encoder(SIZES).init)
    return perturbed(init(jax.random.key(2), x, mask_to_bias(mask)))


@pytest.fixture(scope="module")
def decoder(x, memory, mask):
    init = jax.jit(Decoder(SIZES).init)
    return perturbed(init(jax.random.key(2), x, memory, mask_to_bias(mask)))


def double(tree):
    return jax.tree.map(lambda a: np.asarray(a, np.float64), tree)


def encode(variables, x, mask, num_outputs=None, sizes=SIZES, **style):
    encoder = Encoder(sizes, LayerStyle(**style))
    apply = jax.jit(encoder.apply, static_argnums=(3, 4))
    return np.asarray(apply(variables, x, mask_to_bias(mask), True, num_outputs))


def decode(variables, x, memory, mask, sizes=SIZES):
    apply = jax.jit(Decoder(sizes).apply)
    return np.asarray(apply(variables, x, memory, mask_to_bias(mask)))


@pytest.mark.slow
def test_encoder_matches_its_float64_definition(encoder, x, mask):
    expected, params = double(x), double(encoder["params"])
    for i in range(SIZES.num_layers):
        layer = params[f"layer_{i}"]
        expected = oracle.encoder_layer(layer, expected, np.asarray(mask), 2)
    actual = encode(encoder, x, mask)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=ROUNDING)


@pytest.mark.slow
def test_decoder_matches_its_float64_definition(decoder, x, memory, mask):
    expected, exact = double(x), double(decoder)
    for i in range(SIZES.num_layers):
        expected = oracle.decoder_layer(
            exact["params"][f"layer_{i}"],
            exact["unused"][f"layer_{i}"],
            expected,
            double(memory)[:, None],
            np.asarray(mask),
            2,
        )
    actual = decode(decoder, x, memory, mask)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=ROUNDING)


@pytest.mark.slow
def test_padding_does_not_change_real_outputs(encoder, decoder, x, memory, mask):
    real = np.asarray(mask)
    longer = jnp.pad(mask, ((0, 2), (0, 3)))
    noise = 100 * jax.random.normal(jax.random.key(9), (BATCH + 2, TOKENS + 3, WIDTH))
    padded = jnp.where(longer[..., None], jnp.pad(x, ((0, 2), (0, 3), (0, 0))), noise)
    memories = jnp.pad(memory, ((0, 2), (0, 0)), constant_values=7.0)
    for actual, expected in [
        (encode(encoder, padded, longer), encode(encoder, x, mask)),
        (
            decode(decoder, padded, memories, longer),
            decode(decoder, x, memory, mask),
        ),
    ]:
        inner = actual[:BATCH, :TOKENS]
        np.testing.assert_allclose(inner[real], expected[real], rtol=0, atol=ROUNDING)
        assert np.isfinite(actual).all()


@pytest.mark.slow
@pytest.mark.parametrize("num_outputs", [1, 2])
def test_num_outputs_gives_the_first_outputs(encoder, x, mask, num_outputs):
    first = encode(encoder, x, mask, num_outputs)
    assert first.shape == (BATCH, num_outputs, WIDTH)
    whole = encode(encoder, x, mask)
    np.testing.assert_allclose(first, whole[:, :num_outputs], rtol=0, atol=ROUNDING)


@pytest.mark.slow
def test_items_without_a_real_token_have_finite_outputs_and_gradients(
    encoder, decoder, x, memory, mask
):
    empty = mask.at[1].set(False)
    bias = mask_to_bias(empty)

    def loss(encoder, decoder, x, memory):
        hidden = Encoder(SIZES).apply(encoder, x, bias)
        out: Any = Decoder(SIZES).apply(decoder, hidden, memory, bias)
        return jnp.sum(out**2)

    value, gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2, 3)))(
        encoder, decoder, x, memory
    )
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


@pytest.mark.slow
def test_bfloat16_runs_with_float32_parameters_and_is_close(
    encoder, decoder, x, memory, mask
):
    real = np.asarray(mask)
    half = dataclasses.replace(SIZES, dtype=jnp.bfloat16)
    init = Encoder(half).init
    shapes = jax.eval_shape(lambda: init(jax.random.key(0), x, mask_to_bias(mask)))
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
    for actual, expected in [
        (encode(encoder, x, mask, sizes=half), encode(encoder, x, mask)),
        (
            decode(decoder, x, memory, mask, half),
            decode(decoder, x, memory, mask),
        ),
    ]:
        # 8 bits of mantissa and outputs of order 1, through two layers.
        actual = actual.astype(np.float32)
        np.testing.assert_allclose(actual[real], expected[real], rtol=0, atol=0.1)


def test_dropout_acts_only_in_training_and_follows_its_key(encoder, x, mask):
    bias = mask_to_bias(mask)

    @jax.jit
    def train(number):
        rngs = {"dropout": jax.random.key(number)}
        sizes = dataclasses.replace(SIZES, dropout=0.3)
        return Encoder(sizes).apply(encoder, x, bias, False, rngs=rngs)

    np.testing.assert_array_equal(train(0), train(0))
    assert np.abs(train(0) - train(1)).max() > 0.1
    assert np.abs(train(0) - encode(encoder, x, mask)).max() > 0.1
    rngs = {"dropout": jax.random.key(0)}
    sizes = dataclasses.replace(SIZES, dropout=0.0)
    apply = jax.jit(Encoder(sizes).apply, static_argnums=3)
    still: Any = apply(encoder, x, bias, False, rngs=rngs)
    np.testing.assert_allclose(still, encode(encoder, x, mask), rtol=0, atol=ROUNDING)


def test_layers_start_with_different_weights(encoder):
    layers = encoder["params"]["layer_0"], encoder["params"]["layer_1"]
    kernels = [layer["ff"]["linear1"]["kernel"] for layer in layers]
    # The fixture adds noise of deviation 0.1, which alone would stay below this.
    assert np.abs(kernels[0] - kernels[1]).mean() > 0.2


@pytest.mark.slow
def test_causal_pre_norm_ignores_later_tokens(encoder, x, mask):
    kind = {"pre_norm": True, "causal": True, "activation": quick_gelu}
    whole = encode(encoder, x, mask, **kind)
    assert np.abs(whole - encode(encoder, x, mask)).max() > 0.1
    changed = encode(encoder, x.at[:, 3:].add(1.0), mask, **kind)
    np.testing.assert_allclose(changed[:, :3], whole[:, :3], rtol=0, atol=ROUNDING)
    assert np.abs(changed - whole)[:, 3:].max() > 0.1
    first = encode(encoder, x, mask, 2, **kind)
    np.testing.assert_allclose(first, whole[:, :2], rtol=0, atol=ROUNDING)
