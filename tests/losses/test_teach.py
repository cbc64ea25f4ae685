import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.config import load_config
from actiongpt_jax.losses import teach as losses
from actiongpt_jax.losses import temos as temos_losses
from actiongpt_jax.models.teach import TeachOutputs
from actiongpt_jax.structs import Gaussian
from tests.losses.padding import assert_padding_does_not_count
from tests.oracles.losses import huber, kl

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
BATCH, NFEATS, WIDTH = 3, 5, 4
# The longest items are shorter than their padded arrays.
FRAMES = (8, 11)
LENGTHS = (np.array([6, 4, 1]), np.array([2, 7, 9]))


def config_of(**changes):
    config = load_config(str(CONFIGS / "teach.py"))
    config.update_from_flattened_dict(changes)
    return config


@functools.lru_cache
def jitted():
    config = config_of()
    return jax.jit(lambda outputs, batch: losses.terms(outputs, batch, config))


def terms_of(outputs, batch):
    return jitted()(outputs, batch)


@pytest.fixture(scope="module")
def case():
    """Returns outputs and a batch whose two actions have arrays of other lengths."""
    keys = iter(jax.random.split(jax.random.key(0), 32))

    def draw(*shape):
        return 2.0 * jax.random.normal(next(keys), (BATCH, *shape))

    outputs, batch = {}, {}
    for i in (0, 1):
        mask = jnp.arange(FRAMES[i]) < LENGTHS[i][:, None]
        motions = ("target", "features_text", "features_motion")
        for name in motions:
            drawn = jnp.where(mask[..., None], draw(FRAMES[i], NFEATS), 0.0)
            if name == "target":
                batch |= {f"features_{i}": drawn, f"frame_mask_{i}": mask}
            else:
                outputs[f"{name}_{i}"] = drawn
        for name in ("text", "motion"):
            outputs[f"{name}_{i}"] = Gaussian(draw(WIDTH), draw(WIDTH))
            outputs[f"z_{name}_{i}"] = draw(WIDTH)
    return TeachOutputs(**outputs), batch


def mean_of_means(result, target, lengths):
    """Returns the mean over items of the mean over each item's frames."""
    return np.mean(
        [
            huber(f[:n], t[:n]).mean()
            for f, t, n in zip(result, target, lengths, strict=True)
        ]
    )


@pytest.mark.slow
def test_every_term_is_the_mean_of_its_definition(case):
    outputs, batch = case
    actual = terms_of(outputs, batch)
    expected = {}
    for i in (0, 1):
        action, target, lengths = outputs.action(i), batch[f"features_{i}"], LENGTHS[i]
        text, motion = action.text, action.motion
        expected |= {
            f"recons_rfeats2rfeats_{i}": mean_of_means(
                action.features_motion, target, lengths
            ),
            f"recons_text2rfeats_{i}": mean_of_means(
                action.features_text, target, lengths
            ),
            f"kl_text2motion_{i}": kl(text, motion.mu, motion.logvar).mean(),
            f"kl_motion2text_{i}": kl(motion, text.mu, text.logvar).mean(),
            f"kl_text_{i}": kl(text).mean(),
            f"kl_motion_{i}": kl(motion).mean(),
            f"latent_manifold_{i}": huber(action.z_text, action.z_motion).mean(),
        }
    assert len(expected) == 14
    assert actual.keys() == expected.keys() == losses.weights(config_of()).keys()
    for name, (total, count) in actual.items():
        # Rounding of float32 against float64.
        np.testing.assert_allclose(total / count, expected[name], rtol=1e-5)


def test_a_long_motion_weighs_no_more_than_a_short_one(case):
    outputs, batch = case
    target = {f"features_{i}": jnp.zeros_like(batch[f"features_{i}"]) for i in (0, 1)}
    wrong = {
        f"features_text_{i}": jnp.where(batch[f"frame_mask_{i}"][..., None], 1.5, 0.0)
        .at[1:]
        .set(0.0)
        for i in (0, 1)
    }
    result = terms_of(outputs.replace(**wrong), batch | target)
    for i in (0, 1):
        total, count = result[f"recons_text2rfeats_{i}"]
        # |1.5| - 0.5 in one of three items, independent of its length.
        np.testing.assert_allclose((total, count), (1.0, BATCH), rtol=1e-6)


def test_fillers_and_padding_do_not_change_terms(case):
    outputs, batch = case
    assert_padding_does_not_count(terms_of, outputs, batch, FRAMES)


@pytest.mark.slow
def test_batch_of_fillers_has_count_zero_and_finite_gradients(case):
    outputs, batch = case
    empty = {
        f"frame_mask_{i}": jnp.zeros_like(batch[f"frame_mask_{i}"]) for i in (0, 1)
    }

    def loss(outputs):
        result = terms_of(outputs, batch | empty)
        return sum(total for total, _ in result.values()), result

    (_, result), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(outputs)
    assert not any(np.asarray(term).any() for term in result.values())
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(gradient))


def test_terms_of_two_halves_add_up(case):
    outputs, batch = case
    whole = terms_of(outputs, batch)
    halves = []
    for part in (slice(0, 1), slice(1, None)):
        half = jax.tree.map(lambda a, p=part: a[p], case)
        halves.append(terms_of(half[0], half[1]))
    for name, term in whole.items():
        added = np.asarray(halves[0][name]) + np.asarray(halves[1][name])
        np.testing.assert_allclose(added, term, rtol=1e-6)


def test_latent_terms_equal_those_of_temos(case):
    outputs, batch = case
    result = terms_of(outputs, batch)
    for i in (0, 1):
        action_batch = {
            name: batch[f"{name}_{i}"] for name in ("features", "frame_mask")
        }
        config = load_config(str(CONFIGS / "temos.py"))
        single = temos_losses.terms(outputs.action(i), action_batch, config)
        for name, term in single.items():
            if not name.startswith("recons"):
                # The same sums in another program, rounded differently.
                np.testing.assert_allclose(result[f"{name}_{i}"], term, rtol=1e-6)


def test_weights_come_from_the_config():
    config = config_of(**{"losses.lmd_kl": 0.5, "losses.lmd_latent": 0.25})
    for name, weight in losses.weights(config).items():
        kind = name.split("_")[0]
        assert weight == {"recons": 1.0, "kl": 0.5, "latent": 0.25}[kind]
    # Both are 1e-5 in the published config.
    assert set(losses.weights(config_of()).values()) == {1.0, 1e-5}
