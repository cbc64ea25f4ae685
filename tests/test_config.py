"""Configs: words, overrides, `compat`, and errors."""

import pytest

from actiongpt_jax.config import from_json, load_config, to_json
from actiongpt_jax.config_fields import resolve
from actiongpt_jax.errors import InputError


def test_overrides_are_converted_to_the_type_of_the_field():
    config = load_config(
        "configs/temos.py",
        ["--config.train.num_steps=60", "--config.train.learning_rate=1e-3"],
    )
    assert config.train.num_steps == 60
    assert config.train.learning_rate == 1e-3


@pytest.mark.parametrize(
    ("spec", "overrides", "named"),
    [
        ("configs/temos.py:demoo", [], ["demoo", "demo, debug"]),
        ("configs/temos.py:k=x", [], ["k=x", "whole number"]),
        ("configs/no_such.py", [], ["configs/no_such.py", "temos:demo"]),
        ("temos", ["--config.train.batchsize=3"], ["batchsize", "batch_size"]),
        ("temos", ["--config.model.latent.dim=3"], ["config.model", "latent"]),
        ("temos", ["--config.train.batch_size=three"], ["batch_size"]),
        ("temos", ["--confg.train.batch_size=3"], ["--confg.train.batch_size"]),
        ("temos", ["--config.compat=paper"], ["compat", "reference", "paper"]),
    ],
)
def test_invalid_configs_are_named(spec, overrides, named):
    with pytest.raises(InputError) as caught:
        load_config(spec, overrides)
    message = str(caught.value)
    assert "\n" not in message
    for word in named:
        assert word in message


def test_compat_sets_every_deviation():
    config = resolve(load_config("temos", ["--config.compat=reference"]))
    assert config.data.heading == "reference"
    assert config.losses.recons_mean == "padded"
    assert config.model.text_mask == "shipped"
    assert config.text.aggregation == "reference_mean"


def test_resolve_without_compat_returns_the_same_config():
    config = load_config("temos")
    assert resolve(config) is config


def test_json_round_trip():
    config = load_config("temos:demo")
    assert to_json(from_json(to_json(config))) == to_json(config)


def test_words_set_text_source_and_k():
    config = load_config("temos:k=8,text=phrase")
    assert (config.text.k, config.text.source) == (8, "phrase")


@pytest.mark.parametrize(
    "override",
    [
        "train.dtype=float16",
        "train.num_steps=0",
        "train.log_steps=0",
        "train.keep_checkpoints=0",
        "data.limit=-1",
        "data.heading=north",
        "losses.recons_mean=mean",
        "model.text_mask=int",
        "model.num_layers=0",
        "model.dropout=1.0",
        "model.latent_dim=17",
        "model.num_heads=3",
        "model.nfeats=263",
    ],
)
def test_invalid_values_are_named_when_the_config_is_loaded(override):
    field, value = override.split("=")
    with pytest.raises(InputError) as caught:
        load_config("temos", [f"--config.{override}"])
    assert f"config.{field}" in str(caught.value)
    assert value in str(caught.value)
    assert "\n" not in str(caught.value)


def test_section_cannot_be_overridden_by_a_value():
    with pytest.raises(InputError, match="config.data"):
        load_config("temos", ["--config.data.limit=3", "--config.data=3"])
