"""Embeds phrases and their descriptions and writes them to an embedding store.

    python -m actiongpt_jax.embed --descriptions FILE --encoder minilm --k 4 --out STORE

With --shard i/n, n jobs write the parts of one store; readers open all parts as one.
"""

import pathlib
from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.choices import AGGREGATIONS
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.shard import parse_shard


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("embed", __doc__)
    add = parser.add_argument
    files = "JSONL file, folder of JSONL files, or {phrase: [texts]} JSON"
    add("--descriptions", help=files)
    more = "further phrases, stored without descriptions: motion store, text file or"
    add("--phrases", help=f"{more} BABEL json")
    add("--encoder", required=True, help="minilm, a folder, or a Hugging Face id")
    add("--k", type=cli.at_least(1), default=4, help="descriptions joined per phrase")
    add("--out", required=True, help="folder of the store to make")
    add("--each", action="store_true", help="store every single description too")
    add("--shard", metavar="I/N", help="part of the phrases, 1/N to N/N (default: all)")
    prompt = "prompt whose answers are used (default: the only one in the file, or"
    add("--prompt", help=f"{prompt} detail)")
    add("--writer", help="writer of the descriptions (default: the first in the file)")
    how = "how the k descriptions are joined"
    add("--aggregate", default=AGGREGATIONS[0], choices=AGGREGATIONS, help=how)
    size = "texts encoded at once (default: 8, or 128 on an accelerator)"
    add("--batch-size", type=cli.at_least(1), help=size)
    return parser


def main(argv: Sequence[str]) -> None:
    """Reads the flags, embeds the phrases and prints what the store contains."""
    args = make_parser().parse_args(argv)
    if args.descriptions is None and args.phrases is None:
        raise InputError(
            "no phrases to embed: give --descriptions FILE, or --phrases to store"
            " phrases without descriptions"
        )

    from actiongpt_jax.data.phrases import read_phrases
    from actiongpt_jax.text.embeddings.builder import summary
    from actiongpt_jax.text.embeddings.from_descriptions import embed_descriptions
    from actiongpt_jax.text.embeddings.index import find_parts

    part = parse_shard(args.shard)
    meta = embed_descriptions(
        args.out,
        args.descriptions,
        args.encoder,
        k=args.k,
        phrases=read_phrases(args.phrases) if args.phrases else (),
        how=args.aggregate,
        each=args.each,
        prompt=args.prompt,
        writer=args.writer,
        part=part,
        batch_size=args.batch_size,
    )
    label = args.out
    if part is not None:
        done = sum(find_parts(pathlib.Path(args.out)).values())
        label += f", part {part.number} of {part.count} ({done} finished)"
    print(f"{label}: {summary(meta)}")


if __name__ == "__main__":
    cli.run(main)
