r"""What does MotionCLIP learn from a small amount of real motion capture?

    python benchmarks/motionclip_quality.py --data STORE --text EMBEDDINGS \
        [--only full small] [--steps 2000] [--out runs/motionclip] [--save FILE]

Prints a JSON line per case:

full     the published size, 60 steps: does the validation loss fall? Text vectors
         narrower than 512 are padded with zeros, which preserves their angles.
small    the size of `motionclip:demo`, --steps steps. Measured on the windows of the
         validation split, errors in metres over the 22 joints with the pelvis fixed:
         `joint_error` after encoding and decoding; `mean_pose`, the error of the mean
         pose of the training split; `nearest_training_window`, the error of copying
         that window; `from_text`, the error of decoding the phrase instead; `top1` and
         `top5`, the share of windows whose phrase is the nearest to the latent, or one
         of the five nearest.
ideal    no training: the error of the mean pose, and that of the mean motion of the
         training windows of a phrase, the best that a model without random latents can
         learn; for windows that face as captured, that are turned at random
         (`data.turn`) and that face the same way (`data.align`).
"""

import argparse
import functools
import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import record
from safetensors.numpy import load_file, save_file

from actiongpt_jax.config import load_config
from actiongpt_jax.data.batches.plan import BatchPlan
from actiongpt_jax.data.batches.window_batches import WindowBatches, pose_batch
from actiongpt_jax.data.batches.windows import clips, middle_windows, phrases
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.features.pose6d import Align
from actiongpt_jax.geometry.rotations import axis_angle_to_matrix
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.losses.motionclip import body_points
from actiongpt_jax.metrics.retrieval import is_recognised, similarities
from actiongpt_jax.text.embeddings.store import open_embeddings
from actiongpt_jax.training.loop import train

BATCH = 20


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--out", default="runs/motionclip")
    parser.add_argument(
        "--steps", type=int, default=2000, help="training steps of `small`"
    )
    cases = {"full": full, "small": small, "ideal": ideal}
    parser.add_argument("--only", choices=tuple(cases), nargs="+", default=tuple(cases))
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    rows = []
    for name, case in cases.items():
        if name in args.only:
            rows.append({"case": name, **case(args, pathlib.Path(args.out) / name)})
            print(json.dumps(rows[-1]), flush=True)
    if args.save:
        embeddings = open_embeddings(args.text)
        record.save(
            args.save,
            rows,
            seed=load_config("motionclip").train.seed,
            text=f"{embeddings.encoder}, k = {embeddings.k}",
        )


def full(args, workdir):
    """Trains a model of the published size."""
    config = load_config("motionclip", [f"--config.data.store={args.data}"])
    config.text.store = str(widen(args.text, workdir, config.model.latent_dim))
    config.train.num_steps = 60
    train(config, workdir)
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    first, *_, last = [r for r in map(json.loads, lines) if "val/loss" in r]
    names = ("val/loss", "val/rc", "val/text_cosine", "val/joint_error")
    figures = {name: [round(r[name], 4) for r in (first, last)] for name in names}
    return {"steps": last["step"], **figures}


def widen(text, workdir, width):
    """Copies an embedding store, with its pooled vectors padded with zeros."""
    copy = workdir / "text"
    if not copy.exists():
        shutil.copytree(text, copy)
        for file in copy.glob("*.safetensors"):
            tensors = load_file(file)
            for name, array in tensors.items():
                if name.endswith(".pooled"):
                    more = width - array.shape[-1]
                    tensors[name] = np.pad(array, ((0, 0), (0, more)))
            save_file(tensors, file)
    return copy


def small(args, workdir):
    """Trains a model of the demo's size and evaluates it on held-out windows."""
    stores = (f"--config.data.store={args.data}", f"--config.text.store={args.text}")
    config = load_config("motionclip:demo", stores)
    config.train.num_steps = args.steps
    train(config, workdir)
    trained = load_model(workdir)
    store, embeddings = open_store(args.data), open_embeddings(args.text)
    items = {split: clips(store, split) for split in ("train", "val")}
    known, real = (poses_of(store, items[split], embeddings) for split in items)
    latents, decoded, from_text = [], [], []
    for start in range(0, len(real["poses"]), BATCH):
        batch = {name: array[start : start + BATCH] for name, array in real.items()}
        outputs = run(trained.model, trained.variables, batch)
        for result, one in zip((latents, decoded, from_text), outputs, strict=True):
            result.append(np.asarray(one))
    names = phrases(items["train"] + items["val"])
    texts = np.stack([embeddings.pooled(name) for name in names])
    own_phrase = [names.index(phrase) for _, phrase in middle_windows(items["val"])]
    scores = np.asarray(similarities(np.concatenate(latents), texts))
    valid = np.eye(len(names), dtype=bool)[own_phrase]
    points, before = joints(real["poses"]), joints(known["poses"])
    mean = distance(before.mean((0, 1)), points)
    error = distance(joints(np.concatenate(decoded)), points)
    most = np.bincount(own_phrase).max() / len(own_phrase)
    return {
        "steps": args.steps,
        "windows": {split: len(result) for split, result in items.items()},
        "joint_error": round(error, 4),
        "mean_pose": round(mean, 4),
        "ratio": round(error / mean, 4),
        "nearest_training_window": round(nearest(before, points), 4),
        "from_text": round(distance(joints(np.concatenate(from_text)), points), 4),
        "top1": round(float(np.mean(is_recognised(scores, valid, 1))), 4),
        "top5": round(float(np.mean(is_recognised(scores, valid, 5))), 4),
        "phrases": len(names),
        "top1_chance": round(1 / len(names), 4),
        "top1_most_frequent": round(float(most), 4),
    }


def ideal(args, workdir):
    """Measures the best answer to a phrase, for windows that face in several ways."""
    store, embeddings = open_store(args.data), open_embeddings(args.text)
    rng, result = np.random.default_rng(0), {}
    for name in ("captured", "turned", "aligned"):
        points, names = {}, {}
        for split in ("train", "val"):
            items = clips(store, split)
            align: Align = "yaw" if name == "aligned" else "none"
            points[split] = joints(
                poses_of(store, items, embeddings, align=align)["poses"]
            )
            names[split] = np.array([phrase for _, phrase in middle_windows(items)])
            if name == "turned":
                angles = rng.uniform(0, 2 * np.pi, (len(items), 1))
                turns = axis_angle_to_matrix(angles * np.array([0.0, 0.0, 1.0]))
                points[split] = np.einsum("nij,ntkj->ntki", turns, points[split])
        shared = np.isin(names["val"], names["train"])
        own = [
            points["train"][names["train"] == phrase].mean(0)
            for phrase in names["val"][shared]
        ]
        real = points["val"][shared]
        result[name] = {
            "windows": len(real),
            "mean_pose": round(distance(points["train"].mean((0, 1)), real), 4),
            "mean_motion_of_phrase": round(distance(np.stack(own), real), 4),
        }
    return result


def poses_of(store, items, embeddings, source="descriptions", align: Align = "none"):
    """Returns the poses, masks and texts of the middle window of every clip."""
    plan = BatchPlan(np.full(len(items), 60), BATCH, 0, shuffle=False)
    batches = WindowBatches(store, items, embeddings, plan, seed=None, source=source)
    result = {}
    for step in range(plan.batches_per_epoch):
        raw = batches.load(step)
        order = raw.pop("item")
        batch = pose_batch(jax.tree.map(jnp.asarray, raw), align)
        for name, array in batch.items():
            rows = result.setdefault(name, [None] * len(items))
            for row, item in zip(np.asarray(array), order, strict=True):
                if item >= 0:
                    rows[item] = row
    return {name: np.stack(rows) for name, rows in result.items()}


@jax.jit
def _joints(poses):
    return body_points(poses)


def joints(poses):
    """Returns (n, T, 22, 3) joint positions with the pelvis fixed, metres."""
    parts = [poses[i : i + BATCH] for i in range(0, len(poses), BATCH)]
    return np.concatenate([np.asarray(_joints(part)) for part in parts])


def distance(result, real):
    return float(np.linalg.norm(result - real, axis=-1).mean())


def nearest(known, real):
    """Returns the mean distance to the nearest training window, metres."""
    best = [
        np.linalg.norm(known - one, axis=-1).mean((1, 2)).min()
        for one in real.astype(np.float32)
    ]
    return float(np.mean(best))


@functools.partial(jax.jit, static_argnames="model")
def run(model, variables, batch):
    """Returns latents, and the poses decoded from them and from the texts."""
    outputs = model.apply(variables, batch)
    mask = batch["frame_mask"]
    from_text = model.apply(variables, outputs.text, mask, method="decode")
    return outputs.latent, outputs.poses, from_text


if __name__ == "__main__":
    main()
