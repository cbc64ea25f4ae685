"""Reads a table of motion files and their texts, and divides the files into splits."""

import csv
import dataclasses
import io
import math
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from actiongpt_jax.choices import SPLIT_BY
from actiongpt_jax.data.babel import Annotation
from actiongpt_jax.data.clips import Clip
from actiongpt_jax.data.motion_store import SPLITS
from actiongpt_jax.errors import InputError, check_choice
from actiongpt_jax.files.jsonl import read_lines
from actiongpt_jax.files.reading import parse_json, parsing, read_text

COLUMNS = ("file", "text", "start", "end", "split", "subject", "category")
_REMEDY = "correct the file"
# An end beyond every recording: labels are clipped to their recording.
END = 1e6


@dataclasses.dataclass(frozen=True)
class Row:
    """A text of a motion file.

    Attributes:
        where: file and line, for error sentences.
        file: path of the motion file, below the folder of motions.
        text: what happens.
        start: first second, or None for the whole file.
        end: last second, or None for the whole file.
        split: 'train', 'val' or 'test', or '' if not stated.
        subject: who moves, or '' if not stated.
        category: categories of the action, separated by semicolons, or ''.
        name: name of the clip that the text describes, or '' if files are not cut.
        clip: how the clip is cut out of its file, or None.
        duration: seconds that the file should last, or None if not stated.
    """

    where: str
    file: str
    text: str
    start: float | None = None
    end: float | None = None
    split: str = ""
    subject: str = ""
    category: str = ""
    name: str = ""
    clip: Clip | None = None
    duration: float | None = None


def read_table(path: str | os.PathLike) -> list[Row]:
    """Reads a table of texts.

    Args:
        path: a .csv or .tsv file with a header, a .jsonl file of objects, or a .json
            file: a list of objects, or an object {file: text, list of texts or list
            of objects}. The columns are `COLUMNS`; others are ignored. Several rows
            may have the same file, and the same seconds of that file.

    Returns:
        The rows with a text, in the order of the file.

    Raises:
        InputError: if the file is damaged, a row lacks its file, or a value is invalid;
            the message names the line.
    """
    path = pathlib.Path(path)
    readers = {".csv": _delimited, ".tsv": _delimited, ".json": _json, ".jsonl": _jsonl}
    check_choice(f"{path}: the ending", path.suffix.lower(), readers)
    with parsing(path, "a table in UTF-8", _REMEDY):
        entries = list(readers[path.suffix.lower()](path))
    rows = [make_row(where, entry) for where, entry in entries]
    rows = [row for row in rows if row.text]
    if not rows:
        raise InputError(f"{path} must have rows with a file and a text, but has none")
    return rows


def annotate(
    rows: Sequence[Row],
    split_by: str | None = None,
    *,
    val: float = 0.1,
    test: float = 0.0,
    seed: int = 0,
) -> list[Annotation]:
    """Groups rows by their file or clip, and divides the files into splits.

    A text without times describes the whole file. It becomes a label of kind
    'sequence' if other texts of the file have times or the row is one of a clip, and
    of kind 'frame' otherwise.

    Args:
        rows: the rows of a table.
        split_by: 'column' to use the table's splits; 'random' to divide files; or
            'subject' so that no subject is in two splits. None is 'column' if the
            table states splits, and 'random' otherwise.
        val: share of the files, or of the subjects, for validation.
        test: share of them for testing.
        seed: seed of the random order.

    Raises:
        InputError: if a file has two splits or subjects or lacks one, or if the shares
            do not fit.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.name or row.file, []).append(row)
    if split_by is None:
        split_by = "column" if any(row.split for row in rows) else "random"
    check_choice("--split-by", split_by, SPLIT_BY)
    if not (val >= 0 and test >= 0 and val + test < 1):
        raise InputError(
            f"--val and --test must be shares that add up to less than 1, got {val:g} "
            f"and {test:g}"
        )
    if split_by == "column":
        splits = {key: _common(group, "split") for key, group in groups.items()}
    else:
        owners = {
            key: _common(group, "file" if split_by == "random" else "subject")
            for key, group in groups.items()
        }
        drawn = _draw(sorted(set(owners.values())), val, test, seed)
        splits = {key: drawn[owner] for key, owner in owners.items()}
    return [
        Annotation(
            name=group[0].name or pathlib.PurePosixPath(key).with_suffix("").as_posix(),
            split=splits[key],
            feat_p=group[0].file,
            duration=group[0].duration,
            labels=_labels(group),
            categories=_categories(group),
            clip=group[0].clip,
        )
        for key, group in groups.items()
    ]


def find_motion(root: str | os.PathLike, file: str) -> pathlib.Path:
    """Finds the motion file of a row; its name may end in `.bvh` or in nothing.

    Args:
        root: the folder of motions.
        file: path below it.

    Raises:
        InputError: if there is no such npz file.
    """
    path = pathlib.Path(root, file)
    for candidate in (path, path.with_suffix(".npz"), pathlib.Path(f"{path}.npz")):
        if candidate.suffix == ".npz" and candidate.is_file():
            return candidate
    raise InputError(
        f"{file} must be an npz file below {root}, but is not there; convert other "
        "files with `prepare motion`, or remove it from the table"
    )


def read_delimited(
    path: pathlib.Path, columns: Sequence[str], remedy: str
) -> Iterator[tuple[str, dict[str, str]]]:
    """Reads a .csv or .tsv file.

    Args:
        path: the file; its first line names the columns. A .csv file may have
            semicolons in place of commas, as spreadsheets of many countries write them.
        columns: names of columns that it must have, in lower case.
        remedy: what the user can do about a damaged file.

    Yields:
        File and line, for error sentences; and column -> value.

    Raises:
        InputError: if a column is missing or named twice, or a row has another number
            of values.
    """
    with (
        parsing(path, "a table in UTF-8", remedy),
        io.StringIO(read_text(path, remedy), newline="") as file,
    ):
        first, _ = file.readline(), file.seek(0)
        usual = "\t" if path.suffix.lower() == ".tsv" else ","
        delimiter = ";" if ";" in first and usual not in first else usual
        reader = csv.DictReader(file, delimiter=delimiter, strict=True)
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        given = ", ".join(names)[:60] or "nothing"
        if not set(columns) <= set(names):
            raise InputError(
                f"{path} must have the columns {' and '.join(columns)} in its first "
                f"line, got {given}; {remedy}"
            )
        if len(set(names)) < len(names):
            raise InputError(
                f"{path} must name each column once, got {given}; {remedy}"
            )
        reader.fieldnames = names
        for entry in reader:
            where = f"{path}:{reader.line_num}"
            if None in entry or None in entry.values():
                raise InputError(
                    f"{where} must have {len(names)} values as the first line has; "
                    "put texts with separators into double quotes"
                )
            yield where, entry


def _delimited(path: pathlib.Path) -> Iterator[tuple[str, dict[str, str]]]:
    return read_delimited(path, ("file", "text"), _REMEDY)


def _jsonl(path: pathlib.Path) -> Iterator[tuple[str, Any]]:
    for line in read_lines(path, _REMEDY):
        yield line.where, line.value


def _json(path: pathlib.Path) -> Iterator[tuple[str, Any]]:
    content = parse_json(read_text(path, _REMEDY), path, _REMEDY)
    if isinstance(content, dict):
        for file, entries in content.items():
            for entry in entries if isinstance(entries, list) else [entries]:
                entry = {"text": entry} if isinstance(entry, str) else entry
                where = f"{path}: {file}"
                yield (
                    where,
                    {"file": file, **entry} if isinstance(entry, dict) else entry,
                )
    else:
        for number, entry in enumerate(
            content if isinstance(content, list) else [None]
        ):
            yield f"{path}: entry {number}", entry


def make_row(where: str, entry: Any) -> Row:
    """Checks one entry of a table.

    Args:
        where: file and line, for error sentences.
        entry: column -> value.

    Raises:
        InputError: if a value is missing or invalid.
    """
    if not isinstance(entry, dict):
        raise InputError(f"{where} must be an object with file and text; {_REMEDY}")
    values: dict[str, str] = {}
    for column in ("file", "text", "split", "subject", "category"):
        value = entry.get(column)
        if value is not None and not isinstance(value, str | int):
            raise InputError(f"{where}: {column} must be text; {_REMEDY}")
        text = str("" if value is None else value).strip()
        # Names of files may have several spaces in a row.
        values[column] = text if column == "file" else " ".join(text.split())
    file = pathlib.PurePosixPath(values["file"].replace("\\", "/"))
    if not values["file"] or file.is_absolute() or ".." in file.parts:
        raise InputError(
            f"{where}: file must be a path below the folder of motions, got "
            f"{values['file']!r}; {_REMEDY}"
        )
    if values["split"] not in ("", *SPLITS):
        raise InputError(
            f"{where}: split must be one of {', '.join(SPLITS)}, got "
            f"{values['split']!r}; {_REMEDY}"
        )
    start, end = (_seconds(where, name, entry.get(name)) for name in ("start", "end"))
    if end is not None and end <= (start or 0.0):
        raise InputError(
            f"{where}: end must be later than start, got {start or 0:g} to {end:g} s; "
            f"{_REMEDY}"
        )
    text, split, subject, category = (
        values[key] for key in ("text", "split", "subject", "category")
    )
    return Row(where, file.as_posix(), text, start, end, split, subject, category)


def _seconds(where: str, name: str, value: Any) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if isinstance(value, bool) or not 0 <= seconds < END:
        raise InputError(
            f"{where}: {name} must be a number of seconds, got {str(value)[:40]!r}; "
            f"{_REMEDY}"
        )
    return seconds


def _labels(rows: Sequence[Row]) -> tuple[tuple[str, float | None, float | None], ...]:
    def timed(row: Row) -> bool:
        return row.start is not None or row.end is not None

    some_timed = any(row.clip or timed(row) for row in rows)
    begin, end = (None, None) if some_timed else (0.0, END)
    return tuple(
        (row.text, row.start or 0.0, END if row.end is None else row.end)
        if timed(row)
        else (row.text, begin, end)
        for row in rows
        if row.text
    )


def _categories(rows: Sequence[Row]) -> tuple[tuple[str, ...], ...]:
    names = tuple(
        tuple(name.strip() for name in row.category.split(";") if name.strip())
        for row in rows
        if row.text
    )
    return names if any(names) else ()


def _common(rows: Sequence[Row], column: str) -> str:
    """Returns the value of a column that all rows of a file must share."""
    values = sorted({getattr(row, column) for row in rows} - {""})
    if len(values) != 1:
        raise InputError(
            f"{rows[0].where}: {rows[0].file} must have one {column}, got "
            f"{', '.join(values) or 'none'}; {_REMEDY} or choose another --split-by"
        )
    return values[0]


def _draw(names: list[str], val: float, test: float, seed: int) -> dict[str, str]:
    """Divides names; a share above 0 gets at least one name."""
    counts = {
        split: max(round(share * len(names)), 1) if share else 0
        for split, share in (("val", val), ("test", test))
    }
    if sum(counts.values()) >= len(names):
        raise InputError(
            f"{len(names)} files or subjects must be enough for all splits, but "
            "training would have none; set --val and --test"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    splits = ["val"] * counts["val"] + ["test"] * counts["test"]
    splits += ["train"] * (len(names) - len(splits))
    return {names[i]: split for i, split in zip(order, splits, strict=True)}
