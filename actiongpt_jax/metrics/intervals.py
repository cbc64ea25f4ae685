"""Averages of the errors of single motions, with bootstrap confidence intervals."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from actiongpt_jax.errors import check_choice

# Number of bootstrap draws that are held in memory at once.
_CHUNK = 100


def ratios(
    totals: Float[np.ndarray, "n f"],
    counts: Float[np.ndarray, "n f"],
    draws: int = 1000,
    seed: int = 0,
) -> Float[np.ndarray, "f 3"]:
    """Averages over items, with a 95 % bootstrap interval over items.

    Args:
        totals: (n, F) sum of each item.
        counts: (n, F) number of entries in each sum.
        draws: how often the bootstrap draws n items with replacement.
        seed: seed of the draws.

    Returns:
        (F, 3) sum of totals divided by sum of counts, and the 2.5th and 97.5th
        percentile of this ratio among the draws. NaN if there is nothing to count.
    """
    totals, counts = np.asarray(totals, np.float64), np.asarray(counts, np.float64)
    rng, n = np.random.default_rng(seed), len(totals)
    ratio = _divided(totals.sum(0), counts.sum(0))
    drawn_ratios = []
    for start in range(0, draws if n else 0, _CHUNK):
        size = min(_CHUNK, draws - start)
        times = rng.multinomial(n, np.full(n, 1 / n), size).astype(np.float64)
        drawn_ratios.extend(_divided(times @ totals, times @ counts))
    drawn = np.array(drawn_ratios or [ratio])
    if np.isnan(drawn).any():
        # A draw may contain nothing to count; it counts as the ratio of all items.
        drawn = np.where(np.isnan(drawn), np.nan_to_num(ratio), drawn)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    empty = np.isnan(ratio)
    return np.stack([ratio, *(np.where(empty, np.nan, x) for x in (low, high))], -1)


def choose_samples(
    errors: Mapping[str, Float[np.ndarray, "n s"]], how: str
) -> dict[str, np.ndarray]:
    """Reduces the figures of several samples per motion to one figure per motion.

    Args:
        errors: each of the eight names of `ape_ave` -> (n, S) errors of S samples.
        how: 'mean' averages over samples; 'best' takes for each motion all figures of
            the sample whose root is nearest (smallest ape_root), as published.

    Returns:
        name -> (n,) one figure per motion.

    Raises:
        InputError: if `how` is neither.
    """
    check_choice("how", how, ("mean", "best"))
    if how == "mean":
        return {name: np.asarray(values).mean(1) for name, values in errors.items()}
    best = np.asarray(errors["ape_root"]).argmin(1)[:, None]
    return {
        name: np.take_along_axis(np.asarray(values), best, 1)[:, 0]
        for name, values in errors.items()
    }


def figures(
    errors: Mapping[str, Float[np.ndarray, " n"]],
    frames: Int[np.ndarray, " n"],
    seed: int = 0,
    draws: int = 1000,
) -> dict[str, list[float]]:
    """Averages the errors of motions as `metrics.ape_ave` does, with intervals.

    Args:
        errors: name -> (n,) error of each motion; see `ape_ave_each`.
        frames: (n,) number of compared frames of each motion. It is the weight of the
            motion's APE; its AVE counts if there are at least two.
        seed: seed of the bootstrap over motions.
        draws: number of bootstrap draws; 0 draws none, and both ends of the interval
            equal the figure.

    Returns:
        name -> [figure, low, high], with the ends of a 95 % interval.
    """
    frames = np.asarray(frames, np.float64)
    weights = {"ape": frames, "ave": (frames > 1).astype(np.float64)}
    counts = np.stack([weights[name[:3]] for name in errors], 1)
    values = np.stack([np.asarray(errors[name], np.float64) for name in errors], 1)
    rows = ratios(values * counts, counts, draws, seed)
    return {name: row.tolist() for name, row in zip(errors, rows, strict=True)}


def by_phrase(
    errors: Mapping[str, Float[np.ndarray, " n"]],
    frames: Int[np.ndarray, " n"],
    phrases: Sequence[str],
) -> dict[str, dict[str, float]]:
    """Breaks figures down by phrase.

    Args:
        errors: name -> (n,) error of each motion; see `figures`.
        frames: (n,) number of compared frames of each motion; see `figures`.
        phrases: phrase of each motion.

    Returns:
        phrase -> {'motions': number of motions, name: figure, ...}, the most frequent
        phrases first.
    """
    rows: dict[str, list[int]] = {}
    for i, phrase in enumerate(phrases):
        rows.setdefault(phrase, []).append(i)
    frames = np.asarray(frames)
    breakdown = {}
    for phrase, indices in sorted(rows.items(), key=lambda x: (-len(x[1]), x[0])):
        chosen = {name: np.asarray(values)[indices] for name, values in errors.items()}
        means = figures(chosen, frames[indices], draws=0)
        means = {name: interval[0] for name, interval in means.items()}
        breakdown[phrase] = {"motions": len(indices), **means}
    return breakdown


def _divided(totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.where(counts > 0, totals / np.where(counts > 0, counts, 1.0), np.nan)
