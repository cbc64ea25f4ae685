"""The index of an embedding store: one folder, or the parts that several jobs wrote.

A part such as `part-00002-of-00004` is a complete store with every 4th phrase. The jobs
share nothing while they write; readers open all parts as one store.
"""

import dataclasses
import itertools
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.jsonl import read_lines
from actiongpt_jax.files.reading import check_fields, parsing, read_json
from actiongpt_jax.files.shard import Shard

FORMAT = "actiongpt_jax.embeddings"
VERSION = 1
META, INDEX = "meta.json", "index.jsonl"
PARTIAL = ".partial"
# Fields of meta.json that differ between parts; all other fields are equal.
SUMS = ("phrases", "texts", "truncated", "cut", "tokens")
_OWN = (*SUMS, "encoder", "first_truncated", "texts_hash", "part")
_REMEDY = "make the store again"
_PART = re.compile(r"part-(\d+)-of-(\d+)(" + re.escape(PARTIAL) + ")?")


def shard_name(number: int) -> str:
    """Returns the file name of a shard."""
    return f"shard-{number:05d}.safetensors"


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """The place of one phrase in the store.

    Attributes:
        shard: number of the shard file.
        row: number of the phrase within the shard.
        descriptions: number of token rows of the joined descriptions; 0 if the phrase
            has no descriptions.
        phrase: number of token rows of the phrase itself.
        each: first row of its single descriptions in the table `each`.
        singles: number of its single descriptions.
    """

    shard: int
    row: int
    descriptions: int
    phrase: int
    each: int
    singles: int


@dataclasses.dataclass(frozen=True)
class Content:
    """The content of meta.json and index.jsonl.

    Attributes:
        meta: the fields of meta.json; for parts, counts are summed over the parts.
        rows: phrase -> its place.
        files: the shard files; `Row.shard` is an index into this list.
    """

    meta: dict[str, Any]
    rows: dict[str, Row]
    files: list[pathlib.Path]


def read_store(path: pathlib.Path) -> Content:
    """Reads the index of a store.

    Args:
        path: the folder of the store.

    Raises:
        InputError: if the folder is not a store, is damaged, or lacks a part.
    """
    finished = find_parts(path)
    if (path / META).is_file() or not finished:
        return _read_one(path)
    counts = sorted({part.count for part in finished})
    if len(counts) > 1:
        raise InputError(
            f"{path} mixes parts of runs with {' and '.join(map(str, counts))} shards;"
            " delete all parts but those of one run"
        )
    parts = [Shard(number, counts[0]) for number in range(1, counts[0] + 1)]
    lacking = [str(part) for part in parts if not finished.get(part)]
    if lacking:
        raise InputError(
            f"{path} must hold all {counts[0]} parts, but lacks {len(lacking)}; run the"
            f" same `python -m actiongpt_jax.embed` with --shard {', '.join(lacking)}"
        )
    return _merge(path, [_read_one(path / part.name) for part in parts])


def find_parts(path: pathlib.Path) -> dict[Shard, bool]:
    """Returns the parts in a folder: part -> whether it is finished."""
    parts: dict[Shard, bool] = {}
    for entry in path.iterdir() if path.is_dir() else ():
        if match := _PART.fullmatch(entry.name):
            part = Shard(int(match[1]), int(match[2]))
            parts[part] = parts.get(part, False) or match[3] is None
    return parts


def check_siblings(path: pathlib.Path, part: Shard, meta: dict[str, Any]) -> None:
    """Checks that a new part fits the existing parts.

    Args:
        path: the folder of the parts.
        part: the part that is about to be made.
        meta: the content planned for its meta.json; fields may be missing.

    Raises:
        InputError: if the folder is a whole store, or holds parts of another run.
    """
    others = find_parts(path)
    whole = (path / META).is_file()
    alien = next((other for other in others if other.count != part.count), None)
    for other, finished in sorted(others.items()):
        if finished and alien is None and other != part:
            written = read_meta(path / other.name / META)
            if any(written.get(k) != v for k, v in meta.items() if k not in _OWN):
                alien = other
    if whole or alien:
        there = alien.name if alien else META
        raise InputError(
            f"{path} must hold parts of one run only, but has {there} with other texts,"
            " settings or number of parts; delete it or choose another --out"
        )


def _merge(path: pathlib.Path, parts: Sequence[Content]) -> Content:
    first = parts[0].meta
    meta = {name: value for name, value in first.items() if name != "part"}
    for name in SUMS:
        meta[name] = sum(part.meta[name] for part in parts)
    cut = (part.meta.get("first_truncated") for part in parts)
    meta["first_truncated"] = next((text for text in cut if text is not None), None)
    files: list[pathlib.Path] = []
    moved: list[list[tuple[str, Row]]] = []
    for part in parts:
        for name in {*first, *part.meta}.difference(_OWN):
            if part.meta.get(name) != first.get(name):
                raise InputError(
                    f"{path} must hold parts of one run, but they differ in {name!r}"
                    f" ({first.get(name)!r}, {part.meta.get(name)!r}); delete all parts"
                    " but those of one run"
                )
        moved.append(
            [
                (phrase, dataclasses.replace(row, shard=row.shard + len(files)))
                for phrase, row in part.rows.items()
            ]
        )
        files += part.files
    # Part i holds every n-th phrase from the i-th on, so taking one phrase from each
    # part in turn restores the original order.
    rounds = itertools.chain.from_iterable(itertools.zip_longest(*moved))
    return Content(meta, dict(item for item in rounds if item is not None), files)


def _read_one(path: pathlib.Path) -> Content:
    meta = read_meta(path / META)
    rows = {}
    for line in read_lines(path / INDEX, _REMEDY):
        with parsing(line.where, "a phrase and its place", _REMEDY):
            name, *place = line.value
            whole = all(type(number) is int and number >= 0 for number in place)
            if not whole or not isinstance(name, str):
                raise TypeError("no text and whole numbers")
            rows[name] = Row(*place)
    if len(rows) != meta["phrases"]:
        raise InputError(
            f"{path / INDEX} must list {meta['phrases']} phrases, got {len(rows)};"
            " make the store again"
        )
    count = max((row.shard for row in rows.values()), default=-1) + 1
    return Content(meta, rows, [path / shard_name(number) for number in range(count)])


# Field of meta.json -> its type; None for any.
_META_KINDS = {
    **dict.fromkeys(("encoder", "weight_hash"), str),
    **dict.fromkeys(("width", "k", *SUMS), int),
    **dict.fromkeys(("aggregation", "prompt", "prompt_version", "writer", "each")),
}


def read_meta(path: pathlib.Path) -> dict[str, Any]:
    """Reads a meta.json.

    Raises:
        InputError: if the file is missing, lacks a field, or has another format or
            version.
    """
    if not path.is_file():
        raise InputError(
            f"{path.parent} must be an embedding store but has no {META}; give a folder"
            " that `python -m actiongpt_jax.embed` wrote"
        )
    meta = read_json(path, _REMEDY)
    if meta.get("format") != FORMAT:
        raise InputError(
            f"{path} must have the format {FORMAT!r}, got {meta.get('format')!r}; give"
            " a folder that `python -m actiongpt_jax.embed` wrote"
        )
    if meta.get("version") != VERSION:
        raise InputError(
            f"{path} must have version {VERSION}, got {meta.get('version')!r}; make the"
            " store again with this release"
        )
    return check_fields(meta, _META_KINDS, str(path), _REMEDY)
