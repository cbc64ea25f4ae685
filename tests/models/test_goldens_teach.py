"""TEACH's networks, losses and whole runs against the published code's numbers."""

import functools

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.conversion import from_torch
from actiongpt_jax.conversion import layout as torch_layout
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.geometry.rotations import axis_angle_to_matrix
from actiongpt_jax.inference.next_action import next_action
from actiongpt_jax.losses import teach as losses
from actiongpt_jax.models.build import build
from actiongpt_jax.models.text_encoder import PastTextEncoder
from actiongpt_jax.text.aggregate import aggregate
from tests.models.goldens import (
    MOTION,
    NETWORK,
    assert_gaussian,
    assert_losses,
    frame_mask,
    grouped,
    sizes_of,
    state_of,
)

# On a GPU, matrix products and kernels are other ones.
pytestmark = [pytest.mark.slow, pytest.mark.gpu]


def text_encoder(case, text_mask="bool"):
    """Returns `encode(tokens, mask, past, z_prev)` with the weights of a case."""
    layout = torch_layout.teach(int(case["num_layers"]))
    leaves = {}
    for name, tensor in state_of(case).items():
        leaves |= layout[f"textencoder.{name}"].split(tensor)
    variables = flax.traverse_util.unflatten_dict(leaves)
    # Keep only the variables of the encoder.
    variables = {name: part["text_encoder"] for name, part in variables.items()}
    model = PastTextEncoder(sizes_of(case), text_mask)

    def encode(tokens, mask, past=None, z_prev=None):
        return jax.jit(functools.partial(model.apply, past=past, z_prev=z_prev))(
            variables, tokens, mask
        )

    return encode


@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("z_prev", [False, True])
def test_text_encoder_matches_published(golden, past, z_prev):
    case = golden("temos_teach/text_encoder_teach")
    assert case["past_frames"].shape[1] == case["hist_frames"]
    found = text_encoder(case)(
        case["hidden"],
        case["mask"],
        case["past_frames"] if past else None,
        case["z_prev"] if z_prev else None,
    )
    name = "_past" * past + "_zprev" * z_prev or "_nopast"
    assert_gaussian(found, case[f"mu{name}"], case[f"std{name}"])


@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("text_mask", ["shipped", "bool"])
def test_text_encoder_of_aggregated_texts_matches_published(golden, text_mask, past):
    case = golden("temos_teach/actiongpt_text_encoder_teach")
    tokens, union = aggregate(*grouped(case), "reference_mean")
    encode = text_encoder(case, text_mask)
    found = encode(tokens, union, case["past_frames"] if past else None)
    suffix = {"shipped": "shipped", "bool": "boolmask"}[text_mask]
    name = "_past" * past + f"_{suffix}"
    assert_gaussian(found, case[f"mu{name}"], case[f"std{name}"])


def batch_of(case, described):
    batch = {}
    lengths = (case["length_0"], case["length_1"] + case["length_transition"])
    names = ("features_0", "features_1_with_transition")
    for i in (0, 1):
        tokens, mask = case[f"hidden_{i}"], case[f"mask_{i}"]
        if described:
            texts = {"hidden": tokens, "mask": mask, "lengths": lengths[i]}
            tokens, mask = aggregate(*grouped(texts), "reference_mean")
        features = case[names[i]]
        batch |= {
            f"features_{i}": jnp.asarray(features),
            f"frame_mask_{i}": frame_mask(lengths[i], features.shape[1]),
            f"tokens_{i}": jnp.asarray(tokens),
            f"token_mask_{i}": jnp.asarray(mask),
        }
    return batch


@pytest.mark.parametrize(
    ("name", "text_mask", "prefix"),
    [
        ("teach_loss", "bool", "loss/"),
        ("actiongpt_teach_loss", "shipped", "loss/"),
        ("actiongpt_teach_loss", "bool", "loss_boolmask/"),
    ],
)
def test_losses_and_gradients_match_published(golden, name, text_mask, prefix):
    case = golden(f"temos_teach/{name}")
    config, variables = from_torch.from_state_dict(
        state_of(case), num_heads=int(case["num_heads"]), text_mask=text_mask
    )
    assert config.model.name == "teach"
    assert config.model.hist_frames == case["hist_frames"]
    batch = batch_of(case, name.startswith("actiongpt"))
    assert_losses(case, prefix, losses, config, variables, batch)


MODES = {
    "align_slerp8": {"align": "full", "window": 8},
    "align": {"align": "full", "window": 0},
    "transonly_slerp8": {"align": "translation", "window": 8},
    "raw": {"align": "none", "window": 0},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sample", ["mean", "fact0.7"])
@pytest.mark.parametrize("variant", ["teach", "actiongpt_teach"])
def test_series_generated_from_texts_match_published(
    golden, golden_file, variant, mode, sample
):
    case = golden(f"temos_teach/{variant}_e2e")
    path = golden_file(f"temos_teach/{variant}_small.ckpt")
    config, variables = from_torch.load(path)
    model = build(config)
    # The golden files unnormalise without adding an epsilon to the deviation.
    normalizer = Normalizer(case["feats_mean"], case["feats_std"])
    fact = {"mean": 0.0, "fact0.7": float(case["fact"])}[sample]
    window, before, features, parts = MODES[mode]["window"], None, [], []
    for i, length in enumerate(case["lengths"]):
        tokens, mask = case[f"hidden_{i}"], case[f"mask_{i}"]
        if variant.startswith("actiongpt"):
            tokens, mask = (x[None] for x in aggregate(tokens, mask, "reference_mean"))
        lead = window if i else 0
        action, before = next_action(
            model,
            variables,
            normalizer,
            tokens,
            mask,
            fact * case[f"eps_{i}"],
            jnp.ones((1, length - lead), bool),
            before,
            align=MODES[mode]["align"],
            window=lead,
            heading="reference",
        )
        features.append(np.pad(action.features[0], ((lead, 0), (0, 0))))
        parts.append((action.rotations[0], action.translation[0]))
    found = np.concatenate(features)
    expected = case[f"{mode}/{sample}/feats"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=NETWORK)
    rotations = axis_angle_to_matrix(jnp.concatenate([p[0] for p in parts]))
    translation = np.concatenate([p[1] for p in parts])
    np.testing.assert_allclose(
        rotations, case[f"{mode}/{sample}/rots"], rtol=0, atol=MOTION
    )
    np.testing.assert_allclose(
        translation, case[f"{mode}/{sample}/trans"], rtol=0, atol=MOTION
    )
