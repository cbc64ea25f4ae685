"""Golden files, and which of them a number was last read from."""

import pathlib

import numpy as np

# For the parity report: what a comparison is about to be made with.
last_read: list[str] = []


class Case(dict[str, np.ndarray]):
    """The arrays of one file."""

    def __init__(self, name: str, arrays: dict[str, np.ndarray]):
        super().__init__(arrays)
        self._name = name

    def __getitem__(self, key: str) -> np.ndarray:
        last_read[:] = [self._name]
        return super().__getitem__(key)


def load(name: str, path: pathlib.Path) -> Case:
    """Reads an npz under a name for people."""
    with np.load(path) as file:
        return Case(name, dict(file))
