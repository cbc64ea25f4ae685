"""Test settings and shared fixtures; JAX is set up for exact comparison."""

import functools
import itertools
import os
import pathlib
import sys
import tempfile

import filelock
import flax.traverse_util
import hypothesis
import jax
import numpy as np
import pytest

from actiongpt_jax import cli
from actiongpt_jax.config import load_config
from actiongpt_jax.conversion.pack import pack
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.models.example import variable_shapes
from actiongpt_jax.synthetic.corpus import build_synthetic_store
from actiongpt_jax.text.descriptions import read_descriptions, write_descriptions
from actiongpt_jax.text.embeddings.from_descriptions import embed_descriptions
from actiongpt_jax.training.checkpoints import save_weights
from actiongpt_jax.training.inputs import open_inputs
from actiongpt_jax.training.loop import train
from tests.golden_files import SHARED, TRAVELLING, WHOLE, GoldenFiles

# A busy machine may be slow: no test asserts a duration.
hypothesis.settings.register_profile("no_deadline", deadline=None)
hypothesis.settings.load_profile("no_deadline")

# Parity is compared in float32 with full-precision products. On CPUs this is the
# default; on GPUs it switches TF32 off.
jax.config.update("jax_default_matmul_precision", "highest")


def pytest_addoption(parser):
    """Adds the choice of golden files."""
    parser.addoption(
        "--golden",
        metavar="DIR",
        help="folder of recorded outputs of the published code (default: the whole "
        "record where it is present, otherwise tests/golden)",
    )


def pytest_configure(config):
    """Makes all processes of a test run compile fast and share what they compiled.

    Most of the time of the tests is compilation. Without LLVM's optimizations the same
    programs compile in two thirds of the time. `make soak` and benchmarks/parity.py run
    optimized programs, like users.
    """
    if config.option.markexpr not in ("gpu", "soak"):
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # set in pytest-xdist's workers
        folder = tempfile.TemporaryDirectory(prefix="actiongpt_jax_tests_")
        config.add_cleanup(folder.cleanup)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder.name
    cache = os.environ["JAX_COMPILATION_CACHE_DIR"]
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def pytest_collection_modifyitems(items):
    """Marks tests that embed texts as slow: the text encoder takes seconds to load."""
    for item in items:
        if "stores" in item.fixturenames or "minilm" in item.fixturenames:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def run_command(monkeypatch, capsys):
    """Returns `run(command, *arguments)` -> (exit code, stdout, stderr)."""

    def run(command, *arguments):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        code = 0
        try:
            cli.run(command.main)
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def shared_file():
    """Returns `path(relative)` of a file below ../shared; skips the test if absent."""

    def path(relative: str) -> pathlib.Path:
        if not (SHARED / relative).exists():
            pytest.skip(f"{relative} is not on this machine (real motion and texts)")
        return SHARED / relative

    return path


@pytest.fixture(scope="session")
def golden_files(request, tmp_path_factory):
    """Returns the golden files that the tests of this run use."""
    default = WHOLE if WHOLE.is_dir() else TRAVELLING
    folder = pathlib.Path(request.config.getoption("--golden") or default)
    return GoldenFiles(folder, tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="session")
def golden(golden_files):
    """Returns `load(name)` -> arrays of a golden file, or skips the test."""
    return golden_files.load


@pytest.fixture(scope="session")
def golden_file(golden_files):
    """Returns `path(name)` of a golden file such as a checkpoint, or skips the test."""
    return golden_files.path


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
    """Returns the folders of a motion and a text store of 12 built-in sequences.

    The text store has three of the eight descriptions of every phrase. The workers of
    pytest-xdist share both.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    motion, text, few = (
        folder / f"stores/{n}" for n in ("motion", "text", "few.jsonl")
    )
    with filelock.FileLock(folder / "stores.lock"):
        if not text.exists():
            build_synthetic_store(motion, 12)
            descriptions = read_descriptions(motion / "descriptions.jsonl").select(k=3)
            write_descriptions(few, itertools.chain(*descriptions.values()))
            embed_descriptions(text, few, "minilm", k=2, each=True)
    return motion, text


@pytest.fixture(scope="session")
def debug_config(stores):
    """Returns `debug_config("temos:debug", *flags)` -> config of a small run.

    The run has one layer and two steps on motions of at most 64 frames; `flags` can
    override these settings.
    """
    motion, text = stores

    def load(spec, *flags):
        small = [
            "--config.data.max_shapes=1",
            "--config.data.max_frames=64",
            "--config.text.num_tokens=96",  # any text, so that programs are shared
            "--config.model.num_layers=1",
        ]
        return load_config(
            spec,
            [f"--config.data.store={motion}", f"--config.text.store={text}", *small]
            + ["--config.train.num_steps=2", *flags],
        )

    return load


@pytest.fixture(scope="session")
def train_debug(debug_config, tmp_path_factory):
    """Returns `train_debug("temos:debug", *flags)` -> workdir of a trained model.

    The config is that of `debug_config`. Calls with the same arguments share the
    workdir, so tests must not change its checkpoints.
    """

    @functools.cache
    def run(spec, *flags):
        workdir = tmp_path_factory.mktemp("trained") / "run"
        train(debug_config(spec, *flags), workdir)
        return workdir

    return run


@pytest.fixture(scope="session")
def random_run(debug_config, tmp_path_factory):
    """Returns `random_run("temos:debug", *flags)` -> workdir with random weights.

    Its checkpoint is as after a training of 0 steps. Calls with the same arguments
    share the workdir.
    """

    @functools.cache
    def run(spec, *flags):
        workdir = tmp_path_factory.mktemp("random") / "run"
        config = debug_config(spec, *flags)
        open_inputs(config)  # fills in the fields of the texts
        rng = np.random.default_rng(0)
        flat = {
            name: rng.normal(scale=0.2, size=shape).astype(np.float32)
            for name, shape in variable_shapes(config).items()
        }
        variables = {"unused": {}, **flax.traverse_util.unflatten_dict(flat, sep="/")}
        mean = rng.normal(size=config.model.nfeats).astype(np.float32)
        save_weights(workdir, config, Normalizer(mean, np.exp(mean)), variables)
        return workdir

    return run


@pytest.fixture(scope="session")
def packed(random_run, tmp_path_factory):
    """Returns a folder of two small model folders, `teach` and `temos`.

    Tests must not change them.
    """
    folder = tmp_path_factory.mktemp("packed")
    for name in ("teach", "temos"):
        pack(random_run(f"{name}:debug"), folder / name, commit="0123abc")
    return folder


@pytest.fixture
def pretrained(packed, monkeypatch):
    """Installs the two small models as those that come with the package."""
    monkeypatch.setattr("actiongpt_jax.inference.pretrained.FOLDER", packed)
    return packed
