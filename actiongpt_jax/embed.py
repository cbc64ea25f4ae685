"""Embeds phrases and their descriptions into a store.

python -m actiongpt_jax.embed --descriptions FILE --encoder minilm --k 4 --out STORE
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from tqdm import tqdm

from actiongpt_jax import cli
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.text import aggregate, encoders, prompts, store_builder
from actiongpt_jax.text.descriptions import read_descriptions
from actiongpt_jax.text.store_shard import Settings


def main(argv: Sequence[str]) -> None:
    """Runs the command line."""
    parser = cli.Parser(prog="python -m actiongpt_jax.embed", description=__doc__)
    add = parser.add_argument
    add("--descriptions", help="JSONL file, folder of such, or {phrase: [texts]} JSON")
    add("--phrases", help="motion store or text file: more phrases, undescribed")
    add("--encoder", required=True, help="minilm, a folder, or a Hugging Face id")
    add("--k", type=int, default=4, help="descriptions joined per phrase (4)")
    add("--out", required=True, help="the store to make")
    add("--each", action="store_true", help="store every single description too")
    add("--prompt", default=prompts.DEFAULT, help="answers to this prompt (detail)")
    add("--writer", help="descriptions by this writer (the first in the file)")
    add("--aggregate", default=aggregate.DEFAULT, choices=aggregate.METHODS)
    add("--batch-size", type=int, help="texts at once (32, on accelerators 128)")
    args = parser.parse_args(argv)
    for flag, value in (("--k", args.k), ("--batch-size", args.batch_size)):
        if value is not None and value < 1:
            raise InputError(f"{flag} must be 1 or more, got {value}")
    texts, settings = _gather(args)
    encoder = encoders.load(args.encoder)
    total = store_builder.count_texts(texts, settings)
    with tqdm(total=total, unit="text", desc="embed") as bar:
        meta = store_builder.build_store(
            args.out,
            texts,
            encoder,
            settings,
            batch_size=args.batch_size,
            on_texts=bar.update,
        )
    print(
        f"{args.out}: {meta['phrases']} phrases, {meta['texts']} texts,"
        f" {meta['tokens']} token rows of {meta['width']}, k = {meta['k']}"
    )
    print(
        f"truncated: {meta['truncated']} of {meta['texts']} texts at {meta['limit']}"
        f" word pieces, {meta['cut']} pieces cut"
        + (f"; first: {meta['first_truncated']!r}" if meta["truncated"] else "")
    )


def _gather(args: argparse.Namespace) -> tuple[dict[str, list[str]], Settings]:
    texts: dict[str, list[str]] = {}
    settings = Settings(0, args.aggregate)
    if args.descriptions is None and args.phrases is None:
        raise InputError("give --descriptions FILE, or --phrases for phrases alone")
    if args.descriptions is not None:
        read = read_descriptions(args.descriptions)
        for where in read.torn:
            print(f"passed over {where}: torn, without an end", file=sys.stderr)
        chosen = read.select(args.prompt, args.writer, args.k)
        texts = {
            phrase: [r.text for r in records] for phrase, records in chosen.items()
        }
        settings = Settings.of(chosen, args.k, args.aggregate, each=args.each)
        print(f"descriptions by {settings.writer!r} for the prompt {settings.prompt!r}")
    if args.phrases is not None:
        path = pathlib.Path(args.phrases)
        if path.is_dir():
            more = [label.phrase for label in open_store(path).labels]
        else:
            more = path.read_text(encoding="utf-8").splitlines()
        texts |= {p.strip(): [] for p in more if p.strip() and p.strip() not in texts}
    return texts, settings


if __name__ == "__main__":
    cli.run(main)
