"""Generates motions from phrases with a trained model.

python -m actiongpt_jax.generate --workdir runs/teach --text "walk" --seconds 3 \
    --text "sit down" --seconds 2 --out motions

With a TEACH model several texts make one series; with others each makes a motion of its
own. `--series` chooses: 'past' reads how the motion before ended, 'independent'
generates each action by itself and joins them, 'joined' puts all texts into one prompt,
'off' makes a motion of each text.
"""

import collections
import math
import pathlib
import re
import sys
import warnings
from collections.abc import Sequence

from tqdm import tqdm

from actiongpt_jax import cli
from actiongpt_jax.config import cache_folder
from actiongpt_jax.data.motion import Motion, save_motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.generate import WINDOW, generate_sequence
from actiongpt_jax.inference.next_action import ALIGN
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import DIVERSE, plan_series
from actiongpt_jax.inference.series import (
    SERIES,
    series_frames,
    series_mode,
    series_prompts,
)
from actiongpt_jax.inference.trained import load_trained
from actiongpt_jax.training.parallel import use_compilation_cache


def main(argv: Sequence[str]) -> None:
    """Reads flags, generates, writes one npz per motion."""
    parser = cli.Parser(prog="python -m actiongpt_jax.generate", description=__doc__)
    add = parser.add_argument
    add("--workdir", required=True, help="of a training run")
    add("--checkpoint", default="latest", help="latest, best or a step")
    add("--text", action="append", required=True, help="a phrase; may be repeated")
    add("--seconds", action="append", type=float, help="one per --text (3 each)")
    add("--series", choices=SERIES, help="what several texts make (see above)")
    add("--align", choices=ALIGN, default="full", help="how actions are joined")
    add("--window", type=int, default=WINDOW, help="frames that lead over")
    add("--samples", type=int, default=1, help="motions of each phrase or series")
    add("--diverse", choices=DIVERSE, help="what samples differ by (latent)")
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
    which = int(args.checkpoint) if args.checkpoint.isdecimal() else args.checkpoint
    if not math.isfinite(args.fact):
        raise InputError(f"--fact must be finite, got {args.fact}")
    use_compilation_cache(cache_folder() / "xla")
    trained = load_trained(args.workdir, which)
    mode = series_mode(args.series, trained)
    frames = series_frames(args.seconds, args.text, mode)
    embedder = PhraseEmbedder(trained.config, args.embeddings, args.descriptions)
    # A model without a distribution has no other diversity than its texts'.
    own = "descriptions" if embedder.pooled and args.samples > 1 else "latent"
    warnings.showwarning = lambda message, *_, **__: print(
        f"warning: {message}", file=sys.stderr
    )
    series = [
        requests
        for texts, lengths in series_prompts(args.text, frames, mode)
        for requests in plan_series(
            embedder,
            texts,
            lengths,
            args.samples,
            args.diverse or own,
            0.0 if args.mean else args.fact,
            args.seed,
        )
    ]
    progress = tqdm(total=sum(map(len, series)), unit="action", leave=False)
    motions = generate_sequence(
        trained,
        series,
        align=args.align,
        window=args.window,
        read_past=mode == "past",
        on_action=progress.update,
    )
    progress.close()
    _write(motions, pathlib.Path(args.out), args.layout)


def _write(motions: Sequence[Motion], out: pathlib.Path, layout: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    # Texts given twice, or alike but for their punctuation, share a count.
    written = collections.Counter()
    for motion in motions:
        caption = ", then ".join(motion.text)
        name = re.sub(r"[^a-z0-9]+", "_", caption.lower()).strip("_")[:60] or "motion"
        path = out / f"{name}_{written[name]}.npz"
        written[name] += 1
        save_motion(path, motion, layout=layout)
        print(f"{path}: {caption!r}, {len(motion.translation)} frames")


if __name__ == "__main__":
    cli.run(main)
