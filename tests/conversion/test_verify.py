"""The `verify` command: facts about a workdir's model, and checks of its arrays."""

import copy

import jax
import numpy as np
import pytest

from actiongpt_jax import convert, verify
from actiongpt_jax.config import load_config
from actiongpt_jax.errors import JobIncompleteError
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.models.build import build
from actiongpt_jax.models.example import example_inputs
from actiongpt_jax.nn.parameters import parameter_hash
from actiongpt_jax.training import checkpoints

pytestmark = pytest.mark.slow

NORMALIZER = Normalizer(np.ones(135, np.float32), np.full(135, 2, np.float32))


@pytest.fixture(scope="module")
def drawn():
    """Returns the config and random variables of a small TEMOS model."""
    config = load_config("temos:debug")
    config.text.width = 12
    rng = np.random.default_rng(0)
    inputs = example_inputs(config)
    shapes = jax.eval_shape(build(config).init, jax.random.key(0), *inputs)
    return config, jax.tree.map(lambda x: rng.standard_normal(x.shape, "f4"), shapes)


def write(path, drawn, change=lambda variables: None):
    config, variables = copy.deepcopy(drawn)
    change(variables)
    checkpoints.save_weights(path, config, NORMALIZER, variables)
    return path


def test_sound_model_is_reported(drawn, tmp_path, capsys):
    workdir, card = write(tmp_path / "run", drawn), tmp_path / "CARD.md"
    verify.main([str(workdir), "--card", str(card)])
    printed = capsys.readouterr().out
    assert "model: temos" in printed and "num_layers 2" in printed
    assert "every array is finite and used" in printed
    assert "accidents of the published code: none" in printed
    digest = parameter_hash({"params": drawn[1]["params"]})
    assert (
        f"hash of the parameters: {digest}\n" in printed and digest in card.read_text()
    )
    assert "Every array is finite and used." in card.read_text()
    act = sum(leaf.size for leaf in jax.tree.leaves(drawn[1]["params"]))
    stored = act + sum(leaf.size for leaf in jax.tree.leaves(drawn[1]["unused"]))
    assert f"{act:,} with an effect, {stored:,} with the inert ones" in printed
    assert "features: normalised" in printed and "trained for 0 steps" in printed


def test_hash_depends_on_the_parameters(drawn, tmp_path):
    config, variables = copy.deepcopy(drawn)
    before = parameter_hash(variables)
    checkpoints.save_weights(tmp_path, config, NORMALIZER, variables)
    restored = checkpoints.restore(tmp_path)
    assert restored is not None
    assert parameter_hash({n: restored.state[n] for n in variables}) == before
    variables["params"]["text_encoder"]["mu_token"][0] += 1
    after = parameter_hash(variables)
    assert before != after and len(after) == 32


def test_faulty_models_are_reported(drawn, tmp_path):
    token = "params/text_encoder/mu_token"

    def not_finite(variables):
        variables["params"]["text_encoder"]["mu_token"][3] = np.nan

    def inert_not_finite(variables):
        leaves, tree = jax.tree.flatten(variables["unused"])
        leaves[0][...] = np.inf
        variables["unused"] = tree.unflatten(leaves)

    def missing(variables):
        del variables["params"]["text_encoder"]["mu_token"]

    def too_many(variables):
        variables["params"]["head"] = {"bias": np.zeros(2, np.float32)}

    def other_shape(variables):
        variables["params"]["text_encoder"]["mu_token"] = np.zeros(3, np.float32)

    def dead(variables):
        layer = variables["params"]["motion_decoder"]["final_layer"]
        layer["kernel"] = np.zeros_like(layer["kernel"])

    for i, (how, message) in enumerate(
        [
            (not_finite, f"{token} holds numbers that are not finite"),
            (inert_not_finite, "unused/.* not finite"),
            (missing, f"{token} is missing"),
            (too_many, "params/head/bias is not used"),
            (other_shape, rf"{token} has shape \(3,\), not \(16,\)"),
            (dead, "params/motion_decoder/decoder/.* is not used; and .* more"),
        ]
    ):
        workdir = write(tmp_path / str(i), drawn, how)
        with pytest.raises(JobIncompleteError, match=message):
            verify.main([str(workdir)])


@pytest.mark.parametrize(
    ("name", "deviations"),
    [
        (
            "temos_teach/actiongpt_temos_small.ckpt",
            "data.heading=reference, losses.recons_mean=padded, "
            "model.text_mask=shipped, text.aggregation=reference_mean",
        ),
        (
            "motionclip/motionclip_small.pth.tar",
            "data.translation=reference, data.window_text=reference, "
            "text.aggregation=reference_mean",
        ),
    ],
)
def test_report_of_a_converted_model_names_its_origin(
    golden_file, tmp_path, capsys, name, deviations
):
    path = golden_file(f"{name}")
    convert.main([str(path), "--out", str(tmp_path / "run")])
    verify.main([str(tmp_path / "run")])
    printed = capsys.readouterr().out
    assert path.name in printed and "converted" in printed
    assert f"accidents of the published code: {deviations}\n" in printed
    assert "every array is finite and used" in printed


def test_missing_checkpoint_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        verify.main([str(tmp_path)])
