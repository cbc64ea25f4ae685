"""`train --plan`: the memory and the time of a run, without training."""

import pytest

from actiongpt_jax import train
from actiongpt_jax.config import to_json
from actiongpt_jax.errors import InputError
from actiongpt_jax.training.estimate import estimate_run, format_estimate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(debug_config):
    return debug_config("temos:debug", "--config.train.num_steps=100")


@pytest.fixture(scope="module")
def estimate(config):
    return estimate_run(config, [8])


def test_memory_holds_the_state_and_grows_with_the_items(estimate):
    assert estimate.parameter_bytes == 4 * estimate.parameters
    # AdamW keeps two moments of every parameter, and a count.
    assert estimate.optimizer_bytes == 2 * estimate.parameter_bytes + 4
    few, many = estimate.memory
    assert (few.items, many.items) == (estimate.batch_size, 8)
    assert many.batch == few.batch * many.items // few.items
    state = estimate.parameter_bytes + estimate.optimizer_bytes
    for memory in estimate.memory:
        assert memory.temporary > estimate.parameter_bytes
        assert memory.total >= state + memory.batch + memory.temporary
    assert many.temporary > few.temporary


def test_lines_name_every_figure(estimate):
    text = format_estimate(estimate)
    for words in (
        f"{estimate.parameters:,} parameters",
        f"{estimate.steps_per_epoch} steps per epoch, 100 in all",
        "divides among 1, 2, 4 devices",
        "ms per step",
    ):
        assert words in text


def test_plan_prints_and_writes_no_run(config, tmp_path, capsys):
    file = tmp_path / "config.json"
    file.write_text(to_json(config))
    workdir = tmp_path / "run"
    train.main(["--config", str(file), "--workdir", str(workdir), "--plan", "8"])
    assert "steps per epoch, 100 in all" in capsys.readouterr().out
    assert not workdir.exists()


def test_plan_rejects_numbers_below_one():
    with pytest.raises(InputError, match="--plan must be 1 or more"):
        train.main(["--config", "temos:debug", "--plan", "0"])
