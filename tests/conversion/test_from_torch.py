"""Published PyTorch weights: conversion to variables and back, and errors."""

import ast
import pathlib
import re
from typing import Any

import flax.traverse_util
import jax
import ml_dtypes
import numpy as np
import pytest

from actiongpt_jax.config import load_config
from actiongpt_jax.conversion import from_torch
from actiongpt_jax.conversion.recognise import MODELS
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.torch_reader import read_torch
from actiongpt_jax.models.build import build
from actiongpt_jax.models.example import example_inputs
from tests.conversion.torch_writer import TorchFile, save_state

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
SIZES = {"num_layers": 1, "latent_dim": 12, "ff_size": 20, "nfeats": 7, "num_heads": 3}
WIDTH = 10


def init_temos(**sizes):
    config = load_config(str(CONFIGS / "temos.py"))
    config.model.update(SIZES | sizes)
    model = build(config)
    config.text.width = WIDTH
    return config, model, example_inputs(config)


def draw(model, arguments):
    """Returns random variables of a model without compiling its initialisation."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0), *arguments)
    return jax.tree.map(lambda x: rng.standard_normal(x.shape, x.dtype), shapes)


@pytest.fixture(scope="module")
def small():
    """Returns the random state dict of a small model."""
    config, model, arguments = init_temos()
    variables = draw(model, arguments)
    return from_torch.to_state_dict(config, variables)


def refusal(state, **overrides):
    with pytest.raises(InputError) as caught:
        from_torch.from_state_dict(state, **overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def assert_same_bits(actual, expected):
    assert list(actual) == list(expected)
    for name, tensor in expected.items():
        assert actual[name].dtype == tensor.dtype and actual[name].shape == tensor.shape
        assert actual[name].flags.c_contiguous
        assert actual[name].tobytes() == np.ascontiguousarray(tensor).tobytes(), name


@pytest.mark.parametrize(
    "name",
    ["temos_small", "actiongpt_temos_small", "teach_small", "actiongpt_teach_small"],
)
def test_published_checkpoints_round_trip_exactly(golden_file, name):
    path = golden_file(f"temos_teach/{name}.ckpt")
    config, variables = from_torch.load(path)
    state = read_torch(path)["state_dict"]
    assert_same_bits(from_torch.to_state_dict(config, variables), dict(state))


@pytest.mark.slow
@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"num_layers": 3, "latent_dim": 16, "ff_size": 8, "num_heads": 4, "nfeats": 20},
    ],
)
def test_sizes_are_read_from_shapes(sizes):
    config, model, arguments = init_temos(**sizes)
    variables = draw(model, arguments)
    state = from_torch.to_state_dict(config, variables)
    heads = config.model.num_heads
    read, back = from_torch.from_state_dict(state, num_heads=heads)
    assert read.model == config.model
    buffers = back.pop("buffers")
    assert jax.tree.structure(back) == jax.tree.structure(variables)
    assert jax.tree.all(jax.tree.map(np.array_equal, back, variables))
    assert_same_bits(from_torch.to_state_dict(read, back), state)
    assert_same_bits(from_torch.to_state_dict(read, back | {"buffers": buffers}), state)


def test_packed_and_transposed_tensors_have_torch_layouts(small):
    _, variables = from_torch.from_state_dict(small, num_heads=3)
    width = SIZES["latent_dim"]
    packed = small[
        "motiondecoder.seqTransDecoder.layers.0.multihead_attn.in_proj_weight"
    ]
    params, unused = (
        variables[collection]["motion_decoder"]["decoder"]["layer_0"]["cross_attn"]
        for collection in ("params", "unused")
    )
    np.testing.assert_array_equal(unused["kernel"], packed[: 2 * width].T)
    np.testing.assert_array_equal(params["value_kernel"], packed[2 * width :].T)
    assert small["textencoder.sequence_pos_encoding.pe"].shape == (5000, 1, width)


def test_config_is_complete_and_has_the_deviations_of_the_weights(small):
    config, _ = from_torch.from_state_dict(small)
    full = load_config(str(CONFIGS / "temos.py"))

    def fields(config):
        return set(flax.traverse_util.flatten_dict(config.to_dict(), sep="."))

    assert fields(config) == fields(full)
    assert config.is_locked and build(config).sizes.num_heads == 4
    assert config.data.heading == "reference"
    assert config.losses.recons_mean == "padded"
    assert config.losses.lmd_kl == full.losses.lmd_kl == 32e-5
    assert config.losses.lmd_latent == full.losses.lmd_latent
    assert config.model.text_mask == "bool"


def test_overrides_are_applied_and_checked(small):
    config, _ = from_torch.from_state_dict(
        small, num_heads=6, text_mask="shipped", dropout=0.0
    )
    assert (config.model.num_heads, config.model.dropout) == (6, 0.0)
    assert config.model.text_mask == "shipped"
    assert "num_head" in refusal(small, num_head=6)
    assert "divides the width 12" in refusal(small, num_heads=5)
    assert "divides the width 12" in refusal(small, num_heads="4")
    assert "bool, shipped" in refusal(small, text_mask="additive")
    assert "[0, 1)" in refusal(small, dropout=1.5)


def test_language_model_inside_is_left_out(small):
    inside = {
        "textencoder.text_model.embeddings.word_embeddings.weight": np.ones((4, 4)),
        "textencoder.text_model.embeddings.position_ids": np.arange(4),
    }
    _, variables = from_torch.from_state_dict(small | inside)
    _, expected = from_torch.from_state_dict(small)
    assert jax.tree.all(jax.tree.map(np.array_equal, variables, expected))


def test_position_buffers_are_kept_or_computed(small):
    without = {name: t for name, t in small.items() if not name.endswith(".pe")}
    config, variables = from_torch.from_state_dict(without)
    assert "buffers" not in variables
    assert_same_bits(from_torch.to_state_dict(config, variables), small)
    # A table that differs in the last bit, because of another sine, is kept exactly.
    name = "motionencoder.sequence_pos_encoding.pe"
    other = np.nextafter(small[name], np.float32(2))
    config, variables = from_torch.from_state_dict(small | {name: other})
    assert_same_bits(from_torch.to_state_dict(config, variables), small | {name: other})
    assert name in refusal(small | {name: small[name][::-1]})
    assert name in refusal(small | {name: small[name][:, 0]})


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ml_dtypes.bfloat16])
def test_other_float_types_become_float32(small, dtype):
    halved = {
        name: t.astype(dtype) for name, t in small.items() if not name.endswith(".pe")
    }
    config, variables = from_torch.from_state_dict(halved)
    for name, tensor in from_torch.to_state_dict(config, variables).items():
        if name in halved:
            assert tensor.dtype == np.float32
            np.testing.assert_array_equal(tensor.astype(dtype), halved[name])


def test_missing_and_unexpected_tensors_are_listed(small):
    lost = "motiondecoder.seqTransDecoder.layers.0.norm3.bias"
    state = {name: t for name, t in small.items() if name != lost}
    assert f"missing: {lost}; unexpected: none" in refusal(state)
    extra = "motionencoder.final_layer.weight"
    message = refusal(small | {extra: np.zeros(3, np.float32)})
    assert f"missing: none; unexpected: {extra}" in message
    message = refusal(state | {extra: np.zeros(3, np.float32)})
    assert f"missing: {lost}; unexpected: {extra}" in message


@pytest.mark.parametrize("prefix", ["textencoder.", "motionencoder.", "motiondecoder."])
def test_missing_module_or_layer_is_an_error(small, prefix):
    rest = {name: t for name, t in small.items() if not name.startswith(prefix)}
    assert f"missing: {prefix}" in refusal(rest)
    second = {
        name.replace("layers.0", "layers.1"): t
        for name, t in small.items()
        if name.startswith(prefix) and "layers.0" in name
    }
    message = refusal(small | second)
    assert "2 layers" in message and "missing: " in message and "none" in message
    assert "unexpected: " in refusal(
        small
        | {
            name.replace("layers.1", "layers.99999999999"): t
            for name, t in second.items()
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "textencoder.mu_token",
        "textencoder.projection.1.bias",
        "motionencoder.seqTransEncoder.layers.0.self_attn.in_proj_weight",
        "motiondecoder.seqTransDecoder.layers.0.multihead_attn.in_proj_bias",
        "motiondecoder.final_layer.weight",
        "textencoder.seqTransEncoder.layers.0.linear1.bias",
    ],
)
def test_inconsistent_shapes_are_named(small, name):
    tensor = small[name]
    for wrong in (tensor[:-1], tensor[None], tensor[..., 0]):
        message = refusal(small | {name: wrong}, num_heads=1)
        assert "must have" in message


def test_weights_must_be_arrays_of_floats(small):
    name = "textencoder.mu_token"
    assert "int64" in refusal(small | {name: np.zeros(12, np.int64)})
    assert "list" in refusal(small | {name: [0.0] * 12})


def test_models_are_recognised_by_tensor_names(small):
    vector = np.zeros(3, np.float32)
    assert "nothing" in refusal({})
    assert "layers.0.weight" in refusal({"layers.0.weight": vector})
    separated = refusal(small | {"textencoder.seperation_token": vector})
    assert "taken for teach" in separated
    assert "textencoder.skel_embedding.weight" in separated
    assert "motionclip" in refusal({"encoder.skelEmbedding.weight": vector})


def test_load_reads_heads_from_the_checkpoint_unless_overridden(tmp_path, small):
    modules = ("textencoder", "motionencoder", "motiondecoder")
    state = {name: t for name, t in small.items() if not name.endswith(".pe")}

    def write(**module):
        hyper = {name: {"num_head": 6, **module} for name in modules}
        return save_state(tmp_path / "x.ckpt", state, hyper_parameters=hyper)

    assert from_torch.load(write())[0].model.num_heads == 4
    assert from_torch.load(write(num_heads=2))[0].model.num_heads == 2
    assert from_torch.load(write(num_heads=2), num_heads=3)[0].model.num_heads == 3
    with pytest.raises(InputError, match="gelu"):
        from_torch.load(write(activation="relu"))
    hyper = {"textencoder": {"num_heads": 2}, "motionencoder": {"num_heads": 3}}
    path = save_state(tmp_path / "y.ckpt", state, hyper_parameters=hyper)
    with pytest.raises(InputError, match=r"same in all modules, got \[2, 3\]"):
        from_torch.load(path)


def test_load_reads_a_bare_state_dict(tmp_path, small):
    file = TorchFile()
    bare = file.write(tmp_path / "x.pt", {n: file.tensor(t) for n, t in small.items()})
    config, variables = from_torch.load(bare)
    assert_same_bits(from_torch.to_state_dict(config, variables), small)
    # The result does not depend on the file any more.
    bare.write_bytes(b"")
    assert_same_bits(from_torch.to_state_dict(config, variables), small)
    file = TorchFile()
    mean = file.write(tmp_path / "mean.pt", file.tensor(np.zeros(3, np.float32)))
    with pytest.raises(InputError, match=re.escape(str(mean))):
        from_torch.load(mean)


def test_to_state_dict_names_missing_and_unexpected_variables(small):
    config, variables = from_torch.from_state_dict(small)
    flat = flax.traverse_util.flatten_dict(variables, sep="/")
    lost = "params/text_encoder/mu_token"
    for change, message in [
        ({lost: None}, f"missing: {lost}; unexpected: none"),
        ({"params/head/bias": np.zeros(2)}, "unexpected: params/head/bias"),
    ]:
        wrong = {k: v for k, v in (flat | change).items() if v is not None}
        with pytest.raises(InputError, match=message):
            from_torch.to_state_dict(
                config, flax.traverse_util.unflatten_dict(wrong, sep="/")
            )
    with config.unlocked():
        config.model.name = "unheard_of"
    with pytest.raises(InputError, match="unheard_of"):
        from_torch.to_state_dict(config, variables)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count", "trained"),
    [("temos", 16_065_159, 15_275_655), ("teach", 20_838_791, 15_310_727)],
)
def test_layout_covers_the_published_size(golden_file, name, count, trained):
    path = golden_file(f"temos_teach/{name}_params_official.txt")
    split = (line.split(" ", 1) for line in path.read_text().splitlines())
    official = {name: ast.literal_eval(shape) for name, shape in split}
    config = load_config(str(CONFIGS / f"{name}.py"))
    model = build(config)
    variables = jax.eval_shape(
        lambda: model.init(jax.random.key(0), *example_inputs(config))
    )
    leaves: dict[Any, Any] = flax.traverse_util.flatten_dict(variables)  # pyright: ignore
    shapes = {path: leaf.shape for path, leaf in leaves.items()}
    layout = MODELS[name].layout(config.model.num_layers)
    assert list(layout) == list(official)
    mapped = {n: entry for n, entry in layout.items() if not entry.optional}
    assert {n: e.torch_shape(shapes) for n, e in mapped.items()} == {
        n: shape for n, shape in official.items() if not n.endswith(".pe")
    }
    reached = [path for entry in mapped.values() for path, _ in entry.leaves]
    assert sorted(reached) == sorted(shapes)
    # The published number of trainable parameters, with and without the inert ones.
    assert sum(leaf.size for leaf in leaves.values()) == count
    params = [leaf for path, leaf in leaves.items() if path[0] == "params"]
    assert sum(leaf.size for leaf in params) == trained
