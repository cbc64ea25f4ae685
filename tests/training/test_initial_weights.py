"""Runs that start from the weights of another run."""

import json
import shutil

import jax
import numpy as np
import pytest

from actiongpt_jax import train
from actiongpt_jax.errors import InputError
from actiongpt_jax.training import checkpoints
from actiongpt_jax.training.resume import check_same_weights

pytestmark = pytest.mark.slow


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
    other = "--config.text.source=mixed", "--config.losses.weights.velocity=0.5"
    run = [*flags, *other, "--workdir", str(tmp_path / "run")]
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
    assert "--config must name a config" in message_of([*flags, *data])
    assert not (tmp_path / "run").exists()
