"""Fixtures: a motion store and an embedding store for the tests of batches."""

import dataclasses

import numpy as np
import pytest

from tests.data.batches.cases import PHRASES, make_store
from tests.data.batches.letters import embed_letters


@pytest.fixture(scope="session")
def store():
    """A motion store in memory with two sequences, of 150 and 250 frames."""
    rng = np.random.default_rng(1)
    rotations = 0.03 * rng.standard_normal((400, 22, 3))
    translation = 0.02 * rng.standard_normal((400, 3))
    return dataclasses.replace(
        make_store([150, 250], [], hands=False),
        rotations=np.float32(np.cumsum(rotations, 0) + [0.9, 0.4, 0.2]),
        translation=np.float32(np.cumsum(translation, 0) + [3.0, -2.0, 0.9]),
    )


@pytest.fixture(scope="session")
def embeddings(tmp_path_factory):
    """An embedding store of the texts in `PHRASES`, with one token per letter."""
    return embed_letters(tmp_path_factory.mktemp("text") / "letters", PHRASES)
