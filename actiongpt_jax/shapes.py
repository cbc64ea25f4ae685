"""Shapes of arrays: checked where arrays come in, and padded to few different ones.

Every shape that a compiled function has not seen yet is compiled again, so sizes are
rounded up before arrays are padded to them.
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
        name: what the message calls the array.
        array: the numpy or JAX array.
        axes: a word for each axis, such as "... T 22 3": a number is the size of the
            axis, a name stands for any size, "..." in front for any leading axes.
        sizes: sizes that names already stand for, as the check of another array
            returned them.
        remedy: what to do about a wrong shape; ends the message.

    Returns:
        `sizes` with the size of every further name; "..." has a tuple.

    Raises:
        InputError: if the shape is another one.
    """
    words, shape = axes.split(), tuple(np.shape(array))
    known = dict(sizes or {})
    pieces: list[Any] = list(shape)
    if words[0] == "...":
        lead = max(len(shape) - len(words) + 1, 0)
        pieces = [shape[:lead], *shape[lead:]]
    fits = len(pieces) == len(words)
    found = dict(known)
    for word, size in zip(words, pieces, strict=False):
        wanted = int(word) if word.isdigit() else found.setdefault(word, size)
        fits = fits and wanted == size
    if fits:
        return found
    expected = []
    for word in words:
        size = known.get(word, word)
        expected += map(str, size) if isinstance(size, tuple) else [str(size)]
    listed = ", ".join(expected) + ("," if len(expected) == 1 else "")
    advice = f"; {remedy}" if remedy else ""
    raise InputError(f"{name} must have shape ({listed}), got {shape}{advice}")


def round_up(size: SizeT, multiple: int) -> SizeT:
    """Returns the smallest multiple that is not below a size, or not below each."""
    return -(-size // multiple) * multiple


def next_power_of_two(size: int) -> int:
    """Returns the smallest power of two that is not below a size of at least 1."""
    return 1 << (size - 1).bit_length()


def stack_padded(
    arrays: Sequence[Shaped[np.ndarray, "_ ..."]],
    length: int,
    rows: int | None = None,
    *,
    fill: float | None = 0,
    dtype: Any = np.float32,
) -> tuple[Shaped[np.ndarray, "b n ..."], Bool[np.ndarray, "b n"]]:
    """Stacks arrays of different lengths.

    Args:
        arrays: (n_i, ...) at least one; they differ in their first axis at most.
        length: N, to which each array is padded; none is longer.
        rows: B, to which the stack is padded with rows without a real entry; None
            adds none.
        fill: what padding holds; None repeats the last entry of each array, of which
            there must be one.
        dtype: of the stack.

    Returns:
        The stack (B, N, ...) and (B, N) bool, True where it holds a real entry.
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
