"""Reads files of body models without running any code in them.

Source: the fields of SMPL's and SMPL-H's files, and the classes of chumpy and scipy
that their pickles refer to.
"""

import pathlib
from typing import Any

import numpy as np
import scipy.sparse

from actiongpt_jax.errors import InputError, check_choice
from actiongpt_jax.files import pickle_machine
from actiongpt_jax.files.arrays import read_npz
from actiongpt_jax.files.pickle_objects import Foreign
from actiongpt_jax.files.reading import read_bytes
from actiongpt_jax.shapes import check_shape

GENDERS = ("neutral", "male", "female")
FLOATS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights")
_FIELDS = (*FLOATS, "kintree_table", "f")
# V vertices, J joints, S shape coefficients, P = 9 (J - 1) pose coefficients.
_AXES = {
    "v_template": "V 3",
    "weights": "V J",
    "shapedirs": "V 3 S",
    "posedirs": "V 3 P",
    "J_regressor": "J V",
    "kintree_table": "2 J",
}
_SPARSE = {
    "csc_matrix": scipy.sparse.csc_array,
    "csr_matrix": scipy.sparse.csr_array,
}
_LARGEST_PICKLE = 1 << 30  # SMPL-X's has half of it
_REMEDY = "use the file of SMPL or SMPL-H as published by its authors"
_SUFFIXES = (".npz", ".pkl")


def choose(path: pathlib.Path, gender: str | None) -> pathlib.Path:
    """Selects the file of a gender; arguments and errors are those of `body.load`."""
    check_choice("gender", gender, (*GENDERS, None))
    if not path.is_dir():
        return path
    files = sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES)
    if gender is not None:
        files = [p for p in files if _gender(p.relative_to(path)) == gender]
    if len(files) != 1:
        names = ", ".join(str(p.relative_to(path)) for p in files[:6]) or "none"
        raise InputError(
            f"{path} must hold one body model ({' or '.join(_SUFFIXES)}) of gender "
            f"{gender or 'any'}, got {names}; pass the path of the file itself"
        )
    return files[0]


def _gender(path: pathlib.Path) -> str | None:
    """Returns the gender that the words of a path name; the last such word wins."""
    words = str(path.with_suffix("")).lower()
    for mark in ("/", "\\", "-", ".", " "):
        words = words.replace(mark, "_")
    short = {name[0]: name for name in GENDERS} | {name: name for name in GENDERS}
    genders = [short[word] for word in words.split("_") if word in short]
    return genders[-1] if genders else None


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads and checks the fields of a body model.

    Args:
        path: the file to read.

    Returns:
        v_template (V, 3), shapedirs (V, 3, S), posedirs (V, 3, 9 (J - 1)),
        J_regressor (J, V), weights (V, J), kintree_table (2, J), f (F, 3).

    Raises:
        InputError: if the file cannot be read, is damaged, or would run code.
    """
    if path.suffix not in _SUFFIXES:
        raise InputError(
            f"{path} must be a body model as {' or '.join(_SUFFIXES)}, got another "
            "kind of file; use SMPL's or SMPL-H's file as published by its authors"
        )
    try:
        if path.suffix == ".npz":
            fields = read_npz(path, _FIELDS, _REMEDY)
        else:
            fields = _read_pickle(path)
    except FileNotFoundError as error:
        raise InputError(f"{path} must exist, got: {error.strerror}") from error
    missing = [name for name in _FIELDS if name not in fields]
    if missing:
        raise InputError(
            f"{path} must hold the fields {', '.join(_FIELDS)} of a body model, could "
            f"not find {', '.join(missing)}; use SMPL's or SMPL-H's file"
        )
    arrays = {name: _array(fields[name], f"{path}: {name}") for name in _FIELDS}
    _check(arrays, path)
    return arrays


def _read_pickle(path: pathlib.Path) -> dict[str, Any]:
    content = read_bytes(path, _REMEDY, _LARGEST_PICKLE)
    fields = pickle_machine.interpret(
        content, str(path), expected="a body model's pickle as its authors wrote it"
    )
    if not isinstance(fields, dict):
        raise InputError(
            f"{path} must hold a dict of arrays, got a {type(fields).__name__}; use a "
            "body model's file"
        )
    return fields


def _array(value: Any, where: str, depth: int = 8) -> np.ndarray:
    """Turns an array, a sparse matrix or a chumpy object into a plain array."""
    if isinstance(value, Foreign) and depth:
        kind = value.name.rpartition(".")[2]
        try:
            if value.name.startswith("scipy.sparse.") and kind in _SPARSE:
                parts = tuple(
                    _array(value.attribute(n), where, 0)
                    for n in ("data", "indices", "indptr")
                )
                shape = value.attribute("_shape")
                return _SPARSE[kind](parts, shape=shape).toarray()
            if value.name == "chumpy.reordering.Select":
                chosen = _array(value.attribute("a"), where, depth - 1).ravel()
                chosen = chosen[_array(value.attribute("idxs"), where, 0)]
                shape = value.attribute("preferred_shape")
                return chosen if shape is None else chosen.reshape(shape)
            if value.name.startswith("chumpy."):
                return _array(value.attribute("x"), where, depth - 1)
        except (ValueError, TypeError, IndexError) as error:
            raise InputError(
                f"{where} must be an array, got a damaged {value} ({error}); "
                "download the file again"
            ) from error
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise InputError(
            f"{where} must be an array of numbers, got "
            f"{value.dtype if isinstance(value, np.ndarray) else repr(value)[:60]}; "
            "use the file as published by its authors"
        )
    return value


def _check(arrays: dict[str, np.ndarray], path: pathlib.Path) -> None:
    sizes, remedy = {}, "use a body model's file"
    for name, axes in _AXES.items():
        sizes = check_shape(f"{path}: {name}", arrays[name], axes, sizes, remedy)
        if name == "weights":
            sizes["P"] = 9 * (sizes["J"] - 1)
        if not np.isfinite(arrays[name]).all():
            raise InputError(
                f"{path}: {name} must be finite, got NaN or infinity; download the "
                "file again"
            )
    parents = arrays["kintree_table"][0]
    for joint in range(1, sizes["J"]):
        if not 0 <= parents[joint] < joint:
            raise InputError(
                f"{path}: kintree_table must give joint {joint} a parent before it, "
                f"got {parents[joint]}; use a body model's file"
            )
