"""A full disk is one sentence with the file's name, and nothing is half-written.

Motion and embedding stores and caches, which go on where they stopped, have such tests
of their own.
"""

import importlib
import pathlib

import numpy as np
import pytest

from actiongpt_jax.data.motion import Motion, save_motion
from tests.conversion.states import small_temos_state
from tests.conversion.torch_writer import save_state
from tests.full_disk import file_size_limit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def inputs(stores, random_run, tmp_path_factory):
    """Returns name -> path of a file or folder that the commands below read."""
    folder = tmp_path_factory.mktemp("inputs")
    motion = Motion(np.zeros((5, 22, 3)), np.zeros((5, 3)), 30.0, text=("walk",))
    return {
        "motion": save_motion(folder / "walk.npz", motion),
        "checkpoint": save_state(folder / "last.ckpt", small_temos_state()),
        "run": random_run("temos:debug"),
        "store": stores[0],
        "texts": stores[1],
        "descriptions": stores[0] / "descriptions.jsonl",
    }


TRAIN = (
    "train --config temos:debug --workdir {out} --config.data.store={store}"
    " --config.text.store={texts} --config.text.num_tokens=96"
    " --config.data.max_shapes=1 --config.data.max_frames=64"
    " --config.model.num_layers=1 --config.train.num_steps=2"
)
# The command, the largest size of a file in bytes, and what the sentence names.
COMMANDS = {
    "train": (TRAIN, 300, "out/config.json"),
    "lengths": (TRAIN, 3000, "out/lengths.safetensors"),
    "checkpoint": (TRAIN, 30_000, "out/checkpoints"),
    "convert": ("convert {checkpoint} --out {out}", 3000, "torch_buffers.safetensors"),
    "back": ("convert --back {run} --out {out}", 3000, "out"),
    "pack": ("pack {run} --out {out}", 3000, ".partial/model.safetensors"),
    "evaluate": ("evaluate --workdir {run} --limit 2", 900, "-model.jsonl"),
    "generate": ("generate --workdir {run} --text walk --out {out}", 3000, "_0.npz"),
    "export": ("describe --out {descriptions} --export {out}", 3000, "out"),
    "synthetic": ("prepare synthetic --sequences 2 --out {out}", 3000, "_poses.npz"),
    **{
        suffix: (f"render {{motion}} --out {{out}}.{suffix}", 300, f"out.{suffix}")
        for suffix in ("html", "png", "gif", "mp4", "glb", "bvh", "json", "npz")
    },
}


@pytest.mark.parametrize("name", COMMANDS)
def test_full_disk_is_one_sentence_and_leaves_nothing(
    name, inputs, tmp_path, run_command
):
    line, limit, named = COMMANDS[name]
    words = line.format(**inputs, out=tmp_path / "out").split()
    command = importlib.import_module(f"actiongpt_jax.{words[0]}")
    with file_size_limit(limit):
        code, _, said = run_command(command, *words[1:])
    last = said.strip().splitlines()[-1]
    assert code == 2 and last.startswith("error: ") and named in last, said
    assert "Traceback" not in said
    if name not in ("lengths", "checkpoint"):  # the next run goes on with what is there
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_conversion_can_be_repeated_on_the_same_folder(inputs, tmp_path, run_command):
    words = [inputs["checkpoint"], "--out", tmp_path / "out"]
    convert = importlib.import_module("actiongpt_jax.convert")
    with file_size_limit(3000):
        assert run_command(convert, *words)[0] == 2
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text("{}")
    assert run_command(convert, *words)[0] == 0
    assert run_command(convert, *words)[0] == 2


def test_packing_over_a_folder_leaves_it_as_it_was(inputs, tmp_path, run_command):
    words = [inputs["run"], "--out", tmp_path / "out"]
    pack = importlib.import_module("actiongpt_jax.pack")
    assert run_command(pack, *words)[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with file_size_limit(3000):
        assert run_command(pack, *words)[0] == 2
    after = {path: path.read_bytes() for path in pathlib.Path(tmp_path).rglob("*.*")}
    assert after == before
