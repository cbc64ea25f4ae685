import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.config import load_config
from actiongpt_jax.models.build import build
from actiongpt_jax.models.family import FAMILIES
from actiongpt_jax.models.teach import last_frames
from tests.models.checks import (
    assert_close,
    assert_every_parameter_has_a_gradient,
    assert_float32_outputs,
    shapes_of,
)
from tests.oracles import transformer as oracle

pytestmark = pytest.mark.slow

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
BATCH, TEXT_WIDTH, PAST = 3, 6, 3
FRAMES, TOKENS = (9, 7), (5, 4)
# The longest items are shorter than their padded arrays.
LENGTHS = (np.array([8, 5, 3]), np.array([3, 6, 5]))
TEXTS = (np.array([4, 3, 1]), np.array([1, 3, 2]))
SIZES = {
    # One layer compiles in half the time; the golden files cover two layers.
    "num_layers": 1,
    "latent_dim": 8,
    "ff_size": 12,
    "nfeats": 7,
    "num_heads": 2,
    "hist_frames": PAST,
}


def config_of(**model):
    config = load_config(str(CONFIGS / "teach.py"))
    config.model.update(SIZES | model)
    return config


@pytest.fixture(scope="module")
def batch():
    result = {}
    for i in (0, 1):
        keys = jax.random.split(jax.random.key(i))
        mask = jnp.arange(FRAMES[i]) < LENGTHS[i][:, None]
        features = jax.random.normal(keys[0], (BATCH, FRAMES[i], SIZES["nfeats"]))
        result |= {
            f"features_{i}": jnp.where(mask[..., None], features, 0.0),
            f"frame_mask_{i}": mask,
            f"tokens_{i}": jax.random.normal(keys[1], (BATCH, TOKENS[i], TEXT_WIDTH)),
            f"token_mask_{i}": jnp.arange(TOKENS[i]) < TEXTS[i][:, None],
        }
    return result


@pytest.fixture(scope="module")
def noise():
    names = FAMILIES["teach"].noise
    draws = jax.random.normal(jax.random.key(5), (len(names), BATCH, 8))
    return dict(zip(names, draws, strict=True))


@pytest.fixture(scope="module")
def variables(batch, noise):
    return jax.jit(build(config_of()).init)(jax.random.key(2), batch, noise)


@functools.lru_cache
def applied(**model):
    return jax.jit(build(config_of(**model)).apply)


def run(variables, batch, noise, **model) -> Any:
    return applied(**model)(variables, batch, noise)


@functools.lru_cache
def method_of(name, **model):
    apply = build(config_of(**model)).apply
    return jax.jit(functools.partial(apply, method=name))


def ends(features, lengths):
    """Returns the last PAST real frames of each item, cut out one by one."""
    features = np.asarray(features)
    return np.stack(
        [f[n - PAST : n] for f, n in zip(features, lengths, strict=True)], axis=0
    )


def leaves_of(outputs, action):
    return jax.tree.leaves(outputs.action(action))


def test_call_combines_the_three_methods(variables, batch, noise):
    outputs = run(variables, batch, noise)
    past = {}
    for i in (0, 1):
        action = outputs.action(i)
        mask = batch[f"frame_mask_{i}"]
        text = method_of("encode_text")(
            variables, batch[f"tokens_{i}"], batch[f"token_mask_{i}"], **past
        )
        motion = method_of("encode_motion")(variables, batch[f"features_{i}"], mask)
        assert_close((action.text, action.motion), (text, motion))
        z_text = text.sample(noise[f"text_{i}"])
        z_motion = motion.sample(noise[f"motion_{i}"])
        assert_close((action.z_text, action.z_motion), (z_text, z_motion))
        for result, latent in [
            (action.features_text, z_text),
            (action.features_motion, z_motion),
        ]:
            assert_close(result, method_of("decode")(variables, latent, mask))
            assert not np.asarray(result)[~np.asarray(mask)].any()
        past = {"past": ends(action.features_text, LENGTHS[i])}


def grown(batch, frames=(4, 2), tokens=(3, 5), items=1):
    """Returns the batch with more padding and filler items, filled with garbage."""
    result = {}
    for name, array in batch.items():
        more = (tokens if name.startswith("token") else frames)[int(name[-1])]
        space = [(0, items), (0, more)] + [(0, 0)] * (array.ndim - 2)
        fill = False if array.dtype == bool else 9.0
        result[name] = jnp.pad(array, space, constant_values=fill)
        # Fill the original padding with garbage too.
        if name.startswith(("features", "tokens")):
            mask = batch[
                name.replace("tokens", "token_mask").replace("features", "frame_mask")
            ]
            mask = jnp.pad(mask, space[:2])[..., None]
            result[name] = jnp.where(mask, result[name], 9.0)
    return result


def more_noise(noise, items=1):
    return {n: jnp.pad(a, ((0, items), (0, 0))) for n, a in noise.items()}


def inner(outputs):
    """Cuts the outputs of a grown batch back to the original items and frames."""
    cut = jax.tree.map(lambda a: a[:BATCH], outputs)
    return cut.replace(
        **{
            f"features_{kind}_{i}": getattr(cut, f"features_{kind}_{i}")[:, :n]
            for kind in ("text", "motion")
            for i, n in enumerate(FRAMES)
        }
    )


def test_padding_and_other_items_do_not_change_outputs(variables, batch, noise):
    expected = run(variables, batch, noise)
    actual = run(variables, grown(batch), more_noise(noise))
    assert_close(inner(actual), expected)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(actual))


def with_frame(batch, action, frame, value=3.0):
    name = f"features_{action}"
    return batch | {name: batch[name].at[:, frame].set(value)}


@pytest.mark.parametrize("action", [0, 1])
def test_shipped_motion_mask_attends_up_to_the_longest_item(
    variables, batch, noise, action
):
    def encoded(batch, **model):
        return run(variables, batch, noise, **model).action(action).motion.mu

    hidden, shipped = encoded(batch), encoded(batch, motion_mask="shipped")
    longest = LENGTHS[action].max()
    shorter = LENGTHS[action] < longest
    assert_close(shipped[~shorter], hidden[~shorter])
    assert np.abs(shipped - hidden)[shorter].max(-1).min() > 1e-3
    # The last frame of the longest item is padding in the others; the next in all.
    within = with_frame(batch, action, longest - 1)
    changed = encoded(within, motion_mask="shipped")
    assert np.abs(changed - shipped).max(-1).min() > 1e-3
    assert_close(encoded(within)[shorter], hidden[shorter])
    beyond = with_frame(batch, action, longest)
    assert_close(encoded(beyond, motion_mask="shipped"), shipped)


def test_shipped_motion_mask_is_the_same_on_parts_of_a_batch(variables, batch, noise):
    whole = run(variables, batch, noise, motion_mask="shipped")
    longest = {f"longest_{i}": jnp.asarray(LENGTHS[i].max()) for i in (0, 1)}
    # Neither part contains the longest items of both actions.
    for rows in (np.array([0, 2]), np.array([1])):
        others = np.isin(np.arange(BATCH), rows, invert=True)
        part = {
            name: jnp.where(others.reshape(-1, *[1] * (array.ndim - 1)), 0, array)
            if name.startswith("f")
            else array
            for name, array in batch.items()
        }
        part = {n: a.astype(batch[n].dtype) for n, a in part.items()} | longest
        result = run(variables, part, noise, motion_mask="shipped")
        for action in (0, 1):
            a, b = result.action(action).motion, whole.action(action).motion
            assert_close((a.mu[rows], a.logvar[rows]), (b.mu[rows], b.logvar[rows]))


def test_teacher_forcing_selects_real_past_frames(variables, batch, noise):
    other = dict(batch)
    other["features_0"] = jnp.where(
        batch["frame_mask_0"][..., None], batch["features_0"] + 1.0, 0.0
    )
    for model in ({}, {"teacher_forcing": True}):
        actual = run(variables, batch, noise, **model)
        source = batch["features_0"] if model else actual.features_text_0
        expected = method_of("encode_text")(
            variables,
            batch["tokens_1"],
            batch["token_mask_1"],
            past=ends(source, LENGTHS[0]),
        )
        assert_close(actual.text_1, expected)
        changed = run(variables, other, noise, **model).text_1.mu
        assert (np.abs(changed - actual.text_1.mu).max() > 1e-3) == bool(model)


@pytest.mark.parametrize("teacher_forcing", [False, True])
def test_losses_of_the_second_action_train_the_first_text(
    variables, batch, noise, teacher_forcing
):
    model = build(config_of(teacher_forcing=teacher_forcing))

    @jax.jit
    @jax.grad
    def gradient(tokens):
        outputs: Any = model.apply(variables, batch | tokens, noise)
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in leaves_of(outputs, 1))

    result = gradient({f"tokens_{i}": batch[f"tokens_{i}"] for i in (0, 1)})
    for i in (0, 1):
        size = np.abs(result[f"tokens_{i}"]).max((1, 2))
        if i == 0 and teacher_forcing:
            assert not size.any()
        else:
            assert (size > 1e-6).all()


def test_past_frames_change_the_text_encoding(variables, batch):
    encode = method_of("encode_text")
    text = batch["tokens_0"], batch["token_mask_0"]
    past = batch["features_1"][:, :PAST]
    alone = encode(variables, *text)
    given = encode(variables, *text, past=past)
    assert np.abs(given.mu - alone.mu).max(-1).min() > 1e-3
    # The order of the past frames matters.
    turned = encode(variables, *text, past=past[:, ::-1])
    assert np.abs(turned.mu - given.mu).max(-1).min() > 1e-3
    # Zeros are a past like any other and differ from no past.
    zeros = encode(variables, *text, past=jnp.zeros_like(past))
    assert np.abs(zeros.mu - alone.mu).max(-1).min() > 1e-3


def test_z_prev_text_makes_the_encoder_read_the_previous_latent(
    variables, batch, noise
):
    other = noise | {"text_0": noise["text_0"] + 1.0}
    # Past frames are real ones, so only the latent can make a difference.
    for z_prev_text in (False, True):
        model = {"teacher_forcing": True, "z_prev_text": z_prev_text}
        actual = run(variables, batch, noise, **model)
        changed = run(variables, batch, other, **model)
        difference = np.abs(actual.text_1.mu - changed.text_1.mu).max(-1)
        assert (difference > 1e-3).all() if z_prev_text else not difference.any()
        expected = method_of("encode_text")(
            variables,
            batch["tokens_1"],
            batch["token_mask_1"],
            past=ends(batch["features_0"], LENGTHS[0]),
            z_prev=actual.z_text_0 if z_prev_text else None,
        )
        assert_close(actual.text_1, expected)


def sinusoids(length, width):
    position = np.arange(length)[:, None] / 10_000.0 ** (np.arange(0, width, 2) / width)
    return np.stack([np.sin(position), np.cos(position)], -1).reshape(length, width)


def encode_in_float64(params, tokens, mask, past=None, z_prev=None):
    """Returns (B, 2, D) mu and logvar; only text and past frames have positions."""

    def stack(x, mask):
        for number in range(SIZES["num_layers"]):
            layer = params["encoder"][f"layer_{number}"]
            x = oracle.encoder_layer(layer, x, mask, SIZES["num_heads"])
        return x

    def dense(name, x):
        return x @ params[name]["kernel"] + params[name]["bias"]

    def everywhere(name):
        return np.broadcast_to(params[name], (len(tokens), 1, SIZES["latent_dim"]))

    parts = [everywhere("mu_token"), everywhere("logvar_token")]
    if past is not None:
        past = dense("skel_embedding", past) + sinusoids(PAST, SIZES["latent_dim"])
        parts.append(stack(past, np.ones(past.shape[:2], bool)))
    if z_prev is not None:
        parts.append(z_prev[:, None])
    text = dense("projection", np.maximum(tokens, 0))
    parts += [
        everywhere("separation_token"),
        text + sinusoids(text.shape[1], SIZES["latent_dim"]),
    ]
    x = np.concatenate(parts, axis=1)
    extra = np.ones((len(x), x.shape[1] - mask.shape[1]), bool)
    return stack(x, np.concatenate([extra, mask], axis=1))[:, :2]


@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("z_prev", [False, True])
def test_text_encoder_matches_its_float64_definition(
    variables, batch, noise, past, z_prev
):
    given = {}
    if past:
        given["past"] = batch["features_1"][:, :PAST]
    if z_prev:
        given["z_prev"] = noise["motion_0"]
    text = {"tokens": batch["tokens_0"], "mask": batch["token_mask_0"]}
    actual = method_of("encode_text")(variables, *text.values(), **given)
    params = variables["params"]["text_encoder"]
    exact = jax.tree.map(
        lambda a: np.asarray(a, bool if a.dtype == bool else np.float64),
        (params, text | given),
    )
    expected = encode_in_float64(exact[0], **exact[1])
    # Rounding of float32 against float64, through up to four layers.
    np.testing.assert_allclose(actual.mu, expected[:, 0], rtol=0, atol=2e-5)
    np.testing.assert_allclose(actual.logvar, expected[:, 1], rtol=0, atol=2e-5)


def test_unused_variables_do_not_change_outputs(variables, batch, noise):
    assert "past_encoder" in variables["unused"]["text_encoder"]
    nothing = jax.tree.map(lambda a: jnp.full_like(a, jnp.nan), variables["unused"])
    expected = run(variables, batch, noise)
    actual = run(variables | {"unused": nothing}, batch, noise)
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def test_every_trained_parameter_has_a_gradient(variables, batch, noise):
    model = build(config_of())
    assert_every_parameter_has_a_gradient(model, variables, batch, noise)


def test_bfloat16_gives_float32_outputs_that_are_close(variables, batch, noise):
    config = config_of()
    config.train.dtype = "bfloat16"
    result = jax.jit(build(config).apply)(variables, batch, noise)
    assert_float32_outputs(result)
    # 8 bits of mantissa and outputs of order 1, through up to ten layers.
    assert_close(result, run(variables, batch, noise), atol=0.3)


def test_dropout_follows_its_key(variables, batch, noise):
    model = build(config_of(dropout=0.2))

    @jax.jit
    def train(number) -> Any:
        rngs = {"dropout": jax.random.key(number)}
        return model.apply(variables, batch, noise, False, rngs=rngs)

    first, again, other = train(0), train(0), train(1)
    jax.tree.map(np.testing.assert_array_equal, first, again)
    # Without a key (in all other tests) there is no dropout.
    for action in (0, 1):
        for a, b in zip(
            leaves_of(first, action), leaves_of(other, action), strict=True
        ):
            assert np.abs(a - b).max() > 0.01


def test_options_do_not_change_parameter_shapes(batch, noise):
    def shapes(**model):
        return shapes_of(build(config_of(**model)), batch, noise)

    plain = shapes()
    for name, value in [
        ("z_prev_text", True),
        ("teacher_forcing", True),
        ("motion_mask", "shipped"),
        ("text_mask", "shipped"),
        ("hist_frames", 2),
    ]:
        assert shapes(**{name: value}) == plain


@pytest.mark.parametrize("count", [1, 3, 5])
def test_last_frames_returns_the_last_real_frames_of_each_item(count):
    features = np.random.default_rng(0).standard_normal((6, 9, 2)).astype(np.float32)
    lengths = np.array([5, 9, 6, 8, 7, 5])
    result = jax.jit(last_frames, static_argnums=2)(features, lengths, count)
    for b, n in enumerate(lengths):
        np.testing.assert_array_equal(result[b], features[b, n - count : n])


def test_last_frames_of_too_short_items_are_finite():
    features = jnp.ones((3, 4, 2))
    result = last_frames(features, jnp.array([0, 2, 4]), 5)
    assert result.shape == (3, 5, 2)
    assert np.isfinite(result).all()
