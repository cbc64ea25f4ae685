r"""Generates motions from phrases with a trained model.

    python -m actiongpt_jax.generate --text "wave with the right hand" --out wave.html
    python -m actiongpt_jax.generate --workdir runs/teach --text "walk" --seconds 3 \
        --text "sit down" --seconds 2 --out motions
    python -m actiongpt_jax.generate --prompts phrases.csv --out motions

Without --workdir, a small pretrained TEACH model is used that comes with the package.
With a TEACH model, several texts make one series of actions; with other models, each
text makes a separate motion. `--series` chooses: 'past' lets each action read how the
previous motion ended, 'independent' generates the actions separately and joins them,
'joined' puts all texts into one prompt, 'off' makes a separate motion for each text.
--describe-with MODEL asks a language model to describe phrases that the model does not
know.
"""

from collections.abc import Sequence
from typing import Any

from actiongpt_jax import cli
from actiongpt_jax.data.amass_fields import COLUMNS
from actiongpt_jax.errors import InputError


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("generate", __doc__)
    add = parser.add_argument
    add("--text", type=str, action="append", help="phrase; may be repeated")
    duration = "duration, once per --text (default: as in training, else 3)"
    add("--seconds", action="append", type=float, help=duration)
    given = "motion (.npz or .bvh) to go on from: the result starts with it"
    add("--after", metavar="FILE", help=given)
    cli.add_prompt_flags(parser)
    cli.add_model_flags(parser)
    cli.add_writer_flags(parser)
    cli.add_sampling_flags(parser)
    add("--clean-feet", action="store_true", help="plant feet that slide on the ground")
    columns = "column layout of the npz files"
    add("--layout", choices=COLUMNS, default="smplh", help=columns)
    file = "one file of all motions whose suffix selects the format, as in `render`"
    add("--out", default="motions", help=f"folder of npz files, or {file}")
    return parser


def main(argv: Sequence[str]) -> None:
    """Reads flags, generates motions, and writes an npz file for each, or one file."""
    args = make_parser().parse_args(argv)
    if sum(x is not None for x in (args.text, args.prompts, args.split)) != 1:
        raise InputError("give either --text, or --prompts FILE, or --split SPLIT")
    one_file = cli.is_one_file(args.out)
    if args.text is None and (one_file or args.seconds or args.after):
        raise InputError(
            "--prompts and --split write a folder, --out, and take neither --seconds "
            "nor --after; write the seconds into the file, and show the folder's files "
            "with `render`"
        )
    if args.split is None and (args.limit or args.data or args.captured):
        raise InputError("--limit, --data and --captured must be given with --split")

    from actiongpt_jax.inference.prompt_job import generate_many
    from actiongpt_jax.inference.trained import load_model
    from actiongpt_jax.inference.writer import make_writer, show_descriptions

    cli.shorten_warnings()
    writer = make_writer(args, args.workdir)
    options = {**vars(args), "writer": writer}
    model = load_model(options.pop("workdir"), options.pop("checkpoint"))
    texts, seconds = options.pop("text"), options.pop("seconds")
    if texts is None:
        del options["after"]
        print(generate_many(model, **options))
        show_descriptions(writer)
        return
    for name in ("prompts", "split", "limit", "data", "captured"):
        del options[name]
    _generate(model, texts, seconds, one_file, options)


def _generate(
    model: Any,
    texts: list[str],
    seconds: list[float] | None,
    one_file: bool,
    options: dict[str, Any],
) -> None:
    from actiongpt_jax.data.motion import load_motion, save_motions
    from actiongpt_jax.inference.motions import generate_motions
    from actiongpt_jax.inference.phrase_embedder import known_descriptions
    from actiongpt_jax.inference.writer import show_descriptions

    out, layout, writer = options.pop("out"), options.pop("layout"), options["writer"]
    if options["after"] is not None:
        options["after"] = load_motion(options["after"])
    motions = generate_motions(model, texts, seconds, **options, progress=True)
    show_descriptions(writer)
    if one_file:
        from actiongpt_jax.viewing.render import render

        known = known_descriptions(model.config, options["descriptions"])
        read = {p: known.texts(p)[: model.config.text.k] for p in known}
        read |= writer.described if writer else {}
        samples = options["samples"]
        titles = [f"sample {i % samples + 1}" for i in range(len(motions))]
        titles = titles if samples > 1 else [""] * len(motions)
        render(out, motions, titles, descriptions=read, layout=layout)
        print(f"{out}: {', '.join(dict.fromkeys(m.caption for m in motions))}")
        return
    for path, motion in zip(save_motions(out, motions, layout), motions, strict=True):
        print(f"{path}: {motion.caption!r}, {len(motion.translation)} frames")


if __name__ == "__main__":
    cli.run(main)
