"""Measures a MotionCLIP of `claim.py` on windows of the judged clips."""

import pathlib

import motionclip_quality
import numpy as np
from claim_splits import Split

from actiongpt_jax.data.batches.windows import clips, middle_windows
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.text.embeddings.store import open_embeddings


def by_phrase(workdir: pathlib.Path, split: Split) -> dict[str, dict[str, float | str]]:
    """Decodes the texts of windows of 60 frames, and compares with the real windows.

    Args:
        workdir: folder of the run; its best checkpoint is measured.
        split: what the training left out.

    Returns:
        Phrase -> split; clips, the number of windows; and in metres over the 22 joints,
        with the pelvis fixed: window_error, the error of the motion decoded from the
        text; window_mean, that of the mean pose of the training; window_autoencoded,
        that of encoding and decoding the real window.
    """
    trained = load_model(workdir, "best")
    config = trained.config
    store, embeddings = (
        open_store(config.data.store),
        open_embeddings(config.text.store),
    )
    data = config.data

    def read(name: str):
        sizes = data.num_frames, data.clip_frames
        items = clips(store, name, data.labels, *sizes)
        poses = motionclip_quality.poses_of(
            store, items, embeddings, config.text.source, data.align
        )
        return items, poses

    (items, real), (_, known) = read("test"), read("train")
    decoded, from_text = [], []
    for start in range(0, len(items), motionclip_quality.BATCH):
        rows = slice(start, start + motionclip_quality.BATCH)
        batch = {name: array[rows] for name, array in real.items()}
        outputs = motionclip_quality.run(trained.model, trained.variables, batch)
        decoded.append(np.asarray(outputs[1]))
        from_text.append(np.asarray(outputs[2]))
    joints = motionclip_quality.joints
    target = joints(real["poses"])

    def errors(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points - target, axis=-1).mean((1, 2))

    figures = {
        "window_error": errors(joints(np.concatenate(from_text))),
        "window_mean": errors(joints(known["poses"]).mean((0, 1))),
        "window_autoencoded": errors(joints(np.concatenate(decoded))),
    }
    names = np.array([phrase for _, phrase in middle_windows(items)])
    return {
        phrase: {"split": split.of(phrase), "clips": int((names == phrase).sum())}
        | {n: round(float(x[names == phrase].mean()), 5) for n, x in figures.items()}
        for phrase in sorted(set(names.tolist()))
    }
