"""Configs: words, overrides, `compat`, and errors."""

import importlib.util

import pytest

from actiongpt_jax.config import from_json, load_config, to_json
from actiongpt_jax.config_fields import REFERENCE_DEVIATIONS, deviations, lookup
from actiongpt_jax.errors import InputError


def test_overrides_are_converted_to_the_type_of_the_field():
    config = load_config(
        "configs/temos.py",
        ["--config.train.num_steps=60", "--config.train.learning_rate=1e-3"],
    )
    assert config.train.num_steps == 60
    assert config.train.learning_rate == 1e-3


def test_checkout_that_is_not_installed_knows_the_names_of_its_configs(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert load_config("teach:debug").model.name == "teach"


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


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (b"x = 1\nhello world\n", "mine.py:2 must be Python: invalid syntax"),
        (b"\0\0", "mine.py:1 must be Python"),
        (b"\xff", "mine.py:1 must be UTF-8"),
        (
            b"\n[null]",
            "mine.py with words 'a' failed: NameError in line 2: name 'null'",
        ),
        (b"x = 1", "mine.py must define get_config"),
        (b"def get_config():\n    pass", "mine.py with words 'a' failed: TypeError: "),
        (b"def get_config(arg):\n    return int(arg)", "ValueError in line 2: "),
        (
            b"import json\ndef get_config(arg):\n    json.loads(arg)",
            "Error in line 3: ",
        ),
    ],
)
def test_config_files_with_mistakes_are_named_with_the_line(source, named, tmp_path):
    (tmp_path / "mine.py").write_bytes(source)
    with pytest.raises(InputError) as caught:
        load_config(f"{tmp_path / 'mine.py'}:a")
    assert named in str(caught.value)


@pytest.mark.parametrize("name", ["temos", "teach", "motionclip", "evaluator"])
def test_compat_sets_its_fields_and_no_others(name):
    config = load_config(name)
    published = load_config(name, ["--config.compat=reference"])
    assert deviations(config) == []
    for field, value in REFERENCE_DEVIATIONS.items():
        if lookup(config, field, "absent") != "absent":
            section, key = field.split(".")
            config[section][key] = value
    assert to_json(config) == to_json(published)
    assert "data.heading=reference" in deviations(published)


def test_a_stored_config_may_start_with_a_byte_order_mark(tmp_path):
    config = load_config("temos:debug")
    path = tmp_path / "config.json"
    path.write_text("\ufeff" + to_json(config), encoding="utf-8")
    assert to_json(load_config(str(path))) == to_json(config)


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
        "train.learning_rate=-1.0",
        "train.learning_rate=nan",
        "train.learning_rate=inf",
        "train.grad_clip=-0.5",
        "train.weight_decay=nan",
        "train.b2=1.0",
        "train.seed=-1",
        "losses.lmd_kl=nan",
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
