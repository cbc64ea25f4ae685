"""The recorded outputs that travel with the code are part of the whole record."""

import pathlib

import numpy as np
import pytest

from actiongpt_jax.files.torch_reader import read_torch
from tests.golden_files import TRAVELLING, WHOLE, GoldenFiles


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    return GoldenFiles(TRAVELLING, tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="module")
def whole():
    if not WHOLE.is_dir():
        pytest.skip("the whole record of the published code is not on this machine")
    return GoldenFiles(WHOLE, WHOLE)


def assert_leading_rows(array, recorded, name):
    assert array.dtype == recorded.dtype and array.ndim == recorded.ndim, name
    if array.ndim:
        recorded = recorded[: len(array)]
    np.testing.assert_array_equal(array, recorded, err_msg=name)


def cases_of(folder: pathlib.Path):
    files = {path.relative_to(folder) for path in folder.rglob("*.npy")}
    return sorted({"/".join(file.parts[:2]) for file in files})


def test_arrays_are_the_recorded_ones_or_their_first_rows(part, whole):
    cases = cases_of(part.folder)
    assert len(cases) > 30
    for name in cases:
        recorded = whole.load(name)
        for key, array in part.load(name).items():
            assert_leading_rows(array, recorded[key], f"{name}: {key}")


def test_files_are_the_recorded_ones(part, whole):
    files = [path for path in part.folder.rglob("*") if path.is_file()]
    names = {path.relative_to(part.folder) for path in files if path.suffix != ".npy"}
    for name in map(str, names):
        path, recorded = part.path(name), whole.path(name)
        if name.endswith((".ckpt", ".pth.tar")):
            content, original = read_torch(path), read_torch(recorded)
            assert content.keys() == original.keys()
            state, expected = (x.get("state_dict", x) for x in (content, original))
            assert list(state) == list(expected)
            for key, array in expected.items():
                assert_leading_rows(state[key], array, f"{name}: {key}")
                assert len(state[key]) == len(array) or key.endswith(".pe")
            rest = content.keys() - state.keys() - {"state_dict"}
            assert all(content[key] == original[key] for key in rest)
        elif not name.endswith("_params_small.txt"):  # lists the checkpoints' shapes
            assert path.read_bytes() == recorded.read_bytes(), name


def test_recorded_files_are_small():
    sizes = [path.stat().st_size for path in TRAVELLING.rglob("*") if path.is_file()]
    assert max(sizes) <= 1e6 and sum(sizes) <= 6e6
