"""Reading: regular files only, UTF-8, JSON within limits; each fault in a sentence."""

import json
import os

import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.files import limits
from actiongpt_jax.files.reading import (
    check_files,
    parse_json,
    read_bytes,
    read_json,
    read_text,
)

needs_posix = pytest.mark.skipif(os.name != "posix", reason="POSIX files")


def pipe(path):
    os.mkfifo(path)  # opening it would wait for a writer


def circle(path):
    path.symlink_to(path)


def dangling(path):
    path.symlink_to(path.with_name("missing"))


@needs_posix
@pytest.mark.parametrize(
    "make, kind",
    [
        (pipe, "a named pipe"),
        (os.mkdir, "a folder"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
        (circle, "symbolic links"),
        (dangling, "a link to a missing one"),
    ],
)
def test_only_regular_files_are_read(tmp_path, make, kind):
    path = tmp_path / "file.json"
    make(path)
    with pytest.raises(InputError, match=rf"file\.json must .*{kind}.*; try another"):
        read_text(path, "try another")
    if make is not os.mkdir:
        (tmp_path / "fine").mkdir()
        with pytest.raises(InputError, match=rf"file\.json must .*{kind}.*; move it"):
            check_files(tmp_path, "move it")
    check_files(tmp_path / "missing folder", "move it")


def test_missing_file_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "file.txt")


def test_text_may_come_from_windows(tmp_path):
    path = tmp_path / "file.txt"
    path.write_bytes(b"\xef\xbb\xbf\xc3\xa9\r\nb\rc")
    assert read_text(path) == "é\nb\rc"
    path.write_bytes(b'\xef\xbb\xbf{"a":\r\n1}')
    assert read_json(path, "repair it") == {"a": 1}


def test_text_that_is_not_utf_8_is_named_with_its_place(tmp_path):
    path = tmp_path / "file.txt"
    path.write_bytes(b"first\nse\xffcond\n")
    with pytest.raises(InputError, match=r"file\.txt:2 .* 0xff at position 3; save"):
        read_text(path)


def test_large_file_is_not_read_whole(tmp_path):
    path = tmp_path / "file.txt"
    with path.open("wb") as file:
        file.truncate(limits.WHOLE_BYTES + 1)  # needs no space on the disk
    with pytest.raises(InputError, match="at most 268435456 bytes"):
        read_text(path)
    with pytest.raises(InputError, match="at most 3 bytes"):
        read_bytes(path, "cut it", 3)


NESTED = "[" * limits.DEPTH + "]" * limits.DEPTH
BROKEN = {
    "deep": ('{"a": ' + NESTED + "}", "nested too deeply"),
    "deeper": ("[" * 100_000, "nested too deeply"),
    "long number": ('{"a": ' + "9" * 5000 + "}", "digits"),
    "large number": ('{"a": ' + "9" * 400 + "}", "whole number of 400 digits"),
    "many": ('{"a": [' + "[]," * 5_000_000 + "0]}", "too many values"),
    "list": ("[1]", "a JSON object, got a list"),
    "control": ('{"a\x1b[2J\n', "line 1"),
    "empty": ("", "line 1"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_json_that_no_job_needs_is_refused_in_one_line(tmp_path, fault):
    content, words = BROKEN[fault]
    path = tmp_path / "file.json"
    path.write_text(content)
    with pytest.raises(InputError, match=words) as raised:
        read_json(path, "write it again")
    assert str(raised.value).isprintable() and len(str(raised.value)) < 400
    assert str(raised.value).endswith("; write it again")


def test_json_of_a_cut_line_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(limits, "WHOLE_BYTES", 10)
    assert parse_json(b"[1, 2, 3]", "x", "y") == [1, 2, 3]
    with pytest.raises(InputError, match="too long"):
        parse_json(b"[1, 2, 30]", "x", "y")


def test_json_within_the_limits_is_read(tmp_path):
    path = tmp_path / "file.json"
    value = {"a": json.loads(NESTED[1:-1]), "b": 2**64 - 1, "c": -(2**63), "d": 1e300}
    path.write_text(json.dumps(value))
    assert read_json(path, "write it again") == value


def test_a_number_of_more_than_64_bits_is_a_float():
    # The "no limit" of hub tokenizers.
    value = parse_json(f'{{"model_max_length": {int(1e30)}}}', "a.json", "-")
    assert value == {"model_max_length": 1e30}
    assert isinstance(value["model_max_length"], float)
