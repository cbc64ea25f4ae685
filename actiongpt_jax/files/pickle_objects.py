"""What the names in a pickle stand for: tables of functions written here.

A name that is called must stand in `CALLS`. Any other name that is no part of
Python's own library is only a name, and an object of such a class becomes a
`Foreign`: its parts lie there to be looked at, none of its code exists here.
"""

import pathlib
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

import ml_dtypes
import numpy as np

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
_SCALARS = (str, bytes, int, float, bool, type(None))
# Types of Python's library that objects name; none of them is called.
_PLAIN_TYPES = re.compile(
    r"(builtins|__builtin__)\.(bool|bytes|complex|dict|float|frozenset|int|list|long"
    r"|object|set|str|tuple|unicode)"
    r"|typing\.\w+|argparse\.Namespace|types\.SimpleNamespace"
)
# With the names that Python 2 gave to two of them.
_PYTHON = {*sys.stdlib_module_names, "__builtin__", "copy_reg"}
_NUMBERS = re.compile(r"([biufc])(1|2|4|8|16)")
_TEXTS = re.compile(r"[SU]\d{1,6}")


class Name(str):
    """The dotted name of a Python object; inert."""

    @property
    def is_foreign(self) -> bool:
        """Whether it may stand as a value and name the class of an object."""
        inside = self.partition(".")[0] in _PYTHON
        return bool(_PLAIN_TYPES.fullmatch(self)) if inside else self not in CALLS


class OrderedDict(dict):
    """Stands for an OrderedDict, whose attributes are dropped."""


class Storage(np.ndarray):
    """A flat array that is not yet a tensor."""


class Foreign:
    """An object of a class that is not known here.

    Attributes:
        name: of its class.
        arguments: that it was made with.
        state: its attributes, as its class stored them.
        items: of an object that is a dict too.
        entries: of an object that is a list or a set too.
    """

    def __init__(self, name: str, arguments: tuple = ()):
        """Starts empty; the pickle fills it."""
        self.name, self.arguments = str(name), arguments
        self.state: Any = None
        self.items: dict = {}
        self.entries: list = []

    def __repr__(self) -> str:
        """Returns its name only: its parts may hold it again."""
        return f"<an object of {self.name}>"

    def attribute(self, name: str) -> Any:
        """Returns what its class stored under a name, or None."""
        # Classes with slots store a pair.
        parts = self.state if isinstance(self.state, tuple) else (self.state,)
        found = (
            part[name] for part in parts if isinstance(part, dict) and name in part
        )
        return next(found, None)


class Unfinished:
    """An array or type of numpy, until its state is set."""

    def __init__(self, spec: str | None = None):
        """`spec`: of a type, such as 'f8'; None for an array."""
        self.spec = spec

    def finish(self, state: Any) -> Any:
        """Returns the array or type."""
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
            found = Foreign("numpy.ndarray")
            found.entries = raw if type(raw) is list else []
            return found
        return _numbers(raw, dtype, shape, bool(fortran))


def plain(value: Any, depth: int = 32) -> Any:
    """Returns what an OmegaConf object, or one that is a dict or list, holds.

    Args:
        value: read from a pickle.
        depth: of containers in containers (a pickle may hold itself); what lies
            deeper stays as it is.

    Returns:
        Dicts, lists and values; what is neither stays as it is.
    """
    if depth == 0:
        return value
    if isinstance(value, Foreign):
        if value.name.startswith("omegaconf."):
            part = "_content" if value.name.endswith("Config") else "_val"
            return plain(value.attribute(part), depth - 1)
        if value.name in ("argparse.Namespace", "types.SimpleNamespace"):
            return plain(value.state, depth - 1)
        value = value.items or value.entries or value
    if isinstance(value, dict):
        return {name: plain(part, depth - 1) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, depth - 1) for part in value]
    return value


def key(value: Any) -> Any:
    """Returns a key of a dict or set.

    Raises:
        TypeError: for anything but numbers, texts, names and flat tuples of them.
    """
    # hash() of a deeply nested tuple would overflow the C stack.
    parts = value if type(value) is tuple else (value,)
    if not all(type(part) in (*_SCALARS, Name) for part in parts):
        raise TypeError("a key that is no number or text")
    return value


def _tensor(storage, offset, size, stride, *_) -> np.ndarray:
    if not isinstance(storage, Storage):
        raise TypeError("a tensor without storage")
    if not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
        raise ValueError("offset, sizes or strides that are no whole numbers")
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
        raise TypeError("a parameter that is no tensor")
    return data


def _ordered_dict(items=()) -> OrderedDict:
    return OrderedDict((key(name), value) for name, value in items)


def _default_dict(factory=None) -> dict:
    return {}


def _counts(counts=()) -> dict:
    return {key(name): count for name, count in dict(counts).items()}


def _size(values) -> tuple:
    if not all(type(n) is int for n in values):
        raise TypeError("a size that is no whole numbers")
    return tuple(values)


def _set(values: Iterable) -> set:
    return set(map(key, values))


def _path(*parts: Any) -> str:
    if not all(isinstance(part, str) for part in parts):
        raise TypeError("a path that is no text")
    return str(pathlib.PurePosixPath(*parts))


def _device(*parts: Any) -> str:
    return ":".join(map(str, parts))


def _bytes(text: Any = "", *_: Any) -> bytes:
    # How Python 3 writes bytes for Python 2.
    return text if isinstance(text, bytes) else _latin1(text)


def _object(name: Any, base: Any = None, state: Any = None) -> Foreign:
    if not isinstance(name, Name):
        raise TypeError("an object without a class")
    found = Foreign(name)
    if isinstance(state, dict):
        found.items = state
    elif isinstance(state, list):
        found.entries = state
    return found


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
        raise ValueError("a shape that is no whole numbers")
    # Python 2 stored bytes as text.
    raw = raw if isinstance(raw, bytes | bytearray) else _latin1(raw)
    flat = np.frombuffer(raw, dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _latin1(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError("bytes that are none")
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
