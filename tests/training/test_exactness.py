"""Killed runs resume exactly; the number of devices and processes does not matter."""

import contextlib
import functools
import json
import random
import shutil
import signal
import socket
import subprocess
from concurrent import futures

import jax
import numpy as np
import pytest

from actiongpt_jax.training import checkpoints

pytestmark = pytest.mark.slow

OFTEN = (
    "--config.train.num_steps=24",
    "--config.train.checkpoint_steps=3",
    "--config.train.log_steps=1",
)


def params_of(workdir):
    restored = checkpoints.restore(workdir)
    assert restored is not None
    return restored


def assert_equal_trees(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def steps_logged(workdir) -> int:
    path = workdir / "metrics.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture(scope="session")
def whole(trained, tmp_path_factory):
    """Returns `workdir(model)` of an uninterrupted run, made once per model."""

    @functools.cache
    def workdir(model="temos"):
        path = tmp_path_factory.mktemp("whole") / "run"
        trained(path, *OFTEN, model=model)
        return path

    return workdir


# MotionCLIP draws new windows in each epoch, so a resumed run must draw the same ones.
@pytest.mark.parametrize(
    ("model", "kills"),
    [
        ("temos", 2),
        ("motionclip", 1),
        pytest.param("temos", 8, marks=pytest.mark.soak),
        pytest.param("teach", 8, marks=pytest.mark.soak),
        pytest.param("motionclip", 8, marks=pytest.mark.soak),
    ],
)
def test_run_killed_at_random_moments_ends_bitwise_equal(
    training, trained, whole, tmp_path, model, kills
):
    killed = tmp_path / "killed"
    draw = random.Random(7)
    # Moments are counted in lines of metrics, not seconds: the kill comes anywhere in
    # the work after that line, including the saving of checkpoints.
    for target in sorted(draw.sample(range(1, 25), kills)):
        process = training(killed, *OFTEN, model=model)
        while process.poll() is None and steps_logged(killed) < target:
            # Read the output, because a process blocks once its pipe is full.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    trained(killed, *OFTEN, model=model)
    expected, resumed = params_of(whole(model)), params_of(killed)
    assert expected.step == resumed.step == 24
    assert_equal_trees(expected.state, resumed.state)
    lines = [json.loads(x) for x in (killed / "metrics.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if "train/loss" in line]
    assert steps == list(range(1, 25))


def test_restarting_a_finished_run_changes_nothing(trained, whole, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(whole(), again)
    trained(again, *OFTEN)
    assert_equal_trees(params_of(whole()).state, params_of(again).state)


@pytest.fixture(scope="session")
def sgd_flags():
    # Plain SGD: AdamW turns the rounding noise of zero gradients into whole steps.
    return (
        "--config.train.optimizer=sgd",
        "--config.train.learning_rate=0.1",
        "--config.model.dropout=0.0",
        "--config.data.max_shapes=1",
        "--config.train.num_steps=4",
        "--config.train.batch_size=8",
    )


# MotionCLIP's loss weights of 100 need smaller steps; its contrastive term compares
# items of all devices.
OF_MODEL = {
    "motionclip": (
        "--config.train.learning_rate=1e-4",
        "--config.losses.text_ce=1.0",
    )
}


@pytest.fixture(scope="session")
def one_device(trained, sgd_flags, tmp_path_factory):
    """Returns `params(model)` after a run on one device, made once per model."""

    @functools.cache
    def params(model="temos"):
        workdir = tmp_path_factory.mktemp("one") / "run"
        trained(workdir, *sgd_flags, *OF_MODEL.get(model, ()), model=model)
        return params_of(workdir).state["params"]

    return params


def assert_close_params(a, b):
    # 1e-6, because gradients are summed over devices in another order.
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=1e-6), a, b)


@pytest.mark.parametrize(
    "model", ["temos", "motionclip", pytest.param("teach", marks=pytest.mark.soak)]
)
def test_four_devices_take_the_same_steps(
    trained, sgd_flags, one_device, tmp_path, model
):
    flags = *sgd_flags, *OF_MODEL.get(model, ())
    output = trained(tmp_path, *flags, devices=4, model=model)
    assert "4 cpu device(s)" in output
    assert_close_params(one_device(model), params_of(tmp_path).state["params"])


def test_two_processes_take_the_same_steps(training, sgd_flags, one_device, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    processes: list[subprocess.Popen] = [
        training(
            tmp_path,
            *sgd_flags,
            *f"--coordinator {address} --num_processes 2 --process_id {i}".split(),
            devices=2,
        )
        for i in range(2)
    ]
    # Read both at once: a process that waits for its reader blocks the other one.
    with futures.ThreadPoolExecutor() as readers:
        outputs = list(readers.map(lambda p: p.communicate(timeout=600)[0], processes))
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert "2 process(es)" in outputs[0]
    assert_close_params(one_device(), params_of(tmp_path).state["params"])


@pytest.mark.parametrize("model", ["temos", "motionclip"])
def test_training_moves_every_parameter(
    trained, sgd_flags, one_device, tmp_path, model
):
    flags = *sgd_flags, *OF_MODEL.get(model, ()), "--config.train.num_steps=1"
    trained(tmp_path, *flags, model=model)
    start = params_of(tmp_path).state["params"]
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), start, one_device(model))
    still = [
        jax.tree_util.keystr(path)
        for path, value in jax.tree_util.tree_leaves_with_path(moved)
        if not value
    ]
    assert still == []
