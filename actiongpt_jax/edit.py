r"""Changes motions by arithmetic on their latents, with a trained model.

python -m actiongpt_jax.edit --workdir DIR interpolate "walk" "run" --steps 5
python -m actiongpt_jax.edit --workdir DIR change "drink while standing" \
    --minus "stand" --plus "sit"
python -m actiongpt_jax.edit --workdir DIR reconstruct motion.npz
python -m actiongpt_jax.edit --workdir DIR recognise motion.npz --among phrases.txt

What ends in .npz is a motion file, anything else a phrase.
"""

import pathlib
import sys
import warnings
from collections.abc import Sequence

import numpy as np

from actiongpt_jax import cli
from actiongpt_jax.config import cache_folder
from actiongpt_jax.data.motion import load_motion, save_motion
from actiongpt_jax.data.phrases import read_phrases
from actiongpt_jax.inference.editing import (
    edit,
    encode_sources,
    interpolate,
    nearest_phrases,
)
from actiongpt_jax.inference.latents import decode_latents
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.series import series_frames
from actiongpt_jax.inference.trained import load_trained
from actiongpt_jax.training.parallel import use_compilation_cache


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m actiongpt_jax.edit", description=__doc__)
    add = parser.add_argument
    add("--workdir", required=True, help="of a training run")
    add("--checkpoint", default="latest", help="latest, best or a step")
    add("--seconds", type=float, default=2.0, help="of what is made (2)")
    add("--embeddings", help="embedding store (that of training)")
    add("--descriptions", help="file of descriptions, embedded on the spot")
    add("--out", default="edited", help="folder of the npz files")
    kinds = parser.add_subparsers(dest="kind", required=True)
    between = kinds.add_parser("interpolate", help="from one latent to another")
    between.add_argument("start", help="phrase or npz")
    between.add_argument("end", help="phrase or npz")
    between.add_argument("--steps", type=int, default=5, help="both ends among them")
    change = kinds.add_parser("change", help="take one thing away, put another there")
    change.add_argument("base", help="phrase or npz")
    change.add_argument("--minus", required=True, help="phrase or npz")
    change.add_argument("--plus", required=True, help="phrase or npz")
    again = kinds.add_parser("reconstruct", help="encode and decode motions")
    again.add_argument("motions", nargs="+", help="npz files")
    which = kinds.add_parser("recognise", help="which phrase is nearest to a motion?")
    which.add_argument("motions", nargs="+", help="npz files")
    which.add_argument(
        "--among", required=True, help="file with a phrase a line, or motion store"
    )
    return parser


def main(argv: Sequence[str]) -> None:
    """Reads flags, encodes, changes, decodes, writes."""
    args = _parser().parse_args(argv)
    which = int(args.checkpoint) if args.checkpoint.isdecimal() else args.checkpoint
    use_compilation_cache(cache_folder() / "xla")
    trained = load_trained(args.workdir, which)
    embedder = PhraseEmbedder(trained.config, args.embeddings, args.descriptions)
    warnings.showwarning = lambda message, *_, **__: print(
        f"warning: {message}", file=sys.stderr
    )
    frames = series_frames([args.seconds], [""], "off")
    if args.kind == "recognise":
        phrases = read_phrases(args.among)
        for path in args.motions:
            best = nearest_phrases(trained, embedder, load_motion(path), phrases)
            print(f"{path}: " + ", ".join(f"{p!r} {score:.3f}" for p, score in best))
        return
    if args.kind == "interpolate":
        ends = encode_sources(trained, embedder, [args.start, args.end])
        latents = np.asarray(interpolate(ends[0], ends[1], args.steps))
        captions = [f"{args.start} to {args.end}, {i}" for i in range(args.steps)]
    elif args.kind == "change":
        sources = [args.base, args.minus, args.plus]
        latents = np.asarray(edit(*encode_sources(trained, embedder, sources)))[None]
        captions = [f"{args.base} - {args.minus} + {args.plus}"]
    else:
        latents = encode_sources(trained, embedder, args.motions)
        captions = [f"{pathlib.Path(path).stem}, decoded" for path in args.motions]
    motions = decode_latents(trained, latents, frames * len(latents), captions)
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for number, motion in enumerate(motions):
        path = save_motion(out / f"{args.kind}_{number}.npz", motion)
        print(f"{path}: {motion.text[0]!r}, {len(motion.translation)} frames")


if __name__ == "__main__":
    cli.run(main)
