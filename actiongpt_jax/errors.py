"""The errors with which this project reports wrong input.

A message is one sentence: what it is about (file and field or line), what that must
be, what it is, and what to do. Command lines print the message and exit with code 2.
"""

from collections.abc import Iterable, Sequence


class InputError(ValueError):
    """A value, a file or a combination of options that the user must change."""


class JobIncompleteError(RuntimeError):
    """A job that ran to its end with parts missing; command lines exit with code 1."""


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
