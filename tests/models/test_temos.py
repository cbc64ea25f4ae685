import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.config import load_config
from actiongpt_jax.errors import InputError
from actiongpt_jax.losses import temos as losses
from actiongpt_jax.models.build import build
from actiongpt_jax.models.text_encoder import text_bias
from tests.models.checks import (
    assert_close,
    assert_every_parameter_has_a_gradient,
    assert_float32_outputs,
    shapes_of,
)

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
BATCH, FRAMES, TOKENS, TEXT_WIDTH = 3, 9, 5, 6
# One layer compiles in half the time; the golden files cover two layers.
SIZES = {"num_layers": 1, "latent_dim": 8, "ff_size": 12, "nfeats": 7, "num_heads": 2}


def config_of(**model):
    config = load_config(str(CONFIGS / "temos.py"))
    config.model.update(SIZES | model)
    return config


@pytest.fixture(scope="module")
def batch():
    frames, tokens = np.array([9, 5, 2]), np.array([5, 3, 1])
    keys = jax.random.split(jax.random.key(0))
    mask = jnp.arange(FRAMES) < frames[:, None]
    features = jax.random.normal(keys[0], (BATCH, FRAMES, SIZES["nfeats"]))
    return {
        "features": jnp.where(mask[..., None], features, 0.0),
        "frame_mask": mask,
        "tokens": jax.random.normal(keys[1], (BATCH, TOKENS, TEXT_WIDTH)),
        "token_mask": jnp.arange(TOKENS) < tokens[:, None],
    }


@pytest.fixture(scope="module")
def noise():
    text, motion = jax.random.normal(jax.random.key(1), (2, BATCH, SIZES["latent_dim"]))
    return {"text": text, "motion": motion}


@pytest.fixture(scope="module")
def variables(batch, noise):
    return jax.jit(build(config_of()).init)(jax.random.key(2), batch, noise)


@functools.lru_cache
def applied(**model):
    return jax.jit(build(config_of(**model)).apply)


def run(variables, batch, noise, **model) -> Any:
    return applied(**model)(variables, batch, noise)


@pytest.mark.slow
def test_call_combines_the_three_methods(variables, batch, noise):
    outputs = run(variables, batch, noise)
    apply = jax.jit(build(config_of()).apply, static_argnames="method")

    def call(method, *arguments) -> Any:
        return apply(variables, *arguments, method=method)

    text = call("encode_text", batch["tokens"], batch["token_mask"])
    motion = call("encode_motion", batch["features"], batch["frame_mask"])
    assert_close((outputs.text, outputs.motion), (text, motion))
    z_text, z_motion = text.sample(noise["text"]), motion.sample(noise["motion"])
    assert_close((outputs.z_text, outputs.z_motion), (z_text, z_motion))
    for result, latent in [
        (outputs.features_text, z_text),
        (outputs.features_motion, z_motion),
    ]:
        assert_close(result, call("decode", latent, batch["frame_mask"]))
        assert not np.asarray(result)[~np.asarray(batch["frame_mask"])].any()


@pytest.mark.slow
def test_padding_and_other_items_do_not_change_outputs(variables, batch, noise):
    def wide(array):
        space = [(0, 1), (0, 4)] + [(0, 0)] * (array.ndim - 2)
        return jnp.pad(array, space, constant_values=0 if array.dtype == bool else 9)

    def inner(outputs):
        cut = jax.tree.map(lambda a: a[:BATCH], outputs)
        return cut.replace(
            features_text=cut.features_text[:, :FRAMES],
            features_motion=cut.features_motion[:, :FRAMES],
        )

    expected = run(variables, batch, noise)
    more = jax.tree.map(lambda a: jnp.pad(a, ((0, 1), (0, 0))), noise)
    actual = run(variables, jax.tree.map(wide, batch), more)
    assert_close(inner(actual), expected)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(actual))


def test_text_bias_of_each_mask_kind():
    mask = jnp.array([[True, True, False]])
    np.testing.assert_array_equal(text_bias(mask, "shipped"), [[0, 0, 1]])
    hidden = text_bias(mask, "bool")[0]
    assert hidden[0] == hidden[1] == 0 and jnp.exp(hidden[2]) == 0
    with pytest.raises(ValueError, match="'additive'"):
        text_bias(mask, "additive")


@pytest.mark.slow
def test_shipped_text_mask_attends_to_padding(variables, batch, noise):
    shipped = run(variables, batch, noise, text_mask="shipped").text.mu
    hidden = run(variables, batch, noise).text.mu
    # The first item has no padding.
    assert_close(shipped[0], hidden[0])
    assert np.abs(shipped[1:] - hidden[1:]).max() > 1e-3
    filled = batch | {"tokens": batch["tokens"].at[2, -1].set(5.0)}
    assert_close(run(variables, filled, noise).text.mu, hidden)
    changed = run(variables, filled, noise, text_mask="shipped").text.mu
    assert np.abs(changed[2] - shipped[2]).max() > 1e-3


@pytest.mark.slow
def test_bfloat16_gives_float32_outputs_that_are_close(variables, batch, noise):
    config = config_of()
    config.train.dtype = "bfloat16"
    result = jax.jit(build(config).apply)(variables, batch, noise)
    assert_float32_outputs(result)
    # 8 bits of mantissa and outputs of order 1, through up to four layers.
    assert_close(result, run(variables, batch, noise), atol=0.15)


@pytest.mark.slow
def test_every_trained_parameter_has_a_gradient(variables, batch, noise):
    model = build(config_of())
    assert_every_parameter_has_a_gradient(model, variables, batch, noise)


@pytest.mark.slow
def test_dropout_follows_its_key(variables, batch, noise):
    model = build(config_of(dropout=0.2))

    @jax.jit
    def train(number):
        rngs = {"dropout": jax.random.key(number)}
        outputs: Any = model.apply(variables, batch, noise, False, rngs=rngs)
        return outputs.features_text

    np.testing.assert_array_equal(train(0), train(0))
    assert np.abs(train(0) - train(1)).max() > 0.05


def test_text_mask_does_not_change_parameter_shapes(batch, noise):
    def shapes(**model):
        return shapes_of(build(config_of(**model)), batch, noise)

    assert shapes() == shapes(text_mask="shipped")


def test_config_errors_name_the_field():
    with pytest.raises(InputError, match="temos.*'tmos'"):
        build(config_of(name="tmos"))
    config = config_of()
    with config.unlocked():
        config.model.num_head = 6
    with pytest.raises(InputError, match="num_head"):
        build(config)


@pytest.mark.slow
def test_texts_without_a_loss_are_not_decoded_in_training(variables, batch, noise):
    config = config_of()
    config.losses.weights.recons_text2rfeats = 0.0
    silent, model = build(config), build(config_of())
    whole: Any = model.apply(variables, batch, noise)
    in_validation: Any = silent.apply(variables, batch, noise)
    assert_close(in_validation.features_text, whole.features_text)

    def loss(params, model):
        outputs = model.apply(
            {"params": params},
            batch,
            noise,
            deterministic=False,
            rngs={"dropout": jax.random.key(3)},
        )
        terms = losses.terms(outputs, batch, config)
        weights = losses.weights(config)
        return sum(weights[n] * total / count for n, (total, count) in terms.items())

    # Without dropout, so that both draw nothing.
    config.model.dropout = 0.0
    silent, model = build(config), build(config_of(dropout=0.0))
    ours = jax.grad(loss)(variables["params"], silent)
    theirs = jax.grad(loss)(variables["params"], model)
    jax.tree.map(assert_close, ours, theirs)
