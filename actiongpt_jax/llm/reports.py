"""Reports of `describe` on existing descriptions: faults, comparison and export."""

import argparse
import collections
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import naming
from actiongpt_jax.files.jsonl import Truncated
from actiongpt_jax.llm.faults import (
    REASONS,
    count_words,
    find_faults,
    find_words,
    judge,
    report,
)
from actiongpt_jax.text.answers import clean
from actiongpt_jax.text.description import Description
from actiongpt_jax.text.description_files import stream_descriptions
from actiongpt_jax.text.descriptions import (
    Descriptions,
    read_descriptions,
    write_published,
)

_NO_LIMIT = 1 << 30

Texts = Mapping[str, Sequence[Description]]


def report_lines(args: argparse.Namespace) -> Iterator[str]:
    """Yields a report on the faults of a cache, or of one writer and prompt in it."""
    path = args.report or args.out
    phrases: set[str] = set()
    truncated: list[Truncated] = []
    num_records = 0

    def chosen() -> Iterator[Description]:
        nonlocal num_records
        for record in stream_descriptions(path, truncated.append):
            writer, prompt = args.writer, args.prompt
            if writer in (None, record.writer) and prompt in (None, record.prompt):
                num_records += 1
                phrases.add(record.phrase)
                yield record

    pieces = _piece_counter(args.encoder) if args.encoder else None
    lines = [*report(judge(chosen(), pieces), args.list or None)]
    if not num_records:
        raise InputError(
            f"{path} has no descriptions by {args.writer!r} for the prompt"
            f" {args.prompt!r}; leave --writer and --prompt out to see all"
        )
    yield from (f"truncated: {line.where}" for line in truncated)
    yield from lines
    counted = f"counted with {args.encoder}" if args.encoder else "estimated"
    yield (
        f"{num_records} descriptions of {len(phrases)} phrases; word pieces {counted}"
    )


def diff_lines(args: argparse.Namespace) -> Iterable[str]:
    """Returns a comparison of two writers in the cache, or of two files."""
    first, second = args.diff
    if pathlib.Path(first).exists() and pathlib.Path(second).exists():
        sides = [_of_writer(read_descriptions(f), args, None) for f in args.diff]
    else:
        read = read_descriptions(args.out)
        sides = [_of_writer(read, args, name) for name in args.diff]
    return compare((first, second), *sides)


def export_lines(args: argparse.Namespace) -> Iterable[str]:
    """Writes `{phrase: [texts]}` JSON and returns a line about the file."""
    folder = pathlib.Path(args.export).parent
    folder.mkdir(parents=True, exist_ok=True)
    # The texts wait in a file, one a line, for the order in which they are written.
    with naming(args.export), tempfile.TemporaryFile(dir=folder) as waiting:
        places: dict[str, int] = {}
        read = Descriptions(_set_aside(args.out, waiting, places), args.out)
        chosen = read.select(args.prompt, args.writer, args.k if args.k else 1)

        def texts_of(records: Sequence[Description]) -> Iterator[str]:
            for record in records[: args.k]:
                waiting.seek(places[record.key])
                yield waiting.readline().decode().rstrip("\n")

        pairs = ((phrase, [*texts_of(records)]) for phrase, records in chosen.items())
        write_published(args.export, pairs)
    count = sum(len(records[: args.k]) for records in chosen.values())
    return [f"{args.export}: {count} texts of {len(chosen)} phrases"]


def _set_aside(
    path: str, waiting: BinaryIO, places: dict[str, int]
) -> Iterator[Description]:
    """Writes texts to a file and yields the records with a sign in their place.

    Args:
        path: the descriptions.
        waiting: the file.
        places: key of a record -> place of its text in the file; is filled.
    """
    shared: dict[Any, Any] = {}
    place = 0
    for r in stream_descriptions(path):
        text = clean(r.text)
        places[r.key] = place
        place += waiting.write(f"{text}\n".encode())
        same = (r.phrase, r.prompt, r.writer, r.prompt_version, r.endpoint)
        phrase, prompt, writer, version, endpoint = (
            shared.setdefault(value, value) for value in same
        )
        yield Description(
            phrase,
            r.index,
            "text" if text else "",
            prompt,
            writer,
            version,
            endpoint=endpoint,
            parameters=shared.setdefault(repr(r.parameters), r.parameters),
            key=r.key,
        )


def _of_writer(
    read: Descriptions, args: argparse.Namespace, writer: str | None
) -> Texts:
    chosen = read.select(args.prompt, writer, k=0)
    return {phrase: _texts(records) for phrase, records in chosen.items() if records}


def _texts(records: list[Description]) -> list[Description]:
    return [record for record in records if record.text.strip()]


def _piece_counter(encoder: str) -> Callable[[str], int]:
    # These imports load JAX, which the other actions of `describe` do not need.
    from actiongpt_jax.text.encoders.folder import find_folder
    from actiongpt_jax.text.encoders.tokenizer import Tokenizer

    return Tokenizer(find_folder(encoder)[1], _NO_LIMIT).count


def compare(names: tuple[str, str], first: Texts, second: Texts) -> Iterator[str]:
    """Yields lines that compare two writers: each common phrase, then the totals.

    Args:
        names: names of the two writers.
        first: phrase -> its descriptions by the first writer.
        second: phrase -> its descriptions by the second writer.
    """
    both = [phrase for phrase in first if first[phrase] and second.get(phrase)]
    shared_sum = 0.0
    for phrase in both:
        shared = _shared_words(first[phrase], second[phrase])
        shared_sum += shared
        yield f"{phrase}: {shared:.0%} of the words in common"
        for name, of_phrase in zip(names, (first[phrase], second[phrase]), strict=True):
            yield f"  {name} ({len(of_phrase)}, {_mean_words(of_phrase):.0f} words)"
            yield f"    {of_phrase[0].text}"
    for name, by_writer, by_other in (
        (names[0], first, second),
        (names[1], second, first),
    ):
        records = [record for of_phrase in by_writer.values() for record in of_phrase]
        faults = collections.Counter(fault.reason for fault in find_faults(records))
        alone = sum(
            not by_other.get(phrase) for phrase in by_writer if by_writer[phrase]
        )
        described = sum(map(bool, by_writer.values()))
        yield (
            f"{name}: {len(records)} texts of {described} phrases"
            f" ({alone} by this writer only), {_mean_words(records):.1f} words on"
            f" average, {len(_vocabulary(records))} different words; faults: "
            + (", ".join(f"{faults[r]} {r}" for r in REASONS if faults[r]) or "none")
        )
    mean = shared_sum / len(both) if both else 0.0
    yield f"both: {len(both)} phrases, on average {mean:.1%} of the words in common"


def _mean_words(records: Sequence[Description]) -> float:
    return sum(count_words(r.text) for r in records) / max(len(records), 1)


def _vocabulary(records: Sequence[Description]) -> set[str]:
    return {word for record in records for word in find_words(record.text)}


def _shared_words(a: Sequence[Description], b: Sequence[Description]) -> float:
    left, right = _vocabulary(a), _vocabulary(b)
    return len(left & right) / max(len(left | right), 1)
