"""Reads torch's files without torch, and without running any code in them.

Tensors are read-only views of the memory-mapped file, so that a checkpoint needs memory
only for the parts that are used.

Source: https://docs.pytorch.org/docs/stable/notes/serialization.html for the layout of
the archive; torch.save with `_use_new_zipfile_serialization=False` for older files.
"""

import mmap
import os
import pickletools
import struct
import zipfile
from typing import Any, BinaryIO

import numpy as np

from actiongpt_jax.errors import InputError
from actiongpt_jax.files import pickle_machine as torch_pickle
from actiongpt_jax.files.arrays import unpack
from actiongpt_jax.files.limits import Budget
from actiongpt_jax.files.reading import open_file, parsing

# Files of torch.save before version 1.6 begin with a pickled magic number and version.
_LEGACY_START = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
_LEGACY_VERSION = 1001
_LOCAL_HEADER = 30
_LONGEST_ORDER = 16
_WHAT = "a whole file written by torch.save"
_REMEDY = "copy or download it again"


def read_torch(path: str | os.PathLike) -> Any:
    """Reads a file that torch.save wrote.

    Args:
        path: a file in torch's zip format, or in the format of torch before 1.6.

    Returns:
        The saved object: dicts, lists, tuples, sets, numbers and texts, numpy arrays
        for tensors, and `pickle_objects.Foreign` for objects of other classes. The
        arrays are read-only views of the file, which must not change while they are
        used. Attributes of ordered dicts are dropped.

    Raises:
        InputError: if the file is damaged, has neither format, or calls any function
            that does not make tensors or plain containers. No function in a file is
            ever called.
        FileNotFoundError: if there is no such file.
    """
    return TorchFile(path).content


class TorchFile:
    """A file of torch.save, mapped into memory.

    Attributes:
        content: the saved object; see `read_torch`.
    """

    def __init__(self, path: str | os.PathLike):
        """Opens a file; `read_torch` documents the argument and the errors."""
        path = os.fspath(path)
        with open_file(path, _REMEDY) as file, parsing(path, _WHAT, _REMEDY):
            start = file.read(len(_LEGACY_START))
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            kind = _Legacy if start == _LEGACY_START else _Archive
            self.content = kind(path, file, self._map).load()

    def forget(self) -> None:
        """Releases the mapped pages; they are reloaded on access."""
        if hasattr(mmap, "MADV_DONTNEED"):  # Windows has no such call
            self._map.madvise(mmap.MADV_DONTNEED)


class _Legacy:
    """The format before torch 1.6: five pickles in a row, then the storages."""

    def __init__(self, path: str, file: BinaryIO, content: mmap.mmap):
        self._path = path
        self._content = content
        self._bytes = np.frombuffer(content, np.uint8)
        # Name -> start of a storage's numbers in the file, and name -> type and count.
        self._places: dict[str, int] = {}
        self._kinds: dict[str, tuple[np.dtype, int]] = {}

    def load(self) -> Any:
        content, ends = self._content, [0]
        budget = Budget(self._path)
        for _ in range(5):
            ends.append(_end_of_pickle(content, ends[-1], budget))
        version, facts, saved, names = (
            content[a:b] for a, b in zip(ends[1:], ends[2:], strict=False)
        )
        facts = self._interpret(facts, "its facts")
        if self._interpret(version, "its version") != _LEGACY_VERSION:
            raise ValueError("the version of its format is unknown")
        if not isinstance(facts, dict) or not facts.get("little_endian", False):
            raise ValueError("its numbers are not little-endian")
        # The first pass finds the types of the storages, and so the place of each.
        self._interpret(saved, "its pickle")
        position = ends[-1]
        for name in self._interpret(names, "its list of storages"):
            dtype, count = self._kinds[name]
            stored = int.from_bytes(content[position : position + 8], "little")
            if stored != count:
                raise ValueError(f"storage {name} has {stored} numbers, not {count}")
            self._places[name] = position + 8
            position += 8 + count * dtype.itemsize
        if position > len(content):
            raise ValueError("its last storages are missing")
        return self._interpret(saved, "its pickle")

    def _interpret(self, data: bytes, part: str) -> Any:
        where = f"{self._path} ({part})"
        return torch_pickle.interpret(data, where, self._storage)

    def _storage(self, name: str, dtype: np.dtype, count: int) -> np.ndarray:
        if self._kinds.setdefault(name, (dtype, count)) != (dtype, count):
            raise ValueError(f"storage {name} has two different types")
        if not 0 <= count * dtype.itemsize <= len(self._bytes):
            raise ValueError(f"storage {name} is larger than the file")
        start = self._places.get(name, 0)  # any numbers do for the first pass
        return self._bytes[start : start + count * dtype.itemsize].view(dtype)


def _end_of_pickle(content: mmap.mmap, start: int, budget: Budget) -> int:
    content.seek(start)
    stream: Any = content
    for opcode, _, _ in pickletools.genops(stream):
        budget.nodes(1)
        if opcode.name == "STOP":
            return content.tell()
    raise ValueError("its pickle is truncated")


class _Archive:
    """The zip format of torch since 1.6: a pickle, and an entry for each storage."""

    def __init__(self, path: str, file: BinaryIO, content: mmap.mmap):
        self._path = path
        self._archive = zipfile.ZipFile(file)
        self._bytes = np.frombuffer(content, np.uint8)
        self._budget = Budget(path, len(content))
        # Unpacked entries, and storages in the byte order of this machine.
        self._members: dict[str, np.ndarray] = {}
        self._storages: dict[tuple[str, np.dtype], np.ndarray] = {}
        names = self._archive.namelist()
        pickles = [n for n in names if n.endswith("/data.pkl") and n.count("/") == 1]
        if len(pickles) != 1:
            raise InputError(
                f"{path} must hold one data.pkl as torch.save writes it, got"
                f" {len(pickles)}; give the checkpoint itself"
            )
        self._prefix = pickles[0].removesuffix("data.pkl")
        order = f"{self._prefix}byteorder"
        self._swapped = False
        if order in names:
            self._swapped = self._member(order)[:_LONGEST_ORDER].tobytes() == b"big"

    def load(self) -> Any:
        name = f"{self._prefix}data.pkl"
        data = self._member(name).tobytes()
        return torch_pickle.interpret(data, f"{self._path} ({name})", self._storage)

    def _storage(self, key: str, dtype: np.dtype, count: int) -> np.ndarray:
        stored = self._member(f"{self._prefix}data/{key}")
        if count < 0 or len(stored) != count * dtype.itemsize:
            raise InputError(
                f"{self._path}: data/{key} must hold {count} numbers of"
                f" {dtype.itemsize} bytes, got {len(stored)} bytes; copy or download"
                " the file again"
            )
        if (key, dtype) not in self._storages:
            array = stored.view(dtype)
            self._storages[key, dtype] = array.byteswap() if self._swapped else array
        return self._storages[key, dtype]

    def _member(self, name: str) -> np.ndarray:
        """Returns the bytes of one entry, memory-mapped unless it is compressed."""
        try:
            info = self._archive.getinfo(name)
        except KeyError as error:
            raise InputError(
                f"{self._path} must hold {name}, which its data.pkl names, got no such"
                " entry; copy or download the file again"
            ) from error
        if info.flag_bits & 1 or info.compress_type != zipfile.ZIP_STORED:
            if name not in self._members:
                size = len(self._bytes)
                content = unpack(self._archive, info, self._budget, size)
                self._members[name] = np.frombuffer(content, np.uint8)
            return self._members[name]
        # The local header repeats the name and has another extra field, with which
        # torch aligns the data.
        header = self._bytes[info.header_offset :][:_LOCAL_HEADER].tobytes()
        if len(header) < _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
            raise zipfile.BadZipFile(f"there is no entry at the place of {name}")
        name_and_extra = sum(struct.unpack("<HH", header[26:]))
        start = info.header_offset + _LOCAL_HEADER + name_and_extra
        stored = self._bytes[start : start + info.file_size]
        if len(stored) != info.file_size:
            raise zipfile.BadZipFile(f"{name} is truncated")
        return stored
