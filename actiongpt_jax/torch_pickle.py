"""Interprets the pickle of a torch file; cannot call or import anything.

Opcodes act on a stack of plain values. The few globals that checkpoints need are
names looked up in a table of functions written here; any other name is refused the
moment it is read.

Source: the opcodes as documented in Python's `pickletools`.
"""

import pickletools
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from actiongpt_jax.errors import InputError

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
_STORAGE_TYPES = {f"torch.{name}": np.dtype(t) for name, t in _STORAGES.items()}
_SCALARS = (str, bytes, int, float, bool, type(None))
_MARK = object()

# (key, type, number of elements) -> flat array.
ReadStorage = Callable[[str, np.dtype, int], np.ndarray]


def interpret(data: bytes, where: str, read_storage: ReadStorage) -> Any:
    """Returns the object that a pickle describes.

    Args:
        data: the pickle.
        where: names its file in errors.
        read_storage: fetches the numbers of a tensor.

    Returns:
        Dicts, lists, tuples, sets, numbers, texts; arrays for tensors.

    Raises:
        InputError: if it describes anything else.
    """
    return _Machine(where, read_storage).run(data)


class _Global(str):
    """The dotted name of a Python object; inert."""


class _OrderedDict(dict):
    """Stands for an OrderedDict; the only thing whose state may be set."""


class _Storage(np.ndarray):
    """A flat array that is not yet a tensor."""


class _Machine:
    def __init__(self, where: str, read_storage: ReadStorage):
        self._where = where
        self._read_storage = read_storage
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        try:
            for opcode, argument, _ in pickletools.genops(data):
                self._step(opcode.name, argument)
            (result,) = self._values(self._stack)
        except InputError:
            raise
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            raise InputError(
                f"{self._where} must be a pickle as torch.save writes it, got one that"
                f" is damaged or made by hand ({error}); nothing was run: get the file"
                " again"
            ) from error
        return result

    def _refuse(self, what: str) -> InputError:
        return InputError(
            f"{self._where} must hold only tensors and plain containers, got {what};"
            " refused: nothing was run"
        )

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in _GROUPS:
            stack.append(_GROUPS[name](self._pop(_COUNTS.get(name))))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name in ("APPEND", "APPENDS"):
            values = self._pop(1 if name == "APPEND" else None)
            self._top(list).extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = self._pop(2 if name == "SETITEM" else None)
            self._top(dict).update(_pairs(values))
        elif name == "ADDITEMS":
            values = self._pop(None)
            self._top(set).update(map(_key, values))
        elif name == "GLOBAL":
            stack.append(self._global(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(self._global(module, attribute))
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            if not isinstance(function, _Global) or function not in _CALLS:
                raise self._refuse("a call of something that is no function")
            stack.append(_CALLS[function](*arguments))
        elif name == "BUILD":
            stack.pop()
            if not isinstance(stack[-1], _OrderedDict):
                raise self._refuse("an object with a state of its own")
        elif name == "INST":
            raise self._refuse(f"{argument.replace(' ', '.')} (opcode INST)")
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise self._refuse(f"the opcode {name}")

    def _pop(self, count: int | None) -> list[Any]:
        """Takes the last `count` values off the stack, or those after the mark."""
        stack = self._stack
        if count is None:
            start = next(i for i in _downwards(stack) if stack[i] is _MARK)
            values = stack[start + 1 :]
            del stack[start:]
        else:
            values = stack[-count:]
            if len(values) < count:
                raise IndexError("too few values on the stack")
            del stack[-count:]
        return self._values(values)

    def _values(self, values: list[Any]) -> list[Any]:
        for value in values:
            if value is _MARK:
                raise ValueError("a mark among values")
            # A storage type is the one name that is a value, in a persistent id.
            if isinstance(value, _Global) and value not in _STORAGE_TYPES:
                raise self._refuse(str(value))
        return values

    def _top(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise TypeError(f"no {kind.__name__} to fill")
        return self._stack[-1]

    def _global(self, module: Any, name: Any) -> _Global:
        if type(module) is not str or type(name) is not str:
            raise TypeError("a global whose name is no text")
        dotted = _Global(f"{module}.{name}")
        if dotted not in _CALLS and dotted not in _STORAGE_TYPES:
            raise self._refuse(str(dotted))
        return dotted

    def _storage(self, identity: Any) -> _Storage:
        if (
            type(identity) is not tuple
            or len(identity) != 5
            or type(identity[0]) is not str
            or identity[0] != "storage"
            or not isinstance(identity[1], _Global)
            or type(identity[2]) is not str
            or type(identity[4]) is not int
        ):
            raise TypeError(
                "a persistent id other than ('storage', type, key, device, n)"
            )
        _, kind, key, _, count = identity
        return self._read_storage(key, _STORAGE_TYPES[kind], count).view(_Storage)


def _downwards(stack: list[Any]):
    yield from range(len(stack) - 1, -1, -1)
    raise ValueError("no mark on the stack")


def _tensor(storage, offset, size, stride, *_) -> np.ndarray:
    if not isinstance(storage, _Storage):
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
    if not isinstance(data, np.ndarray) or isinstance(data, _Storage):
        raise TypeError("a parameter that is no tensor")
    return data


def _ordered_dict(items=()) -> _OrderedDict:
    return _OrderedDict((_key(key), value) for key, value in items)


def _size(values) -> tuple:
    if not all(type(n) is int for n in values):
        raise TypeError("a size that is no whole numbers")
    return tuple(values)


def _set(values) -> set:
    return set(map(_key, values))


def _pairs(values: list[Any]) -> dict:
    return {
        _key(key): value for key, value in zip(values[::2], values[1::2], strict=True)
    }


def _key(value: Any) -> Any:
    # hash() of a deeply nested tuple would overflow the C stack.
    parts = value if type(value) is tuple else (value,)
    if not all(type(part) in _SCALARS for part in parts):
        raise TypeError("a key that is no number or text")
    return value


_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _size,
    "builtins.set": _set,
    "__builtin__.set": _set,
}
_LITERALS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT UNICODE BINUNICODE"
    " SHORT_BINUNICODE BINUNICODE8 STRING BINSTRING SHORT_BINSTRING BINBYTES"
    " SHORT_BINBYTES BINBYTES8".split()
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "MARK": _MARK}
_EMPTY = {
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
_GROUPS = {
    "TUPLE": tuple,
    "TUPLE1": tuple,
    "TUPLE2": tuple,
    "TUPLE3": tuple,
    "LIST": list,
    "DICT": _pairs,
}
_COUNTS = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
