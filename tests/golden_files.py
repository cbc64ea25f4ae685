"""Reads recorded outputs of the published code: golden files.

The whole record is large and lies next to the repository, where it is present. A part
of it travels with the code: the archives in tests/golden.
"""

import pathlib
import tarfile

import numpy as np
import pytest

TESTS = pathlib.Path(__file__).resolve().parent
SHARED = TESTS.parents[1] / "shared"
WHOLE, TRAVELLING = SHARED / "golden", TESTS / "golden"
# Name of the file that was read last, for the parity report.
last_read: list[str] = []


class Case(dict[str, np.ndarray]):
    """The arrays of one golden file."""

    def __init__(self, name: str, arrays: dict[str, np.ndarray], whole: bool):
        super().__init__(arrays)
        self._name, self._whole = name, whole

    def __getitem__(self, key: str) -> np.ndarray:
        last_read[:] = [self._name]
        return super().__getitem__(key)

    def __missing__(self, key: str):
        if self._whole:
            raise KeyError(f"{self._name} has no {key}")
        pytest.skip(f"{self._name}: {key} is only in the whole record")


class GoldenFiles:
    """A folder of golden files."""

    def __init__(self, folder: pathlib.Path, unpacked: pathlib.Path):
        """Opens a folder, and unpacks its archives, if any, to `unpacked`."""
        archives = sorted(folder.glob("*.tar.xz"))
        self.whole = not archives
        self.folder = folder if self.whole else unpacked
        for archive in archives:
            with tarfile.open(archive) as file:
                file.extractall(unpacked, filter="data")

    def path(self, name: str) -> pathlib.Path:
        """Returns the path of a file or folder; skips the test if it is absent."""
        path = self.folder / name
        if not path.exists():
            where = (
                "here" if self.whole else "in tests/golden, only in the whole record"
            )
            pytest.skip(f"{name} is not {where} (recorded outputs of published code)")
        return path

    def load(self, name: str) -> Case:
        """Returns the arrays of a file, such as 'temos_teach/rotations'."""
        if self.whole:
            with np.load(self.path(f"{name}.npz")) as file:
                return Case(name, dict(file), whole=True)
        folder = self.path(name)
        arrays = {
            path.relative_to(folder).with_suffix("").as_posix(): np.load(path)
            for path in folder.rglob("*.npy")
        }
        return Case(name, arrays, whole=False)
