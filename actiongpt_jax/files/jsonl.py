"""Reads JSON, and reads and appends JSON lines: files with one JSON value per line.

A process that is killed while it appends leaves a truncated last line, without a line
end. Readers report where that is; the next writer removes it.
"""

import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import naming

_TAIL_BLOCK = 1 << 16
_SHOWN_BYTES = 40


class Line(NamedTuple):
    """A line of a file.

    Attributes:
        where: `file:number`, for error sentences.
        value: the JSON value of the line.
        end: number of bytes from the start of the file to the end of this line.
    """

    where: str
    value: Any
    end: int


class Truncated(NamedTuple):
    """A last line without a line end that is not valid JSON.

    Attributes:
        where: `file:number`, for error sentences.
        content: the bytes of the line.
    """

    where: str
    content: bytes


def read_object(path: str | os.PathLike, remedy: str) -> dict[str, Any]:
    """Reads a file of one JSON object.

    Args:
        path: the file.
        remedy: end of the error sentence: what the user can do about a damaged file.

    Raises:
        InputError: if the file is not valid; names the place of the first fault.
    """
    try:
        value = json.loads(pathlib.Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        nested = isinstance(error, RecursionError)
        fault = "brackets nested too deeply" if nested else error
        raise InputError(
            f"{path} must be JSON in UTF-8, got {fault}; {remedy}"
        ) from error
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise InputError(f"{path} must be a JSON object, got a {kind}; {remedy}")
    return value


def read_lines(
    path: str | os.PathLike,
    remedy: str,
    on_truncated: Callable[[Truncated], object] | None = None,
) -> Iterator[Line]:
    """Reads a file line by line; blank lines are skipped.

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
    with open(path, "rb") as file:
        for number, content in enumerate(file, start=1):
            end += len(content)
            if not content.strip():
                continue
            where = f"{path}:{number}"
            try:
                value = json.loads(content)
            except (ValueError, RecursionError) as error:
                if on_truncated is not None and not content.endswith(b"\n"):
                    on_truncated(Truncated(where, content))
                    return
                raise InputError(
                    f"{where} must be one JSON value, got {content[:_SHOWN_BYTES]!r};"
                    f" {remedy}"
                ) from error
            yield Line(where, value, end)


def repair_end(path: str | os.PathLike) -> None:
    """Makes a file end with a complete line, so that lines can be appended.

    A truncated last line is removed; a last line that lacks only its line end gets one.
    """
    with open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        tail = b""
        while len(tail) < size and b"\n" not in tail:
            start = max(0, size - len(tail) - _TAIL_BLOCK)
            file.seek(start)
            tail = file.read(size - len(tail) - start) + tail
        tail = tail[tail.rfind(b"\n") + 1 :]
        if not tail:
            return
        if _is_json(tail):
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
        else:
            file.truncate(size - len(tail))
        file.flush()
        os.fsync(file.fileno())


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


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True
