"""The journal of an evaluation: one JSON line per motion that has been measured.

Lines are added during the work. If a process is killed while it writes a line, the
incomplete line is removed when the file is next opened. Every line has a checksum: a
damaged line is moved to another file, and its motion is measured again. Vectors are
stored as float32 numbers in base64.
"""

import base64
import contextlib
import itertools
import json
import os
import pathlib
import warnings
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import locked
from actiongpt_jax.files.jsonl import append_lines, keep_whole_lines, read_lines

_CHECKSUM = "crc"


class Journal:
    """A file whose first line is a header and whose other lines have a `key` each.

    Attributes:
        path: the file.
        done: keys of the lines in the file.
    """

    def __init__(self, path: str | os.PathLike, header: dict[str, Any]):
        """Opens the file, or creates it.

        Args:
            path: the file; its folder is made.
            header: everything that the lines depend on.

        A warning names the file to which damaged lines were moved.

        Raises:
            InputError: if the file was created with another header, or another process
                is adding lines to it.
        """
        self.path = pathlib.Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.done: set[str] = set()
        with self.locked():
            self._open(header)

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Locks the file against other processes, for as long as lines are added.

        Raises:
            InputError: on entering, if another process evaluates the same.
        """
        return locked(
            self.path,
            f"{self.path} is being written by another process; wait for it, or "
            "stop it and run this command again",
        )

    def _open(self, header: dict[str, Any]) -> None:
        if not os.path.lexists(self.path):
            self.path.touch()
        if note := keep_whole_lines(self.path, _Whole()):
            warnings.warn(f"{note}; the rest is measured again", stacklevel=3)
        rows = self._rows()
        first = next(rows, None)
        if first is None:
            append_lines(self.path, [_to_line(header)])
        elif first != json.loads(json.dumps(header)):
            raise InputError(
                f"{self.path} belongs to a different evaluation; delete it to start"
                " over"
            )
        self.done.update(row["key"] for row in rows)

    def append(self, rows: Iterable[dict[str, Any]]) -> None:
        """Adds lines; they are on the disk when this returns."""
        rows = list(rows)
        append_lines(self.path, map(_to_line, rows))
        self.done.update(row["key"] for row in rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields the lines one at a time, so that memory never holds all of them."""
        return itertools.islice(self._rows(), 1, None)

    def _rows(self) -> Iterator[dict[str, Any]]:
        remedy = "delete the file to evaluate everything again"
        for line in read_lines(self.path, remedy):
            yield {name: x for name, x in line.value.items() if name != _CHECKSUM}


class _Whole:
    """Says whether a line is whole: it has its checksum, and comes after a header."""

    def __init__(self):
        self._has_header = False

    def __call__(self, row: Any) -> bool:
        if not isinstance(row, dict) or row.pop(_CHECKSUM, None) != _checksum(row):
            return False
        is_row = isinstance(row.get("key"), str)
        self._has_header = self._has_header or not is_row
        return self._has_header


def _checksum(row: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(row).encode())


def _to_line(row: dict[str, Any]) -> str:
    # Values such as tuples get the form in which the line will be read.
    row = json.loads(json.dumps(row, allow_nan=False))
    return json.dumps({**row, _CHECKSUM: _checksum(row)}) + "\n"


def pack(vectors: np.ndarray) -> dict[str, Any]:
    """Returns an array in a form that JSON can hold; `unpack` reverses it."""
    vectors = np.ascontiguousarray(vectors, "<f4")
    return {
        "shape": list(vectors.shape),
        "float32": base64.b64encode(vectors.tobytes()).decode(),
    }


def unpack(packed: dict[str, Any]) -> np.ndarray:
    """Returns the array that `pack` was given."""
    flat = np.frombuffer(base64.b64decode(packed["float32"]), "<f4")
    return flat.reshape(packed["shape"])
