r"""Does training on real motion capture work, and does the text matter?

    python benchmarks/minibabel.py --data STORE --text EMBEDDINGS \
        [--out runs/minibabel] [--save FILE]

Answers five questions on a small store of real motion and prints a JSON line each:

full     TEMOS at its published size (latent 256, 6 layers), 60 steps: does the
         validation loss fall?
overfit  a small TEMOS on 16 segments: does the error of reconstruction from text fall
         to a tenth?
text     a small TEMOS on all segments: how much worse is validation if every motion
         gets the embedding of another phrase?
pairs    TEACH at its published size, 60 steps: does the validation loss fall?
series   a small TEACH on all segments generates series of four actions whose phrases
         have clips in the validation split: how often is an action nearer to the clips
         of its own phrase than to those of another?
"""

import argparse
import json
import pathlib
from typing import Any

import jax
import nearness
import numpy as np
import record

from actiongpt_jax.config import load_config
from actiongpt_jax.data.batches.plan import BatchPlan
from actiongpt_jax.data.batches.segment_batches import SegmentBatches, model_batch
from actiongpt_jax.data.batches.segments import segments
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.inference.generate import generate_sequence
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_series
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.losses.terms import masked_term, smooth_l1
from actiongpt_jax.text.embeddings.store import open_embeddings
from actiongpt_jax.training.loop import train

SMALL = (
    "--config.model.latent_dim=128",
    "--config.model.ff_size=256",
    "--config.model.num_layers=3",
    "--config.train.learning_rate=5e-4",
    "--config.data.max_shapes=3",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--out", default="runs/minibabel")
    cases = {
        "full": full,
        "overfit": overfit,
        "text": text_matters,
        "pairs": pairs,
        "series": series,
    }
    parser.add_argument("--only", choices=tuple(cases), nargs="+", default=tuple(cases))
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    rows = []
    for name, case in cases.items():
        if name in args.only:
            rows.append({"case": name, **case(args, pathlib.Path(args.out) / name)})
            print(json.dumps(rows[-1]), flush=True)
    if args.save:
        embeddings, store = open_embeddings(args.text), open_store(args.data)
        counts = [len(segments(store, split)) for split in ("train", "val")]
        record.save(
            args.save,
            rows,
            seed=load_config("temos").train.seed,
            segments=dict(zip(("train", "val"), counts, strict=True)),
            text=f"{embeddings.encoder}, k = {embeddings.k}",
        )


def configure(args, *overrides, model="temos"):
    stores = (f"--config.data.store={args.data}", f"--config.text.store={args.text}")
    return load_config(model, [*stores, *overrides])


def records(workdir, name):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [r for r in map(json.loads, lines) if name in r]


def full(args, workdir):
    steps = ("--config.train.num_steps=60", "--config.data.max_shapes=3")
    train(configure(args, *steps), workdir)
    first, *_, last = records(workdir, "val/loss")
    names = ("val/loss", "val/recons_text2rfeats", "val/ape_root", "val/ape_global")
    figures = {name: [round(r[name], 4) for r in (first, last)] for name in names}
    return {"steps": last["step"], **figures}


def overfit(args, workdir):
    """Trains on 16 segments of at most 64 frames, without dropout."""
    config = configure(args, *SMALL, "--config.train.num_steps=400")
    config.data.limit, config.data.max_frames, config.data.max_shapes = 16, 64, 1
    config.train.eval_epochs = 1000
    config.model.dropout = 0.0
    config.train.learning_rate = 1e-3
    config.losses.lmd_kl = 1e-5
    train(config, workdir)
    figures = [r["train/recons_text2rfeats"] for r in records(workdir, "train/loss")]
    return {
        "steps": 400,
        "recons_text2rfeats": [round(figures[0], 4), round(figures[-1], 4)],
        "ratio": round(figures[-1] / figures[0], 4),
    }


def pairs(args, workdir):
    steps = ("--config.train.num_steps=60", "--config.data.max_shapes=3")
    train(configure(args, *steps, model="teach"), workdir)
    first, *_, last = records(workdir, "val/loss")
    names = ("loss", "recons_text2rfeats_0", "recons_text2rfeats_1", "ape_global")
    return {
        "steps": 60,
        **{f"val/{n}": [round(r[f"val/{n}"], 4) for r in (first, last)] for n in names},
    }


def series(args, workdir, count=32, length=4, steps=500):
    steps_flag = f"--config.train.num_steps={steps}"
    train(configure(args, *SMALL, steps_flag, model="teach"), workdir)
    trained, store = load_model(workdir), open_store(args.data)
    held_out = segments(store, "val")
    known = {item.phrase for item in segments(store, "train")}
    items = [item for item in held_out if item.phrase in known]
    frames: dict[str, list[int]] = {}
    for item in items:
        frames.setdefault(item.phrase, []).append(item.end - item.start)
    typical = {
        phrase: int(np.clip(np.median(counts), 30, 150))
        for phrase, counts in frames.items()
    }
    rng, embedder = np.random.default_rng(0), PhraseEmbedder(trained.config)
    drawn = [
        rng.choice(sorted(typical), length, replace=False).tolist()
        for _ in range(count)
    ]
    requests = [
        plan_series(embedder, phrases, [typical[p] for p in phrases], fact=0.0)[0]
        for phrases in drawn
    ]
    actions, names = [], []
    for motion in generate_sequence(trained, requests):
        ends = np.cumsum(motion.lengths)
        for end, size, phrase in zip(ends, motion.lengths, motion.text, strict=True):
            rows = slice(end - size, end)
            actions.append((motion.rotations[rows], motion.translation[rows]))
            names.append(phrase)
    distance = nearness.distances(
        nearness.joints_of(actions), nearness.clips_of(store, items)
    )
    result = nearness.own_nearer(distance, names, [item.phrase for item in items])
    sizes = {"phrases": len(typical), "clips": len(items), "series": count}
    return {"steps": steps, **sizes, "actions": len(actions), **result}


def text_matters(args, workdir):
    train(configure(args, *SMALL, "--config.train.num_steps=500"), workdir)
    trained = load_model(workdir)
    store, embeddings = open_store(args.data), open_embeddings(args.text)
    items = segments(store, "val")
    plan = BatchPlan(np.array([i.end - i.start for i in items]), 16, 0, 3)
    batches = SegmentBatches(store, items, embeddings, plan)
    rng = np.random.default_rng(0)
    totals = {"own": [], "shuffled": []}

    @jax.jit
    def reconstruct(raw):
        batch = model_batch(raw, trained.normalizer, trained.config.data.heading)
        text: Any = trained.model.apply(
            trained.variables,
            batch["tokens"],
            batch["token_mask"],
            method="encode_text",
        )
        mask = batch["frame_mask"]
        features: Any = trained.model.apply(
            trained.variables, text.mu, mask, method="decode"
        )
        return masked_term(smooth_l1(features, batch["features"]), mask)

    for step in range(plan.batches_per_epoch):
        raw = batches.load(step)
        phrases = [items[i].phrase if i >= 0 else "" for i in raw.pop("item")]
        other = [
            rng.choice([j for j, p in enumerate(phrases) if p not in (phrase, "")])
            for phrase in phrases
        ]
        totals["own"].append(reconstruct(raw))
        for name in ("tokens", "token_lengths"):
            raw[name] = raw[name][other]
        totals["shuffled"].append(reconstruct(raw))
    means = {
        name: float(sum(s for s, _ in parts) / sum(n for _, n in parts))
        for name, parts in totals.items()
    }
    return {
        "steps": 500,
        **{f"val_recons_{name}": round(mean, 4) for name, mean in means.items()},
        "ratio": round(means["shuffled"] / means["own"], 3),
    }


if __name__ == "__main__":
    main()
