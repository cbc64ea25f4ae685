"""The run on a GPU: commands that fail or take too long, kills, and the pack's size."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"
# Never ends by itself.
ENDLESS = (
    "print('{\"case\": 1}', flush=True); import threading; threading.Event().wait()"
)


@pytest.fixture
def run(scripts, tmp_path):
    """Returns `run(seconds, *stages)` -> the record, as written and as text.

    A stage is a list of commands, each a program in Python and fields of a `Command`.
    """
    stages = scripts("stages")

    def run(seconds, *programs):
        record = {"stages": {}}
        chosen = [
            stages.Stage(key, "title", 1.0, [command(*c) for c in commands])
            for key, commands in zip("abc", programs, strict=False)
        ]
        path = tmp_path / "gpu.json"
        stages.run_stages(chosen, seconds, path, os.environ, tmp_path, record)
        assert json.loads(path.read_text()) == record
        return record["stages"], stages.summary(record)

    def command(program, fields=None):
        options = {"columns": ("case",), **(fields or {})}
        return stages.Command("name", [sys.executable, "-c", program], **options)

    return run


def statuses(record):
    return [row["status"] for stage in record.values() for row in stage["commands"]]


def test_failing_command_is_reported_and_stops_no_other(run):
    fails = "print('{\"case\": 1}'); print('so far'); raise SystemExit('no memory')"
    record, text = run(60, [(fails,), ("print('{\"case\": 2}')",)], [("pass",)])
    assert statuses(record) == ["failed (1)", "done", "done"]
    failed, done = record["a"]["commands"]
    assert failed["cases"] == [{"case": 1}] and done["cases"] == [{"case": 2}]
    assert failed["output"] == ["so far"] and failed["errors"] == ["no memory"]
    assert "failed (1)" in text and "| no memory" in text


@pytest.mark.slow
def test_command_that_takes_too_long_is_stopped_and_keeps_its_cases(run):
    record, _ = run(6, [(ENDLESS,)], [("print('{\"case\": 2}')",)])
    stopped, done = (record[key]["commands"][0] for key in "ab")
    assert stopped["status"].startswith("stopped") and done["status"] == "done"
    assert [row["cases"] for row in (stopped, done)] == [[{"case": 1}], [{"case": 2}]]


@pytest.mark.slow
def test_command_that_uses_all_its_time_is_done_when_it_is_stopped(run):
    def closing(cases, seconds):
        return [{"case": len(cases)}]

    fields = {"open_ended": True, "closing": closing}
    record, _ = run(2, [(ENDLESS, fields)])
    (row,) = record["a"]["commands"]
    assert row["status"].startswith("done, stopped")
    assert row["cases"] == [{"case": 1}, {"case": 1}] and "errors" not in row


def test_command_without_meaning_or_time_is_not_started(run):
    fails = "raise SystemExit(1)"
    record, text = run(0, [(fails, {"skip": "no GPU"}), (fails,)])
    assert statuses(record) == ["skipped: no GPU", "no time left"]
    assert "skipped: no GPU" in text


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_results_are_whole_after_a_kill(number, tmp_path):
    program = f"""
import os, signal, sys
sys.path[:0] = [{str(BENCHMARKS)!r}, {str(BENCHMARKS.parent)!r}]
import stages
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
command = stages.Command("name", [sys.executable, "-c", {ENDLESS!r}])
print("started", flush=True)
stages.run_stages([stages.Stage("a", "title", 1, [command])], 600, sys.argv[1],
                  os.environ, ".", {{"stages": {{}}}})
"""
    path = tmp_path / "gpu.json"
    process = subprocess.Popen([sys.executable, "-c", program, str(path)])
    cases = []
    while not cases and process.poll() is None:
        if path.exists():
            (row,) = json.loads(path.read_text())["stages"]["a"]["commands"]
            cases = row["cases"]
    process.send_signal(number)
    process.wait(60)
    (row,) = json.loads(path.read_text())["stages"]["a"]["commands"]
    assert row["cases"] == [{"case": 1}] and row["status"] == "running"


def test_pack_that_is_too_large_is_refused(scripts, tmp_path, capsys):
    check_size = scripts("gpu").check_size
    (tmp_path / "text").write_bytes(bytes(3 << 20))
    check_size(tmp_path)
    assert "3.0 MB" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="at most 2 MB .* is 3.0 MB"):
        check_size(tmp_path, 2 << 20)


def test_lines_of_tests_are_read(scripts):
    read = scripts("gpu").tests(small=True).read
    lines = [
        "tests/a.py::test_x[1-b c] PASSED      [ 50%]",
        "[gw3] [ 97%] FAILED tests/a.py::test_y ",
        "FAILED tests/a.py::test_y - AssertionError: it",
        "tests/a.py::test_y ",
        "SKIPPED [1] tests/a.py:9: why",
    ]
    assert [read(line) for line in lines] == [
        {"test": "tests/a.py::test_x[1-b c]", "outcome": "PASSED"},
        {"test": "tests/a.py::test_y", "outcome": "FAILED"},
        None,
        None,
        None,
    ]
