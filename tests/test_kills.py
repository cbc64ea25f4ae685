"""Jobs that are killed again and again end with the same result as whole ones.

Trainings and `describe` have such tests of their own.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from actiongpt_jax.files.safetensors import open_tensors
from actiongpt_jax.synthetic.corpus import write_corpus
from actiongpt_jax.training import checkpoints
from tests.conversion.states import small_temos_state
from tests.conversion.torch_writer import save_state
from tests.text.conftest import write_folder

pytestmark = pytest.mark.soak

KILLS = 12
REPO = pathlib.Path(__file__).resolve().parents[1]
TEXTS = {f"walk {word}": [f"{word} leg", "turns"] for word in "abcdefghijkl"}
COMMANDS = {
    "prepare": "prepare babel --amass amass --babel babel --out out",
    "embed": "embed --descriptions texts.json --encoder encoder --k 2 --each --out out",
    "convert": "convert last.ckpt --out out",
    "evaluate": "evaluate --workdir out --split train --samples 2 --limit 8",
}


def files_of(folder: pathlib.Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def result_of(name: str, out: pathlib.Path):
    """Returns what a job made, in a form that can be compared."""
    if name == "convert":
        restored = checkpoints.restore(out)
        assert restored is not None
        shutil.rmtree(out / "checkpoints")
        return json.dumps(restored.state, default=np.ndarray.tolist), files_of(out)
    if name == "evaluate":
        (path,) = (out / "evaluation").glob("*.json")
        return path.read_text()
    files = files_of(out)
    if name == "embed":
        for shard in out.glob("*.safetensors"):
            open_tensors(shard)
    return files


@pytest.fixture
def place(name, request, tmp_path, monkeypatch):
    """Returns a folder with the input of a job."""
    if name == "prepare":
        write_corpus(tmp_path, 6, 0)
    elif name == "embed":
        write_folder(tmp_path / "encoder")
        (tmp_path / "texts.json").write_text(json.dumps(TEXTS))
    elif name == "convert":
        save_state(tmp_path / "last.ckpt", small_temos_state())
    else:
        run = request.getfixturevalue("random_run")("temos:debug")
        shutil.copytree(run, tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(number: int, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.killed", str(number)]
    environment = {**os.environ, "PYTHONPATH": str(REPO), "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [*command, *COMMANDS[name].split()],
        check=False,
        capture_output=True,
        text=True,
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_jobs_killed_at_random_operations_end_equal(name, place):
    out, draw = place / "out", random.Random(name)

    def clear() -> None:
        shutil.rmtree(out / "evaluation" if name == "evaluate" else out)

    whole = run(0, name)
    assert whole.returncode == 0, whole.stderr
    operations = int(whole.stdout.rpartition(" ")[2])
    expected = result_of(name, out)
    clear()
    kills = 0
    while True:
        number = draw.randint(1, operations) if kills < KILLS else 0
        done = run(number, name)
        if done.returncode == -signal.SIGKILL:
            kills += 1
            continue
        assert done.returncode == 0, done.stderr
        assert result_of(name, out) == expected
        # The lock file of a killed process locks nothing, and may stay.
        assert {path.suffix for path in place.rglob(".*")} <= {".lock"}
        if kills >= KILLS:
            return
        clear()
