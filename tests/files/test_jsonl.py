"""JSON lines: reading, errors for damaged lines, and repair of truncated files."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actiongpt_jax.data.store_writer import StoreWriter
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.journal import Journal
from actiongpt_jax.files.jsonl import append_lines, read_lines, repair_end
from actiongpt_jax.llm.batch_state import BatchState
from actiongpt_jax.llm.cache import DescriptionCache
from actiongpt_jax.training.writers import MetricWriter

WHOLE = st.integers(-(2**63), 2**64 - 1)
ROWS = st.lists(st.dictionaries(st.text(), st.none() | WHOLE | st.text()))


def to_line(row):
    return json.dumps(row, ensure_ascii=False) + "\n"


def values(path, **options):
    return [line.value for line in read_lines(path, "repair it", **options)]


@pytest.mark.slow
@given(ROWS, ROWS)
def test_appended_lines_round_trip(tmp_path_factory, first, second):
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    append_lines(path, map(to_line, first))
    append_lines(path, map(to_line, second))
    assert values(path) == first + second


def test_lines_have_their_place_in_the_file(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n[2]\n')
    lines = list(read_lines(path, "repair it"))
    assert [line.where for line in lines] == [f"{path}:1", f"{path}:3"]
    assert [line.end for line in lines] == [9, path.stat().st_size]


@given(st.integers(0, 200))
def test_truncation_at_any_byte_loses_at_most_one_line(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    rows = [{"é": "ü" * 5, "n": number} for number in range(4)]
    content = "".join(map(to_line, rows)).encode()
    path.write_bytes(content[:cut])
    truncated = []
    read = values(path, on_truncated=truncated.append)
    assert read == rows[: len(read)]
    if truncated:
        assert truncated[0].where == f"{path}:{len(read) + 1}"
        with pytest.raises(InputError, match="repair it"):
            values(path)
    repair_end(path)
    assert values(path) == read
    append_lines(path, map(to_line, rows[len(read) :]))
    assert path.read_bytes() == content


@pytest.mark.parametrize("line", [b"{", b"\xff\xff", b"[" * 100_000, b"\0\0"])
def test_damaged_line_is_named(tmp_path, line):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"[1]\n" + line + b"\n[2]\n")
    with pytest.raises(
        InputError, match=r"a\.jsonl:2 must be one JSON value"
    ) as raised:
        values(path, on_truncated=pytest.fail)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 300


def test_whole_record_after_a_byte_order_mark_only_gets_its_line_end(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('\ufeff{"a": 1}')
    repair_end(path)
    assert path.read_text() == '\ufeff{"a": 1}\n'
    assert values(path) == [{"a": 1}]


@pytest.mark.parametrize("size", [10, 70_000, 200_000])
def test_long_truncated_last_line_is_removed(tmp_path, size):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"[1]\n" + b"[" + b"1" * size)
    repair_end(path)
    assert path.read_bytes() == b"[1]\n"


def test_full_disk_leaves_the_file_unchanged(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    append_lines(path, ["[1]\n"])

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space") as raised:
        append_lines(path, ["[2]\n"])
    assert raised.value.filename == str(path)
    assert path.read_bytes() == b"[1]\n"


# Files with which a job goes on, and what opens them in a folder.
CONTINUED = {
    "metrics.jsonl": lambda folder: MetricWriter(folder, 3),
    "journal.jsonl": lambda folder: Journal(folder / "journal.jsonl", {"step": 5}),
    "cache.jsonl": lambda folder: DescriptionCache(folder / "cache.jsonl"),
    "a.batch/state.json": lambda folder: BatchState(folder / "a.jsonl"),
    ".a.partial/journal.jsonl": lambda folder: StoreWriter(
        folder / "a", {}
    ).__enter__(),
}


@pytest.mark.parametrize("name", CONTINUED)
@pytest.mark.parametrize(
    "target, words", [("missing", "link to a missing one"), ("itself", "links")]
)
def test_broken_links_are_not_new_files(tmp_path, name, target, words):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(path if target == "itself" else path.with_name(target))
    with pytest.raises(InputError, match=f"{path.name} must .*{words}"):
        CONTINUED[name](tmp_path)
    assert path.is_symlink() and not path.with_name("missing").exists()
