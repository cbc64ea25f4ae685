"""Reading JSON, and JSON lines: files of one value a line, which only grow.

A process that is killed while it adds lines leaves a truncated last one, without its
line end. Readers say where that is; the next writer cuts it off.
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
        where: `file:number`, for messages.
        value: what its JSON holds.
        end: bytes of the file up to the end of this line.
    """

    where: str
    value: Any
    end: int


class Truncated(NamedTuple):
    """A last line without line end that is not JSON.

    Attributes:
        where: `file:number`, for messages.
        content: what is there of it.
    """

    where: str
    content: bytes


def read_object(path: str | os.PathLike, remedy: str) -> dict[str, Any]:
    """Reads a file of one JSON object.

    Args:
        path: the file.
        remedy: what the user can do about a damaged file; it ends the sentence.

    Raises:
        InputError: naming the place of the first fault.
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
    """Reads a file line by line; lines of blanks are left out.

    Args:
        path: the file.
        remedy: what the user can do about a damaged line; it ends the sentence.
        on_truncated: called with a truncated last line, which is left out; None takes
            it for damage like any other.

    Yields:
        The lines; a last line that only lacks its line end is one of them.

    Raises:
        InputError: naming file and line, if a line is not JSON.
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
    """Makes a file end in a whole line, so that lines can be added.

    A truncated last line is cut off; one that lacks only its line end gets that.
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
    """Adds lines to a file; they are on the disk, or not at all, when this returns.

    Args:
        path: the file, which ends in a whole line (see `repair_end`), or a new one.
        lines: each with its line end.

    Raises:
        OSError: with the file's name, e.g. when the disk is full; what was there
            before stays whole.
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
