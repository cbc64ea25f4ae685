"""The one way this project says that its input is wrong.

A message is one sentence: what must be what, where (file and field or line),
what was found, what to do. Command lines print it and exit with code 2.
"""

from collections.abc import Iterable, Sequence


class InputError(ValueError):
    """A value, a file or a combination of options that the user must change."""


class JobIncompleteError(RuntimeError):
    """A job that ran but left gaps; command lines exit with code 1."""


def list_names(names: Sequence[str], most: int = 8) -> str:
    """Returns the first names for a message, and how many more there are.

    Args:
        names: any strings.
        most: number of names to spell out.
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raises InputError for a value that is none of the choices.

    Args:
        name: what the message calls the value.
        value: one of `choices`, or not.
        choices: all values that are allowed.
    """
    choices = list(choices)
    if value not in choices:
        listed = ", ".join(map(str, choices))
        raise InputError(f"{name} must be one of {listed}, got {value!r}")
