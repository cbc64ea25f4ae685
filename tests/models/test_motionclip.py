import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.models.motionclip import TEXT_LATENTS, MotionClip
from actiongpt_jax.nn.sizes import Sizes
from tests.oracles import transformer as oracle

pytestmark = pytest.mark.slow

SIZES = Sizes(latent_dim=8, ff_size=12, num_layers=1, num_heads=2)
BATCH, FRAMES, NFEATS = 3, 7, 6
LENGTHS = np.array([7, 4, 1])


def batch_of(image=False, width=SIZES.latent_dim):
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.normal(size=(BATCH, *shape)).astype(np.float32)

    batch: dict[str, Any] = {
        "poses": draw(FRAMES, NFEATS),
        "frame_mask": np.arange(FRAMES) < LENGTHS[:, None],
        "text": 10 * draw(width),
    }
    return batch | ({"image": draw(width)} if image else {})


def make(sizes=SIZES, **fields):
    """Returns a model and random variables, so that no weight is just 0 or 1."""
    model = MotionClip(sizes, NFEATS, **fields)
    batch = batch_of(width=sizes.latent_dim)
    shapes = jax.eval_shape(model.init, jax.random.key(0), batch)
    rng = np.random.default_rng(1)
    return model, jax.tree.map(
        lambda x: (0.4 * rng.standard_normal(x.shape)).astype(np.float32), shapes
    )


def run(model, variables, batch, **options) -> Any:
    return jax.jit(functools.partial(model.apply, **options))(variables, batch)


def positions(count, width):
    rates = np.exp(-np.log(10000.0) * np.arange(0, width, 2) / width)
    angles = np.arange(count)[:, None] * rates
    return np.stack([np.sin(angles), np.cos(angles)], -1).reshape(count, width)


@pytest.mark.parametrize("tokens", [1, 2])
def test_network_matches_its_float64_definition(tokens):
    model, variables = make(encoder_tokens=tokens)
    batch = batch_of()
    result = run(model, variables, batch)
    params, unused = jax.tree.map(
        lambda x: x.astype(np.float64), (variables["params"], variables["unused"])
    )
    width, heads = SIZES.latent_dim, SIZES.num_heads
    encoder, decoder = params["motion_encoder"], params["motion_decoder"]
    names = {1: ["emb_token"], 2: ["mu_token", "logvar_token"]}[tokens]
    first = np.stack([encoder[name] for name in names])
    x = batch["poses"] @ encoder["skel_embedding"]["kernel"]
    x = x + encoder["skel_embedding"]["bias"]
    x = np.concatenate([np.broadcast_to(first, (BATCH, *first.shape)), x], 1)
    x = x + positions(FRAMES + tokens, width)
    mask = np.pad(batch["frame_mask"], ((0, 0), (tokens, 0)), constant_values=True)
    for i in range(SIZES.num_layers):
        x = oracle.encoder_layer(encoder["encoder"][f"layer_{i}"], x, mask, heads)
    latent = x[:, 0]
    # Rounding of sums of about ten terms, through two layers.
    np.testing.assert_allclose(result.latent, latent, rtol=0, atol=5e-6)

    x = np.broadcast_to(positions(FRAMES, width), (BATCH, FRAMES, width))
    for i in range(SIZES.num_layers):
        layer = f"layer_{i}"
        x = oracle.decoder_layer(
            decoder["decoder"][layer],
            unused["motion_decoder"]["decoder"][layer],
            x,
            latent[:, None],
            batch["frame_mask"],
            heads,
        )
    poses = x @ decoder["final_layer"]["kernel"] + decoder["final_layer"]["bias"]
    poses = np.where(batch["frame_mask"][..., None], poses, 0)
    np.testing.assert_allclose(result.poses, poses, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(result.text, batch["text"])
    assert result.image is None and result.poses_text is None


def test_padding_and_other_items_do_not_change_outputs():
    model, variables = make(text_latent="matched", decode_text=True)
    batch = batch_of(image=True)
    expected = run(model, variables, batch)
    longer: dict[str, Any] = {
        name: np.pad(a, [(0, 2), (0, 3), (0, 0)][: a.ndim], constant_values=0)
        if name in ("poses", "frame_mask")
        else np.pad(a, [(0, 2), (0, 0)])
        for name, a in batch.items()
    }
    longer["poses"][~longer["frame_mask"]] = 77.0
    actual = run(model, variables, longer)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        a = a[:BATCH, :FRAMES] if a.ndim == 3 else a[:BATCH]
        # Rounding differs because the program is compiled for another shape.
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_text_latent_sets_the_length_of_text_latents():
    batch = batch_of(image=True)
    latents = {}
    for how in TEXT_LATENTS:
        model, variables = make(text_latent=how, decode_text=True)
        result = run(model, variables, batch)
        latents[how] = result
        # Training decodes texts as generation does.
        decode = jax.jit(functools.partial(model.apply, method="decode"))
        decoded: Any = decode(variables, result.text, batch["frame_mask"])
        np.testing.assert_allclose(result.poses_text, decoded, rtol=0, atol=1e-5)
        for vector, latent in (("text", result.text), ("image", result.image)):
            cosine = (batch[vector] * latent).sum(-1) / (
                np.linalg.norm(batch[vector], axis=-1) * np.linalg.norm(latent, axis=-1)
            )
            np.testing.assert_allclose(cosine, 1.0, atol=1e-6)
    lengths = {h: np.linalg.norm(f.text, axis=-1) for h, f in latents.items()}
    np.testing.assert_array_equal(latents["raw"].text, batch["text"])
    np.testing.assert_allclose(lengths["normalized"], 1.0, atol=1e-6)
    unit = np.linalg.norm(latents["normalized"].latent, axis=-1)
    np.testing.assert_allclose(unit, 1.0, atol=1e-6)
    assert np.ptp(lengths["matched"]) < 1e-4
    raw = latents["raw"].latent
    np.testing.assert_allclose(latents["matched"].latent, raw, rtol=0, atol=1e-6)


def test_matched_text_latents_have_the_length_of_motion_latents():
    model, variables = make(
        dataclasses.replace(SIZES, latent_dim=32), text_latent="matched"
    )
    rng = np.random.default_rng(2)
    poses = rng.normal(size=(400, 2, NFEATS)).astype(np.float32) * 3
    mask = np.ones((400, 2), bool)
    latents: Any = jax.jit(
        lambda p: model.apply(variables, p, mask, method="encode_motion")
    )(poses)
    text: Any = model.apply(
        variables, rng.normal(size=(1, 32)).astype(np.float32), method="as_latent"
    )
    length = np.sqrt((np.asarray(latents) ** 2).sum(-1).mean())
    # The norm's weights are independent of the values they multiply, as in training.
    np.testing.assert_allclose(np.linalg.norm(text), length, rtol=0.15)
    fresh = MotionClip(SIZES, NFEATS, text_latent="matched")
    drawn = jax.jit(fresh.init)(jax.random.key(0), batch_of())
    text = fresh.apply(drawn, jnp.ones((1, SIZES.latent_dim)), method="as_latent")
    expected = np.sqrt(SIZES.latent_dim)
    np.testing.assert_allclose(np.linalg.norm(text), expected, rtol=1e-6)


def test_gradients_reach_every_parameter_and_are_finite():
    model, variables = make(encoder_tokens=2, decode_text=True)
    batch = batch_of()

    @jax.jit
    def gradient(params, batch):
        def loss(params):
            out: Any = model.apply({"params": params}, batch)
            return sum((x**2).sum() for x in (out.latent, out.poses, out.poses_text))

        return jax.grad(loss)(params)

    grads = gradient(variables["params"], batch)
    for path, leaf in jax.tree_util.tree_leaves_with_path(grads):
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0, path
    empty = batch | {"frame_mask": np.zeros((BATCH, FRAMES), bool)}
    grads = gradient(variables["params"], empty)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))


def test_unused_variables_do_not_change_outputs():
    model, variables = make()
    assert "action_biases" in variables["unused"]
    batch = batch_of()
    without = run(model, {"params": variables["params"]}, batch)
    np.testing.assert_array_equal(run(model, variables, batch).poses, without.poses)


def test_dropout_follows_its_key():
    model, variables = make(dataclasses.replace(SIZES, dropout=0.5))
    batch = batch_of()

    @jax.jit
    def train(rng) -> Any:
        rngs = {"dropout": rng}
        return model.apply(variables, batch, deterministic=False, rngs=rngs)

    first, again, other = (train(jax.random.key(seed)) for seed in (0, 0, 1))
    assert not np.allclose(first.latent, other.latent)
    np.testing.assert_array_equal(first.poses, again.poses)


def test_bfloat16_gives_float32_outputs_that_are_close():
    model, variables = make()
    batch = batch_of()
    exact = run(model, variables, batch)
    result = run(
        model.copy(sizes=dataclasses.replace(SIZES, dtype=jnp.bfloat16)),
        variables,
        batch,
    )
    assert result.poses.dtype == result.latent.dtype == jnp.float32
    # bfloat16 has about three digits; errors add up over four layers.
    np.testing.assert_allclose(result.latent, exact.latent, rtol=0, atol=0.1)


def test_invalid_input_raises():
    batch = batch_of()
    with pytest.raises(InputError, match="encoder_tokens must be 1 or 2, got 3"):
        make(encoder_tokens=3)
    with pytest.raises(InputError, match="one of raw, normalized, matched, got 'unit'"):
        make(text_latent="unit")
    model, variables = make()
    narrow = batch | {"text": np.zeros((BATCH, 5), np.float32)}
    with pytest.raises(InputError, match="width of the texts' vectors, 5, got 8"):
        jax.eval_shape(model.apply, variables, narrow)
