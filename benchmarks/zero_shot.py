r"""Do descriptions help with phrases that never occur in training?

    python benchmarks/zero_shot.py --model teach [--steps 500] [--seeds 0 1 2] \
        [--save FILE]

Trains a small model on the built-in corpus twice per seed, on descriptions and on the
phrases themselves, with the same budget and the same number of parameters. Then every
clip of the validation split that is not longer than all training clips is generated
from its phrase (mean latent) and compared with the real clip, separately for `seen`
phrases of the training split and for `unseen` phrases. Unseen phrases never occur in
training, but their movements do. Among them, `opaque` phrases have a word that occurs
in no training phrase, the case that descriptions are meant for; `transparent` phrases
consist of words of training phrases. Prints a JSON line per run, then per arm the mean
over seeds and the spread (largest minus smallest).

Figures: APE in metres after alignment of frame 0 (lower is better). `global` is over
all joints and mostly measures the distance travelled; `local` is over joints relative
to the pelvis and measures the pose. `pairs` and `top1`: how often the motion is nearer
to the real clips of its own phrase than to those of one other unseen phrase, or of all
others, by the local distance (higher is better). The last line has the APE of each
unseen phrase. A finished run is not trained again, but clips that were added to the
validation split later are evaluated too.
"""

import argparse
import json
import pathlib

import jax
import nearness
import numpy as np
import record

from actiongpt_jax.config import load_config
from actiongpt_jax.data.batches.segments import phrases, segments
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.inference.generate import generate_motion
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_samples
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.synthetic.phrases import held_out_phrases, opaque_phrases
from actiongpt_jax.training.builtin_data import use_builtin_data
from actiongpt_jax.training.loop import train

ARMS = ("descriptions", "phrase")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("temos", "teach"), default="teach")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--sequences", type=int, default=240, help="sequences of the corpus"
    )
    parser.add_argument("--out", default="runs/zero_shot")
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    rows = []
    for seed in args.seeds:
        for arm in ARMS:
            rows.append({"arm": arm, "seed": seed, **run(args, arm, seed)})
            print(json.dumps(rows[-1]), flush=True)
    summary = [summarise(arm, rows) for arm in ARMS]
    summary.append({"unseen phrases": by_phrase(rows)})
    for line in summary:
        print(json.dumps(line), flush=True)
    if args.save:
        record.save(args.save, rows + summary, model=args.model, steps=args.steps)


def run(args, arm, seed):
    """Trains and evaluates one model."""
    out = pathlib.Path(args.out)
    config = load_config(
        f"{args.model}:demo,text={arm}",
        [
            f"--config.train.num_steps={args.steps}",
            f"--config.train.seed={seed}",
            f"--config.data.builtin={args.sequences}",
        ],
    )
    # The run is evaluated after training, not during it.
    config.train.eval_epochs = 10**6
    use_builtin_data(config, out)
    workdir = out / f"{args.model}-{arm}-{seed}"
    train(config, workdir)
    trained, store = load_model(workdir), open_store(config.data.store)
    least, most = config.data.min_frames, config.data.max_frames
    items = segments(store, "val", min_frames=least, max_frames=most)
    known = phrases(segments(store, "train", min_frames=least, max_frames=most))
    # Use today's store: the run may be older than the embeddings of unseen phrases.
    embedder, result = PhraseEmbedder(trained.config, config.text.store), {}
    for name, those in (("seen", known), ("unseen", held_out_phrases())):
        group = [item for item in items if item.phrase in those]
        requests = [
            plan_samples(embedder, item.phrase, item.end - item.start, fact=0.0)[0]
            for item in group
        ]
        motions = generate_motion(trained, requests)
        generated = nearness.joints_of([(m.rotations, m.translation) for m in motions])
        real = nearness.clips_of(store, group)
        whole = nearness.distances(generated, real)
        local = nearness.distances(generated, real, "ape_local")
        names = np.array([item.phrase for item in group])
        result[name] = figures(whole, local, names, np.full(len(names), True))
        if name == "unseen":
            opaque = np.isin(names, opaque_phrases())
            result["transparent"] = figures(whole, local, names, ~opaque)
            result["opaque"] = figures(whole, local, names, opaque)
            result["by_phrase"] = {
                str(phrase): {
                    "global": mean_of(np.diag(whole)[names == phrase]),
                    "local": mean_of(np.diag(local)[names == phrase]),
                }
                for phrase in sorted(set(names))
            }
    jax.clear_caches()
    return result


def figures(whole, local, names, chosen):
    """Returns the figures of the chosen motions, compared with all clips."""
    return {
        "clips": int(chosen.sum()),
        "global": mean_of(np.diag(whole)[chosen]),
        "local": mean_of(np.diag(local)[chosen]),
        **nearness.own_nearer(local[chosen], names[chosen].tolist(), names.tolist()),
    }


def mean_of(values):
    return round(float(np.mean(values)), 4)


def by_phrase(rows):
    """Returns unseen phrase -> figure -> arm -> mean over seeds."""
    return {
        phrase: {
            figure: {
                arm: mean_of(
                    [r["by_phrase"][phrase][figure] for r in rows if r["arm"] == arm]
                )
                for arm in ARMS
            }
            for figure in ("global", "local")
        }
        for phrase in rows[0]["by_phrase"]
    }


def summarise(arm, rows):
    """Returns the mean and the spread over seeds of every figure of an arm."""
    arm_rows = [row for row in rows if row["arm"] == arm]
    summary = {"arm": arm, "seeds": len(arm_rows)}
    for group in ("seen", "unseen", "transparent", "opaque"):
        for figure in ("global", "local", "pairs", "top1"):
            values = [row[group][figure] for row in arm_rows]
            summary[f"{group}_{figure}"] = {
                "mean": mean_of(values),
                "spread": round(max(values) - min(values), 4),
            }
    return summary


if __name__ == "__main__":
    main()
