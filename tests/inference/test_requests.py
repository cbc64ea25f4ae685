"""Warnings about what a model has never seen in training."""

import pytest

from actiongpt_jax.config import load_config
from actiongpt_jax.inference.requests import warn_of_unseen_lengths


@pytest.mark.parametrize(
    ("spec", "seen", "unseen"),
    [
        ("motionclip", (60,), (1, 59, 61, 90, 18_000)),
        ("temos", (15, 60, 750), (14, 751, 18_000)),
        ("teach:demo", (15, 120), (14, 121)),
    ],
)
def test_lengths_that_training_never_had_are_said(spec, seen, unseen, recwarn):
    config = load_config(spec)
    warn_of_unseen_lengths(config, seen)
    assert not recwarn.list
    for frames in unseen:
        with pytest.warns(UserWarning, match=f"and {frames} frames .* asked for"):
            warn_of_unseen_lengths(config, (*seen, frames))
