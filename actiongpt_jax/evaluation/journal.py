"""The journal of an evaluation: one JSON line per motion that has been measured.

Lines are added during the work. If a process is killed while it writes a line, the
incomplete line is removed when the file is next opened. Vectors are stored as float32
numbers in base64.
"""

import base64
import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.jsonl import append_lines, read_lines, repair_end


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

        Raises:
            InputError: if the file was created with another header, or is damaged.
        """
        self.path = pathlib.Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.done: set[str] = set()
        if self.path.exists():
            repair_end(self.path)
        else:
            self.path.touch()
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
        return (line.value for line in read_lines(self.path, remedy))


def _to_line(row: dict[str, Any]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"


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
