"""Packs a trained model into a small folder that can be passed on.

    python -m actiongpt_jax.pack runs/teach --out teach-small
    hf upload owner/name teach-small        # for --workdir hf:owner/name

The folder holds the weights (float16), the normalizer, the config without paths, a
record of the training and a model card. Wherever a command takes --workdir, it takes
this folder.
"""

from collections.abc import Sequence

from actiongpt_jax import cli


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("pack", __doc__)
    add = parser.add_argument
    add("workdir", help="folder of a training run")
    add("--out", required=True, help="folder to make, or to write over")
    cli.add_checkpoint_flag(parser)
    figures = "JSON file that `evaluate` wrote about this checkpoint, for the card"
    add("--figures", metavar="FILE", help=figures)
    add("--commit", help="version of the code that trained the model, for the record")
    encoder = "name under which others find the text encoder (default: as in training)"
    add("--encoder", metavar="NAME", help=encoder)
    add("--max-mb", type=cli.number, help="refuse larger weights, in megabytes")
    return parser


def main(argv: Sequence[str]) -> None:
    """Reads flags, writes the folder, and prints what it holds."""
    args = make_parser().parse_args(argv)

    import jax

    from actiongpt_jax.conversion.pack import pack

    # Nothing is computed; the CPU avoids the start-up of a GPU.
    jax.config.update("jax_platforms", "cpu")
    record = pack(
        args.workdir,
        args.out,
        args.checkpoint,
        figures=args.figures,
        commit=args.commit,
        encoder=args.encoder,
        most_megabytes=args.max_mb,
    )
    print(
        f"{args.out}: {record['model']} after {record['steps']} steps, "
        f"{record['parameters']:,} parameters, {record['bytes'] / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    cli.run(main)
