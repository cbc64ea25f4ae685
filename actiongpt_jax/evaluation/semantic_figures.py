"""The figures of what motions of the built-in phrases show; see `semantic`."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from scipy.spatial.transform import Rotation

from actiongpt_jax.evaluation.cases import Arrays, check_finite
from actiongpt_jax.geometry.kinematics import place_on_host
from actiongpt_jax.metrics import physical
from actiongpt_jax.metrics.intervals import ratios
from actiongpt_jax.metrics.semantic import Recording
from actiongpt_jax.shapes import next_power_of_two, stack_padded
from actiongpt_jax.synthetic.phrases import KINDS, kind_of, phrases_to_judge
from actiongpt_jax.synthetic.predicates.judge import satisfies

# The lengths at which every phrase is generated: the middle of its usual ones, and 3 s.
LENGTHS = ("usual", "3 s")
# Moves whose strides are compared with those of real motion, where they occur alone.
_STRIDES = ("walk", "jog", "run")


def joints_of(motion: Arrays, name: str) -> np.ndarray:
    """Returns the (T, 22, 3) joints of a motion.

    Args:
        motion: the motion's rotations and translation.
        name: name of the motion, for the error.

    Raises:
        InputError: if the motion contains NaN or infinity.
    """
    rotations, translation = check_finite(motion, f"the motion of {name}")
    matrices = Rotation.from_rotvec(rotations.reshape(-1, 3)).as_matrix()
    return place_on_host(matrices.reshape(*rotations.shape, 3), translation)


def feet(samples: Sequence[np.ndarray], fps: float) -> dict[str, Any]:
    """Measures the strides of motions, and in how many of their frames a foot skates.

    Args:
        samples: (T, 22, 3) joints of each motion.
        fps: frames per second.

    Returns:
        `stride` of each motion, metres; `skating`, [frames, of how many].
    """
    longest = next_power_of_two(max(map(len, samples)))
    joints, mask = stack_padded([x.astype(np.float32) for x in samples], longest)
    skates, frames = jax.device_get(_skating(joints, mask.sum(1), fps))
    return {
        "stride": [round(Recording(sample, fps).stride, 4) for sample in samples],
        "skating": [float(skates.sum()), float(frames.sum())],
    }


@functools.partial(jax.jit, static_argnames="fps")
def _skating(joints, lengths, fps):
    return physical.physical_sums(joints, lengths, fps)["skating"]


def summarise(
    rows: Mapping[str, Mapping[str, Any]],
    real: Mapping[str, Sequence[np.ndarray]],
    known: Mapping[str, Sequence[np.ndarray]],
    nearest: Mapping[str, str],
    fps: float,
    seed: int = 0,
) -> dict[str, Any]:
    """Computes the figures from the judged motions.

    Args:
        rows: key -> row of the journal.
        real: phrase -> joints of the real motions of the evaluated split.
        known: training phrase -> joints of its real motions in training.
        nearest: phrase -> training phrase with the nearest text.
        fps: frames per second of all motions.
        seed: seed of the bootstrap.

    Returns:
        `by_phrase`, phrase -> kind, share of satisfied samples at both lengths, of real
        motions (None without any), and of copied training motions; `by_kind`, kind ->
        the same, with 95 % intervals over phrases, which weigh alike; `gaits`, phrase
        -> stride and skating, generated and real; and `series` -> share over phrases of
        satisfied actions in series, with its interval, if any were judged.
    """
    by_phrase, gaits = {}, {}
    for phrase in phrases_to_judge():
        text, copied = phrase.text, nearest[phrase.text]
        own = [rows[f"{text}/{length}"] for length in LENGTHS]
        shares = {
            name: float(np.mean(row["hits"][0]))
            for name, row in zip(LENGTHS, own, strict=True)
        }
        by_phrase[text] = {
            "kind": kind_of(phrase),
            **shares,
            "real": _share(phrase, real.get(text, ()), fps),
            "nearest": _share(phrase, known.get(copied, ()), fps),
            "nearest_phrase": copied,
        }
        alone = len(phrase.parts) == 1 and phrase.parts[0][0] in _STRIDES
        if alone and not phrase.held_out and text in real:
            steps = [feet([joints], fps) for joints in real[text]]
            gaits[text] = {"generated": _mean_feet(own), "real": _mean_feet(steps)}
    by_kind = {
        kind: _over_phrases([r for r in by_phrase.values() if r["kind"] == kind], seed)
        for kind in KINDS
    }
    figures: dict[str, Any] = {
        "samples": len(next(iter(rows.values()))["hits"][0]),
        "by_kind": by_kind,
        "gaits": gaits,
        "by_phrase": by_phrase,
    }
    series = [row for key, row in rows.items() if key.startswith("series/")]
    if series:
        shares = np.array([[np.mean(h)] for row in series for h in row["hits"]])
        figures["series"] = {
            "series": len(series),
            "actions": ratios(shares, np.ones_like(shares), seed=seed)[0].tolist(),
        }
    return figures


def _share(phrase, motions, fps):
    """Returns the share of motions that satisfy a phrase; None without motions."""
    hits = [satisfies(phrase, joints, fps) for joints in motions]
    return float(np.mean(hits)) if hits else None


def _over_phrases(rows: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Any]:
    columns = (*LENGTHS, "real", "nearest")
    table = np.array([[row[name] for name in columns] for row in rows], np.float64)
    table = np.hstack([table[:, :2].mean(1, keepdims=True), table])
    missing = np.isnan(table)
    figures = ratios(np.where(missing, 0.0, table), ~missing, seed=seed).tolist()
    return {
        "phrases": len(rows),
        **dict(zip(("satisfied", *columns), figures, strict=True)),
    }


def _mean_feet(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    skates, frames = np.sum([row["skating"] for row in rows], 0)
    strides = [stride for row in rows for stride in row["stride"]]
    return {"stride": float(np.mean(strides)), "skating": skates / max(frames, 1.0)}
