"""The meaning of names in a pickle: tables of functions written here.

A pickle can only call names in `CALLS`. Any other name outside Python's standard
library stays a name, and an object of such a class becomes a `Foreign`: its parts can
be read, but none of its code exists here.
"""

import datetime
import os
import pathlib
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

import ml_dtypes
import numpy as np

from actiongpt_jax.files.limits import DEPTH, Budget

_STORAGES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
    "ComplexFloatStorage": np.complex64,
    "ComplexDoubleStorage": np.complex128,
}
STORAGE_TYPES = {f"torch.{name}": np.dtype(t) for name, t in _STORAGES.items()}
_KEY_PARTS = 16
_SCALARS = (str, bytes, int, float, bool, type(None))
# Types of the standard library that objects may name; none of them is called.
_PLAIN_TYPES = re.compile(
    r"(builtins|__builtin__)\.(bool|bytes|complex|dict|float|frozenset|int|list|long"
    r"|object|set|str|tuple|unicode)"
    r"|typing\.\w+|argparse\.Namespace|types\.SimpleNamespace"
)
# Modules of the standard library, two of them under their names in Python 2.
_PYTHON = {*sys.stdlib_module_names, "__builtin__", "copy_reg"}
_NUMBERS = re.compile(r"([biufc])(1|2|4|8|16)")
_TEXTS = re.compile(r"[SU]\d{1,6}")


class Name(str):
    """The dotted name of a Python object; inert."""

    @property
    def is_foreign(self) -> bool:
        """Whether it may be a value, and the class of an object."""
        inside = self.partition(".")[0] in _PYTHON
        return bool(_PLAIN_TYPES.fullmatch(self)) if inside else self not in CALLS


class OrderedDict(dict):
    """Replaces an OrderedDict, whose attributes are dropped."""


class Storage(np.ndarray):
    """A flat array of numbers, of which tensors are views."""


class Foreign:
    """An object of a class that is not known here.

    Attributes:
        name: name of its class.
        arguments: arguments that it was made with.
        state: its attributes, in the form in which its class stored them.
        items: key -> value, if the object is a dict too.
        entries: elements, if the object is a list or a set too.
    """

    def __init__(self, name: str, arguments: tuple = ()):
        """Makes an empty object, which the pickle fills."""
        self.name, self.arguments = str(name), arguments
        self.state: Any = None
        self.items: dict = {}
        self.entries: list = []

    def __repr__(self) -> str:
        """Returns its name only, because its parts may contain the object itself."""
        return f"<an object of {self.name}>"

    def attribute(self, name: str) -> Any:
        """Returns the attribute that its class stored under a name, or None."""
        # Classes with slots store a pair of dicts.
        parts = self.state if isinstance(self.state, tuple) else (self.state,)
        values = (
            part[name] for part in parts if isinstance(part, dict) and name in part
        )
        return next(values, None)


class Unfinished:
    """A numpy array or type whose state is not set yet."""

    def __init__(self, spec: str | None = None):
        """Makes a type from its `spec`, such as 'f8'; None makes an array."""
        self.spec = spec
        # Places in the pickle's memo that hold this object.
        self.places: list[int] = []

    def finish(self, state: Any) -> Any:
        """Returns the array or type with its state."""
        if type(state) is not tuple or len(state) < 5:
            raise TypeError("a numpy object without a state")
        return self._array(*state) if self.spec is None else self._type(*state)

    def _type(self, version: Any, order: Any, *parts: Any) -> Any:
        if any(part is not None for part in parts[:3]) or order not in tuple("<>|="):
            raise ValueError("an array of records")
        if self.spec == "O8":
            return Foreign("numpy.dtype", (self.spec,))
        return np.dtype(self.spec).newbyteorder(order)

    def _array(self, version: Any, shape: Any, dtype: Any, fortran: Any, raw: Any):
        if not isinstance(dtype, np.dtype):
            objects = Foreign("numpy.ndarray")
            objects.entries = raw if type(raw) is list else []
            return objects
        return _numbers(raw, dtype, shape, bool(fortran))


def plain(value: Any, where: str | os.PathLike) -> Any:
    """Turns OmegaConf objects, and objects that are dicts or lists, into plain values.

    Args:
        value: a value read from a pickle or a YAML file.
        where: name of the file, for errors.

    Returns:
        A tree of dicts and lists of texts, numbers, bytes and None. Arrays and other
        objects are replaced by a text, and what is nested too deeply by "...",
        because a pickle may contain itself.

    Raises:
        InputError: if the tree would be huge, because a pickle may repeat its parts.
    """
    return _plain(value, Budget(where), DEPTH)


def _plain(value: Any, budget: Budget, depth: int) -> Any:
    # A value of the tree counts as much as a text of ten characters.
    budget.nodes(len(value) if isinstance(value, str | bytes) else 10)
    if depth == 0:
        return "..."
    if isinstance(value, Foreign):
        if value.name.startswith("omegaconf."):
            part = "_content" if value.name.endswith("Config") else "_val"
            return _plain(value.attribute(part), budget, depth - 1)
        if value.name in ("argparse.Namespace", "types.SimpleNamespace"):
            return _plain(value.state, budget, depth - 1)
        value = value.items or value.entries or value
    if isinstance(value, dict):
        return {
            _plain(name, budget, 1): _plain(part, budget, depth - 1)
            for name, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(part, budget, depth - 1) for part in value]
    if type(value) in _SCALARS:
        return value
    is_text = isinstance(value, str | Foreign | datetime.date)
    return str(value) if is_text else f"<{type(value).__name__}>"


def key(value: Any) -> Any:
    """Returns a value after checking that it can be a key of a dict or set.

    Raises:
        TypeError: for anything but numbers, texts, names and short flat tuples of them.
    """
    # hash() of a deeply nested tuple would overflow the C stack, and many large numbers
    # have the same hash.
    parts = value if type(value) is tuple else (value,)
    for part in parts[:_KEY_PARTS]:
        large = type(part) is int and not -(2**63) <= part < 2**64
        if large or type(part) not in (*_SCALARS, Name):
            raise TypeError("a key that is not a number or text")
    if len(parts) > _KEY_PARTS:
        raise TypeError("a key of many parts")
    return value


def _tensor(storage, offset, size, stride, *_) -> np.ndarray:
    if not isinstance(storage, Storage):
        raise TypeError("a tensor without storage")
    if not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
        raise ValueError("offset, sizes or strides that are not whole numbers")
    flat = storage.view(np.ndarray)
    reach = sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 in size:
        return np.zeros(size, flat.dtype)
    if offset + reach >= len(flat):
        raise ValueError("a tensor that reaches beyond its storage")
    steps = [step * flat.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(flat[offset:], size, steps, writeable=False)


def _parameter(data, *_) -> np.ndarray:
    if not isinstance(data, np.ndarray) or isinstance(data, Storage):
        raise TypeError("a parameter that is not a tensor")
    return data


def _ordered_dict(items=()) -> OrderedDict:
    return OrderedDict((key(name), value) for name, value in items)


def _default_dict(factory=None) -> dict:
    return {}


def _counts(counts=()) -> dict:
    pairs = counts.items() if isinstance(counts, dict) else counts
    return {key(name): count for name, count in pairs}


def _size(values) -> tuple:
    if not all(type(n) is int for n in values):
        raise TypeError("a size with numbers that are not whole")
    return tuple(values)


def _set(values: Iterable) -> set:
    return set(map(key, values))


def _path(*parts: Any) -> str:
    if not all(isinstance(part, str) for part in parts):
        raise TypeError("a path that is not a text")
    return str(pathlib.PurePosixPath(*parts))


def _device(*parts: Any) -> str:
    if not all(type(part) in (str, int) for part in parts):
        raise TypeError("a device that is not a text and a number")
    return ":".join(map(str, parts))


def _bytes(text: Any = "", *_: Any) -> bytes:
    # Python 3 writes bytes as text in protocols that Python 2 can read.
    return text if isinstance(text, bytes) else _latin1(text)


def _object(name: Any, base: Any = None, state: Any = None) -> Foreign:
    if not isinstance(name, Name):
        raise TypeError("an object without a class")
    foreign = Foreign(name)
    if isinstance(state, dict):
        foreign.items = state
    elif isinstance(state, list):
        foreign.entries = state
    return foreign


def _numpy_type(spec: Any, *_: Any) -> Unfinished:
    spec = spec.decode("ascii") if isinstance(spec, bytes) else spec
    known = _NUMBERS.fullmatch(spec) or _TEXTS.fullmatch(spec) or spec == "O8"
    if not known:
        raise ValueError(f"numbers of type {spec!r}")
    return Unfinished(spec)


def _numpy_array(*_: Any) -> Unfinished:
    return Unfinished()


def _numpy_scalar(dtype: Any, raw: Any = b"") -> Any:
    return _numbers(raw, dtype, (), False).item()


def _numpy_buffer(raw: Any, dtype: Any, shape: Any, order: Any = "C") -> np.ndarray:
    return _numbers(raw, dtype, shape, order == "F")


def _numbers(raw: Any, dtype: Any, shape: Any, fortran: bool) -> np.ndarray:
    if not isinstance(dtype, np.dtype) or not isinstance(shape, tuple):
        raise TypeError("an array without type and shape")
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("a shape with numbers that are not whole")
    # Python 2 stored bytes as text.
    raw = raw if isinstance(raw, bytes | bytearray) else _latin1(raw)
    flat = np.frombuffer(raw, dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _latin1(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError("bytes that are neither bytes nor text")
    return text.encode("latin-1")


CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "collections.defaultdict": _default_dict,
    "collections.Counter": _counts,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _size,
    "torch.device": _device,
    "builtins.set": _set,
    "__builtin__.set": _set,
    "builtins.bytearray": _bytes,
    "builtins.bytes": _bytes,
    "__builtin__.bytes": _bytes,
    "_codecs.encode": _bytes,
    "copyreg._reconstructor": _object,
    "copy_reg._reconstructor": _object,
    **{
        f"pathlib.{kind}Path": _path
        for kind in ("", "Pure", "Posix", "Windows", "PurePosix", "PureWindows")
    },
    "numpy.dtype": _numpy_type,
    **{
        f"numpy.{core}.{name}": function
        for core in ("core", "_core")
        for name, function in (
            ("multiarray._reconstruct", _numpy_array),
            ("multiarray.scalar", _numpy_scalar),
            ("numeric._frombuffer", _numpy_buffer),
        )
    },
}
