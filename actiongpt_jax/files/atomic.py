"""Files written as a whole, so that half of one is never seen, and locks on them."""

import contextlib
import json
import os
import pathlib
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

import filelock

from actiongpt_jax.errors import InputError

_UNFINISHED = ".new-"


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Puts a file's name into the system errors of a block.

    Args:
        path: the file as the user knows it.

    Raises:
        OSError: the block's own, with `path` as its file name.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # another package's sentence, not the system's
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextlib.contextmanager
def replaced(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Gives a path to write to, which takes the place of `path` on success.

    What was written is on the disk before it gets its name; after an error there is
    what was there before.

    Args:
        path: the file to write; its folder is made.

    Yields:
        A path in the same folder with the same suffix; the block makes that file.

    Raises:
        OSError: with the name of `path`, e.g. when the disk is full.
    """
    path = pathlib.Path(path)
    unfinished = path.with_name(f"{_UNFINISHED}{secrets.token_hex(8)}{path.suffix}")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield unfinished
            with unfinished.open("r+b") as file:
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def remove_unfinished(folder: pathlib.Path) -> None:
    """Removes what `replaced` left in a folder when its process was killed."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        path.unlink()


def write_text(path: str | os.PathLike, text: str | Iterable[str]) -> None:
    """Writes a text file in UTF-8 as a whole.

    Args:
        path: the file; its folder is made.
        text: its content, or pieces of that in order.

    Raises:
        OSError: with the file's name.
    """
    with replaced(path) as new:
        with new.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines([text] if isinstance(text, str) else text)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes a value as JSON with a short line for each item; see `write_text`."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def publish(unfinished: pathlib.Path, folder: pathlib.Path) -> None:
    """Gives a finished folder its name, and sees the name onto the disk.

    Args:
        unfinished: the folder as it was built, next to `folder`.
        folder: its name from now on; nothing is there, or an empty folder.
    """
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()
    unfinished.replace(folder)
    if os.name == "posix":  # elsewhere folders cannot be opened
        handle = os.open(folder.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def locked(path: str | os.PathLike, refusal: str) -> Iterator[None]:
    """Keeps other processes from a file or folder while a block runs.

    The lock is the operating system's, on the file `.NAME.lock` next to `path`: it goes
    with the process that holds it, however that ends, and a file that a kill left
    behind locks nothing.

    Args:
        path: what is locked; it need not exist, its parent folder is made.
        refusal: the sentence for a process that comes second.

    Raises:
        InputError: with `refusal`, at once, if another process holds the lock.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f".{path.name}.lock")
    lock = filelock.FileLock(file, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise InputError(refusal) from error
    try:
        yield
    finally:
        # Removed while it is held: a process that had opened it sees that it is gone
        # and does not take it for the lock. Where open files stay, so does this one.
        with contextlib.suppress(OSError):
            file.unlink()
        lock.release()
