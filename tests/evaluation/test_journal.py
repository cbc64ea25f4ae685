"""The journal: lines are whole, belong to one evaluation, and say what is done."""

import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.journal import Journal, pack, unpack

HEADER = {"step": 5, "limits": (1, 2)}


def test_what_was_written_is_there(tmp_path):
    journal = Journal(tmp_path / "new" / "a.jsonl", HEADER)
    journal.append([{"key": "a", "x": 1.5}, {"key": "b", "x": None}])
    again = Journal(tmp_path / "new" / "a.jsonl", HEADER)
    assert again.done == {"a", "b"}
    assert list(again) == [{"key": "a", "x": 1.5}, {"key": "b", "x": None}]


@pytest.mark.parametrize("cut", [2, 9, 12])
def test_half_a_line_is_cut_off(tmp_path, cut):
    path = tmp_path / "a.jsonl"
    Journal(path, HEADER).append([{"key": "a"}, {"key": "b"}])
    path.write_bytes(path.read_bytes()[:-cut])
    journal = Journal(path, HEADER)
    assert journal.done == {"a"}
    journal.append([{"key": "b", "x": 2}])
    assert [row["key"] for row in Journal(path, HEADER)] == ["a", "b"]


def test_a_line_that_lacks_only_its_end_counts(tmp_path):
    path = tmp_path / "a.jsonl"
    Journal(path, HEADER).append([{"key": "a"}])
    path.write_bytes(path.read_bytes()[:-1])
    journal = Journal(path, HEADER)
    assert journal.done == {"a"}
    journal.append([{"key": "b"}])
    assert [row["key"] for row in Journal(path, HEADER)] == ["a", "b"]


def test_half_a_first_line_begins_again(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"step"')
    Journal(path, HEADER).append([{"key": "a"}])
    assert Journal(path, HEADER).done == {"a"}


def test_another_evaluation_and_damage_are_errors(tmp_path):
    path = tmp_path / "a.jsonl"
    Journal(path, HEADER).append([{"key": "a"}])
    with pytest.raises(InputError, match="belongs to a different evaluation"):
        Journal(path, {"step": 6})
    path.write_text(path.read_text() + "nonsense\n")
    with pytest.raises(InputError, match=r"a\.jsonl:3 must be one JSON value"):
        Journal(path, HEADER)


def test_vectors_come_back_exactly():
    vectors = np.random.default_rng(0).normal(size=(3, 2, 5)).astype(np.float32)
    np.testing.assert_array_equal(unpack(pack(vectors)), vectors)
