"""Reports of `describe` on existing descriptions: faults, comparison and export."""

import argparse
import collections
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from actiongpt_jax.errors import InputError
from actiongpt_jax.llm.faults import (
    REASONS,
    count_words,
    find_faults,
    find_words,
    report,
)
from actiongpt_jax.llm.provider import clean
from actiongpt_jax.text.description import Description
from actiongpt_jax.text.descriptions import (
    Descriptions,
    read_descriptions,
    write_published,
)

_NO_LIMIT = 1 << 30

Texts = Mapping[str, Sequence[Description]]


def report_lines(args: argparse.Namespace) -> Iterable[str]:
    """Returns a report on the faults of a cache, or of one writer and prompt in it."""
    read = read_descriptions(args.report or args.out)
    records = [
        record
        for of_phrase in read.values()
        for record in of_phrase
        if args.writer in (None, record.writer) and args.prompt in (None, record.prompt)
    ]
    if not records:
        raise InputError(
            f"{read.path} has no descriptions by {args.writer!r} for the prompt"
            f" {args.prompt!r}; leave --writer and --prompt out to see all"
        )
    pieces = _piece_counter(args.encoder) if args.encoder else None
    truncated = [f"truncated: {where}" for where in read.truncated]
    counted = f"counted with {args.encoder}" if args.encoder else "estimated"
    head = f"{len(records)} descriptions of {len(read)} phrases; word pieces {counted}"
    return [head, *truncated, *report(find_faults(records, pieces), records)]


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
    read = read_descriptions(args.out)
    chosen = read.select(args.prompt, args.writer, args.k if args.k else 1)
    texts = {
        phrase: [clean(record.text) for record in records[: args.k]]
        for phrase, records in chosen.items()
    }
    write_published(args.export, texts)
    count = sum(map(len, texts.values()))
    return [f"{args.export}: {count} texts of {len(texts)} phrases"]


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

    tokenizer = Tokenizer(find_folder(encoder)[1], _NO_LIMIT)
    return lambda text: len(tokenizer([text])[0].ids)


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
