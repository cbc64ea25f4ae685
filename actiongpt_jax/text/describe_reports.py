"""What the command line `describe` tells about descriptions that exist."""

import argparse
import pathlib
from collections.abc import Callable, Iterable

from actiongpt_jax.errors import InputError
from actiongpt_jax.text.compare import Texts, compare
from actiongpt_jax.text.description_record import Description
from actiongpt_jax.text.descriptions import (
    Descriptions,
    read_descriptions,
    write_published,
)
from actiongpt_jax.text.llm import clean
from actiongpt_jax.text.quality import find_faults, report

_NO_LIMIT = 1 << 30


def report_lines(args: argparse.Namespace) -> Iterable[str]:
    """Returns the faults of a cache, or of those of one writer and prompt in it."""
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
    torn = [f"torn: {where}" for where in read.torn]
    counted = f"counted with {args.encoder}" if args.encoder else "estimated"
    head = f"{len(records)} descriptions of {len(read)} phrases; word pieces {counted}"
    return [head, *torn, *report(find_faults(records, pieces), records)]


def diff_lines(args: argparse.Namespace) -> Iterable[str]:
    """Returns the comparison of two writers of the cache, or of two files."""
    first, second = args.diff
    if pathlib.Path(first).exists() and pathlib.Path(second).exists():
        sides = [_of_writer(read_descriptions(f), args, None) for f in args.diff]
    else:
        read = read_descriptions(args.out)
        sides = [_of_writer(read, args, name) for name in args.diff]
    return compare((first, second), *sides)


def export_lines(args: argparse.Namespace) -> Iterable[str]:
    """Writes the published form and says so."""
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
    # They bring JAX with them, which asking a server has no use for.
    from actiongpt_jax.text.encoder_source import find_folder
    from actiongpt_jax.text.tokenization import Tokenizer

    tokenizer = Tokenizer(find_folder(encoder)[1], _NO_LIMIT)
    return lambda text: len(tokenizer([text])[0].ids)
