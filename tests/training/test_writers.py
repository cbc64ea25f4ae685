"""metrics.jsonl and TensorBoard hold every step once, even after a kill."""

import json

import pytest

from actiongpt_jax.training.writers import MetricWriter


def steps_in(folder) -> list[int]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def write(folder, start: int, steps) -> None:
    writer = MetricWriter(folder, start)
    for step in steps:
        writer.write(step, {"train/loss": 0.1 * step})
    writer.close()


def test_resumed_run_drops_records_of_repeated_steps(tmp_path):
    write(tmp_path, 0, range(6))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "train/lo')  # truncated by a kill
    write(tmp_path, 3, range(4, 8))
    assert steps_in(tmp_path) == list(range(8))


def test_damaged_lines_are_set_aside_and_the_rest_is_kept(tmp_path):
    write(tmp_path, 0, range(4))
    path = tmp_path / "metrics.jsonl"
    damaged = [
        b"\xff\n",
        b'{"loss": 1}\n',
        b"[1]\n",
        b'{"step": "2"}\n',
        b"[" * 9999 + b"\n",
    ]
    path.write_bytes(b"".join(damaged) + path.read_bytes())
    with pytest.warns(UserWarning, match="5 damaged of 9 lines, which were moved to"):
        write(tmp_path, 3, [4])
    assert steps_in(tmp_path) == list(range(5))
    assert (tmp_path / "metrics.jsonl.damaged").read_bytes() == b"".join(damaged)


def test_restarted_run_replaces_its_first_validation(tmp_path):
    write(tmp_path, 0, range(3))
    write(tmp_path, 0, range(2))
    assert steps_in(tmp_path) == [0, 1]


def test_figures_are_written_exactly(tmp_path):
    writer = MetricWriter(tmp_path, 0)
    writer.write(1, {"loss": 0.1 + 0.2})
    writer.close()
    record = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert record == {"step": 1, "loss": 0.1 + 0.2}


def test_tensorboard_can_read_the_figures(tmp_path):
    name = "tensorboard.backend.event_processing.event_file_loader"
    loader = pytest.importorskip(name, reason="TensorBoard is optional")
    write(tmp_path, 0, [1, 2])
    (file,) = (tmp_path / "tensorboard").iterdir()
    events = list(loader.RawEventFileLoader(str(file)).Load())
    # The file's version, the start of the session, and one event per record.
    assert len(events) == 4
    assert any(b"train/loss" in event for event in events)
