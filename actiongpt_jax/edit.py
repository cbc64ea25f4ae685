r"""Changes motions by arithmetic on their latents, with a trained model.

    python -m actiongpt_jax.edit --workdir DIR interpolate "walk" "run" --steps 5
    python -m actiongpt_jax.edit --workdir DIR change "drink while standing" \
        --minus "stand" --plus "sit"
    python -m actiongpt_jax.edit --workdir DIR reconstruct motion.npz
    python -m actiongpt_jax.edit --workdir DIR recognise motion.npz --among phrases.txt

An argument that ends in .npz is a motion file; any other argument is a phrase. The
results get numbers that are free in the folder, so that no file is replaced.
"""

import pathlib
from collections.abc import Sequence

from actiongpt_jax import cli


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("edit", __doc__)
    cli.add_model_flags(parser)
    cli.add_writer_flags(parser)
    add = parser.add_argument
    add("--seconds", type=float, default=2.0, help="duration of the new motions")
    add("--out", default="edited", help="folder of the npz files")
    kinds = parser.add_subparsers(
        dest="kind", required=True, help="what to do; each has its own --help"
    )
    between = kinds.add_parser("interpolate", help="motions between two latents")
    between.add_argument("start", help="phrase or npz file")
    between.add_argument("end", help="phrase or npz file")
    between.add_argument(
        "--steps", type=int, default=5, help="number of motions, both ends included"
    )
    change = kinds.add_parser("change", help="replace one part of a latent by another")
    change.add_argument("base", help="phrase or npz file to change")
    change.add_argument("--minus", required=True, help="phrase or npz file to remove")
    change.add_argument("--plus", required=True, help="phrase or npz file to add")
    again = kinds.add_parser("reconstruct", help="encode and decode motions")
    again.add_argument("motions", nargs="+", help="npz files")
    which = kinds.add_parser("recognise", help="name the phrases nearest to a motion")
    which.add_argument("motions", nargs="+", help="npz files")
    which.add_argument(
        "--among", required=True, help="text file with one phrase per line, or store"
    )
    return parser


def main(argv: Sequence[str]) -> None:
    """Reads flags, encodes, changes the latents, decodes, and writes motions."""
    parser = make_parser()
    args = parser.parse_args(cli.options_first(parser, argv))

    import numpy as np

    from actiongpt_jax.data.motion import load_motion, save_motions
    from actiongpt_jax.data.phrases import read_phrases
    from actiongpt_jax.inference import editing
    from actiongpt_jax.inference.latents import decode_latents
    from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
    from actiongpt_jax.inference.requests import warn_of_unseen_lengths
    from actiongpt_jax.inference.series import series_frames
    from actiongpt_jax.inference.trained import load_model
    from actiongpt_jax.inference.writer import make_writer, show_descriptions

    cli.shorten_warnings()
    writer = make_writer(args, args.workdir)
    model = load_model(args.workdir, args.checkpoint)
    embedder = PhraseEmbedder(model.config, args.embeddings, args.descriptions, writer)
    frames = series_frames([args.seconds], [""], "off", model.framerate)
    warn_of_unseen_lengths(model.config, frames)
    if args.kind == "recognise":
        phrases = read_phrases(args.among)
        embedder.describe_unknown(phrases)
        show_descriptions(writer)
        for path in args.motions:
            motion = load_motion(path)
            best = editing.nearest_phrases(model, embedder, motion, phrases)
            print(f"{path}: " + ", ".join(f"{p!r} {score:.3f}" for p, score in best))
        return
    if args.kind == "interpolate":
        ends = editing.encode_sources(model, embedder, [args.start, args.end])
        latents = np.asarray(editing.interpolate(ends[0], ends[1], args.steps))
        captions = [f"{args.start} to {args.end}, {i}" for i in range(args.steps)]
    elif args.kind == "change":
        sources = [args.base, args.minus, args.plus]
        latents = editing.encode_sources(model, embedder, sources)
        latents = np.asarray(editing.edit(*latents))[None]
        captions = [f"{args.base} - {args.minus} + {args.plus}"]
    else:
        latents = editing.encode_sources(model, embedder, args.motions)
        captions = [f"{pathlib.Path(path).stem}, decoded" for path in args.motions]
    show_descriptions(writer)
    motions = decode_latents(model, latents, frames * len(latents), captions)
    paths = save_motions(args.out, motions, name=args.kind, replace=False)
    for path, motion in zip(paths, motions, strict=True):
        print(f"{path}: {motion.caption!r}, {len(motion.translation)} frames")


if __name__ == "__main__":
    cli.run(main)
