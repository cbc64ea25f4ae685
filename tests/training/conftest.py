"""A small corpus and a way to train on it in processes of its own."""

import os
import pathlib
import subprocess
import sys

import pytest

from actiongpt_jax import embed, prepare

REPO = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
    """Returns (motion store, embedding store) of twelve built-in sequences."""
    folder = tmp_path_factory.mktemp("stores")
    motion, text = folder / "motion", folder / "text"
    prepare.main(["synthetic", "--out", str(motion), "--sequences", "12"])
    described = str(motion / "descriptions.jsonl")
    embed.main(
        ["--descriptions", described, "--encoder", "minilm", "--k", "2"]
        + ["--out", str(text)]
    )
    return motion, text


@pytest.fixture(scope="session")
def training(stores):
    """Returns `start(workdir, *flags, devices=1) -> Popen` of a training process.

    All share the test run's cache of compiled programs: only the first one compiles.
    """

    def start(workdir, *flags: str, devices: int = 1) -> subprocess.Popen:
        motion, text = stores
        environment = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        }
        command = [
            *(sys.executable, "-m", "actiongpt_jax.train"),
            *("--config", "configs/temos.py:debug", "--workdir", str(workdir)),
            f"--config.data.store={motion}",
            f"--config.text.store={text}",
            "--config.data.max_shapes=2",
            *flags,
        ]
        return subprocess.Popen(
            command,
            cwd=REPO,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def trained(training):
    """Returns `run(workdir, *flags, devices=1) -> its output`; it must succeed."""

    def run(workdir, *flags: str, devices: int = 1) -> str:
        process = training(workdir, *flags, devices=devices)
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output
        return output

    return run
