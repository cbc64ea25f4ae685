"""Reads the files of descriptions record by record: JSONL, folders, published JSON."""

import codecs
import os
import pathlib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from types import MappingProxyType

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.jsonl import Truncated, read_lines, split_lines
from actiongpt_jax.files.reading import open_file, parse_json, read_text
from actiongpt_jax.text.description import Description, checked, from_json

EMPTY = "{} must hold at least one description, but has none; describe some first"
_REMEDY = "repair or remove it"


def stream_descriptions(
    path: str | os.PathLike,
    on_truncated: Callable[[Truncated], object] = lambda line: None,
) -> Iterator[Description]:
    """Reads descriptions one by one; memory does not grow with their texts.

    Args:
        path: a file or folder as in `read_descriptions`.
        on_truncated: called with every truncated last line.

    Yields:
        The last record of every key, in the order of the files.

    Raises:
        FileNotFoundError: if the file does not exist.
        InputError: if a line or value is not a description, or the files are empty.
    """
    files = find_files(pathlib.Path(path))
    empty = True
    for record in read_files(files, on_truncated, _find_superseded(files)):
        empty = False
        yield record
    if empty:
        raise InputError(EMPTY.format(path))


def find_files(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the files to read for a file or a folder, in order."""
    if not os.path.lexists(path):
        raise FileNotFoundError(
            f"no descriptions at {path}; make synthetic ones with `python -m"
            " actiongpt_jax.prepare synthetic`, or ask a language model with `python -m"
            " actiongpt_jax.describe`"
        )
    if not path.is_dir():
        return [path]
    # Files whose names begin with a dot are still being written.
    files = sorted(path.glob("[!.]*.jsonl")) or sorted(path.glob("[!.]*.json"))
    if not files:
        raise InputError(
            f"the folder {path} must hold *.jsonl files of descriptions, but has no"
            " such file; give the folder or file that `describe` wrote"
        )
    return files


def read_files(
    files: Sequence[pathlib.Path],
    on_truncated: Callable[[Truncated], object],
    superseded: Mapping[pathlib.Path, Container[int]] = MappingProxyType({}),
) -> Iterator[Description]:
    """Yields the records of files.

    Args:
        files: the files, in order.
        on_truncated: called with every truncated last line.
        superseded: file -> numbers of the lines to skip.
    """
    for file in files:
        published = None if file.suffix == ".jsonl" else _read_published(file)
        if published is not None:
            yield from published
            continue
        skipped = superseded.get(file, ())
        for line in read_lines(file, "repair or remove the line", on_truncated):
            if line.number not in skipped:
                yield from_json(line.value, line.where)


def _find_superseded(
    files: Sequence[pathlib.Path],
) -> dict[pathlib.Path, set[int]]:
    """Returns the lines whose key occurs again later: file -> their numbers."""
    last: dict[bytes, tuple[set[int], int]] = {}
    superseded: dict[pathlib.Path, set[int]] = {file: set() for file in files}
    for file, numbers in superseded.items():
        if file.suffix != ".jsonl":
            continue
        with open_file(file, "move it away") as lines:
            for number, line in enumerate(split_lines(lines), start=1):
                if key := _key_of(line):
                    if key in last:
                        earlier, at = last[key]
                        earlier.add(at)
                    last[key] = numbers, number
    return superseded


def _key_of(line: bytes) -> bytes | None:
    """Returns the key of a line; None if the line is not a record."""
    # Lines that `describe` wrote end with the key. Finding it there takes a tenth of
    # the time that parsing takes.
    if line[-43:-35] == b'"key": "' and line.endswith(b'"}\n'):
        return line[-35:-3]
    try:
        content = line.removeprefix(codecs.BOM_UTF8)
        return from_json(parse_json(content, "", ""), "").key.encode()
    except InputError:
        return None  # the reader says what is wrong with it


def _read_published(file: pathlib.Path) -> Iterator[Description] | None:
    """Returns the records of a published file; None if the file is JSONL."""
    content = read_text(file, _REMEDY)
    try:
        document = parse_json(content, file, _REMEDY)
    except InputError:
        # A JSONL file is not one JSON document; any other *.json file is invalid.
        if file.suffix != ".json" or _is_record(content.partition("\n")[0]):
            return None
        raise
    if isinstance(document, dict) and isinstance(document.get("phrase"), str):
        return None
    if not isinstance(document, dict):
        raise InputError(
            f"{file} must hold an object {{phrase: [texts]}}, got a"
            f" {type(document).__name__}"
        )
    return described(document, str(file))


def described(
    document: Mapping[str, Sequence[str]], where: str
) -> Iterator[Description]:
    """Yields the records of the published form, `{phrase: [texts]}`."""
    for phrase, texts in document.items():
        listed = isinstance(texts, list | tuple)
        if not listed or not all(isinstance(text, str) for text in texts):
            raise InputError(
                f"{where}: the value of {phrase!r} must be a list of texts, got"
                f" {repr(texts)[:60]}"
            )
        for index, text in enumerate(texts):
            yield checked(Description(phrase, index, text), where)


def _is_record(line: str) -> bool:
    try:
        record = parse_json(line, "", "")
    except InputError:
        return False
    return isinstance(record, dict) and "phrase" in record
