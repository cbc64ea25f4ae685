"""What has been judged so far: one JSON line per motion, added to as work goes on.

A line is written whole or, where a process was killed, cut off when the file is next
opened. Numbers in vectors are float32 in base64.
"""

import base64
import json
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from actiongpt_jax.errors import InputError


class Journal:
    """A file of lines with a `key` each, below a first line that says what they are.

    Attributes:
        path: of the file.
        done: keys of the lines that are there.
    """

    def __init__(self, path: str | os.PathLike, header: dict[str, Any]):
        """Opens the file, or begins it.

        Args:
            path: its folder is made.
            header: what all lines depend on.

        Raises:
            InputError: if the file was begun with another header, or is none.
        """
        self.path = pathlib.Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.done: set[str] = set()
        if not self.path.exists() or not self._restore(header):
            self._write([header], "wb")

    def append(self, rows: Iterable[dict[str, Any]]) -> None:
        """Adds lines and sees them onto the disk."""
        rows = list(rows)
        self._write(rows, "ab")
        self.done.update(row["key"] for row in rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields the lines one at a time: nothing of them is kept."""
        with open(self.path, "rb") as file:
            next(file)
            for line in file:
                yield json.loads(line)

    def _write(self, rows: list[dict[str, Any]], mode: str) -> None:
        text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
        with open(self.path, mode) as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())

    def _restore(self, header: dict[str, Any]) -> bool:
        """Reads the keys; returns False for a file without a whole first line."""
        whole = 0
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise InputError(
                        f"{self.path} line {number} must be JSON, as written by an "
                        "evaluation; delete the file to judge all again"
                    ) from error
                if number == 1 and row != json.loads(json.dumps(header)):
                    raise InputError(
                        f"{self.path} must be of the same evaluation, got another "
                        "one's; delete it to judge all again"
                    )
                if number > 1:
                    self.done.add(row["key"])
                whole += len(line)
        if whole < self.path.stat().st_size:
            os.truncate(self.path, whole)
        return whole > 0


def pack(vectors: np.ndarray) -> dict[str, Any]:
    """Writes an array as JSON; see `unpack`."""
    vectors = np.ascontiguousarray(vectors, "<f4")
    return {
        "shape": list(vectors.shape),
        "float32": base64.b64encode(vectors.tobytes()).decode(),
    }


def unpack(packed: dict[str, Any]) -> np.ndarray:
    """Returns the array that was packed."""
    flat = np.frombuffer(base64.b64decode(packed["float32"]), "<f4")
    return flat.reshape(packed["shape"])
