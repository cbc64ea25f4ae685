"""Fixtures that train on the small corpus in separate processes."""

import os
import pathlib
import subprocess
import sys

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]


# One layer compiles in half the time of two, and training treats both alike.
SMALL = "--config.model.num_layers=1"


@pytest.fixture(scope="session")
def training(stores):
    """Returns `start(workdir, *flags, devices=1, model=...) -> Popen` of training.

    All processes share the test run's cache of compiled programs: a program is compiled
    once.
    """

    def start(
        workdir, *flags: str, devices: int = 1, model: str = "temos"
    ) -> subprocess.Popen:
        motion, text = stores
        environment = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "JAX_DEFAULT_MATMUL_PRECISION": "highest",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} "
            f"--xla_force_host_platform_device_count={devices}",
        }
        command = [
            sys.executable,
            "-m",
            "actiongpt_jax.train",
            f"--config=configs/{model}.py:debug",
            f"--workdir={workdir}",
            f"--config.data.store={motion}",
            f"--config.text.store={text}",
            "--config.data.max_shapes=2",
            SMALL,
            "--no-samples",
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
    """Returns `run(workdir, *flags, ...) -> output` of a training that must succeed."""

    def run(workdir, *flags: str, **options) -> str:
        process = training(workdir, *flags, **options)
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output
        return output

    return run
