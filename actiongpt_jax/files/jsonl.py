"""Reads and appends JSON lines: files with one JSON value per line.

A process that is killed while it appends leaves a truncated last line, without a line
end. Readers report where that is; the next writer removes it.
"""

import codecs
import functools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

from actiongpt_jax.errors import InputError
from actiongpt_jax.files import limits
from actiongpt_jax.files.atomic import naming, write_bytes
from actiongpt_jax.files.reading import open_file, parse_json

_TAIL_BLOCK = 1 << 16
_SHOWN_BYTES = 40


class Line(NamedTuple):
    """A line of a file.

    Attributes:
        file: the file.
        number: number of the line, from 1.
        value: the JSON value of the line.
        end: number of bytes from the start of the file to the end of this line.
    """

    file: str | os.PathLike
    number: int
    value: Any
    end: int

    @property
    def where(self) -> str:
        """`file:number`, for error sentences."""
        return f"{self.file}:{self.number}"


class Truncated(NamedTuple):
    """A last line without a line end that is not valid JSON.

    Attributes:
        where: `file:number`, for error sentences.
        content: the bytes of the line.
    """

    where: str
    content: bytes


def read_lines(
    path: str | os.PathLike,
    remedy: str,
    on_truncated: Callable[[Truncated], object] | None = None,
) -> Iterator[Line]:
    """Reads a file line by line; blank lines and a byte order mark are skipped.

    Args:
        path: the file.
        remedy: end of the error sentence: what the user can do about a damaged line.
        on_truncated: called with a truncated last line, which is then skipped; None
            treats such a line as damaged.

    Yields:
        The lines, including a last line that lacks only its line end.

    Raises:
        InputError: if a line is not valid JSON; names the file and the line.
    """
    end = 0
    with open_file(path, remedy) as file:
        for number, content in enumerate(split_lines(file), start=1):
            end += len(content)
            content = content if end > len(content) else _without_mark(content)
            if not content.strip():
                continue
            try:
                value = parse_json(content, path, remedy)
            except InputError as error:
                where = f"{path}:{number}"
                if on_truncated is not None and not content.endswith(b"\n"):
                    on_truncated(Truncated(where, content))
                    return
                raise InputError(
                    f"{where} must be one JSON value, got {content[:_SHOWN_BYTES]!r};"
                    f" {remedy}"
                ) from error
            yield Line(path, number, value, end)


def split_lines(file: BinaryIO) -> Iterator[bytes]:
    """Reads lines of bytes; one that is too long is cut, and so is no JSON value."""
    return iter(functools.partial(file.readline, limits.WHOLE_BYTES), b"")


def _without_mark(content: bytes) -> bytes:
    return content.removeprefix(codecs.BOM_UTF8)


def keep_whole_lines(
    path: str | os.PathLike, is_whole: Callable[[Any], bool]
) -> str | None:
    """Makes a file hold complete lines only, so that a job can go on from them.

    A truncated last line, which a killed process leaves, is removed. Other damaged
    lines are moved to the end of `NAME.damaged` next to the file.

    Args:
        path: the file, which is replaced if it has a damaged line.
        is_whole: says whether the JSON value of a line is one of this file.

    Returns:
        A sentence about the damaged lines; None if there are none.
    """
    repair_end(path)
    damaged: dict[int, bytes] = {}
    count = 0
    with open_file(path, "move it away") as file:
        for count, content in enumerate(split_lines(file), start=1):
            value = _parsed(content)
            if content.strip() and (value is _NOTHING or not is_whole(value)):
                damaged[count] = content
    if not damaged:
        return None
    aside = pathlib.Path(f"{path}.damaged")
    with naming(aside), aside.open("ab") as file:
        file.writelines(damaged.values())
        file.flush()
        os.fsync(file.fileno())
    with open_file(path, "move it away") as file:
        lines = enumerate(split_lines(file), start=1)
        write_bytes(path, (line for number, line in lines if number not in damaged))
    return (
        f"{path} had {len(damaged)} damaged of {count} lines, which"
        f" were moved to {aside}; the others are used"
    )


def repair_end(path: str | os.PathLike) -> None:
    """Makes a file end with a complete line, so that lines can be appended.

    A truncated last line is removed; a last line that lacks only its line end gets one.
    """
    tail, is_whole = _unended(path)
    if not tail:
        return
    with naming(path), open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if is_whole:
            file.write(b"\n")
        else:
            file.truncate(size - len(tail))
        file.flush()
        os.fsync(file.fileno())


def truncated_end(path: str | os.PathLike) -> bytes:
    """Returns the last line of a file if it is truncated, else nothing."""
    tail, is_whole = _unended(path)
    return b"" if is_whole else tail


def _unended(path: str | os.PathLike) -> tuple[bytes, bool]:
    """Returns what follows the last line end, and whether that is a JSON value."""
    with open_file(path, "move it away") as file, naming(path):
        size = file.seek(0, os.SEEK_END)
        tail = b""
        while len(tail) < size and b"\n" not in tail:
            start = max(0, size - len(tail) - _TAIL_BLOCK)
            file.seek(start)
            tail = file.read(size - len(tail) - start) + tail
    tail = tail[tail.rfind(b"\n") + 1 :]
    if len(tail) == size:
        tail = _without_mark(tail)
    return tail, _parsed(tail) is not _NOTHING


def append_lines(path: str | os.PathLike, lines: Iterable[str]) -> None:
    """Appends lines to a file; all of them are on the disk when this returns.

    Args:
        path: a file that ends with a complete line (see `repair_end`), or a new file.
        lines: the lines, each with its line end.

    Raises:
        OSError: an error of the system, with the file's name, for example because the
            disk is full; the file then keeps its old content only.
    """
    with naming(path), pathlib.Path(path).open("ab", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        try:
            rest = memoryview("".join(lines).encode())
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(size)
            raise


_NOTHING = object()


def _parsed(content: bytes) -> Any:
    """Returns the JSON value of a line, or `_NOTHING` if it has none."""
    try:
        return parse_json(content, "", "")
    except InputError:
        return _NOTHING
