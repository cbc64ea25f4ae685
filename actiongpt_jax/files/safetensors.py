"""Reads safetensors files by memory mapping and writes them piece by piece.

The format is 8 bytes of header length, a JSON header, then the raw arrays. The
`safetensors` library reads and writes whole tensors in memory; stores of many gigabytes
must be read row by row and written shard by shard.

Source: https://github.com/huggingface/safetensors, section Format.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from actiongpt_jax.files.atomic import replaced
from actiongpt_jax.files.reading import open_file, parse_json, parsing

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
_WHAT, _REMEDY = "a whole safetensors file", "make or download it again"
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
    with open_file(path, _REMEDY) as file, parsing(path, _WHAT, _REMEDY):
        start = 8 + int.from_bytes(file.read(8), "little")
        data = np.asarray(np.memmap(file, np.uint8, "r"))
        if not 10 <= start <= min(len(data), 8 + _HEADER_LIMIT):
            raise ValueError("its header is truncated or missing")
        header = parse_json(data[8:start].tobytes(), f"{path} (header)", _REMEDY)
        metadata = header.pop("__metadata__", None) or {}
        if not all(isinstance(text, str) for text in metadata.values()):
            raise TypeError("its metadata are not texts")
        rows = header.items()
        return {name: _view(name, row, data[start:]) for name, row in rows}, metadata


def _view(name: str, row: dict[str, Any], data: np.ndarray) -> np.ndarray:
    dtype = _DTYPES[row["dtype"]]
    shape, (begin, end) = row["shape"], row["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError(f"its entry {name!r} is not valid")
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"the size of its entry {name!r} does not match its shape")
    if end > len(data):
        raise ValueError(f"its data is truncated before the end of tensor {name!r}")
    return data[begin:end].view(dtype).reshape(shape)


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
