"""Loads golden files, and records which file was read last."""

import pathlib

import numpy as np

# Name of the file that was read last, for the parity report.
last_read: list[str] = []


class Case(dict[str, np.ndarray]):
    """The arrays of one golden file."""

    def __init__(self, name: str, arrays: dict[str, np.ndarray]):
        super().__init__(arrays)
        self._name = name

    def __getitem__(self, key: str) -> np.ndarray:
        last_read[:] = [self._name]
        return super().__getitem__(key)


def load(name: str, path: pathlib.Path) -> Case:
    """Reads an npz file; `name` is its name in reports."""
    with np.load(path) as file:
        return Case(name, dict(file))
