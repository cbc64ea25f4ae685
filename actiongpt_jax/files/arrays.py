"""Reads numpy's files without unpickling, within limits.

Source: the format of .npy files as documented in `numpy.lib.format`.
"""

import io
import math
import os
import zipfile
from collections.abc import Iterable

import numpy as np

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.limits import Budget
from actiongpt_jax.files.reading import check_regular, open_file, parsing

_HEADER_BYTES = 1 << 14  # more than numpy accepts
_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npy(path: str | os.PathLike, remedy: str) -> np.ndarray:
    """Maps the array of an npy file into memory, without reading its numbers.

    Args:
        path: the file.
        remedy: what the user can do about a damaged file.

    Returns:
        A read-only array backed by the file.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no regular file, is damaged, or holds Python objects.
    """
    check_regular(path, remedy)
    with parsing(path, "a whole npy file", remedy):
        data = np.asarray(np.memmap(path, np.uint8, "r"))
        return _array(data, str(path), remedy)


def read_npz(
    path: str | os.PathLike, fields: Iterable[str], remedy: str
) -> dict[str, np.ndarray]:
    """Reads the named arrays of an npz archive; names that it lacks are left out.

    Args:
        path: the file.
        fields: names of the arrays to read; no other entry is unpacked.
        remedy: what the user can do about a damaged file.

    Returns:
        Name -> read-only array.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no regular file, is damaged, holds Python objects under one
            of the names, or unpacks to far more than its size.
    """
    arrays = {}
    with open_file(path, remedy) as file, parsing(path, "a whole npz archive", remedy):
        budget = Budget(path, size := os.fstat(file.fileno()).st_size)
        with zipfile.ZipFile(file) as archive:
            entries = {info.filename: info for info in archive.infolist()}
            for field in fields:
                if info := entries.get(f"{field}.npy") or entries.get(field):
                    where = f"{path}: {field}"
                    with parsing(where, "a whole array", remedy):
                        content = unpack(archive, info, budget, size)
                        data = np.frombuffer(content, np.uint8)
                        arrays[field] = _array(data, where, remedy)
    return arrays


def unpack(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget, size: int
) -> bytes:
    """Returns the content of one entry of a zip archive.

    Args:
        archive: the archive.
        info: the entry.
        budget: the budget of the archive's file.
        size: size of that file in bytes.

    Raises:
        InputError: if the entry unpacks to more than the budget has left.
        ValueError: if the entry is damaged, encrypted, or packed in a way that neither
            numpy nor torch uses; zipfile raises further errors for damaged bytes.
    """
    if info.flag_bits & 1:
        raise ValueError(f"the entry {info.filename}, which is encrypted")
    if info.compress_type == zipfile.ZIP_DEFLATED:
        budget.data(info.file_size)
    # Other ways to pack unpack without a limit on what one read returns.
    elif info.compress_type != zipfile.ZIP_STORED or info.file_size > size:
        raise ValueError(f"the entry {info.filename}, which is damaged")
    return archive.read(info)


def _array(data: np.ndarray, where: str, remedy: str) -> np.ndarray:
    """Returns the array in the bytes of an npy file, as a view of them."""
    header = io.BytesIO(data[:_HEADER_BYTES].tobytes())
    try:
        read = _READ_HEADER[np.lib.format.read_magic(header)]
        shape, fortran, dtype = read(header)
    # numpy's parser raises errors of many kinds, and may advise to allow pickles.
    except Exception as error:
        raise ValueError("an array without a valid header") from error
    if dtype.hasobject:
        raise InputError(
            f"{where} must be plain numbers or text, got Python objects, which are"
            " never unpickled; save it as a plain array"
        )
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError("an array whose shape has no whole numbers")
    size = math.prod(shape) * dtype.itemsize
    numbers = data[header.tell() :][:size]
    if dtype.itemsize == 0 or len(numbers) < size:
        raise ValueError("a truncated array")
    return numbers.view(dtype).reshape(shape, order="F" if fortran else "C")
