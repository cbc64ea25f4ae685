"""Evaluates what a trained model generates for a split, next to captured motion.

    python -m actiongpt_jax.evaluate --workdir runs/temos --split val --samples 10

For each labelled segment of the split (for a TEACH model, each pair of actions), the
model generates a motion as long as the captured one. The command prints position and
variance errors, foot and ground figures and, with --evaluator, how well motions fit
their texts, next to the same figures of real motions. It writes a JSON file into the
folder evaluation/ of the workdir, and one line per motion while it runs: called again
after an interruption, it continues from there.

    python -m actiongpt_jax.evaluate --motions FOLDER --data STORE --split val

evaluates the motion files of another model, with the same tables.
"""

from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.choices import BASELINES, PROTOCOLS, SEMANTIC


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("evaluate", __doc__)
    cli.add_model_flags(parser)
    cli.add_sampling_flags(parser)
    parser.set_defaults(samples=None)
    add = parser.add_argument
    made = (
        "folder of .npz or .bvh files to evaluate in place of a model's motions; each "
    )
    made += "has the key of its stretch as its name or in index.jsonl; needs --data"
    add("--motions", metavar="FOLDER", help=made)
    add("--data", help="motion store (default: the one used in training)")
    add("--split", default="val", help="split of the store: train, val or test")
    add(
        "--limit",
        type=cli.at_least(1),
        help="number of motions to evaluate (default: all)",
    )
    normal = "position and variance errors as in the paper or its published code"
    add("--protocol", choices=PROTOCOLS, default="paper", help=normal)
    add("--body", help="SMPL or SMPL-H file, for the heels of the reference protocol")
    trained = "run of configs/evaluator.py, to measure how motions fit their texts"
    add("--evaluator", metavar="WORKDIR", help=trained)
    many = "number of texts, ten motions each, for --evaluator to compare"
    add("--multimodality", "-m", type=cli.at_least(0), default=20, help=many)
    add(
        "--baselines",
        action="store_true",
        help=f"also measure {' and '.join(BASELINES)}",
    )
    add(
        "--semantic",
        nargs="?",
        const=SEMANTIC[0],
        choices=SEMANTIC,
        help="judge whether motions do what the built-in corpus's phrases say, by 8 "
        "samples of each unless --samples is given; only: measure nothing else",
    )
    nearest = "file of categories, one a line: measure only how often the nearest text "
    add("--categories", help=f"{nearest}names a motion's category (top-1, top-5)")
    bare = "read phrases in place of their descriptions (text.source=mixed only)"
    add("--bare", action="store_true", help=bare)
    add("--out", help="JSON file (default: one in the workdir's folder evaluation/)")
    return parser


def main(argv: Sequence[str]) -> None:
    """Reads flags, evaluates the model, and prints tables."""
    args = make_parser().parse_args(argv)
    cli.shorten_warnings()

    from actiongpt_jax.evaluation.run import evaluate_model
    from actiongpt_jax.evaluation.tables import readable

    result = evaluate_model(**vars(args))
    print(f"{readable(result)}\n\n{result['path']}")


if __name__ == "__main__":
    cli.run(main)
