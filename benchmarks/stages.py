"""Runs benchmark scripts one after another within a given time, and keeps a record.

A command is a script that prints its cases as JSON lines. The record is rewritten after
every case, so that a run that is killed keeps what it has measured.
"""

import collections
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from actiongpt_jax.files.atomic import write_json

Case = dict[str, Any]
# Lines of a failed command's output to keep.
TAIL = 25
# Seconds between asking a command to stop and killing it.
PATIENCE = 5.0
# Seconds below which a command is not started.
SHORTEST = 0.5


def json_case(line: str) -> Case | None:
    """Returns the case that a line of a script's output is, or None."""
    if not line.startswith("{"):
        return None
    with contextlib.suppress(ValueError):
        return json.loads(line)
    return None


@dataclasses.dataclass(frozen=True)
class Command:
    """A script of a stage.

    Attributes:
        name: name in the record.
        argv: the program and its arguments.
        weight: its share of the stage's time, relative to the stage's other commands.
        environ: environment variables to set.
        columns: fields of its cases that the summary shows; dots enter nested objects.
        read: function of a line of its standard output that returns a case or None.
        closing: function of its cases and the seconds it took, which returns further
            cases when it has ended.
        open_ended: whether it uses all the time that it gets, so that being stopped is
            no failure.
        skip: reason why the command has no meaning on this machine; '' if it has.
    """

    name: str
    argv: Sequence[str]
    weight: float = 1.0
    environ: Mapping[str, str] = dataclasses.field(default_factory=dict)
    columns: Sequence[str] = ()
    read: Callable[[str], Case | None] = json_case
    closing: Callable[[list[Case], float], list[Case]] = lambda cases, seconds: []
    open_ended: bool = False
    skip: str = ""


@dataclasses.dataclass(frozen=True)
class Stage:
    """Commands that answer one question.

    Attributes:
        key: letter of the stage.
        title: what the stage measures.
        weight: its share of the time that is left, relative to the later stages.
        commands: the commands, in the order in which they run.
    """

    key: str
    title: str
    weight: float
    commands: Sequence[Command]


def run_stages(
    stages: Sequence[Stage],
    seconds: float,
    path: str | os.PathLike,
    environ: Mapping[str, str],
    folder: str | os.PathLike,
    record: dict[str, Any],
) -> None:
    """Runs stages in order; a command that fails or takes too long stops no other.

    A command's time limit is its share of the time that is left, so that time which is
    not used goes to later commands.

    Args:
        stages: the stages to run.
        seconds: time for all of them.
        path: JSON file to write; it is rewritten after every case.
        environ: environment of the commands.
        folder: folder in which the commands run.
        record: content of the file, with an empty dict `stages`, which is filled.
    """
    deadline = time.monotonic() + seconds
    for number, stage in enumerate(stages):
        rows: list[dict[str, Any]] = []
        record["stages"][stage.key] = {"title": stage.title, "commands": rows}
        later = sum(other.weight for other in stages[number + 1 :])
        share = stage.weight / (stage.weight + later)
        end = time.monotonic() + share * (deadline - time.monotonic())
        for i, command in enumerate(stage.commands):
            rest = sum(other.weight for other in stage.commands[i:])
            limit = (end - time.monotonic()) * command.weight / rest
            row: dict[str, Any] = {
                "name": command.name,
                "command": " ".join(command.argv),
                "environ": dict(command.environ),
                "columns": list(command.columns),
                "status": "running",
                "cases": [],
            }
            rows.append(row)
            if command.skip:
                row["status"] = f"skipped: {command.skip}"
            elif limit < SHORTEST:
                row["status"] = "no time left"
            else:
                write_json(path, record)
                for case in _run(command, limit, environ, folder, row):
                    row["cases"].append(case)
                    write_json(path, record)
            print(f"{stage.key} {command.name}: {row['status']}", flush=True)
            write_json(path, record)


def _run(
    command: Command,
    limit: float,
    environ: Mapping[str, str],
    folder: str | os.PathLike,
    row: dict[str, Any],
) -> Iterator[Case]:
    """Yields the cases of a command as it prints them; then completes its row."""
    started, stopped = time.monotonic(), threading.Event()
    other: collections.deque[str] = collections.deque(maxlen=TAIL)
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command.argv,
            cwd=folder,
            env={**environ, **command.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None

        def stop() -> None:
            stopped.set()
            _end(process)

        timer = threading.Timer(limit, stop)
        timer.start()
        try:
            for line in process.stdout:
                case = command.read(line)
                if case is None:
                    other.append(line.rstrip())
                else:
                    yield case
            code = process.wait()
        finally:
            timer.cancel()
            _end(process)
        seconds = time.monotonic() - started
        yield from command.closing(row["cases"], seconds)
        row["seconds"] = round(seconds, 1)
        if stopped.is_set():
            planned = "done, " if command.open_ended else ""
            row["status"] = f"{planned}stopped at {limit:.0f} s"
        else:
            row["status"] = f"failed ({code})" if code else "done"
        if not row["status"].startswith("done"):
            row["output"], row["errors"] = list(other), _tail(errors)


def _end(process: subprocess.Popen) -> None:
    """Ends a process and all that it started, if they still run."""
    for number, patience in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            if number == signal.SIGKILL:
                return


def _tail(file: IO[bytes]) -> list[str]:
    file.seek(max(file.seek(0, os.SEEK_END) - 100_000, 0))
    return file.read().decode(errors="replace").splitlines()[-TAIL:]


def summary(record: Mapping[str, Any]) -> str:
    """Returns the record as text: one table per command."""
    lines = []
    for key, stage in record["stages"].items():
        lines += ["", f"{key}. {stage['title']}"]
        for row in stage["commands"]:
            seconds = f", {row['seconds']} s" if "seconds" in row else ""
            lines += ["", f"  {row['name']}: {row['status']}{seconds}"]
            lines += [f"    {line}" for line in _table(row["cases"], row["columns"])]
            for name in ("output", "errors"):
                lines += [f"    | {line}" for line in row.get(name, ())[-12:]]
    return "\n".join(lines).lstrip("\n") + "\n"


def _table(cases: Sequence[Case], columns: Sequence[str]) -> list[str]:
    """Returns a heading and one line per case that has any of the columns."""
    rows = [[_text(case, name) for name in columns] for case in cases]
    rows = [row for row in rows if any(row)]
    if not rows:
        return []
    rows.insert(0, [name.removesuffix(".median") for name in columns])
    used = [i for i in range(len(columns)) if any(row[i] for row in rows[1:])]
    width = {i: max(len(row[i]) for row in rows) for i in used}
    return ["  ".join(row[i].ljust(width[i]) for i in used).rstrip() for row in rows]


def _text(case: Case, name: str) -> str:
    value: Any = case
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
