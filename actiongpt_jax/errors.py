"""The one way this project says that its input is wrong.

A message is one sentence: what must be what, where (file and field or line),
what was found, what to do. Command lines print it and exit with code 2.
"""


class InputError(ValueError):
    """A value, a file or a combination of options that the user must change."""


class JobIncompleteError(RuntimeError):
    """A job that ran but left gaps; command lines exit with code 1."""
