"""Damaged files are read or refused in one sentence: no traceback, hang or crash."""

import collections
import os
import pathlib
import random

import pytest

from tests.fuzz import worker
from tests.fuzz.conftest import ROW
from tests.fuzz.mutations import damage

# Every reader's number of damaged files. `make soak` reads 300, those of the table in
# docs/reliability.md.
FEW, MANY = 10, 300


def fuzz(reading, files, fresh, reader: str, count: int, kept: pathlib.Path):
    """Reads damaged files; returns outcome -> number, and the failures."""
    outcomes, failures = collections.Counter(), []
    for number in range(count):
        rng = random.Random(f"{reader} {number}")
        path = fresh(rng.choice(files[reader]))
        bad = damage(path.read_bytes(), path.name, rng)
        path.write_bytes(bad)
        outcome, text = reading.read(reader, path)
        outcomes[outcome] += 1
        if outcome not in ("read", "refused"):
            case = kept / f"{reader}-{number}-{path.name}"
            case.write_bytes(bad)
            failures.append(f"{outcome} of {case}:\n{text}")
    return outcomes, failures


@pytest.mark.slow
@pytest.mark.parametrize("reader", worker.READERS)
def test_valid_files_are_read(reading, files, fresh, reader):
    for path in map(fresh, files[reader]):
        expected = "refused" if reader == "published checkpoint" else "read"
        outcome, text = reading.read(reader, path)
        assert outcome == expected, (path, text)


SPECIAL = {
    "pipe": os.mkfifo,
    "folder": os.mkdir,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "circle": lambda path: path.symlink_to(path),
    "dangling": lambda path: path.symlink_to(path.with_name("missing")),
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_regular_file_is_refused_at_once(reading, files, fresh, kind):
    for reader, paths in files.items():
        for path in map(fresh, paths):
            path.unlink()
            SPECIAL[kind](path)
            outcome, text = reading.read(reader, path)
            assert outcome in ("read", "refused"), (reader, path, text)
            assert not path.with_name("missing").exists(), reader


@pytest.mark.slow
@pytest.mark.parametrize("reader", worker.READERS)
def test_some_damaged_files_are_read_or_refused(
    reading, files, fresh, reader, tmp_path
):
    outcomes, failures = fuzz(reading, files, fresh, reader, FEW, tmp_path)
    assert outcomes.total() == FEW and not failures, "\n".join(failures)


@pytest.mark.soak
@pytest.mark.parametrize("reader", worker.READERS)
def test_many_damaged_files_are_read_or_refused(
    reading, files, fresh, reader, tmp_path, record_property
):
    outcomes, failures = fuzz(reading, files, fresh, reader, MANY, tmp_path)
    good = outcomes["read"], outcomes["refused"]
    counts = " | ".join(map(str, (*good, MANY - sum(good))))
    record_property(ROW, f"| {reader} | {counts} |")
    assert outcomes.total() == MANY and not failures, "\n\n".join(failures)
