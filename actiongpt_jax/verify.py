"""Tells what a workdir's model is and checks that every array is finite and used.

python -m actiongpt_jax.verify runs/teach --card CARD.md

Exit code 1 if an array is not.
"""

import pathlib
from collections.abc import Sequence

import jax

from actiongpt_jax import cli
from actiongpt_jax.config import cache_folder
from actiongpt_jax.conversion.verify import verify
from actiongpt_jax.errors import JobIncompleteError
from actiongpt_jax.training.parallel import use_compilation_cache


def main(argv: Sequence[str]) -> None:
    """Reads flags, prints the facts, writes the card."""
    parser = cli.Parser(prog="python -m actiongpt_jax.verify", description=__doc__)
    parser.add_argument("workdir", help="of a training run or of `convert`")
    parser.add_argument("--checkpoint", default="latest", help="latest, best or a step")
    parser.add_argument("--card", help="also write a model card (Markdown)")
    args = parser.parse_args(argv)
    which = int(args.checkpoint) if args.checkpoint.isdecimal() else args.checkpoint
    # One small pass: nothing for an accelerator.
    jax.config.update("jax_platforms", "cpu")
    use_compilation_cache(cache_folder() / "xla")
    report = verify(args.workdir, which)
    for name, value in report.facts().items():
        print(f"{name}: {value}")
    if args.card:
        pathlib.Path(args.card).write_text(report.card())
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
