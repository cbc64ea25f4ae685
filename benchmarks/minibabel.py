r"""Does training on real motion capture work, and does the text matter?

    python benchmarks/minibabel.py --data STORE --text EMBEDDINGS \
        [--out runs/minibabel] [--save FILE]

Answers three questions on a small store of real motion and prints a JSON line each:

full     the published size (latent 256, 6 layers) for 60 steps: does validation fall?
overfit  a small model on 16 segments: does reconstruction from text fall to a tenth?
text     a small model on everything: how much worse is validation when every motion
         is given another phrase's embedding?
"""

import argparse
import json
import pathlib
from typing import Any

import jax
import numpy as np
import record

from actiongpt_jax.config import load_config
from actiongpt_jax.data.batch_plan import BatchPlan
from actiongpt_jax.data.batching import SegmentBatches, model_batch
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.data.segments import segments
from actiongpt_jax.evaluation.validation import ape_ave_terms
from actiongpt_jax.inference.trained import load_trained
from actiongpt_jax.losses.terms import masked_term, smooth_l1
from actiongpt_jax.text.embedding_store import open_embeddings
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
    parser.add_argument("--only", choices=("full", "overfit", "text"))
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    cases = {"full": full, "overfit": overfit, "text": text_matters}
    rows = []
    for name, case in cases.items():
        if args.only in (None, name):
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


def configure(args, *overrides):
    stores = (f"--config.data.store={args.data}", f"--config.text.store={args.text}")
    return load_config("temos", [*stores, *overrides])


def records(workdir, name):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [r for r in map(json.loads, lines) if name in r]


def full(args, workdir):
    steps = ("--config.train.num_steps=60", "--config.data.max_shapes=3")
    train(configure(args, *steps), workdir, [ape_ave_terms])
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


def text_matters(args, workdir):
    train(configure(args, *SMALL, "--config.train.num_steps=500"), workdir)
    trained = load_trained(workdir)
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
        made: Any = trained.model.apply(
            trained.variables, text.mu, mask, method="decode"
        )
        return masked_term(smooth_l1(made, batch["features"]), mask)

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
