"""Shows what a workdir's model is, and checks that every array is finite and used.

    python -m actiongpt_jax.verify runs/teach --card CARD.md

The exit code is 1 if any array is not finite or not used.
"""

from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.errors import JobIncompleteError


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("verify", __doc__)
    parser.add_argument(
        "workdir", help="folder or name of a model, as --workdir elsewhere"
    )
    cli.add_checkpoint_flag(parser)
    parser.add_argument("--card", help="model card to write, in Markdown (optional)")
    return parser


def main(argv: Sequence[str]) -> None:
    """Reads flags, prints the facts, and writes the model card."""
    args = make_parser().parse_args(argv)

    import jax

    from actiongpt_jax.conversion.verify import verify
    from actiongpt_jax.files.atomic import write_text
    from actiongpt_jax.training.parallel import use_compilation_cache

    # A single small forward pass; the CPU avoids the start-up of a GPU.
    jax.config.update("jax_platforms", "cpu")
    use_compilation_cache()
    report = verify(args.workdir, args.checkpoint)
    for name, value in report.facts().items():
        print(f"{name}: {value}")
    if args.card:
        write_text(args.card, report.card())
    if report.problems:
        shown = "; ".join(report.problems[:5])
        more = len(report.problems) - 5
        raise JobIncompleteError(
            f"{args.workdir} is not sound: {shown}"
            + (f"; and {more} more" if more > 0 else "")
        )
    print("every array is finite and used")


if __name__ == "__main__":
    cli.run(main)
