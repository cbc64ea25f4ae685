"""Judges what a trained model generates for a split, beside what was captured.

python -m actiongpt_jax.evaluate --workdir runs/temos --split val --samples 10

Generates a motion for each labelled stretch of the split, or of a TEACH model for each
pair of actions, as long as the captured one, and prints position and variance errors,
what feet and ground say, and with --evaluator how well motions fit their texts. Rows of
real motions stand beside them. Writes a JSON file into the folder evaluation/ of the
workdir, and a line per motion as it goes on: run again after an interruption, it goes
on there.
"""

import math
import pathlib
from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.config import cache_folder
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.run import BASELINES, Options, evaluate
from actiongpt_jax.inference.generate import WINDOW
from actiongpt_jax.inference.next_action import ALIGN
from actiongpt_jax.inference.requests import DIVERSE
from actiongpt_jax.inference.series import SERIES
from actiongpt_jax.training.parallel import use_compilation_cache


def main(argv: Sequence[str]) -> None:
    """Reads flags, judges, prints tables, writes the JSON file."""
    parser = cli.Parser(prog="python -m actiongpt_jax.evaluate", description=__doc__)
    add = parser.add_argument
    add("--workdir", required=True, help="of a training run")
    add("--checkpoint", default="latest", help="latest, best or a step")
    add("--data", help="motion store (that of training)")
    add("--split", default="val", help="of the store")
    add("--limit", type=int, help="so many motions, drawn from the split")
    add("--samples", type=int, default=1, help="motions of each text")
    add("--protocol", choices=("paper", "reference"), default="paper")
    add("--body", help="SMPL or SMPL-H file, for the heels of 'reference'")
    add("--evaluator", metavar="WORKDIR", help="of a run of configs/evaluator.py")
    add(
        "--multimodality",
        "-m",
        type=int,
        default=20,
        help="texts of which ten motions each show how alike they are",
    )
    add("--baselines", action="store_true", help=f"judge {', '.join(BASELINES)} too")
    add("--series", choices=SERIES, help="what the actions of a pair make")
    add("--align", choices=ALIGN, default="full", help="how actions are joined")
    add("--window", type=int, default=WINDOW, help="frames that lead over")
    add("--diverse", choices=DIVERSE, help="what samples differ by (latent)")
    add("--fact", type=float, default=1.0, help="scale of the latent's deviation")
    add("--mean", action="store_true", help="the mean latent, as --fact 0")
    add("--seed", type=int, default=0)
    add("--embeddings", help="embedding store (that of training)")
    add("--descriptions", help="file of descriptions, embedded on the spot")
    add("--out", help="JSON file (default: in the workdir's folder evaluation/)")
    args = vars(parser.parse_args(argv))
    if args.pop("mean"):
        args["fact"] = 0.0
    for name, least in (("samples", 1), ("limit", 1), ("multimodality", 0)):
        if args[name] is not None and args[name] < least:
            raise InputError(f"--{name} must be at least {least}, got {args[name]}")
    if not math.isfinite(args["fact"]):
        raise InputError(f"--fact must be finite, got {args['fact']}")
    if not 0 <= args["seed"] < 2**32:
        raise InputError(f"--seed must be from 0 to 2^32 - 1, got {args['seed']}")
    use_compilation_cache(cache_folder() / "xla")
    out = args.pop("out")
    text, path = evaluate(Options(**args), pathlib.Path(out) if out else None)
    print(f"{text}\n\n{path}")


if __name__ == "__main__":
    cli.run(main)
