"""Safetensors files: compatibility with the `safetensors` library, and damage."""

import json

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.safetensors import open_tensors, write_tensors

ARRAYS = st.sampled_from([np.float32, np.float16, np.int64]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(max_dims=3, max_side=4))
)


@given(st.dictionaries(st.text(min_size=1).filter(str.isprintable), ARRAYS, max_size=4))
def test_files_are_compatible_with_the_library(tmp_path_factory, tensors):
    tensors.pop("__metadata__", None)
    folder = tmp_path_factory.mktemp("tensors")
    write_tensors(folder / "ours", {n: [t] for n, t in tensors.items()}, {"a": "é"})
    theirs = safetensors.numpy.load_file(folder / "ours")
    assert set(theirs) == set(tensors)
    safetensors.numpy.save_file(tensors, folder / "theirs")
    for path in (folder / "ours", folder / "theirs"):
        read, _ = open_tensors(path)
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(read[name], tensor)
    assert open_tensors(folder / "ours")[1] == {"a": "é"}


def test_pieces_are_joined_and_arrays_are_views_of_the_file(tmp_path):
    path = tmp_path / "pieces"
    pieces = [np.ones((2, 3), np.float16), np.zeros((0, 3), np.float16)]
    write_tensors(path, {"x": pieces, "n": [np.arange(3)]})
    read, _ = open_tensors(path)
    assert read["x"].shape == (2, 3)
    assert not read["x"].flags.writeable
    base = read["x"]
    while isinstance(base.base, np.ndarray):
        base = base.base
    # Nothing was loaded: the arrays are views of the memory map.
    assert type(base.base).__name__ == "mmap"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x10",
        b"version https://git-lfs.github.com/spec/v1",
        (20).to_bytes(8, "little") + b"{",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{x",
    ],
)
def test_other_files_are_rejected(content, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match="whole safetensors file|header"):
        open_tensors(path)


@pytest.mark.parametrize(
    "row",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 80]},
        {"dtype": "F32", "shape": [20], "data_offsets": [0, 80]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]},
        {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]},
        {"dtype": "object", "shape": [1], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [1]},
        ["F32"],
    ],
)
def test_inconsistent_headers_are_rejected(row, tmp_path):
    path = tmp_path / "file"
    header = json.dumps({"x": row}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 8)
    with pytest.raises(InputError, match="whole safetensors file|header"):
        open_tensors(path)
