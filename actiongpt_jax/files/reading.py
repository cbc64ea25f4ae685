"""Reads files from anywhere: regular files only, within limits, faults in a sentence.

Every reader of this package opens its files here. A missing file is an error of the
system, which callers may replace by one that names the command that makes the file.
"""

import contextlib
import hashlib
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, cast

from actiongpt_jax.errors import InputError, printable
from actiongpt_jax.files import limits

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)


class parsing:
    """Turns every failure of a block that parses foreign content into one sentence.

    Parsers raise whatever their code runs into on damaged content, so that a list of
    their exceptions is never complete. The cause stays attached to the error, which is
    an InputError for every failure but a missing file.
    """

    # A class: a generator takes as long as parsing a short line.
    __slots__ = "_remedy", "_what", "_where"

    def __init__(self, where: str | os.PathLike, what: str, remedy: str):
        """Takes what the sentence says.

        Args:
            where: name of the file, and of the place in it, for the error.
            what: what it must be.
            remedy: what the user can do about it.
        """
        self._where, self._what, self._remedy = where, what, remedy

    def __enter__(self) -> None:
        """Begins the block."""

    def __exit__(
        self, kind: object, error: BaseException | None, trace: object
    ) -> None:
        """Raises InputError if the block failed."""
        where, what, remedy = self._where, self._what, self._remedy
        if isinstance(error, InputError | FileNotFoundError):
            return
        if isinstance(error, OSError):
            reason = error.strerror or "damaged content"
            raise InputError(
                f"{where} must be a readable file, got: {reason}; {remedy}"
            ) from error
        if isinstance(error, Exception):
            raise InputError(
                f"{where} must be {what}, but is truncated, damaged or of another"
                f" kind ({reason_of(error)}); {remedy}"
            ) from error


def reason_of(error: Exception) -> str:
    """Returns what an error of a parser says, in a few words for a sentence."""
    if isinstance(error, RecursionError):
        return "values nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"the byte 0x{error.object[error.start]:02x} at {error.start}"
    return printable(" ".join(str(error).split()), 120) or type(error).__name__


def check_regular(path: str | os.PathLike, remedy: str) -> None:
    """Checks that a path is a regular file or a link to one, without opening it.

    Args:
        path: the file.
        remedy: what the user can do about a file that cannot be read.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is a folder, a pipe, a device or a circle of links.
    """
    try:
        with parsing(path, "a readable file", remedy):
            mode = os.stat(path).st_mode
    except FileNotFoundError as error:
        if not os.path.islink(path):
            raise
        raise InputError(
            f"{path} must be a file, got a link to a missing one; {remedy}"
        ) from error
    if not stat.S_ISREG(mode):
        kinds = (kind for is_kind, kind in _KINDS if is_kind(mode))
        raise InputError(
            f"{path} must be a regular file, got {next(kinds, 'a device')}; {remedy}"
        )


def check_files(folder: str | os.PathLike, remedy: str) -> None:
    """Checks that a folder holds regular files only, for a package that opens them.

    Args:
        folder: the folder, with all folders in it; linked folders in it are left out.
        remedy: what the user can do about a file that cannot be read.

    Raises:
        InputError: as in `check_regular`; names the file.
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            # Another process may remove a file meanwhile.
            with contextlib.suppress(FileNotFoundError):
                check_regular(os.path.join(parent, name), remedy)


@contextlib.contextmanager
def open_file(path: str | os.PathLike, remedy: str) -> Iterator[BinaryIO]:
    """Opens a regular file for reading bytes; see `check_regular`."""
    check_regular(path, remedy)
    with parsing(path, "a readable file", remedy):
        file = open(path, "rb")
    with file:
        yield file


def read_bytes(
    path: str | os.PathLike, remedy: str, most: int = limits.WHOLE_BYTES
) -> bytes:
    """Reads a whole file.

    Args:
        path: the file.
        remedy: what the user can do about a file that cannot be read.
        most: largest size allowed, in bytes.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no regular file, cannot be read, or is too large.
    """
    with open_file(path, remedy) as file, parsing(path, "a readable file", remedy):
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise InputError(
                f"{path} must have at most {most} bytes, got {size}; {remedy}"
            )
        return file.read(most)


def sha256(path: str | os.PathLike, remedy: str) -> str:
    """Returns the sha256 of a file's content, in hexadecimal; see `open_file`."""
    with open_file(path, remedy) as file, parsing(path, "a readable file", remedy):
        return hashlib.file_digest(cast(Any, file), "sha256").hexdigest()


def read_text(path: str | os.PathLike, remedy: str = "save the file as UTF-8") -> str:
    r"""Reads a text file in UTF-8; a byte order mark is dropped, `\r\n` becomes `\n`.

    Args:
        path: the file.
        remedy: what the user can do about a file that is no such text.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: as in `read_bytes`, and if it is not UTF-8; names the line.
    """
    content = read_bytes(path, remedy)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        position = error.start - content.rfind(b"\n", 0, error.start)
        raise InputError(
            f"{path}:{line} must be UTF-8, got the byte 0x{content[error.start]:02x} at"
            f" position {position}; {remedy}"
        ) from error
    return text.replace("\r\n", "\n")


def read_json(path: str | os.PathLike, remedy: str) -> dict[str, Any]:
    """Reads a file of one JSON object.

    Args:
        path: the file.
        remedy: what the user can do about a damaged file.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file is not valid; names the place of the first fault.
    """
    value = parse_json(read_text(path, remedy), path, remedy)
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise InputError(f"{path} must be a JSON object, got a {kind}; {remedy}")
    return value


def parse_json(content: str | bytes, where: str | os.PathLike, remedy: str) -> Any:
    """Parses one JSON value of any kind.

    Args:
        content: the JSON, as text or in UTF-8.
        where: name of the file, and of the place in it, for errors.
        remedy: what the user can do about damaged content.

    Raises:
        InputError: if it is not JSON, is nested too deeply, has too many values, or has
            a whole number of more than 300 digits. One of more than 64 bits is read as
            a float.
    """
    with parsing(where, "JSON in UTF-8", remedy):
        if len(content) >= limits.WHOLE_BYTES:  # cut, or a line of gigabytes
            raise ValueError("too long")
        text = content.decode() if isinstance(content, bytes) else content
        # Every value takes a byte at least.
        if len(text) > limits.JSON_VALUES < sum(map(text.count, ",:[{")):
            raise ValueError("too many values")
        value = _JSON.decode(text)
        if text.count("[") + text.count("{") > limits.DEPTH:
            _check_depth(value)
        return value


def _int(text: str) -> int | float:
    value = int(text)
    if -(2**63) <= value < 2**64:
        return value
    # Hub tokenizers have a "no limit" of 31 digits.
    if abs(value) > 1e300:
        raise ValueError(f"a whole number of {len(text)} digits")
    return float(value)


# Python would parse whole numbers of any length, which nothing can store.
_JSON = json.JSONDecoder(parse_int=_int)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(limits.DEPTH):
        level = [
            part
            for node in level
            for part in (node.values() if isinstance(node, dict) else node)
            if isinstance(part, dict | list)
        ]
        if not level:
            return
    raise RecursionError


def check_fields(
    row: Any, kinds: Mapping[str, Any], where: str, remedy: str
) -> dict[str, Any]:
    """Checks the types of the fields that a JSON object must have.

    Args:
        row: the value to check.
        kinds: name of a field -> its type; `float` means a finite number, None any
            value.
        where: name of the file and the line, for errors.
        remedy: what the user can do about a damaged file.

    Returns:
        The object.

    Raises:
        InputError: if it is no object, or a field is missing or of another type.
    """
    if not isinstance(row, dict):
        raise InputError(
            f"{where} must be a JSON object, got {str(row)[:60]!r}; {remedy}"
        )
    for name, kind in kinds.items():
        if name not in row or not _fits(row[name], kind):
            value = row.get(name)
            got = f"{str(value)[:60]!r}" if name in row else "nothing"
            raise InputError(
                f"{where}: the field {name!r} must be"
                f" {getattr(kind, '__name__', 'there')}, got {got}; {remedy}"
            )
    return row


def _fits(value: Any, kind: Any) -> bool:
    if kind is None:
        return True
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, kind)
