"""Runs that start from the weights of another run."""

import json
import shutil

import jax
import numpy as np
import pytest

from actiongpt_jax import train
from actiongpt_jax.config import load_config
from actiongpt_jax.errors import InputError
from actiongpt_jax.training import checkpoints
from actiongpt_jax.training.resume import check_same_weights, read_start

pytestmark = pytest.mark.slow

# What may differ from the run whose weights are taken.
OTHER = ("--config.text.source=mixed", "--config.losses.weights.velocity=0.5")


@pytest.fixture
def flags(random_run, debug_config, tmp_path):
    """Returns the flags of a run on part of the data, from weights of a model."""
    source, config = tmp_path / "source", debug_config("temos:debug")
    shutil.copytree(random_run("temos:debug"), source)
    # As `train` and `convert` write it.
    shutil.copy(source / "checkpoints/0/config/metadata", source / "config.json")
    data = {"data.limit": 8, "train.num_steps": 1, "train.learning_rate": 1e-3}
    data |= {"data.store": config.data.store, "text.store": config.text.store}
    fields = [f"--config.{name}={value}" for name, value in data.items()]
    return ["--init", str(source), *fields]


def weights_of(workdir, step: str | int = "latest"):
    restored = checkpoints.restore(workdir, step)
    assert restored is not None
    return restored


def test_a_run_starts_from_the_weights_of_another(flags, tmp_path, capsys):
    run = [*flags, *OTHER, "--workdir", str(tmp_path / "run")]
    source = weights_of(flags[1])
    train.main(run)
    first, last = (weights_of(tmp_path / "run", step) for step in (0, "latest"))
    same = jax.tree.map(np.array_equal, first.variables, source.variables)
    assert all(jax.tree.leaves(same)) and not first.has_optimizer
    # One step of a fresh optimizer moves each parameter by the learning rate at most.
    moved = jax.tree.map(
        lambda a, b: np.abs(a - b).max(), last.variables, first.variables
    )
    assert 5e-4 < max(jax.tree.leaves(moved)) < 2e-3
    assert last.has_optimizer and last.config.text.source == "mixed"
    np.testing.assert_array_equal(last.normalizer.mean, source.normalizer.mean)
    assert f"starts from the weights of {flags[1]}, step 0" in capsys.readouterr().out
    # Called again, the command continues the run.
    train.main([*run, "--config.train.num_steps=2"])
    assert weights_of(tmp_path / "run").step == 2
    said = capsys.readouterr().out
    assert "run has checkpoints; the run continues from them" in said


def message_of(run):
    with pytest.raises((InputError, FileNotFoundError)) as caught:
        train.main(run)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--config.model.latent_dim=64", "and cannot start a run with 64"),
        ("--config.data.heading=reference", "data.heading='yaw' and cannot start"),
        ("--config=teach:debug", "model.name='temos' and cannot start a run"),
    ],
)
def test_weights_that_do_not_fit_are_refused(flags, tmp_path, flag, words):
    message = message_of([*flags, "--workdir", str(tmp_path / "run"), flag])
    assert words in message and flags[1] in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("teach:debug", "model.name='temos' and cannot start a run"),
        ("motionclip:debug", "model.name='temos' and cannot start a run"),
        ("temos:demo", "and cannot start a run with"),
        ("other", "text.encoder='other' and cannot start a run with 'minilm'"),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_data_are_made(
    pretrained, tmp_path, config, words
):
    source = tmp_path / "packed"
    shutil.copytree(pretrained / "temos", source)
    if config == "other":  # a model of another text encoder, with its own config
        fields = json.loads((source / "config.json").read_text())
        fields["text"]["encoder"], fields["data"]["builtin"] = config, 12
        (source / "config.json").write_text(json.dumps(fields))
    workdir = tmp_path / "runs" / "run"
    run = ["--init", str(source), "--workdir", str(workdir)]
    run += ["--config", config] if config != "other" else []
    assert words in message_of(run)
    assert not workdir.parent.exists()


def test_model_of_the_package_starts_a_run(pretrained, flags, tmp_path):
    workdir = tmp_path / "run"
    run = ["--init", "pretrained:temos", "--workdir", str(workdir), *flags[2:]]
    train.main([*run, *OTHER, "--no-samples"])
    assert weights_of(workdir).step == 1
    packed = weights_of(pretrained / "temos").variables["params"]
    first = weights_of(workdir, 0).variables["params"]
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, first, packed)))
    # Weights that fit are not refused before the built-in data are made either.
    config = load_config("temos:debug", ["--config.model.num_layers=1"])
    assert read_start(pretrained / "temos", config, tmp_path / "other") is not None
    assert read_start(pretrained / "temos", config, workdir) is None


def test_weights_of_another_frame_rate_are_refused(flags):
    saved = weights_of(flags[1]).config
    config = saved.copy_and_resolve_references()
    config.data.framerate = 20.0
    with pytest.raises(InputError, match="framerate=30.0 and cannot start a run with"):
        check_same_weights(config, saved, flags[1])


def test_texts_of_another_encoder_are_refused(flags, tmp_path, stores):
    config = tmp_path / "config.json"
    fields = json.loads((tmp_path / "source/config.json").read_text())
    fields["text"]["encoder"] = fields["text"]["weight_hash"] = "other"
    config.write_text(json.dumps(fields))
    run = [*flags, "--workdir", str(tmp_path / "run"), "--config", str(config)]
    assert "encoder" in message_of(run)


def test_bad_input_is_one_sentence(flags, tmp_path):
    source, data = flags[1], flags[2:]
    run = ["--workdir", str(tmp_path / "run"), "--config=temos:debug", *data]
    (tmp_path / "empty").mkdir()
    empty = message_of([*run, "--init", str(tmp_path / "empty")])
    assert f"{tmp_path / 'empty'} has no checkpoint" in empty
    twice = ["--init", source, "--workdir", source, "--config=temos:debug", *data]
    assert "must be the folder of another run" in message_of(twice)
    assert "--init needs --workdir" in message_of(flags)
    gone = message_of(["--init", str(tmp_path / "gone"), *run[:2], *data])
    assert "--config must name a config, such as" in gone
    assert f"{tmp_path / 'gone'} has no config.json" in gone
    assert not (tmp_path / "run").exists()
