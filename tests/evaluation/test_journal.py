"""The journal: complete lines, one evaluation per file, and the keys that are done."""

import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.journal import Journal, pack, unpack

HEADER = {"step": 5, "limits": (1, 2)}


def test_reopened_journal_has_its_lines(tmp_path):
    journal = Journal(tmp_path / "new" / "a.jsonl", HEADER)
    journal.append([{"key": "a", "x": 1.5}, {"key": "b", "x": None}])
    again = Journal(tmp_path / "new" / "a.jsonl", HEADER)
    assert again.done == {"a", "b"}
    assert list(again) == [{"key": "a", "x": 1.5}, {"key": "b", "x": None}]


@pytest.mark.parametrize("cut", [2, 9, 12])
def test_truncated_last_line_is_removed(tmp_path, cut):
    path = tmp_path / "a.jsonl"
    Journal(path, HEADER).append([{"key": "a"}, {"key": "b"}])
    path.write_bytes(path.read_bytes()[:-cut])
    journal = Journal(path, HEADER)
    assert journal.done == {"a"}
    journal.append([{"key": "b", "x": 2}])
    assert [row["key"] for row in Journal(path, HEADER)] == ["a", "b"]


def test_last_line_without_line_end_is_kept(tmp_path):
    path = tmp_path / "a.jsonl"
    Journal(path, HEADER).append([{"key": "a"}])
    path.write_bytes(path.read_bytes()[:-1])
    journal = Journal(path, HEADER)
    assert journal.done == {"a"}
    journal.append([{"key": "b"}])
    assert [row["key"] for row in Journal(path, HEADER)] == ["a", "b"]


def test_truncated_header_starts_over(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"step"')
    Journal(path, HEADER).append([{"key": "a"}])
    assert Journal(path, HEADER).done == {"a"}


def test_other_header_is_an_error(tmp_path):
    path = tmp_path / "a.jsonl"
    Journal(path, HEADER).append([{"key": "a"}])
    with pytest.raises(InputError, match="belongs to a different evaluation"):
        Journal(path, {"step": 6})


def lines_of(path):
    return path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: b"nonsense\n",
        lambda line: b"\xff\xfe\n",
        lambda line: b"[" * 100_000 + b"\n",
        lambda line: b'{"key": ["b"]}\n',
        lambda line: line.replace(b"0.5", b"0.7"),  # still JSON, another figure
    ],
)
def test_damaged_line_is_set_aside_and_its_key_is_not_done(tmp_path, damage):
    path = tmp_path / "a.jsonl"
    Journal(path, HEADER).append([{"key": key, "x": 0.5} for key in "abc"])
    header, first, second, third = lines_of(path)
    path.write_bytes(header + first + damage(second) + third)
    with pytest.warns(UserWarning, match=r"1 damaged of 4 lines.*a\.jsonl\.damaged"):
        journal = Journal(path, HEADER)
    assert journal.done == {"a", "c"}
    assert lines_of(tmp_path / "a.jsonl.damaged") == [damage(second)]
    journal.append([{"key": "b", "x": 0.5}])
    assert sorted(lines_of(path)) == sorted([header, first, second, third])


def test_without_a_header_no_line_is_used(tmp_path):
    path = tmp_path / "a.jsonl"
    Journal(path, HEADER).append([{"key": "a"}])
    content = path.read_bytes()[1:]
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="2 damaged of 2 lines"):
        assert Journal(path, HEADER).done == set()
    assert (tmp_path / "a.jsonl.damaged").read_bytes() == content


def test_a_journal_that_is_being_written_is_neither_opened_nor_repaired(tmp_path):
    path = tmp_path / "a.jsonl"
    journal = Journal(path, HEADER)
    with journal.locked():
        journal.append([{"key": "a"}])
        with path.open("ab") as file:
            file.write(b'{"key": "half')  # the other process is about to finish it
        before = path.read_bytes()
        with pytest.raises(InputError, match="a.jsonl is being written by another pro"):
            Journal(path, HEADER)
        assert path.read_bytes() == before
    assert Journal(path, HEADER).done == {"a"}


def test_packed_vectors_round_trip_exactly():
    vectors = np.random.default_rng(0).normal(size=(3, 2, 5)).astype(np.float32)
    np.testing.assert_array_equal(unpack(pack(vectors)), vectors)
