"""Blends two motions, and changes a third by their difference, as latents of a model.

Each argument is a phrase, or a motion file that ends in .npz. Needs a trained model:
`make demo` trains a small one into runs/demo. The command `edit` does the same.

python examples/edit_latent.py "walk forward" "raise both arms" --base motion.npz
"""

import argparse

import numpy as np

import actiongpt_jax as agpt
from actiongpt_jax.inference.editing import edit, encode_sources, interpolate
from actiongpt_jax.inference.latents import decode_latents
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder


def main() -> None:
    """Encodes the arguments, computes new latents, and decodes them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("start", nargs="?", default="walk forward")
    parser.add_argument("end", nargs="?", default="raise both arms")
    parser.add_argument("--base", default="squat", help="changed by end - start")
    parser.add_argument("--workdir", default="runs/demo", help="a trained model")
    parser.add_argument("--steps", type=int, default=5, help="both ends included")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--out", default="motions", help="folder for the files")
    args = parser.parse_args()

    model = agpt.load_model(args.workdir)
    # Texts and motions share one latent space, so either can stand at either end.
    sources = [args.start, args.end, args.base]
    start, end, base = encode_sources(model, PhraseEmbedder(model.config), sources)
    # A latent is one vector for a whole motion; the decoder turns it into any length.
    blends = interpolate(start, end, args.steps)
    changed = edit(base, start, end)
    latents = np.concatenate([blends, changed[None]])
    titles = [f"{share:.0%} {args.end}" for share in np.linspace(0, 1, args.steps)]
    titles.append(f"{args.base} - {args.start} + {args.end}")
    frames = [round(args.seconds * model.framerate)] * len(latents)
    motions = decode_latents(model, latents, frames, titles)

    paths = agpt.save_motions(args.out, motions, name="edited")
    page = paths[0].with_name("edited.html")
    agpt.write_page(page, motions)
    print(f"{page} shows {len(motions)} motions side by side")


if __name__ == "__main__":
    main()
