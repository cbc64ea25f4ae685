import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.config import load_config
from actiongpt_jax.config_fields import resolve
from actiongpt_jax.losses import temos as losses
from actiongpt_jax.models.temos import TemosOutputs
from actiongpt_jax.structs import Gaussian
from tests.losses.padding import assert_padding_does_not_count
from tests.oracles.losses import huber, kl

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
RECONSTRUCTIONS = ("recons_rfeats2rfeats", "recons_text2rfeats")
BATCH, FRAMES, NFEATS, WIDTH = 3, 8, 5, 4
LENGTHS = np.array([6, 4, 1])


def config_of(**changes):
    config = load_config(str(CONFIGS / "temos.py"))
    config.update_from_flattened_dict(changes)
    return config


@pytest.fixture
def case():
    """Returns outputs and a batch whose longest item is shorter than its array."""
    keys = iter(jax.random.split(jax.random.key(0), 16))

    def draw(*shape):
        return jax.random.normal(next(keys), (BATCH, *shape))

    mask = jnp.arange(FRAMES) < LENGTHS[:, None]
    target, text, motion = (
        jnp.where(mask[..., None], draw(FRAMES, NFEATS), 0.0) for _ in range(3)
    )
    outputs = TemosOutputs(
        text=Gaussian(draw(WIDTH), draw(WIDTH)),
        motion=Gaussian(draw(WIDTH), draw(WIDTH)),
        z_text=draw(WIDTH),
        z_motion=draw(WIDTH),
        features_text=text,
        features_motion=motion,
    )
    return outputs, {"features": target, "frame_mask": mask}


def test_every_term_is_the_mean_of_its_definition(case):
    outputs, batch = case
    actual = losses.terms(outputs, batch, config_of())
    mask, target = np.asarray(batch["frame_mask"]), batch["features"]
    text, motion = outputs.text, outputs.motion
    expected = {
        "recons_rfeats2rfeats": huber(outputs.features_motion, target)[mask].mean(),
        "recons_text2rfeats": huber(outputs.features_text, target)[mask].mean(),
        "kl_text2motion": kl(text, motion.mu, motion.logvar).mean(),
        "kl_motion2text": kl(motion, text.mu, text.logvar).mean(),
        "kl_text": kl(text).mean(),
        "kl_motion": kl(motion).mean(),
        "latent_manifold": huber(outputs.z_text, outputs.z_motion).mean(),
    }
    assert actual.keys() == expected.keys() == losses.weights(config_of()).keys()
    for name, (total, count) in actual.items():
        # Rounding of float32 against float64.
        np.testing.assert_allclose(total / count, expected[name], rtol=1e-5)


def test_padded_reconstruction_divides_by_items_times_the_longest(case):
    outputs, batch = case
    config = config_of(**{"losses.recons_mean": "padded"})
    frames = losses.terms(outputs, batch, config_of())
    padded = losses.terms(outputs, batch, config)
    for name in padded:
        (total, count), (other, real) = padded[name], frames[name]
        assert total == other
        if name in RECONSTRUCTIONS:
            assert count == BATCH * LENGTHS.max() * NFEATS
            assert real == LENGTHS.sum() * NFEATS
        else:
            assert count == real == BATCH * WIDTH
    whole = losses.terms(outputs, batch, resolve(config_of(compat="reference")))
    assert whole == padded


@pytest.mark.slow
@pytest.mark.parametrize("recons_mean", ["frames", "padded"])
def test_fillers_and_padding_do_not_change_terms(case, recons_mean):
    outputs, batch = case
    config = config_of(**{"losses.recons_mean": recons_mean})

    def terms(outputs, batch):
        return losses.terms(outputs, batch, config)

    assert_padding_does_not_count(terms, outputs, batch, [FRAMES])


@pytest.mark.slow
@pytest.mark.parametrize("recons_mean", ["frames", "padded"])
def test_terms_of_two_halves_add_up(case, recons_mean):
    outputs, batch = case
    config = config_of(**{"losses.recons_mean": recons_mean})
    whole = losses.terms(outputs, batch, config)
    longest = batch["frame_mask"].sum(-1).max()
    halves = []
    for part in (slice(0, 1), slice(1, None)):
        half = jax.tree.map(lambda a, p=part: a[p], case)
        halves.append(losses.terms(half[0], {**half[1], "longest": longest}, config))
    for name, term in whole.items():
        added = np.asarray(halves[0][name]) + np.asarray(halves[1][name])
        np.testing.assert_allclose(added, term, rtol=1e-6)


def test_weights_come_from_the_config():
    config = config_of(**{"losses.lmd_kl": 0.5, "losses.lmd_latent": 0.25})
    weights = losses.weights(config)
    for name, weight in weights.items():
        kind = name.split("_")[0]
        assert weight == {"recons": 1.0, "kl": 0.5, "latent": 0.25}[kind]


def test_a_term_can_have_a_weight_of_its_own():
    config = config_of(
        **{"losses.weights.kl_text": 0.0, "losses.weights.recons_text2rfeats": 0.1}
    )
    own = {"kl_text": 0.0, "recons_text2rfeats": 0.1}
    assert losses.weights(config) == losses.weights(config_of()) | own


def test_velocities_are_compared_where_two_frames_are_real(case):
    outputs, batch = case
    config = config_of(**{"losses.weights.velocity": 10.0})
    terms = losses.terms(outputs, batch, config)
    assert terms.keys() == losses.weights(config).keys()
    total, count = terms["velocity"]
    made, real = np.asarray(outputs.features_motion), np.asarray(batch["features"])
    changes = [
        huber(np.diff(made[i, :n], axis=0), np.diff(real[i, :n], axis=0))
        for i, n in enumerate(LENGTHS)
    ]
    assert count == (LENGTHS - 1).sum() * NFEATS
    np.testing.assert_allclose(total, sum(c.sum() for c in changes), rtol=1e-5)
