"""Reads torch's zip files without torch and without running anything in them.

Tensors are read-only views of the memory-mapped file, so that a checkpoint costs
memory only where it is used.

Source: the archive's layout as described in
https://docs.pytorch.org/docs/stable/notes/serialization.html.
"""

import os
import struct
import zipfile
import zlib
from typing import Any

import numpy as np

from actiongpt_jax import torch_pickle
from actiongpt_jax.errors import InputError

# torch.save before version 1.6 began with a pickled magic number.
_LEGACY_START = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
_LOCAL_HEADER = 30


def read_torch(path: str | os.PathLike) -> Any:
    """Reads what torch.save wrote.

    Args:
        path: of a file in torch's zip format (torch >= 1.6).

    Returns:
        The object saved: dicts, lists, tuples, sets, numbers and texts, and numpy
        arrays for tensors. The arrays are read-only views of the file, which must
        stay as it is while they are used. Attributes of ordered dicts are dropped.

    Raises:
        InputError: if the file is damaged, is not of that format, or holds anything
            but tensors and plain containers; nothing in it is ever called.
        FileNotFoundError: if there is none.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        start = file.read(len(_LEGACY_START))
    if start == _LEGACY_START:
        raise InputError(
            f"{path} must be in torch's zip format, got that of torch before 1.6, which"
            " is not read yet: save it again with a newer torch"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(path, archive).load()
    except InputError:
        raise
    except (
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        OverflowError,
        ValueError,
        zlib.error,
    ) as error:
        raise InputError(
            f"{path} must be a whole file written by torch.save, got one that is cut"
            f" off, damaged or no zip archive ({error}): copy or download it again"
        ) from error


class _Archive:
    def __init__(self, path: str, archive: zipfile.ZipFile):
        self._path = path
        self._archive = archive
        names = archive.namelist()
        pickles = [n for n in names if n.endswith("/data.pkl") and n.count("/") == 1]
        if len(pickles) != 1:
            raise InputError(
                f"{path} must hold one data.pkl as torch.save writes it, got"
                f" {len(pickles)}: give the checkpoint itself"
            )
        self._prefix = pickles[0].removesuffix("data.pkl")
        self._bytes = np.memmap(path, np.uint8, "r").view(np.ndarray)
        order = f"{self._prefix}byteorder"
        self._swapped = order in names and archive.read(order).strip() == b"big"

    def load(self) -> Any:
        name = f"{self._prefix}data.pkl"
        data = self._member(name).tobytes()
        return torch_pickle.interpret(data, f"{self._path} ({name})", self._storage)

    def _storage(self, key: str, dtype: np.dtype, count: int) -> np.ndarray:
        stored = self._member(f"{self._prefix}data/{key}")
        if count < 0 or len(stored) != count * dtype.itemsize:
            raise InputError(
                f"{self._path}: data/{key} must hold {count} numbers of"
                f" {dtype.itemsize} bytes, got {len(stored)} bytes: copy or download"
                " the file again"
            )
        array = stored.view(dtype)
        return array.byteswap() if self._swapped else array

    def _member(self, name: str) -> np.ndarray:
        """Returns the bytes of one entry, mapped where it is not compressed."""
        try:
            info = self._archive.getinfo(name)
        except KeyError as error:
            raise InputError(
                f"{self._path} must hold {name}, which its data.pkl names, got no such"
                " entry: copy or download the file again"
            ) from error
        if info.flag_bits & 1:
            raise InputError(
                f"{self._path} must not be encrypted, got {name} so: decrypt it first"
            )
        if info.compress_type != zipfile.ZIP_STORED:
            return np.frombuffer(self._archive.read(info), np.uint8)
        # The local header repeats the name and has an extra field of its own, which
        # torch uses to align the data.
        header = self._bytes[info.header_offset :][:_LOCAL_HEADER].tobytes()
        if len(header) < _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
            raise zipfile.BadZipFile(f"no entry where {name} should be")
        name_and_extra = sum(struct.unpack("<HH", header[26:]))
        start = info.header_offset + _LOCAL_HEADER + name_and_extra
        stored = self._bytes[start : start + info.file_size]
        if len(stored) != info.file_size:
            raise zipfile.BadZipFile(f"{name} ends early")
        return stored
