r"""Generates motions from phrases with a trained model.

    python -m actiongpt_jax.generate --text "wave with the right hand" --out wave.html
    python -m actiongpt_jax.generate --workdir runs/teach --text "walk" --seconds 3 \
        --text "sit down" --seconds 2 --out motions

Without --workdir, a small pretrained TEACH model is used that comes with the package.
With a TEACH model, several texts make one series of actions; with other models, each
text makes a separate motion. `--series` chooses: 'past' lets each action read how the
previous motion ended, 'independent' generates the actions separately and joins them,
'joined' puts all texts into one prompt, 'off' makes a separate motion for each text.
"""

import importlib.util
import pathlib
from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.choices import FILE_FORMATS
from actiongpt_jax.data.amass_fields import COLUMNS
from actiongpt_jax.errors import InputError


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("generate", __doc__)
    add = parser.add_argument
    add("--text", action="append", required=True, help="phrase; may be repeated")
    duration = "duration, once per --text (default: 3 for each)"
    add("--seconds", action="append", type=float, help=duration)
    given = "motion (.npz or .bvh) to go on from: the result starts with it"
    add("--after", metavar="FILE", help=given)
    cli.add_model_flags(parser)
    cli.add_sampling_flags(parser)
    add("--clean-feet", action="store_true", help="plant feet that slide on the ground")
    add(
        "--layout",
        choices=COLUMNS,
        default="smplh",
        help="column layout of the npz files",
    )
    file = "one file of all motions whose suffix selects the format, as in `render`"
    add("--out", default="motions", help=f"folder of npz files, or {file}")
    return parser


def main(argv: Sequence[str]) -> None:
    """Reads flags, generates motions, and writes an npz file for each, or one file."""
    args = vars(make_parser().parse_args(argv))

    from actiongpt_jax.data.motion import load_motion, save_motions
    from actiongpt_jax.inference.motions import generate_motions
    from actiongpt_jax.inference.phrase_embedder import known_descriptions
    from actiongpt_jax.inference.trained import load_model

    cli.shorten_warnings()
    out, layout = args.pop("out"), args.pop("layout")
    target = pathlib.Path(out)
    one_file = target.suffix.lower() in FILE_FORMATS and not target.is_dir()
    if one_file and importlib.util.find_spec("matplotlib") is None:
        raise InputError(
            f"writing {out} needs more packages; run `pip install actiongpt_jax[view]`"
        )
    after = args.pop("after")
    after = None if after is None else load_motion(after)
    model = load_model(args.pop("workdir"), args.pop("checkpoint"))
    texts, seconds = args.pop("text"), args.pop("seconds") or 3.0
    motions = generate_motions(
        model, texts, seconds, after=after, **args, progress=True
    )
    if one_file:
        from actiongpt_jax.viewing.render import render

        known = known_descriptions(model.config, args["descriptions"])
        texts = {p: known.texts(p)[: model.config.text.k] for p in known}
        samples = args["samples"]
        titles = [f"sample {i % samples + 1}" for i in range(len(motions))]
        titles = titles if samples > 1 else [""] * len(motions)
        render(out, motions, titles, descriptions=texts, layout=layout)
        print(f"{out}: {', '.join(dict.fromkeys(m.caption for m in motions))}")
        return
    paths = save_motions(out, motions, layout)
    for path, motion in zip(paths, motions, strict=True):
        print(f"{path}: {motion.caption!r}, {len(motion.translation)} frames")


if __name__ == "__main__":
    cli.run(main)
