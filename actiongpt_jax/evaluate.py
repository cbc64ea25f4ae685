"""Evaluates what a trained model generates for a split, next to captured motion.

python -m actiongpt_jax.evaluate --workdir runs/temos --split val --samples 10

Generates a motion for each labelled stretch of the split, or for each pair of actions
of a TEACH model, as long as the captured one, and prints position and variance errors,
foot and ground figures, and with --evaluator how well motions fit their texts. Rows of
real motions stand next to them. Writes a JSON file into the folder evaluation/ of the
workdir, and a line per motion on the way: run again after an interruption, it continues
there.
"""

from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.choices import BASELINES, PROTOCOLS


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("evaluate", __doc__)
    cli.add_model_flags(parser)
    cli.add_sampling_flags(parser)
    add = parser.add_argument
    add("--data", help="motion store (default: the one of training)")
    add("--split", default="val", help="split of the store: train, val or test")
    add("--limit", type=cli.at_least(1), help="motions drawn from it (default: all)")
    normal = "how motions are normalized before errors are measured"
    add("--protocol", choices=PROTOCOLS, default="paper", help=normal)
    add("--body", help="SMPL or SMPL-H file, for the heels of the reference protocol")
    judge = "run of configs/evaluator.py, to measure how motions fit their texts"
    add("--evaluator", metavar="WORKDIR", help=judge)
    many = "number of texts of which ten motions each are compared, with --evaluator"
    add("--multimodality", "-m", type=cli.at_least(0), default=20, help=many)
    add("--baselines", action="store_true", help=f"add {' and '.join(BASELINES)}")
    add("--out", help="JSON file (default: one in the workdir's folder evaluation/)")
    return parser


def main(argv: Sequence[str]) -> None:
    """Reads flags, evaluates, prints tables."""
    args = make_parser().parse_args(argv)

    from actiongpt_jax.evaluation.run import evaluate_model
    from actiongpt_jax.evaluation.tables import readable

    result = evaluate_model(**vars(args))
    print(f"{readable(result)}\n\n{result['path']}")


if __name__ == "__main__":
    cli.run(main)
