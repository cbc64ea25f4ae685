"""Embeds phrases and their descriptions into a store.

python -m actiongpt_jax.embed --descriptions FILE --encoder minilm --k 4 --out STORE

With --shard i/n, n jobs write parts of one store, which readers take together.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from tqdm import tqdm

from actiongpt_jax import cli
from actiongpt_jax.data.phrases import read_phrases
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.shard import Shard, parse_shard
from actiongpt_jax.text import aggregate, encoders
from actiongpt_jax.text.embeddings.builder import (
    build_embedding_store,
    count_texts,
    gather,
    share_of,
    summary,
)
from actiongpt_jax.text.embeddings.index import find_parts


def main(argv: Sequence[str]) -> None:
    """Runs the command line."""
    args = _parse(argv)
    part = parse_shard(args.shard)
    inputs = gather(
        args.descriptions,
        read_phrases(args.phrases) if args.phrases else (),
        k=args.k,
        how=args.aggregate,
        each=args.each,
        prompt=args.prompt,
        writer=args.writer,
    )
    texts, settings = inputs.texts, inputs.settings
    for where in inputs.truncated:
        print(f"left out {where}: truncated, without a line end", file=sys.stderr)
    if settings.writer is not None:
        print(f"descriptions by {settings.writer!r} for the prompt {settings.prompt!r}")
    encoder = encoders.load(args.encoder)
    total = count_texts(share_of(texts, part), settings)
    with tqdm(total=total, unit="text", desc="embed") as bar:
        meta = build_embedding_store(
            args.out,
            texts,
            encoder,
            settings,
            part=part,
            batch_size=args.batch_size,
            on_texts=bar.update,
        )
    _report(pathlib.Path(args.out), part, meta)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(prog="python -m actiongpt_jax.embed", description=__doc__)
    add = parser.add_argument
    add("--descriptions", help="JSONL file, folder of such, or {phrase: [texts]} JSON")
    add("--phrases", help="motion store, text file or BABEL json: more, undescribed")
    add("--encoder", required=True, help="minilm, a folder, or a Hugging Face id")
    add("--k", type=int, default=4, help="descriptions joined per phrase (4)")
    add("--out", required=True, help="the store to make")
    add("--each", action="store_true", help="store every single description too")
    add("--shard", metavar="I/N", help="only this part of the phrases, 1/N to N/N")
    add("--prompt", help="answers to this prompt (the only one, of several detail)")
    add("--writer", help="descriptions by this writer (the first in the file)")
    add("--aggregate", default=aggregate.DEFAULT, choices=aggregate.METHODS)
    add("--batch-size", type=int, help="texts at once (8, on accelerators 128)")
    args = parser.parse_args(argv)
    for flag, value in (("--k", args.k), ("--batch-size", args.batch_size)):
        if value is not None and value < 1:
            raise InputError(f"{flag} must be 1 or more, got {value}")
    if args.descriptions is None and args.phrases is None:
        raise InputError("give --descriptions FILE, or --phrases for phrases alone")
    return args


def _report(out: pathlib.Path, part: Shard | None, meta: dict) -> None:
    what = str(out)
    if part is not None:
        done = sum(find_parts(out).values())
        what += f", part {part.number} of {part.count} ({done} finished)"
    print(f"{what}: {summary(meta)}")


if __name__ == "__main__":
    cli.run(main)
