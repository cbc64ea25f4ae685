"""Files are complete or absent, and a lock ends with its process."""

import os
import signal
import stat
import subprocess
import sys

import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import (
    locked,
    naming,
    publish,
    remove_unfinished,
    replaced,
    write_json,
    write_text,
)

HOLDER = """
import sys
from actiongpt_jax.files.atomic import locked
with locked(sys.argv[1], "refused"):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_file_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with replaced(path) as new:
        new.write_text("half")
        assert not path.exists() and new.parent == path.parent
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


def test_error_leaves_the_old_file_unchanged(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyError):
        with replaced(path) as new:
            new.write_text("half")
            raise KeyError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_errors_name_the_requested_file(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a.txt", tmp_path):
        with pytest.raises(OSError) as raised:
            write_text(path, "x")
        assert raised.value.filename == str(path) and raised.value.errno
    with pytest.raises(FileNotFoundError) as raised:
        with naming("mine"):
            os.stat(tmp_path / "absent")
    assert raised.value.filename == "mine"


def test_text_and_json_are_written_in_utf8(tmp_path):
    write_text(tmp_path / "a.txt", (line for line in ("é\n", "b\n")))
    assert (tmp_path / "a.txt").read_bytes() == "é\nb\n".encode()
    write_json(tmp_path / "a.json", {"a": [1]})
    assert (tmp_path / "a.json").read_text() == '{\n "a": [\n  1\n ]\n}\n'


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_file_mode_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_unfinished_files_are_removed(tmp_path):
    (tmp_path / ".new-01.txt").write_text("half")
    (tmp_path / "a.txt").write_text("whole")
    remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("there", [True, False])
def test_publish_renames_a_folder(tmp_path, there):
    unfinished, folder = tmp_path / "a.partial", tmp_path / "a"
    unfinished.mkdir()
    (unfinished / "x").write_text("")
    if there:
        folder.mkdir()
    publish(unfinished, folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "x"]


def test_second_lock_is_refused_immediately(tmp_path):
    path = tmp_path / "new" / "store"
    with locked(path, "refused"):
        with pytest.raises(InputError, match="^refused$"):
            with locked(path, "refused"):
                pass
        with locked(tmp_path / "new" / "other", "refused"):
            pass
    with locked(path, "refused"):
        pass
    assert list(path.parent.iterdir()) == []


def test_lock_ends_with_a_killed_process(tmp_path):
    path = tmp_path / "store"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    for _ in range(2):  # being refused changes nothing for the next one
        with pytest.raises(InputError, match=f"by another process .{holder.pid} on "):
            with locked(path, "refused, held by another process"):
                pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".store.lock").exists()
    with locked(path, "refused"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_stale_lock_file_locks_nothing(tmp_path):
    (tmp_path / ".store.lock").write_text("4711")
    with locked(tmp_path / "store", "refused"):
        pass
