"""Generates motions from phrases with a trained model.

python -m actiongpt_jax.generate --workdir runs/temos --text "walk" --seconds 3 \
    --samples 4 --out motions
"""

import collections
import math
import pathlib
import re
import sys
import warnings
from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.data.amass import save_motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.generate import (
    DIVERSE,
    FPS,
    generate_motion,
    load_trained,
    plan_samples,
)
from actiongpt_jax.inference.phrases import PhraseEmbedder


def main(argv: Sequence[str]) -> None:
    """Reads flags, generates, writes one npz per motion."""
    parser = cli.Parser(prog="python -m actiongpt_jax.generate", description=__doc__)
    add = parser.add_argument
    add("--workdir", required=True, help="of a training run")
    add("--checkpoint", default="latest", help="latest, best or a step")
    add("--text", action="append", required=True, help="a phrase; may be repeated")
    add("--seconds", action="append", type=float, help="one, or one per --text (3)")
    add("--samples", type=int, default=1, help="motions of each phrase")
    add("--diverse", choices=DIVERSE, default="latent", help="what samples differ by")
    add("--fact", type=float, default=1.0, help="scale of the latent's deviation")
    add("--mean", action="store_true", help="the mean latent, as --fact 0")
    add("--seed", type=int, default=0)
    add("--embeddings", help="embedding store (that of training)")
    add("--descriptions", help="file of descriptions, embedded on the spot")
    add(
        "--layout", choices=("smplh", "smplx"), default="smplh", help="columns of poses"
    )
    add("--out", default="motions", help="folder of the npz files")
    args = parser.parse_args(argv)
    seconds = args.seconds or [3.0]
    if len(seconds) not in (1, len(args.text)):
        raise InputError(
            f"--seconds must be given once or once per --text, got {len(seconds)} for "
            f"{len(args.text)} texts"
        )
    which = int(args.checkpoint) if args.checkpoint.isdecimal() else args.checkpoint
    if not all(map(math.isfinite, [*seconds, args.fact])):
        raise InputError(
            f"--seconds and --fact must be finite, got {seconds}, {args.fact}"
        )
    trained = load_trained(args.workdir, which)
    embedder = PhraseEmbedder(trained.config, args.embeddings, args.descriptions)
    warnings.showwarning = lambda message, *_, **__: print(
        f"warning: {message}", file=sys.stderr
    )
    requests = [
        request
        for i, text in enumerate(args.text)
        for request in plan_samples(
            embedder,
            text,
            round(seconds[i % len(seconds)] * FPS),
            args.samples,
            args.diverse,
            0.0 if args.mean else args.fact,
            args.seed,
        )
    ]
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    # Texts given twice, or alike but for their punctuation, share a count.
    written = collections.Counter()
    for request, motion in zip(
        requests, generate_motion(trained, requests), strict=True
    ):
        name = (
            re.sub(r"[^a-z0-9]+", "_", request.text.lower()).strip("_")[:60] or "motion"
        )
        path = out / f"{name}_{written[name]}.npz"
        written[name] += 1
        save_motion(path, motion, layout=args.layout)
        print(f"{path}: {request.text!r}, {len(motion.translation)} frames")


if __name__ == "__main__":
    cli.run(main)
