"""Shared test settings: golden files, and JAX set up for exact comparison."""

import os
import pathlib
import tempfile

import hypothesis
import jax
import numpy as np
import pytest

from actiongpt_jax.config import load_config
from actiongpt_jax.synthetic.corpus import build_synthetic_store
from actiongpt_jax.text.embeddings.from_descriptions import embed_descriptions
from actiongpt_jax.training.loop import train
from actiongpt_jax.training.tasks import task_of
from tests import golden_files

# A busy machine may be slow: no test asserts a duration.
hypothesis.settings.register_profile("no_deadline", deadline=None)
hypothesis.settings.load_profile("no_deadline")

# Parity is compared in float32 with full-precision products. On CPUs this is the
# default; on GPUs it switches TF32 off.
jax.config.update("jax_default_matmul_precision", "highest")

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"


def pytest_configure(config):
    """Lets all processes of a test run share one cache of compiled programs."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # set in pytest-xdist's workers
        folder = tempfile.TemporaryDirectory(prefix="actiongpt_jax_tests_")
        config.add_cleanup(folder.cleanup)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder.name
    cache = os.environ["JAX_COMPILATION_CACHE_DIR"]
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def _require(path: pathlib.Path) -> pathlib.Path:
    if not path.exists():
        pytest.skip(f"{path} is not on this machine (published reference material)")
    return path


@pytest.fixture(scope="session")
def shared_file():
    """Returns `path(relative)` of a file below ../shared; skips the test if absent."""
    return lambda relative: _require(SHARED / relative)


@pytest.fixture(scope="session")
def golden():
    """Returns `load(name)` -> dict of a golden file's arrays; skips the test if absent.

    A name is a path below ../shared/golden, such as 'temos_teach/rotations'.
    """

    def load(name: str) -> dict[str, np.ndarray]:
        return golden_files.load(name, _require(SHARED / "golden" / f"{name}.npz"))

    return load


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
    """Returns the folders of a motion and a text store of 12 built-in sequences."""
    folder = tmp_path_factory.mktemp("stores")
    motion, text = folder / "motion", folder / "text"
    build_synthetic_store(motion, 12)
    embed_descriptions(text, motion / "descriptions.jsonl", "minilm", k=2, each=True)
    return motion, text


@pytest.fixture(scope="session")
def train_debug(stores, tmp_path_factory):
    """Returns `train_debug("temos:debug", *flags)` -> workdir of a trained model.

    It trains one layer for two steps; `flags` can override these settings.
    """
    motion, text = stores

    def run(spec, *flags):
        workdir = tmp_path_factory.mktemp("trained") / "run"
        shape = "--config.data.max_shapes=1", "--config.model.num_layers=1"
        config = load_config(
            spec,
            [f"--config.data.store={motion}", f"--config.text.store={text}", *shape]
            + ["--config.train.num_steps=2", *flags],
        )
        train(config, workdir, [task_of(config).validation])
        return workdir

    return run
