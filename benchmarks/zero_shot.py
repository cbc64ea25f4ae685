r"""Do descriptions help with phrases that training never saw?

    python benchmarks/zero_shot.py --model teach [--steps 500] [--seeds 0 1 2] \
        [--save FILE]

Trains a small model on the built-in corpus twice per seed, on descriptions and on the
phrases themselves, with the same budget and the same number of parameters. Then each
clip of the validation split is generated from its phrase (mean latent) and compared
with the real one, apart for phrases of the training split and for those that never
occur in it, though the movements they are made of do. Prints a JSON line per run, then
per arm the mean over seeds and their spread (largest minus smallest).

Figures: APE in metres after alignment of frame 0 (less is better), `global` over all
joints, which tells mostly how far somebody went, and `local`, joints relative to the
pelvis, which tells the pose; `pairs` and `top1`: how often the motion is nearer to the
real clips of its own phrase than to those of another unseen one, or of all others (more
is better), by the local distance. The last line: local APE of each unseen phrase.
A finished run is not trained again.
"""

import argparse
import json
import pathlib

import jax
import nearness
import numpy as np
import record

from actiongpt_jax.config import load_config
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.data.segments import phrases, segments
from actiongpt_jax.inference.generate import generate_motion
from actiongpt_jax.inference.phrases import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_samples
from actiongpt_jax.inference.trained import load_trained
from actiongpt_jax.train import use_builtin_data
from actiongpt_jax.training.loop import train

ARMS = ("descriptions", "phrase")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("temos", "teach"), default="teach")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sequences", type=int, default=240, help="of the corpus")
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
    """Trains one model and judges it."""
    out = pathlib.Path(args.out)
    config = load_config(
        f"{args.model}:demo,text={arm}",
        [
            f"--config.train.num_steps={args.steps}",
            f"--config.train.seed={seed}",
            f"--config.data.builtin={args.sequences}",
        ],
    )
    # It is judged below, not on the way.
    config.train.eval_epochs = 10**6
    use_builtin_data(config, out)
    workdir = out / f"{args.model}-{arm}-{seed}"
    train(config, workdir)
    trained, store = load_trained(workdir), open_store(config.data.store)
    known = set(phrases(segments(store, "train")))
    items = {"seen": [], "unseen": []}
    for item in segments(store, "val"):
        items["seen" if item.phrase in known else "unseen"].append(item)
    embedder, found = PhraseEmbedder(trained.config), {}
    for name, group in items.items():
        requests = [
            plan_samples(embedder, item.phrase, item.end - item.start, fact=0.0)[0]
            for item in group
        ]
        motions = generate_motion(trained, requests)
        made = nearness.joints_of([(m.rotations, m.translation) for m in motions])
        real = nearness.clips_of(store, group)
        local = nearness.distances(made, real, "ape_local")
        names = [item.phrase for item in group]
        found[name] = {
            "clips": len(group),
            "global": mean_of(np.diag(nearness.distances(made, real))),
            "local": mean_of(np.diag(local)),
            **nearness.own_nearer(local, names, names),
        }
        if name == "unseen":
            found["local_by_phrase"] = {
                phrase: mean_of(np.diag(local)[np.array(names) == phrase])
                for phrase in sorted(set(names))
            }
    jax.clear_caches()
    return found


def mean_of(values):
    return round(float(np.mean(values)), 4)


def by_phrase(rows):
    """Returns unseen phrase -> arm -> local APE, mean over seeds."""
    return {
        phrase: {
            arm: mean_of(
                [r["local_by_phrase"][phrase] for r in rows if r["arm"] == arm]
            )
            for arm in ARMS
        }
        for phrase in rows[0]["local_by_phrase"]
    }


def summarise(arm, rows):
    """Returns means over seeds and their spread."""
    own = [row for row in rows if row["arm"] == arm]
    summary = {"arm": arm, "seeds": len(own)}
    for group in ("seen", "unseen"):
        for figure in ("global", "local", "pairs", "top1"):
            values = [row[group][figure] for row in own]
            summary[f"{group}_{figure}"] = {
                "mean": mean_of(values),
                "spread": round(max(values) - min(values), 4),
            }
    return summary


if __name__ == "__main__":
    main()
