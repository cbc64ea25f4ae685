"""Limits on what one file may make its reader do.

A few hundred bytes can describe billions of objects or terabytes of zeros. Readers
count what they make, and refuse what no real file needs.
"""

import os

from actiongpt_jax.errors import InputError

# Largest file that is read whole, in bytes; arrays are mapped or read in parts.
WHOLE_BYTES = 1 << 28
# Depth of nested lists and objects; a config has 3, BABEL 5, a tokenizer about 10.
DEPTH = 32
# Values in one JSON document, which the parser makes at about 10 million a second.
JSON_VALUES = 10_000_000
# Values in one pickle or YAML file; a checkpoint of this project's models has 1e4.
_NODES = 1_000_000
# A file may unpack to this many bytes, or to this many times its size. Weights and
# motions hardly shrink when they are compressed.
_UNPACKED_BYTES, _UNPACKED_TIMES = 1 << 28, 20


class Budget:
    """What is left of the objects and bytes that a file may unpack to."""

    def __init__(self, where: str | os.PathLike, size: int = 0):
        """Starts a budget.

        Args:
            where: name of the file, for errors.
            size: size of the file in bytes.
        """
        self._where = where
        self._nodes = _NODES
        self._data = max(_UNPACKED_BYTES, _UNPACKED_TIMES * size)

    def nodes(self, count: int) -> None:
        """Counts objects; raises InputError if they are too many."""
        self._nodes -= count
        if self._nodes < 0:
            raise InputError(
                f"{self._where} must hold at most {_NODES} values, got more; no file of"
                " this kind has as many: download it again"
            )

    def data(self, count: int) -> None:
        """Counts bytes that are not in the file; raises InputError for too many."""
        self._data -= count
        if self._data < 0:
            raise InputError(
                f"{self._where} must not be {_UNPACKED_TIMES} times larger when it is"
                " unpacked, but its arrays or entries are; download it again"
            )
