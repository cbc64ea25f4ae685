"""Fixtures: a motion store and an embedding store for the tests of batches."""

import pathlib

import numpy as np
import pytest

from actiongpt_jax.data.motion_store import MotionStore, Sequence
from tests.data.batches.cases import PHRASES
from tests.data.batches.letters import embed_letters


def row(name, start, length):
    return Sequence(name, start, length, "train", name, "", 30.0, 30.0, length / 30)


@pytest.fixture(scope="session")
def store():
    """A motion store in memory with two sequences, of 150 and 250 frames."""
    rng = np.random.default_rng(1)
    n = 400
    rotations = np.cumsum(0.03 * rng.standard_normal((n, 22, 3)), 0) + [0.9, 0.4, 0.2]
    translation = np.cumsum(0.02 * rng.standard_normal((n, 3)), 0) + [3.0, -2.0, 0.9]
    return MotionStore(
        path=pathlib.Path("memory"),
        rotations=rotations.astype(np.float32),
        translation=translation.astype(np.float32),
        hands=None,
        sequences=[row("a", 0, 150), row("b", 150, 250)],
        labels=[],
        meta={},
    )


@pytest.fixture(scope="session")
def embeddings(tmp_path_factory):
    """An embedding store of the texts in `PHRASES`, with one token per letter."""
    return embed_letters(tmp_path_factory.mktemp("text") / "letters", PHRASES)
