"""Which checkpoints are kept, and the errors for damaged ones."""

import os
import pathlib
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax import train
from actiongpt_jax.config import load_config
from actiongpt_jax.errors import InputError
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.training import checkpoints, loop
from actiongpt_jax.training.step import TrainState
from actiongpt_jax.training.workdir import check_workdir, lock_workdir
from tests.full_disk import file_size_limit

NORMALIZER = Normalizer(np.zeros(3, np.float32), np.ones(3, np.float32))


def state_at(step: int) -> TrainState:
    return TrainState(
        step=jnp.asarray(step, jnp.int32),
        params={"w": jnp.full((2, 3), float(step))},
        unused={},
        opt_state=(),
        rng=jnp.zeros(2, jnp.uint32),
    )


def save_all(workdir, scores: dict[int, float | None], keep: int = 2) -> None:
    flags = [f"--config.train.keep_checkpoints={keep}"]
    config = load_config("temos:debug", flags)
    store = checkpoints.Checkpoints(workdir, config)
    for step, score in scores.items():
        metrics = None if score is None else {config.train.best_metric: score}
        store.save(state_at(step), NORMALIZER, metrics)
    store.close()


def steps_kept(workdir) -> set[int]:
    return {int(path.name) for path in (workdir / "checkpoints").iterdir()}


def test_last_few_and_best_checkpoints_are_kept(tmp_path):
    scores = {1: 0.9, 2: None, 3: 0.2, 4: None, 5: 0.5, 6: None, 7: None}
    save_all(tmp_path, scores)
    assert steps_kept(tmp_path) == {3, 6, 7}
    for which, step in (("latest", 7), ("best", 3), (6, 6)):
        restored = checkpoints.restore(tmp_path, which)
        assert restored is not None
        assert restored.step == step
        np.testing.assert_array_equal(restored.state["params"]["w"], float(step))


def test_without_validation_the_last_few_are_kept(tmp_path):
    save_all(tmp_path, dict.fromkeys(range(1, 6)))
    assert steps_kept(tmp_path) == {4, 5}
    best = checkpoints.restore(tmp_path, "best")
    assert best is not None
    assert best.step == 5


def test_half_deleted_checkpoint_is_not_the_best(tmp_path):
    save_all(tmp_path, {1: 0.1, 2: 0.3}, keep=3)
    shutil.rmtree(tmp_path / "checkpoints" / "1" / "config")
    with pytest.warns(UserWarning, match="checkpoints/1 is skipped"):
        best = checkpoints.restore(tmp_path, "best")
    assert best is not None
    assert best.step == 2


def test_step_that_vanishes_while_its_folder_is_opened_is_passed_over(
    tmp_path, monkeypatch
):
    save_all(tmp_path, {1: None, 2: None})
    opened = []

    class Vanishing(checkpoints.ocp.CheckpointManager):
        def __init__(self, folder, **options):
            opened.append(folder)
            if len(opened) == 1:  # between listing the steps and reading their dates
                shutil.rmtree(folder / "1")
                (folder / "1").stat()
            super().__init__(folder, **options)

    monkeypatch.setattr(checkpoints.ocp, "CheckpointManager", Vanishing)
    restored = checkpoints.restore(tmp_path)
    assert restored is not None
    assert (restored.step, len(opened)) == (2, 2)


DAMAGES = {
    "state/_METADATA": lambda content: content[:20],
    "config/metadata": lambda content: content[:20],
    "config/metadata ": lambda content: b"[" * 100_000,
    "state/_METADATA ": lambda content: b'{"tree_metadata": [1]}',
    "checksum/metadata": lambda content: content.replace(b": ", b": 1", 1),
}


@pytest.mark.parametrize("file", DAMAGES)
def test_damaged_checkpoint_is_named_and_the_one_before_offered(tmp_path, file):
    save_all(tmp_path, {1: None, 2: None})
    damaged = tmp_path / "checkpoints" / "2" / file.strip()
    damaged.write_bytes(DAMAGES[file](damaged.read_bytes()))
    offer = r"checkpoints/2 is damaged .*; move that folder away to continue from .*1"
    with pytest.raises(InputError, match=offer) as caught:
        checkpoints.restore(tmp_path)
    assert "delete" not in str(caught.value)
    shutil.rmtree(tmp_path / "checkpoints" / "2")
    earlier = checkpoints.restore(tmp_path)
    assert earlier is not None
    assert earlier.step == 1


def test_changed_numbers_are_noticed(tmp_path):
    numbers = np.arange(1000, dtype=np.float32)
    variables = {"params": {"w": numbers}, "unused": {}}
    config = load_config("temos:debug")
    checkpoints.save_weights(tmp_path, config, NORMALIZER, variables)
    assert checkpoints.restore(tmp_path) is not None
    # Converted weights are not compressed, so that they are found in a file.
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    (file,) = (p for p in files if numbers[:50].tobytes() in p.read_bytes())
    content = bytearray(file.read_bytes())
    content[content.index(numbers[:50].tobytes()) + 42] ^= 1
    file.write_bytes(content)
    words = r"checkpoints/0 is damaged .*\['params'\]\['w'\].*; it is the only one"
    with pytest.raises(InputError, match=words):
        checkpoints.restore(tmp_path)


def test_checkpoint_of_an_earlier_version_has_no_checksum(tmp_path):
    save_all(tmp_path, {1: None})
    shutil.rmtree(tmp_path / "checkpoints" / "1" / "checksum")
    assert checkpoints.restore(tmp_path) is not None


@pytest.mark.parametrize("closing", [False, True])
def test_a_checkpoint_that_cannot_be_opened_stops_the_run(tmp_path, closing):
    # The brackets make orbax lose the arrays; train and convert refuse such a folder.
    store = checkpoints.Checkpoints(tmp_path / "[a]", load_config("temos:debug"))
    store.save(state_at(1), NORMALIZER)
    with pytest.raises(InputError, match="checkpoints/1 was written but cannot be ope"):
        if closing:
            store.close()
        else:
            store.save(state_at(2), NORMALIZER)


@pytest.mark.parametrize("name", ["a[b]", "[!x]", "back\\slash", "st*r", "what?"])
def test_workdirs_that_orbax_misreads_are_refused(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    for workdir in (tmp_path / name / "run", tmp_path / name, pathlib.Path("run")):
        with pytest.raises(InputError, match="absolute path") as caught:
            train.main(["--config", "temos:demo", "--workdir", str(workdir)])
        assert str(tmp_path / name) in str(caught.value)
    assert not list((tmp_path / name).iterdir())


def test_a_second_training_of_a_workdir_is_refused_at_once(tmp_path):
    with lock_workdir(tmp_path / "run"):
        with pytest.raises(InputError, match="run is being written by another process"):
            loop.train(load_config("temos:debug"), tmp_path / "run")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["{a,b}", "a b", "]", "$HOME", "%41", "ü\n", "~", "a:"]
)
def test_other_workdirs_hold_checkpoints(tmp_path, name):
    check_workdir(tmp_path / name)
    save_all(tmp_path / name, {1: None})
    restored = checkpoints.restore(tmp_path / name)
    assert restored is not None
    np.testing.assert_array_equal(restored.state["params"]["w"], 1.0)


def test_a_run_that_was_moved_is_read_with_brackets_in_its_path(tmp_path):
    save_all(tmp_path / "run", {1: None})
    (tmp_path / "run").rename(tmp_path / "run [2]")
    restored = checkpoints.restore(tmp_path / "run [2]")
    assert restored is not None and restored.step == 1


def test_damaged_metrics_raise_one_sentence(tmp_path):
    save_all(tmp_path, {1: 0.5, 2: 0.4})
    damaged = tmp_path / "checkpoints" / "1" / "metrics" / "metrics"
    damaged.write_text("{")
    with pytest.raises(InputError, match="damaged metrics"):
        save_all(tmp_path, {3: 0.3})


@pytest.mark.skipif(os.name != "posix", reason="POSIX files")
@pytest.mark.parametrize(
    "file", ["_CHECKPOINT_METADATA", "config/metadata", "metrics/metrics"]
)
def test_files_that_orbax_would_wait_for_are_refused(tmp_path, file):
    save_all(tmp_path / "run", {1: 0.5})
    # A folder may be on another disk.
    (tmp_path / "run" / "checkpoints" / "1").rename(tmp_path / "1")
    (tmp_path / "run" / "checkpoints" / "1").symlink_to(tmp_path / "1")
    (tmp_path / "1" / file).unlink()
    os.mkfifo(tmp_path / "1" / file)
    words = f"checkpoints/1/{file} must be a regular file, got a named pipe; move"
    with pytest.raises(InputError, match=words):
        checkpoints.restore(tmp_path / "run")
    with pytest.raises(InputError, match=words):
        save_all(tmp_path / "run", {2: 0.3})


def test_full_disk_error_names_the_folder(tmp_path):
    store = checkpoints.Checkpoints(tmp_path, load_config("temos:debug"))
    state = state_at(1)
    with file_size_limit(100), pytest.raises(OSError, match="too large") as caught:
        store.save(state, NORMALIZER)
        store.close()
    assert caught.value.filename == str(tmp_path / "checkpoints")


def test_full_disk_error_of_given_weights_names_the_folder(tmp_path):
    weights = {"params": {"w": np.zeros((40, 40), np.float32)}, "unused": {}}
    config = load_config("temos:debug")
    with file_size_limit(3000), pytest.raises(OSError) as caught:
        checkpoints.save_weights(tmp_path, config, NORMALIZER, weights)
    assert caught.value.filename == str(tmp_path / "checkpoints")
    checkpoints.save_weights(tmp_path, config, NORMALIZER, weights)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["0"]
