"""Interprets the pickle of a torch file without calling or importing anything in it.

Opcodes act on a stack of plain values. Names that a file may call are looked up in a
table of functions written here; a call of any other name is refused as soon as it is
read. Other objects become inert placeholders; see `pickle_objects`.

Source: the opcodes as documented in Python's `pickletools`.
"""

import codecs
import io
import pickletools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.limits import Budget
from actiongpt_jax.files.pickle_objects import (
    CALLS,
    STORAGE_TYPES,
    Foreign,
    Name,
    OrderedDict,
    Storage,
    Unfinished,
    key,
)
from actiongpt_jax.files.reading import parsing

_MARK = object()
_LONGEST_NAME = 400

# (key, type, number of elements) -> flat array.
ReadStorage = Callable[[str, np.dtype, int], np.ndarray]


def interpret(
    data: bytes,
    where: str,
    read_storage: ReadStorage | None = None,
    expected: str = "a pickle as torch.save writes it",
) -> Any:
    """Returns the object that a pickle describes.

    Args:
        data: the pickle; bytes after its end are ignored.
        where: name of its file, for errors.
        read_storage: reads the numbers of a tensor; None if tensors are not allowed.
        expected: what the file should be, for errors.

    Returns:
        Dicts, lists, tuples, sets, numbers, texts; arrays for tensors and numpy's
        arrays; `pickle_objects.Foreign` for objects of other classes.

    Raises:
        InputError: if the pickle calls anything else, is damaged, or describes far more
            than a real one.
    """
    budget = Budget(where, len(data))
    with parsing(where, expected, "nothing in it was run; download the file again"):
        return _Machine(where, read_storage, budget).run(data)


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, where: str, read_storage: ReadStorage | None, budget: Budget):
        self._where = where
        self._read_storage = read_storage
        self._budget = budget
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for name, argument in _operations(data):
            self._budget.nodes(1)
            self._step(name, argument)
        (result,) = self._values(self._stack)
        return result

    def _refuse(self, what: str) -> InputError:
        return InputError(
            f"{self._where} must hold only tensors, plain containers and objects"
            f" without code, got {what}; refused: nothing was run"
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
            self._remember(argument)
        elif name == "MEMOIZE":
            self._remember(len(self._memo))
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
            self._top(set).update(map(key, values))
        elif name == "GLOBAL":
            stack.append(self._name(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(self._name(module, attribute))
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            if not isinstance(function, Name):
                raise self._refuse("a call of something that is not a function")
            if function not in CALLS:
                raise self._refuse(f"a call of {function}")
            self._pay(arguments)
            stack.append(CALLS[function](*arguments))
            self._pay_repeats(stack[-1], arguments)
        elif name == "NEWOBJ":
            arguments, kind = stack.pop(), stack.pop()
            if not isinstance(kind, Name) or not kind.is_foreign:
                raise self._refuse("an object of something that is not a class")
            self._pay(arguments)
            stack.append(Foreign(kind, tuple(arguments)))
        elif name == "BUILD":
            self._build(stack.pop())
        elif name == "INST":
            raise self._refuse(f"{argument.replace(' ', '.')} (opcode INST)")
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise self._refuse(f"the opcode {name}")

    def _remember(self, place: int) -> None:
        self._memo[place] = top = self._stack[-1]
        if isinstance(top, Unfinished):
            top.places.append(place)

    def _pay(self, arguments: Any) -> None:
        """Counts what a call may walk through or copy; it may be called often."""
        self._budget.nodes(len(arguments))
        for part in arguments:
            if isinstance(part, str | bytes | bytearray):
                self._budget.data(len(part))
            elif isinstance(part, list | tuple | dict | set | frozenset):
                self._budget.nodes(len(part))

    def _pay_repeats(self, value: Any, arguments: Any) -> None:
        """Counts the bytes by which a tensor is larger than what it is a view of."""
        if isinstance(value, np.ndarray):
            self._budget.data(max(0, value.nbytes - getattr(arguments[0], "nbytes", 0)))

    def _build(self, state: Any) -> None:
        top = self._stack[-1]
        if isinstance(top, Foreign):
            top.state = state
        elif isinstance(top, Unfinished):
            self._stack[-1] = finished = top.finish(state)
            for place in top.places:
                if self._memo[place] is top:
                    self._memo[place] = finished
        elif not isinstance(top, OrderedDict):
            raise self._refuse("a state for an object that cannot have one")

    def _pop(self, count: int | None) -> list[Any]:
        """Pops the last `count` values; with None, the values after the mark."""
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
            if isinstance(value, Name) and not value.is_foreign:
                raise self._refuse(value)
            if isinstance(value, Unfinished):
                raise TypeError("a numpy object without its numbers")
        return values

    def _top(self, kind: type) -> Any:
        top = self._stack[-1]
        if isinstance(top, Foreign) and kind is dict:
            return top.items
        if isinstance(top, Foreign) and kind is list:
            return top.entries
        if not isinstance(top, kind):
            raise TypeError(f"there is no {kind.__name__} to fill")
        return top

    def _name(self, module: Any, name: Any) -> Name:
        if type(module) is not str or type(name) is not str:
            raise TypeError("a name that is not a text")
        if len(module) + len(name) > _LONGEST_NAME:
            raise ValueError("a name that is too long")
        dotted = Name(f"{module}.{name}")
        if dotted not in CALLS and not dotted.is_foreign:
            raise self._refuse(str(dotted))
        return dotted

    def _storage(self, identity: Any) -> Storage:
        # In old files a sixth part describes a storage that is a part of another one.
        if self._read_storage is None or type(identity) is not tuple:
            raise TypeError("a persistent id that is not allowed here")
        if (
            len(identity) not in (5, 6)
            or type(identity[0]) is not str
            or identity[0] != "storage"
            or not isinstance(identity[1], Name)
            or type(identity[2]) is not str
            or type(identity[4]) is not int
            or identity[5:] not in ((), (None,))
        ):
            raise TypeError(
                "a persistent id other than ('storage', type, key, device, n)"
            )
        _, kind, name, _, count = identity[:5]
        return self._read_storage(name, STORAGE_TYPES[kind], count).view(Storage)


def _operations(data: bytes) -> Iterator[tuple[str, Any]]:
    """Yields the name and the argument of each opcode of a pickle."""
    stream = io.BytesIO(data)
    while code := stream.read(1):
        opcode = _OPCODES[code.decode("latin-1")]
        if opcode.name == "STRING":
            # A text of Python 2, in which numpy stored the bytes of arrays.
            yield opcode.name, _python2_text(stream.readline())
            continue
        yield opcode.name, opcode.arg.reader(stream) if opcode.arg else None
        if opcode.name == "STOP":
            return
    raise ValueError("it is truncated")


def _python2_text(line: bytes) -> str:
    line = line.strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("a text without its quotes")
    return codecs.escape_decode(line[1:-1])[0].decode("latin-1")


def _downwards(stack: list[Any]):
    yield from range(len(stack) - 1, -1, -1)
    raise ValueError("no mark on the stack")


def _pairs(values: list[Any]) -> dict:
    return {
        key(name): value for name, value in zip(values[::2], values[1::2], strict=True)
    }


_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}
_LITERALS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 FLOAT BINFLOAT UNICODE BINUNICODE"
    " SHORT_BINUNICODE BINUNICODE8 STRING BINSTRING SHORT_BINSTRING BINBYTES"
    " SHORT_BINBYTES BINBYTES8 BYTEARRAY8".split()
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
    "FROZENSET": lambda values: frozenset(map(key, values)),
}
_COUNTS = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
