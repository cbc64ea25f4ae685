"""The errors with which this project reports wrong input.

A message is one sentence: what it is about (file and field or line), what that must
be, what it is, and what to do. Command lines print the message and exit with code 2.
"""

import errno
import unicodedata
from collections.abc import Iterable, Sequence

# Longest message; of a longer one, the start (what it is about) and the end (what to
# do) are kept.
_MOST, _END = 1500, 400


class InputError(ValueError):
    """A value, a file or a combination of options that the user must change.

    Its message may hold text from any file, and is one line of printable text.
    """

    def __init__(self, message: object):
        """Escapes and cuts the message; see `printable`."""
        super().__init__(printable(str(message), _MOST, _END))


class JobIncompleteError(RuntimeError):
    """A job that ran to its end with parts missing; command lines exit with code 1."""


def sentence_of(error: Exception) -> str:
    """Returns what an error says to the user, with the name of the file.

    Args:
        error: an error of this module, or one of the system.
    """
    if isinstance(error, OSError) and error.errno is not None:
        where = f" {error.filename}" if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"the disk is full while writing{where}; free space and run again"
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            return f"no permission to use{where}; choose a folder you may write to"
        if error.errno in (errno.EEXIST, errno.ENOTDIR):
            return f"a part of the path{where} is not a folder; give another path"
        return f"{error.strerror}:{where}"
    return str(error)


def printable(text: str, most: int | None = None, end: int = 0, keep: str = "") -> str:
    """Escapes what could change a terminal or forge a line of output, and cuts text.

    Args:
        text: any text, such as one from a file.
        most: maximum number of characters; None cuts nothing.
        end: number of these that are taken from the end of a text that is too long.
        keep: characters to keep although they are not printable.
    """
    if not text.isprintable():
        text = "".join(
            char if _is_printable(char) or char in keep else repr(char)[1:-1]
            for char in text
        )
    if most is None or len(text) <= most:
        return text
    return f"{text[: most - end]} [...] {text[len(text) - end :]}".rstrip()


def _is_printable(char: str) -> bool:
    return char.isprintable() or unicodedata.category(char) == "Zs"  # other spaces


def list_names(names: Sequence[str], most: int = 8) -> str:
    """Lists names for a message: the first ones, and how many more there are.

    Args:
        names: the names to list.
        most: maximum number of names to spell out.
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raises InputError if a value is not one of the choices.

    Args:
        name: name of the value in the error message.
        value: the value to check.
        choices: all allowed values.
    """
    choices = list(choices)
    if value not in choices:
        listed = ", ".join(map(str, choices))
        raise InputError(f"{name} must be one of {listed}, got {value!r}")
