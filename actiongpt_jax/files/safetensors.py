"""Reads safetensors files by memory mapping and writes them piece by piece.

The format is 8 bytes of header length, a JSON header, then the raw arrays. The
`safetensors` library reads and writes whole tensors in memory; stores of many gigabytes
must be read row by row and written shard by shard.

Source: https://github.com/huggingface/safetensors, section Format.
"""

import json
import math
import os
import pathlib
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import replaced

_DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(jnp.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
# The limit that the format sets on headers, in bytes.
_HEADER_LIMIT = 100_000_000


def open_tensors(
    path: str | os.PathLike,
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Maps a file into memory and reads only its header.

    Args:
        path: the file.

    Returns:
        (name -> read-only array backed by the file, metadata of the header).

    Raises:
        InputError: if the file is not a complete safetensors file.
    """
    path = pathlib.Path(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        header_size = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= header_size <= min(size - 8, _HEADER_LIMIT):
            raise _broken(path, "its header is truncated or missing")
        content = file.read(header_size)
    try:
        header = json.loads(content)
    except ValueError as error:
        raise _broken(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _broken(path, "its header is not an object")
    metadata = header.pop("__metadata__", None) or {}
    start = 8 + header_size
    data = np.asarray(np.memmap(path, np.uint8, "r"))[start:]
    return {n: _view(path, n, row, data) for n, row in header.items()}, metadata


def _view(path: pathlib.Path, name: str, row: object, data: np.ndarray) -> np.ndarray:
    try:
        if not isinstance(row, dict):
            raise TypeError("no object")
        dtype = _DTYPES[row["dtype"]]
        begin, end = (int(offset) for offset in row["data_offsets"])
        shape = tuple(int(length) for length in row["shape"])
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(path, f"its entry {name!r} is not valid") from error
    if min(shape, default=0) < 0 or end - begin != math.prod(shape) * dtype.itemsize:
        raise _broken(
            path, f"its entry {name!r} has a size that does not match its shape"
        )
    if not 0 <= begin <= end <= len(data):
        raise _broken(path, f"its data is truncated before the end of tensor {name!r}")
    return data[begin:end].view(dtype).reshape(shape)


def _broken(path: pathlib.Path, why: str) -> InputError:
    return InputError(
        f"{path} must be a whole safetensors file, but {why}; make or download it again"
    )


def write_tensors(
    path: str | os.PathLike,
    tensors: Mapping[str, Sequence[np.ndarray]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes a file piece by piece; the file is complete or absent.

    Args:
        path: the file to write.
        tensors: name -> pieces that are joined along the first axis in the file, but
            never in memory. A tensor has at least one piece; its pieces have the same
            type and the same other axes.
        metadata: name -> text, for the header.

    Raises:
        OSError: an error of the system, with the file's name, for example because the
            disk is full.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata or {})}
    # Wide types come first, as in the library's files, so that every array is aligned.
    names = sorted(tensors, key=lambda name: (-tensors[name][0].itemsize, name))
    offset = 0
    for name in names:
        pieces = tensors[name]
        shape = (sum(len(piece) for piece in pieces), *pieces[0].shape[1:])
        length = math.prod(shape) * pieces[0].itemsize
        header[name] = {
            "dtype": _NAMES[pieces[0].dtype],
            "shape": shape,
            "data_offsets": [offset, offset + length],
        }
        offset += length
    content = json.dumps(header, ensure_ascii=True).encode()
    content += b" " * (-len(content) % 8)
    with replaced(path) as new:
        with new.open("wb") as file:
            file.write(len(content).to_bytes(8, "little") + content)
            for name in names:
                for piece in tensors[name]:
                    raw = np.ascontiguousarray(piece).reshape(-1)
                    file.write(raw.view(np.uint8).data)
