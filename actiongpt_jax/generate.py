r"""Generates motions from phrases with a trained model.

    python -m actiongpt_jax.generate --workdir runs/teach --text "walk" --seconds 3 \
        --text "sit down" --seconds 2 --out motions

With a TEACH model, several texts make one series of actions; with other models, each
text makes a separate motion. `--series` chooses: 'past' lets each action read how the
previous motion ended, 'independent' generates the actions separately and joins them,
'joined' puts all texts into one prompt, 'off' makes a separate motion for each text.
"""

from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.data.amass_fields import COLUMNS


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("generate", __doc__)
    add = parser.add_argument
    add("--text", action="append", required=True, help="phrase; may be repeated")
    duration = "duration, once per --text (default: 3 for each)"
    add("--seconds", action="append", type=float, help=duration)
    cli.add_model_flags(parser)
    cli.add_sampling_flags(parser)
    add(
        "--layout",
        choices=COLUMNS,
        default="smplh",
        help="column layout of the npz files",
    )
    add("--out", default="motions", help="folder of the npz files")
    return parser


def main(argv: Sequence[str]) -> None:
    """Reads flags, generates motions, and writes one npz file per motion."""
    args = vars(make_parser().parse_args(argv))

    from actiongpt_jax.data.motion import save_motions
    from actiongpt_jax.inference.motions import generate_motions
    from actiongpt_jax.inference.trained import load_model

    cli.shorten_warnings()
    out, layout = args.pop("out"), args.pop("layout")
    model = load_model(args.pop("workdir"), args.pop("checkpoint"))
    texts, seconds = args.pop("text"), args.pop("seconds") or 3.0
    motions = generate_motions(model, texts, seconds, **args, progress=True)
    paths = save_motions(out, motions, layout)
    for path, motion in zip(paths, motions, strict=True):
        print(f"{path}: {motion.caption!r}, {len(motion.translation)} frames")


if __name__ == "__main__":
    cli.run(main)
