"""From the errors of single motions to figures with intervals."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from actiongpt_jax.errors import check_choice

# Draws of the bootstrap that are held in memory at once.
_CHUNK = 100


def ratios(
    totals: Float[np.ndarray, "n f"],
    counts: Float[np.ndarray, "n f"],
    draws: int = 1000,
    seed: int = 0,
) -> Float[np.ndarray, "f 3"]:
    """Averages over items, with how far the average would go for other items.

    Args:
        totals: (n, F) per item, sums.
        counts: (n, F) per item, of what.
        draws: how often the bootstrap draws n items with replacement.
        seed: of the draws.

    Returns:
        (F, 3) sum of totals over sum of counts, and the 2.5th and 97.5th percentile
        of that among the draws. NaN where there is nothing to count.
    """
    totals, counts = np.asarray(totals, np.float64), np.asarray(counts, np.float64)
    rng, n = np.random.default_rng(seed), len(totals)
    found = [_divided(totals.sum(0), counts.sum(0))]
    for start in range(0, draws if n else 0, _CHUNK):
        size = min(_CHUNK, draws - start)
        times = rng.multinomial(n, np.full(n, 1 / n), size).astype(np.float64)
        found.extend(_divided(times @ totals, times @ counts))
    drawn = np.array(found[1:] or found)
    if np.isnan(drawn).any():
        # A draw may hold nothing to count; what is left says enough.
        drawn = np.where(np.isnan(drawn), np.nan_to_num(found[0]), drawn)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    empty = np.isnan(found[0])
    return np.stack([found[0], *(np.where(empty, np.nan, x) for x in (low, high))], -1)


def choose_samples(
    errors: Mapping[str, Float[np.ndarray, "n s"]], how: str
) -> dict[str, np.ndarray]:
    """Makes one figure per motion of those of its samples.

    Args:
        errors: the eight names of `ape_ave` -> (n, S).
        how: 'mean', or 'best': of each motion the sample whose root is nearest
            (ape_root), with all its figures, as published.

    Returns:
        name -> (n,).

    Raises:
        InputError: for another `how`.
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
        errors: name -> (n,) of each motion, see `ape_ave_each`.
        frames: (n,) how many were compared: the weight of an APE; an AVE counts
            where there are two.
        seed: of the bootstrap over motions.
        draws: of the bootstrap; 0 gives no interval: both ends are the figure.

    Returns:
        name -> [figure, low, high] of a 95 % interval.
    """
    frames = np.asarray(frames, np.float64)
    weights = {"ape": frames, "ave": (frames > 1).astype(np.float64)}
    counts = np.stack([weights[name[:3]] for name in errors], 1)
    values = np.stack([np.asarray(errors[name], np.float64) for name in errors], 1)
    found = ratios(values * counts, counts, draws, seed)
    return {name: row.tolist() for name, row in zip(errors, found, strict=True)}


def by_phrase(
    errors: Mapping[str, Float[np.ndarray, " n"]],
    frames: Int[np.ndarray, " n"],
    phrases: Sequence[str],
) -> dict[str, dict[str, float]]:
    """Breaks figures down by phrase.

    Args:
        errors: name -> (n,) of each motion, see `figures`.
        frames: (n,) how many were compared, see `figures`.
        phrases: of each motion.

    Returns:
        phrase -> motions, and name -> figure; the most frequent phrases first.
    """
    rows: dict[str, list[int]] = {}
    for i, phrase in enumerate(phrases):
        rows.setdefault(phrase, []).append(i)
    frames = np.asarray(frames)
    found = {}
    for phrase, own in sorted(rows.items(), key=lambda x: (-len(x[1]), x[0])):
        chosen = {name: np.asarray(values)[own] for name, values in errors.items()}
        means = figures(chosen, frames[own], draws=0)
        found[phrase] = {"motions": len(own), **{n: v[0] for n, v in means.items()}}
    return found


def _divided(totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.where(counts > 0, totals / np.where(counts > 0, counts, 1.0), np.nan)
