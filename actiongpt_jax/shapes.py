"""Checks the shapes of arrays and pads arrays to a small number of shapes.

A compiled function is compiled again for every new shape, so sizes are rounded up
before arrays are padded to them.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Shaped

from actiongpt_jax.errors import InputError

SizeT = TypeVar("SizeT", int, np.ndarray)


def check_shape(
    name: str,
    array: Any,
    axes: str,
    sizes: dict[str, Any] | None = None,
    remedy: str = "",
) -> dict[str, Any]:
    """Checks the shape of an array; works on traced arrays too.

    Args:
        name: name of the array in the error message.
        array: the numpy or JAX array.
        axes: one word per axis, such as "... T 22 3": a number is the size of the
            axis, a name stands for any size, and a leading "..." for any leading axes.
        sizes: axis name -> size for names that are already bound, as returned by the
            check of another array.
        remedy: what to do about a wrong shape; it ends the error message.

    Returns:
        `sizes` extended by the size of every new name; "..." maps to a tuple.

    Raises:
        InputError: if the shape does not match `axes` and `sizes`.
    """
    words, shape = axes.split(), tuple(np.shape(array))
    known = dict(sizes or {})
    pieces: list[Any] = list(shape)
    if words[0] == "...":
        lead = max(len(shape) - len(words) + 1, 0)
        pieces = [shape[:lead], *shape[lead:]]
    fits = len(pieces) == len(words)
    bound = dict(known)
    for word, size in zip(words, pieces, strict=False):
        required = int(word) if word.isdigit() else bound.setdefault(word, size)
        fits = fits and required == size
    if fits:
        return bound
    expected = []
    for word in words:
        size = known.get(word, word)
        expected += map(str, size) if isinstance(size, tuple) else [str(size)]
    listed = ", ".join(expected) + ("," if len(expected) == 1 else "")
    advice = f"; {remedy}" if remedy else ""
    raise InputError(f"{name} must have shape ({listed}), got {shape}{advice}")


def round_up(size: SizeT, multiple: int) -> SizeT:
    """Rounds a size, or each size of an array, up to a multiple of `multiple`."""
    return -(-size // multiple) * multiple


def next_power_of_two(size: int) -> int:
    """Rounds a size of at least 1 up to a power of two."""
    return 1 << (size - 1).bit_length()


def stack_padded(
    arrays: Sequence[Shaped[np.ndarray, "_ ..."]],
    length: int,
    rows: int | None = None,
    *,
    fill: float | None = 0,
    dtype: Any = np.float32,
) -> tuple[Shaped[np.ndarray, "b n ..."], Bool[np.ndarray, "b n"]]:
    """Stacks arrays of different lengths into one padded array.

    Args:
        arrays: at least one array (n_i, ...); only the first axes may differ.
        length: N, the length to which each array is padded; at least every n_i.
        rows: B, the number of rows of the stack, padded with rows that hold no real
            entry; None adds no rows.
        fill: value of the padding; None repeats the last entry of each array, which
            must then not be empty.
        dtype: element type of the stack.

    Returns:
        The stack (B, N, ...), and a mask (B, N) that is True for real entries.
    """
    rows = len(arrays) if rows is None else rows
    stacked = np.full(
        (rows, length, *arrays[0].shape[1:]), 0.0 if fill is None else fill, dtype
    )
    mask = np.zeros((rows, length), bool)
    for row, array in enumerate(arrays):
        stacked[row, : len(array)] = array
        mask[row, : len(array)] = True
        if fill is None:
            stacked[row, len(array) :] = array[-1]
    return stacked, mask
