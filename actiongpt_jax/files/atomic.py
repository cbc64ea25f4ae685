"""Writes files so that they are complete or absent, and locks files."""

import contextlib
import errno
import json
import os
import pathlib
import platform
import re
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

import filelock

from actiongpt_jax.errors import InputError

_UNFINISHED = ".new-"
# Errors of writing that other packages report as text only.
_AS_TEXT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Puts a file's name into the system errors of a block.

    Packages that write with code of their own raise errors of their own, with the
    system's words in their text, for example because the disk is full.

    Args:
        path: the file, under the name that the user knows.

    Raises:
        OSError: the error of the block, with `path` as its file name.
    """
    try:
        yield
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number is None:
            text = str(error)
            number = next((n for n in _AS_TEXT if os.strerror(n) in text), None)
        if number is None:  # no error of the system
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


@contextlib.contextmanager
def replaced(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Gives a temporary path to write to, which replaces `path` on success.

    The content is on the disk before the file gets its name. After an error, the old
    file is unchanged.

    Args:
        path: the file to write; its folder is made.

    Yields:
        A path in the same folder with the same suffix; the block must make that file.

    Raises:
        OSError: an error of the system, with the name of `path`, for example because
            the disk is full.
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
    """Removes temporary files that a killed process left in a folder."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        path.unlink()


def write_text(path: str | os.PathLike, text: str | Iterable[str]) -> None:
    """Writes a text file in UTF-8, which is complete or absent.

    Args:
        path: the file to write; its folder is made.
        text: the content, or its pieces in order.

    Raises:
        OSError: an error of the system, with the file's name.
    """
    write_bytes(path, map(str.encode, [text] if isinstance(text, str) else text))


def write_bytes(path: str | os.PathLike, pieces: Iterable[bytes]) -> None:
    """Writes the pieces of a file in order; see `write_text`."""
    with replaced(path) as new, new.open("wb") as file:
        file.writelines(pieces)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes a value as indented JSON; see `write_text`."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def _holder(file: pathlib.Path) -> str | None:
    """Returns what a process wrote into its lock file: its number and machine."""
    try:
        text = file.read_bytes()[:100].decode()
    except (OSError, UnicodeDecodeError):
        return None
    return text if re.fullmatch(r"\d+ on [\w.-]+", text) else None


def publish(unfinished: pathlib.Path, folder: pathlib.Path) -> None:
    """Renames a finished folder; its new name is on the disk when this returns.

    Args:
        unfinished: the finished folder under its temporary name, next to `folder`.
        folder: the new path; it must not exist, or be an empty folder.
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
    """Locks a file or folder against other processes while a block runs.

    The lock is one of the operating system, on the file `.NAME.lock` next to `path`. It
    ends with the process that holds it, even if that is killed; a lock file left by a
    killed process locks nothing.

    Args:
        path: the file or folder to lock; it need not exist; its parent folder is made.
        refusal: the error sentence for a second process; after the words "another
            process", that process's number and machine are added.

    Raises:
        InputError: immediately, with `refusal`, if another process holds the lock.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f".{path.name}.lock")
    lock = filelock.FileLock(file, timeout=0)
    try:
        with naming(file):
            lock.acquire()
    except filelock.Timeout as error:
        if holder := _holder(file):
            refusal = refusal.replace("another process", f"another process ({holder})")
        raise InputError(refusal) from error
    except (NotImplementedError, OSError) as error:
        number = error.errno if isinstance(error, OSError) else errno.ENOSYS
        if number not in _NO_LOCKS:
            raise
        raise InputError(
            f"{path.parent} is on a file system that cannot lock files, so a second"
            " process could write there too; choose a folder on another file system"
        ) from error
    # Only a help for the user: without it, on a full disk, the lock is as good.
    with contextlib.suppress(OSError):
        file.write_text(f"{os.getpid()} on {platform.node()}", encoding="utf-8")
    try:
        yield
    finally:
        # Remove the file while it is locked: a process that has opened it sees that it
        # was removed, and does not use it as the lock. Systems that cannot remove open
        # files keep it.
        with contextlib.suppress(OSError):
            file.unlink()
        lock.release()
