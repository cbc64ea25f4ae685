"""TEMOS's networks, losses and whole runs against the published code's numbers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.conversion import from_torch
from actiongpt_jax.conversion import layout as torch_layout
from actiongpt_jax.features import rot_velocity
from actiongpt_jax.losses import temos as temos_losses
from actiongpt_jax.models.build import build
from actiongpt_jax.models.motion_decoder import MotionDecoder
from actiongpt_jax.models.motion_encoder import MotionEncoder
from actiongpt_jax.models.text_encoder import TextEncoder
from actiongpt_jax.nn.positional import sinusoids
from actiongpt_jax.text.aggregate import aggregate
from tests.models.goldens import (
    MOTION,
    NETWORK,
    assert_gaussian,
    assert_losses,
    frame_mask,
    grouped,
    run,
    sizes_of,
    state_of,
    variables_of,
)

# On a GPU, matrix products and kernels are other ones.
pytestmark = [pytest.mark.slow, pytest.mark.gpu]


def test_positional_encoding_matches_published(golden):
    case = golden("temos_teach/positional_encoding")
    frames, _, width = case["x"].shape
    assert width == case["d_model"]
    table = sinusoids(len(case["pe"]), width)
    np.testing.assert_allclose(table, case["pe"], rtol=0, atol=NETWORK)
    added = case["x"] + table[:frames, None]
    np.testing.assert_allclose(added, case["y"], rtol=0, atol=NETWORK)


def test_motion_encoder_matches_published(golden):
    case = golden("temos_teach/motion_encoder")
    model = MotionEncoder(sizes_of(case))
    layout = torch_layout.pooling_encoder("", (), int(case["num_layers"]))
    variables = variables_of(case, layout)
    features = case["features"]
    mask = frame_mask(case["lengths"], features.shape[1])
    found = run(model, variables, features, mask)
    assert_gaussian(found, case["mu"], case["std"])
    np.testing.assert_allclose(found.logvar, case["logvar"], rtol=0, atol=NETWORK)
    found = run(model, variables, features, jnp.ones_like(mask))
    assert_gaussian(found, case["mu_nomask"], case["std_nomask"])


def test_motion_encoder_without_vae_matches_published(golden):
    case = golden("temos_teach/motion_encoder_novae")
    model = MotionEncoder(sizes_of(case), vae=False)
    layout = torch_layout.pooling_encoder(
        "", (), int(case["num_layers"]), tokens={"emb_token": "emb_token"}
    )
    mask = frame_mask(case["lengths"], case["features"].shape[1])
    found = run(model, variables_of(case, layout), case["features"], mask)
    np.testing.assert_allclose(found, case["emb"], rtol=0, atol=NETWORK)


def test_motion_decoder_matches_published(golden):
    case = golden("temos_teach/motion_decoder")
    model = MotionDecoder(sizes_of(case), int(case["nfeats"]))
    layout = torch_layout.motion_decoder("", (), int(case["num_layers"]))
    mask = frame_mask(case["lengths"], case["features"].shape[1])
    found = run(model, variables_of(case, layout), case["z"], mask)
    np.testing.assert_allclose(found, case["features"], rtol=0, atol=NETWORK)
    assert not np.asarray(found)[~np.asarray(mask)].any()


def text_encoder(case, text_mask="bool"):
    layout = torch_layout.pooling_encoder(
        "", (), int(case["num_layers"]), embedding=("projection.1", "projection")
    )
    model = TextEncoder(sizes_of(case), text_mask)
    variables = variables_of(case, layout)
    return lambda tokens, mask: run(model, variables, tokens, mask)


def test_text_encoder_matches_published(golden):
    case = golden("temos_teach/text_encoder_temos")
    found = text_encoder(case)(case["hidden"], case["mask"])
    assert_gaussian(found, case["mu"], case["std"])


def test_aggregated_texts_match_published(golden):
    case = golden("temos_teach/actiongpt_text_encoder_temos")
    hidden, mask = grouped(case)
    assert hidden.shape[1] == case["k"]
    tokens, union = aggregate(hidden, mask, "reference_mean")
    np.testing.assert_allclose(tokens, case["v_aggr_shipped"], rtol=0, atol=NETWORK)
    np.testing.assert_array_equal(union, case["mask_union"])
    tokens, _ = aggregate(hidden, mask, "masked_mean")
    expected = case["v_aggr_masked_variant"]
    np.testing.assert_allclose(tokens, expected, rtol=0, atol=NETWORK)


@pytest.mark.parametrize("text_mask", ["shipped", "bool"])
def test_text_encoder_of_aggregated_texts_matches_published(golden, text_mask):
    case = golden("temos_teach/actiongpt_text_encoder_temos")
    tokens, union = aggregate(*grouped(case), "reference_mean")
    found = text_encoder(case, text_mask)(tokens, union)
    suffix = {"shipped": "shipped", "bool": "boolmask"}[text_mask]
    assert_gaussian(found, case[f"mu_{suffix}"], case[f"std_{suffix}"])


def loss_case(golden, name):
    """Returns a case with its tokens and their mask."""
    case = golden(f"temos_teach/{name}")
    tokens, mask = case["hidden"], case["mask"]
    if name.startswith("actiongpt"):
        tokens, mask = aggregate(*grouped(case), "reference_mean")
    return case, jnp.asarray(tokens), jnp.asarray(mask)


@pytest.mark.parametrize(
    ("name", "text_mask", "prefix"),
    [
        ("temos_loss", "bool", "loss/"),
        ("actiongpt_temos_loss", "shipped", "loss/"),
        ("actiongpt_temos_loss", "bool", "loss_boolmask/"),
    ],
)
def test_losses_and_gradients_match_published(golden, name, text_mask, prefix):
    case, tokens, token_mask = loss_case(golden, name)
    config, variables = from_torch.from_state_dict(
        state_of(case), num_heads=int(case["num_heads"]), text_mask=text_mask
    )
    batch = {
        "features": jnp.asarray(case["features"]),
        "frame_mask": frame_mask(case["lengths"], case["features"].shape[1]),
        "tokens": tokens,
        "token_mask": token_mask,
    }
    assert_losses(case, prefix, temos_losses, config, variables, batch)


@pytest.mark.parametrize(
    ("variant", "text_mask"), [("temos", "bool"), ("actiongpt_temos", "shipped")]
)
def test_motions_generated_from_texts_match_published(
    golden, golden_file, variant, text_mask
):
    case, tokens, token_mask = loss_case(golden, f"{variant}_e2e")
    path = golden_file(f"temos_teach/{variant}_small.ckpt")
    config, variables = from_torch.load(path, text_mask=text_mask)
    model = build(config)
    mask = frame_mask(case["lengths"], case["features_mean"].shape[1])

    @jax.jit
    def generate(noise, fact):
        text: Any = model.apply(variables, tokens, token_mask, method="encode_text")
        latent = text.sample(noise, fact)
        return text, latent, model.apply(variables, latent, mask, method="decode")

    text, _, features = generate(case["eps"], 0.0)
    assert_gaussian(text, case["mu"], case["std"])
    np.testing.assert_allclose(features, case["features_mean"], rtol=0, atol=NETWORK)

    raw = np.asarray(features) * case["feats_std"] + case["feats_mean"]
    rotations, translation = rot_velocity.decode(jnp.asarray(raw))
    np.testing.assert_allclose(rotations, case["rots"], rtol=0, atol=MOTION)
    np.testing.assert_allclose(translation, case["trans"], rtol=0, atol=MOTION)

    _, latent, features = generate(case["eps"], float(case["fact"]))
    np.testing.assert_allclose(latent, case["latent_fact"], rtol=0, atol=NETWORK)
    np.testing.assert_allclose(features, case["features_fact"], rtol=0, atol=NETWORK)
