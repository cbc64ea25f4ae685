"""The figures of `claim.py`: recognition, bootstrap intervals, verdicts; no model.

See docs/claim.md, which fixes what each figure means.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import nearness
import numpy as np

from actiongpt_jax.evaluation.journal import unpack

ERRORS = ("ape_local", "ape_root", "ave_local", "ave_root")
DRAWS = 10_000
# A difference within this share of the error of `phrase` counts as none.
NEGLIGIBLE = 0.05


@dataclasses.dataclass(frozen=True)
class Judge:
    """What the motions of a replicate are recognised by.

    Attributes:
        classes: factor ('action', 'manner' or 'phrase') -> phrase -> its class.
        probes: factor -> function from (n, P) vectors of motions to n class names.
        vectors: (m, P) vectors of the real clips that training did not contain.
        phrases: phrases of these clips.
    """

    classes: Mapping[str, Mapping[str, str]]
    probes: Mapping[str, Callable[[np.ndarray], np.ndarray]]
    vectors: np.ndarray
    phrases: Sequence[str]

    def figures(
        self, vectors: np.ndarray, phrase: str, others: Sequence[str]
    ) -> dict[str, float]:
        """Returns the rates of motions of one phrase.

        Args:
            vectors: (n, P) vectors of the motions.
            phrase: their phrase.
            others: the other phrases of its split.

        Returns:
            A rate per factor; nearer, how often the clips of the phrase are nearer than
            those of another one; nearer_chance, the same rate for one of `others` in
            place of the phrase, if there are any.
        """
        distance = np.linalg.norm(vectors[:, None] - self.vectors[None], axis=-1)
        rates = {
            name: float((probe(vectors) == self.classes[name][phrase]).mean())
            for name, probe in self.probes.items()
        }
        nearer = [
            nearness.own_nearer(distance, [name] * len(vectors), self.phrases)["pairs"]
            for name in (phrase, *others)
        ]
        rates["nearer"] = nearer[0]
        if others:
            rates["nearer_chance"] = float(np.mean(nearer[1:]))
        return rates


def linear_probe(
    vectors: np.ndarray, names: Sequence[str] | np.ndarray, ridge: float = 1.0
) -> Callable[[np.ndarray], np.ndarray]:
    """Fits a linear classifier by ridge regression on one-hot targets.

    Args:
        vectors: (n, P) vectors.
        names: n names of their classes.
        ridge: strength of the ridge on standardised vectors.

    Returns:
        A function from (m, P) vectors to the m names of their classes.
    """
    classes, rows = np.unique(np.asarray(names), return_inverse=True)
    mean, scale = vectors.mean(0), vectors.std(0) + 1e-6
    inputs = (vectors - mean) / scale
    targets = np.eye(len(classes))[rows]
    shift = targets.mean(0)
    gram = inputs.T @ inputs + ridge * np.eye(inputs.shape[1])
    weights = np.linalg.solve(gram, inputs.T @ (targets - shift))
    return lambda new: classes[((new - mean) / scale @ weights + shift).argmax(1)]


def by_phrase(
    rows: Iterable[Mapping[str, Any]],
    judge: Judge,
    split_of: Callable[[str], str],
    side: str = "generated",
) -> dict[str, dict[str, Any]]:
    """Averages the rows of an evaluation's journal over the clips of each phrase.

    Args:
        rows: rows of `evaluation.measure`, with an evaluator's vectors.
        judge: recognises their motions.
        split_of: function from a phrase to its split.
        side: 'generated', or 'real' for the captured motions, which have no errors.

    Returns:
        Phrase -> split; clips, their number; the figures of `ERRORS`; and those of the
        judge.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["phrases"][0], []).append(row)
    result = {}
    for phrase, of_phrase in sorted(groups.items()):
        vectors = [unpack(row["vectors"][side]) for row in of_phrase]
        vectors = np.concatenate([v.reshape(-1, v.shape[-1]) for v in vectors])
        errors = {
            name: float(np.mean([row["errors"][name] for row in of_phrase]))
            for name in ERRORS
            if side == "generated"
        }
        split = split_of(phrase)
        others = [p for p in groups if p != phrase]
        # A phrase that is alone in its split is compared with all.
        others = [p for p in others if split_of(p) == split] or others
        figures = errors | judge.figures(vectors, phrase, others)
        result[phrase] = {"split": split, "clips": len(of_phrase)} | {
            name: round(value, 5) for name, value in figures.items()
        }
    return result


def interval(
    parts: Sequence[Sequence[Sequence[float]]],
    weights: Sequence[float] = (1.0,),
    seed: int = 0,
) -> list[float]:
    """Averages over replicates and phrases, with a 95 % bootstrap interval.

    Args:
        parts: for each split and each replicate, the figures of its phrases.
        weights: weight of each split in the sum.
        seed: seed of the draws.

    Returns:
        [figure, low, high]. A draw draws replicates, the same for all splits, and for
        each drawn replicate its phrases.
    """
    rng, count = np.random.default_rng(seed), len(parts[0])
    chosen = rng.integers(count, size=(DRAWS, count))
    total, draws = 0.0, np.zeros(DRAWS)
    for groups, weight in zip(parts, weights, strict=True):
        total += weight * float(np.mean([np.mean(group) for group in groups]))
        drawn = np.zeros((DRAWS, count))
        for i, group in enumerate(groups):
            # Every place in a draw draws the phrases of its replicate for itself.
            rows = rng.integers(len(group), size=(DRAWS, count, len(group)))
            drawn = np.where(chosen == i, np.array(group)[rows].mean(-1), drawn)
        draws += weight * drawn.mean(-1)
    return [total, *np.percentile(draws, [2.5, 97.5]).tolist()]


def verdict(
    difference: Sequence[float], recognition: Sequence[float], error: float
) -> str:
    """Returns the verdict for a split.

    Args:
        difference: [mean, low, high] of the pose error of `phrase` minus that of
            `descriptions`, metres.
        recognition: [mean, low, high] of the recognition of `descriptions` minus that
            of `phrase`.
        error: pose error of `phrase`, metres.
    """
    if difference[1] > 0 and recognition[2] >= 0:
        return "support"
    if difference[2] < 0 and recognition[1] <= 0:
        return "contrary"
    inside = difference[1] <= 0 <= difference[2]
    if inside and max(-difference[1], difference[2]) <= NEGLIGIBLE * error:
        return "none"
    return "open"
