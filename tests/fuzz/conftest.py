"""Fixtures: valid files of every reader, and a process that reads damaged ones."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.fuzz import seeds

REPO = pathlib.Path(__file__).resolve().parents[2]
# A property of a test: its row of the table in docs/reliability.md.
ROW = "row of the table"
HEAD = """\
| reader | read | refused in a sentence | traceback, hang, too much memory, crash |
|---|---|---|---|"""


def pytest_terminal_summary(terminalreporter):
    """Prints the table of docs/reliability.md."""
    kinds = map(terminalreporter.stats.get, ("passed", "failed"))
    found = [dict(x.user_properties).get(ROW) for kind in kinds for x in kind or ()]
    if rows := [*filter(None, found)]:
        terminalreporter.section("table of docs/reliability.md")
        terminalreporter.line("\n".join([HEAD, *rows]))


class Worker:
    """A process that reads files; a crash ends it, and the next file starts another."""

    def __init__(self):
        self._process = None

    def read(self, reader: str, path: pathlib.Path) -> tuple[str, str]:
        """Returns (outcome, text), as `worker.outcome_of` does, or ("crash", text)."""
        if self._process is None:
            environment = {**os.environ, "JAX_PLATFORMS": "cpu", "HF_HUB_OFFLINE": "1"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.worker"],
                cwd=REPO,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{reader}\t{path}\n")
        process.stdin.flush()
        if answer := process.stdout.readline():
            outcome, text = json.loads(answer)
            if outcome == "memory":
                self.close()  # a process gives little of its memory back
            return outcome, text
        self._process = None
        return "crash", f"exit code {process.wait()}"

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


@pytest.fixture(scope="session")
def seed_folder(tmp_path_factory):
    """Returns the folder of `files`."""
    return tmp_path_factory.mktemp("seeds")


@pytest.fixture(scope="session")
def files(seed_folder):
    """Returns reader -> its files; tests read and damage only copies of them."""
    return seeds.make_seeds(seed_folder)


@pytest.fixture
def fresh(seed_folder, tmp_path):
    """Returns `fresh(file)`: the file in a new copy of all files of its reader.

    Readers that go on with a job also write and remove the files next to it.
    """

    def copy(file: pathlib.Path) -> pathlib.Path:
        shutil.rmtree(tmp_path / "fresh", ignore_errors=True)
        place = file.relative_to(seed_folder)
        top = place.parts[0]
        shutil.copytree(seed_folder / top, tmp_path / "fresh" / top)
        return tmp_path / "fresh" / place

    return copy


@pytest.fixture(scope="session")
def reading():
    """Returns the process; `reading.read(reader, path)` -> (outcome, text)."""
    process = Worker()
    yield process
    process.close()
