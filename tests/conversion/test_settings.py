"""Settings of the authors' runs: those that cannot be used are named."""

import pathlib

import pytest

from actiongpt_jax.config import load_config
from actiongpt_jax.conversion.settings import apply_settings
from actiongpt_jax.errors import InputError


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"optim": {"lr": -1}}, "train.learning_rate must be 0 or more, got -1"),
        ({"optim": {"lr": float("nan")}}, "train.learning_rate must be finite"),
        ({"optim": {"lr": 10**400}}, "optim.lr must be a finite number"),
        ({"data": {"batch_size": -1}}, "train.batch_size must be at least 1, got -1"),
        ({"data": {"batch_size": float("inf")}}, "data.batch_size must be a finite"),
        ({"losses": {"lmd_kl": float("-inf")}}, "losses.lmd_kl must be finite"),
    ],
)
@pytest.mark.parametrize("path", [pathlib.Path("opt.yaml"), None])
def test_foreign_settings_out_of_range_are_named(settings, named, path):
    config = load_config("temos")
    config.unlock()
    with pytest.raises(InputError, match=named) as caught:
        apply_settings(config, [settings], path)
    assert str(path or "the checkpoint") in str(caught.value)
    assert "\n" not in str(caught.value)
