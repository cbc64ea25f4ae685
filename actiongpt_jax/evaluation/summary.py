"""From a journal of judged motions to the figures of an evaluation."""

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

_SIDES = ("physical", "real")
_JOINTS = {"paper": SMPL22.names, "reference": mmm.NAMES}


def summarise(
    rows: Iterable[Mapping[str, Any]],
    protocol: Protocol,
    fps: float,
    seed: int = 0,
    texts: Callable[[list[str]], np.ndarray] | None = None,
    known: Collection[str] | None = None,
) -> dict[str, Any]:
    """Averages over motions.

    Args:
        rows: as `evaluation.measure` writes them; read once, and of each only its
            figures are kept.
        protocol: that they were judged by.
        fps: of all motions.
        seed: of the bootstrap and of the draws of pools and pairs.
        texts: phrases -> (m, P) vectors of an evaluator, where rows hold those of
            motions; None leaves retrieval out.
        known: phrases that the evaluator was trained on, if that is known: what it says
            of motions of these stands apart as well.

    Returns:
        motions and samples, how many; ape_ave, of the mean over samples and of the
        best sample; by_joint; by_phrase; physical, of generated and real; retrieval.
        Figures are [value, low, high] with a 95 % interval over motions.
    """
    kept = _Kept()
    for row in rows:
        kept.add(row)
    errors = {n: np.array(values, np.float64) for n, values in kept.errors.items()}
    frames = np.array(kept.frames)
    samples = errors["ape_root"].shape[1]
    kinds = ("mean", "best") if samples > 1 else ("mean",)
    chosen = {how: report.choose_samples(errors, how) for how in kinds}
    found: dict[str, Any] = {
        "motions": len(frames),
        "frames": int(frames.sum()),
        "samples": samples,
        "ape_ave": {
            how: report.figures(values, frames, seed) for how, values in chosen.items()
        },
        "by_joint": kept.by_joint(protocol),
        "by_phrase": report.by_phrase(chosen["mean"], frames, kept.names),
        "physical": {
            "generated": kept.physical_of("physical", fps, seed),
            "real": kept.physical_of("real", fps, seed),
        },
    }
    if texts is not None and kept.vectors["real"]:
        found["retrieval"] = _retrieval(kept, texts, seed, known)
    return found


class _Kept:
    """What of the rows is needed for the whole."""

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
        """Returns name -> joint -> figure; local ones are without the root."""
        found = {}
        for name, total in self.joints.items():
            means = (total / max(self.joint_counts[name], 1)).tolist()
            found[name] = dict(
                zip(_JOINTS[protocol][-len(means) :], means, strict=True)
            )
        return found

    def physical_of(self, side: str, fps: float, seed: int) -> dict[str, Any]:
        rows, names = self.sums[side], _single_figures(self.sums[side])
        pairs = np.array([[row.get(n, (0.0, 0.0)) for n in names] for row in rows])
        found = {
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
            judged = physical.peak_and_area(around, exist, level, fps)
            found |= {name: float(value) for name, value in judged.items()}
            found |= {"level_of_jerk": level, "seams": len(seams)}
        return found

    def _real_jerk(self) -> float:
        """What real motions have anywhere: the curve of no transition."""
        total, count = np.array([row["jerk"] for row in self.sums["real"]]).sum(0)
        return float(total / max(count, 1.0))


def _single_figures(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(n for row in rows for n in row if n != "seam_jerk"))


def _retrieval(
    kept: _Kept,
    texts: Callable[[list[str]], np.ndarray],
    seed: int,
    known: Collection[str] | None,
) -> dict[str, Any]:
    """Figures of generated motions (mean over samples) and of real ones.

    Each action of a pair counts by itself.
    """
    distinct = sorted(set(kept.phrases))
    text_vectors = texts(distinct)
    own = np.array([distinct.index(phrase) for phrase in kept.phrases])
    real = np.concatenate(kept.vectors["real"])
    samples = [
        np.concatenate([vectors[s] for vectors in kept.vectors["generated"]])
        for s in range(len(kept.vectors["generated"][0]))
    ]
    summary: dict[str, Any] = _fits(samples, real, text_vectors, own, seed)
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
    rows = np.isin(own, among)
    if 1 < len(among) < len(distinct):
        summary["known_phrases"] = _fits(
            [motions[rows] for motions in samples],
            real[rows],
            text_vectors[among],
            np.searchsorted(among, own[rows]),
            seed,
        )
    return summary


def _fits(
    samples: list[np.ndarray],
    real: np.ndarray,
    texts: np.ndarray,
    own: np.ndarray,
    seed: int,
) -> dict[str, Any]:
    """Says how near motions are to their own texts.

    Args:
        samples: S of (n, P) generated motions.
        real: (n, P).
        texts: (m, P).
        own: (n,) the text of each motion.
        seed: of the draws.
    """

    def judged(motions: np.ndarray) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if len(texts) > 1:
            for name, pool in (("pool", retrieval.POOL), ("all_texts", None)):
                found[name] = retrieval.r_precision(motions, texts, own, seed, pool)
        found["matching_distance"] = retrieval.matching_distance(motions, texts, own)
        found["diversity"] = retrieval.diversity(motions, seed)
        return found

    found = {
        "actions": len(own),
        "distinct_texts": len(texts),
        "generated": _mean([judged(motions) for motions in samples]),
        "real": judged(real),
    }
    if len(texts) > 1:
        # Texts that belong to other motions: what chance gives.
        shuffled = own[np.random.default_rng(seed).permutation(len(own))]
        found["shuffled_texts"] = {
            "pool": retrieval.r_precision(real, texts, shuffled, seed)
        }
    return found


def _half_fid(motions: np.ndarray, real: np.ndarray, seed: int) -> float:
    """FID of as many motions as the floor is of: the two have the same bias."""
    order, half = np.random.default_rng(seed).permutation(len(real)), len(real) // 2
    return retrieval.fid(motions[order[:half]], real[order[half : 2 * half]])


def _mean(found: list[Any]) -> Any:
    """Averages numbers in equal trees."""
    if isinstance(found[0], dict):
        return {name: _mean([tree[name] for tree in found]) for name in found[0]}
    mean = float(np.mean(found))
    return int(mean) if isinstance(found[0], int) else mean
