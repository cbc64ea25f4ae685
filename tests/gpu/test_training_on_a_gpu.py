"""Training on a GPU, if there is one: exact repetition, and no needless copies."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from actiongpt_jax.config import load_config
from actiongpt_jax.synthetic.corpus import build_synthetic_store
from actiongpt_jax.text.embeddings.from_descriptions import embed_descriptions
from actiongpt_jax.training import checkpoints, loop
from tests.text.conftest import write_folder

pytestmark = [pytest.mark.gpu, pytest.mark.soak]

REPO = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """Returns the flags of a small run on texts of a tiny random encoder."""
    folder = tmp_path_factory.mktemp("data")
    motion, text = folder / "motion", folder / "text"
    build_synthetic_store(motion, 8)
    encoder = write_folder(folder / "encoder")
    embed_descriptions(text, motion / "descriptions.jsonl", str(encoder), k=2)
    return [
        f"--config.data.store={motion}",
        f"--config.text.store={text}",
        "--config.data.max_shapes=1",
        "--config.data.max_frames=64",
        "--config.model.num_layers=1",
        "--config.train.checkpoint_steps=100",
    ]


def test_separate_and_resumed_runs_end_bitwise_equal(flags, tmp_path):
    def start(name: str, steps: int) -> subprocess.Popen:
        command = [sys.executable, "-m", "actiongpt_jax.train"]
        command += ["--config=configs/temos.py:debug", f"--workdir={tmp_path / name}"]
        command += [*flags, f"--config.train.num_steps={steps}"]
        environment = {
            **os.environ,
            "XLA_FLAGS": "--xla_gpu_deterministic_ops=true",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        }
        return subprocess.Popen(
            command, cwd=REPO, env=environment, stderr=subprocess.PIPE, text=True
        )

    def finish(*processes: subprocess.Popen) -> None:
        errors = [process.communicate(timeout=600)[1] for process in processes]
        assert not any(process.returncode for process in processes), errors

    finish(start("whole", 6), start("resumed", 3))
    finish(start("resumed", 6))
    whole, resumed = (
        checkpoints.restore(tmp_path / name) for name in ("whole", "resumed")
    )
    assert whole is not None and resumed is not None
    assert whole.step == resumed.step == 6
    jax.tree.map(np.testing.assert_array_equal, whole.state, resumed.state)


def test_nothing_is_copied_to_the_host_but_at_logs(flags, tmp_path, monkeypatch):
    every = 4

    def guarded(load, steps):
        for step, batch in enumerate(prefetch(load, steps), start=1):
            logs = not isinstance(steps, range) or step % every == 0
            level = "allow" if logs or step == len(steps) else "disallow_explicit"
            with jax.transfer_guard_device_to_host(level):
                yield batch  # the loop's body runs inside this block

    prefetch = loop.prefetch
    monkeypatch.setattr(loop, "prefetch", guarded)
    config = load_config(
        "configs/temos.py:debug",
        [*flags, f"--config.train.log_steps={every}", "--config.train.num_steps=10"]
        + ["--config.train.eval_epochs=1000"],
    )
    loop.train(config, tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    steps = [row["step"] for line in lines if "train/loss" in (row := json.loads(line))]
    assert steps == [4, 8, 10]
