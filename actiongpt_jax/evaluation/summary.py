"""Summarises a journal of measured motions as the figures of an evaluation."""

import pathlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np

from actiongpt_jax.choices import Protocol
from actiongpt_jax.evaluation.journal import unpack
from actiongpt_jax.features import mmm
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.metrics import intervals as report
from actiongpt_jax.metrics import physical, retrieval
from actiongpt_jax.metrics.ape_ave import NAMES

_PATHS = ("data", "embeddings", "descriptions", "categories")  # fields of a result
_ROOT = tuple(name for name in NAMES if name.endswith(("root", "traj")))
_SIDES = ("physical", "real")
_JOINTS = {"paper": SMPL22.names, "reference": mmm.NAMES}


def summarise(
    rows: Iterable[Mapping[str, Any]],
    protocol: Protocol,
    fps: float,
    seed: int = 0,
    texts: Callable[[list[str]], np.ndarray] | None = None,
    known: Collection[str] | None = None,
    in_place: bool = False,
) -> dict[str, Any]:
    """Computes the figures of an evaluation from the rows of its motions.

    Args:
        rows: rows as `evaluation.measure` writes them. They are read once, one at a
            time; only their figures stay in memory.
        protocol: the protocol that the motions were measured by.
        fps: frames per second of every motion.
        seed: seed of the bootstrap and of the draws of pools and pairs.
        texts: function phrases -> (m, P) vectors of an evaluator, if the rows hold its
            vectors of the motions; None leaves retrieval out.
        known: phrases that the evaluator was trained on: the retrieval of their motions
            is reported separately as well. None if that is not known.
        in_place: whether poses only were compared: errors of the root are then NaN.

    Returns:
        motions and samples, their numbers; ape_ave, for the mean over samples and for
        the best sample; by_joint; by_phrase; physical, for generated and real motions;
        retrieval. Figures are [value, low, high] with a 95 % interval over motions.
    """
    totals = _Totals()
    for row in rows:
        totals.add(row)
    errors = {n: np.array(values, np.float64) for n, values in totals.errors.items()}
    frames = np.array(totals.frames)
    samples = errors["ape_root"].shape[1]
    kinds = ("mean", "best") if samples > 1 else ("mean",)
    if in_place:
        # The best sample is the one with the best poses.
        errors["ape_root"] = errors["ape_global"]
    chosen = {how: report.choose_samples(errors, how) for how in kinds}
    if in_place:
        for values in chosen.values():
            for name in _ROOT:
                values[name] = np.full(len(frames), np.nan)
    summary: dict[str, Any] = {
        "motions": len(frames),
        "frames": int(frames.sum()),
        "samples": samples,
        "ape_ave": {
            how: report.figures(values, frames, seed) for how, values in chosen.items()
        },
        "by_joint": totals.by_joint(protocol),
        "by_phrase": report.by_phrase(chosen["mean"], frames, totals.names),
        "physical": {
            "generated": totals.physical_of("physical", fps, seed),
            "real": totals.physical_of("real", fps, seed),
        },
    }
    if texts is not None and totals.vectors["real"]:
        summary["retrieval"] = _retrieval(totals, texts, seed, known)
    return summary


class _Totals:
    """Running sums of the per-motion rows, from which the figures are computed."""

    def __init__(self):
        self.frames: list[int] = []
        self.names: list[str] = []
        self.phrases: list[str] = []
        self.errors: dict[str, list[list[float]]] = {name: [] for name in NAMES}
        self.sums: dict[str, list[dict[str, Any]]] = {side: [] for side in _SIDES}
        self.vectors: dict[str, list[np.ndarray]] = {"generated": [], "real": []}
        self.joints: dict[str, Any] = {}
        self.joint_counts: dict[str, float] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        frames = row["frames"]
        self.frames.append(frames)
        self.names.append(", then ".join(row["phrases"]))
        for name in NAMES:
            self.errors[name].append(row["errors"][name])
        for name, values in row["joints"].items():
            weight = frames if name.startswith("ape") else float(frames > 1)
            self.joints[name] = self.joints.get(name, 0.0) + weight * np.array(values)
            self.joint_counts[name] = self.joint_counts.get(name, 0.0) + weight
        for side in _SIDES:
            self.sums[side].append(row[side])
        if "vectors" in row:
            self.phrases += row["phrases"]
            for side, packed in row["vectors"].items():
                self.vectors[side].append(unpack(packed))

    def by_joint(self, protocol: Protocol) -> dict[str, dict[str, float]]:
        """Returns name -> joint -> figure; local errors have no root."""
        figures = {}
        for name, total in self.joints.items():
            means = (total / max(self.joint_counts[name], 1)).tolist()
            figures[name] = dict(
                zip(_JOINTS[protocol][-len(means) :], means, strict=True)
            )
        return figures

    def physical_of(self, side: str, fps: float, seed: int) -> dict[str, Any]:
        """Returns name -> figure of one side, 'physical' (generated) or 'real'."""
        rows, names = self.sums[side], _single_figures(self.sums[side])
        pairs = np.array([[row.get(n, (0.0, 0.0)) for n in names] for row in rows])
        figures = {
            name: values.tolist()
            for name, values in zip(
                names,
                report.ratios(pairs[..., 0], pairs[..., 1], seed=seed),
                strict=True,
            )
        }
        seams = [row["seam_jerk"] for row in rows if "seam_jerk" in row]
        if seams:
            around, exist = np.array(seams, np.float64).sum(0)
            level = self._real_jerk()
            curve = physical.peak_and_area(around, exist, level, fps)
            figures |= {name: float(value) for name, value in curve.items()}
            figures |= {"level_of_jerk": level, "seams": len(seams)}
        return figures

    def _real_jerk(self) -> float:
        """Returns the mean jerk of real motion at any frame, the baseline at seams."""
        total, count = np.array([row["jerk"] for row in self.sums["real"]]).sum(0)
        return float(total / max(count, 1.0))


def _single_figures(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(n for row in rows for n in row if n != "seam_jerk"))


def _retrieval(
    totals: _Totals,
    texts: Callable[[list[str]], np.ndarray],
    seed: int,
    known: Collection[str] | None,
) -> dict[str, Any]:
    """Returns the retrieval figures of generated motions and of real ones.

    Figures of generated motions are means over samples. Each action of a pair counts as
    a motion of its own.
    """
    distinct = sorted(set(totals.phrases))
    text_vectors = texts(distinct)
    own_text = np.array([distinct.index(phrase) for phrase in totals.phrases])
    real = np.concatenate(totals.vectors["real"])
    samples = [
        np.concatenate([vectors[s] for vectors in totals.vectors["generated"]])
        for s in range(len(totals.vectors["generated"][0]))
    ]
    summary: dict[str, Any] = _fits(samples, real, text_vectors, own_text, seed)
    if len(real) >= 4:
        fids = [retrieval.fid(motions, real) for motions in samples]
        summary["fid"] = {
            "generated": float(np.mean(fids)),
            "n": len(real),
            "real_versus_real": retrieval.fid_floor(real, seed),
            "generated_of_as_many": float(
                np.mean([_half_fid(motions, real, seed) for motions in samples])
            ),
        }
    among = [i for i, phrase in enumerate(distinct) if phrase in (known or ())]
    rows = np.isin(own_text, among)
    if 1 < len(among) < len(distinct):
        summary["known_phrases"] = _fits(
            [motions[rows] for motions in samples],
            real[rows],
            text_vectors[among],
            np.searchsorted(among, own_text[rows]),
            seed,
        )
    return summary


def _fits(
    samples: list[np.ndarray],
    real: np.ndarray,
    texts: np.ndarray,
    own_text: np.ndarray,
    seed: int,
) -> dict[str, Any]:
    """Measures how near motions are to their own texts.

    Args:
        samples: S arrays (n, P), the vectors of the generated motions.
        real: (n, P) vectors of the captured motions.
        texts: (m, P) vectors of the texts.
        own_text: (n,) index of each motion's own text in `texts`.
        seed: seed of the draws.
    """

    def fit(motions: np.ndarray) -> dict[str, Any]:
        figures: dict[str, Any] = {}
        if len(texts) > 1:
            for name, pool in (("pool", retrieval.POOL), ("all_texts", None)):
                figures[name] = retrieval.r_precision(
                    motions, texts, own_text, seed, pool
                )
        figures["matching_distance"] = retrieval.matching_distance(
            motions, texts, own_text
        )
        figures["diversity"] = retrieval.diversity(motions, seed)
        return figures

    fits = {
        "actions": len(own_text),
        "distinct_texts": len(texts),
        "generated": _mean([fit(motions) for motions in samples]),
        "real": fit(real),
    }
    if len(texts) > 1:
        # The texts of other motions, to show the level of chance.
        shuffled = own_text[np.random.default_rng(seed).permutation(len(own_text))]
        fits["shuffled_texts"] = {
            "pool": retrieval.r_precision(real, texts, shuffled, seed)
        }
    return fits


def _half_fid(motions: np.ndarray, real: np.ndarray, seed: int) -> float:
    """Returns the FID of half the motions: it has the same bias as the floor."""
    order, half = np.random.default_rng(seed).permutation(len(real)), len(real) // 2
    return retrieval.fid(motions[order[:half]], real[order[half : 2 * half]])


def _mean(trees: list[Any]) -> Any:
    """Averages the numbers of trees with the same structure."""
    if isinstance(trees[0], dict):
        return {name: _mean([tree[name] for tree in trees]) for name in trees[0]}
    mean = float(np.mean(trees))
    return int(mean) if isinstance(trees[0], int) else mean


def to_file(result: dict[str, Any]) -> dict[str, Any]:
    """Returns the figures in the form in which they are written to a file.

    Args:
        result: the figures, and the facts that they depend on.

    Returns:
        A copy with null for NaN, which JSON does not have. Of a path it has the last
        part only, because the file may be passed on.
    """
    paths = {name: result[name] for name in _PATHS if result.get(name) is not None}
    names = {name: pathlib.Path(path).name for name, path in paths.items()}
    return _without_nan({**result, **names})


def _without_nan(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _without_nan(value) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_without_nan(value) for value in tree]
    return None if isinstance(tree, float) and np.isnan(tree) else tree
