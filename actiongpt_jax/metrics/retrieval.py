"""Match of motions with their texts, and spread of motions, in an evaluator's space.

All figures take vectors of a `models.evaluator.RetrievalEvaluator`. Figures can be
compared only if the evaluator, the number of items and the seed are the same.

Source: T2M (Guo et al. 2022, its evaluation protocol); FID, arXiv:1706.08500.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from actiongpt_jax.errors import InputError
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.geometry.rotations import AnyArray, unit
from actiongpt_jax.losses.terms import Term
from actiongpt_jax.models.evaluator import EvaluatorOutputs

POOL, TOPS = 32, (1, 2, 3)
# Number of pairs of motions that diversity averages over, as published.
_DIVERSITY_PAIRS = 300
_FLOOR_SPLITS = 20

Vectors = Float[np.ndarray, "n p"]


def top1_terms(
    outputs: EvaluatorOutputs, batch: dict[str, jax.Array], normalizer: Normalizer
) -> dict[str, Term]:
    """Counts the motions whose own text is the nearest text of the batch.

    Args:
        outputs: outputs of `models.evaluator.RetrievalEvaluator`.
        batch: frame_mask (B, T), and text_id (B,), equal for equal texts.
        normalizer: not used, because vectors are compared.

    Returns:
        {'top1': (hits, real motions)}.
    """
    del normalizer
    ids, real = batch["text_id"], batch["frame_mask"].any(-1)
    cosine = jnp.matmul(
        outputs.motion, outputs.text.T, precision=jax.lax.Precision.HIGHEST
    )
    own_cosine = jnp.diagonal(cosine)[:, None]
    other = (ids[:, None] != ids[None]) & real[None]
    hit = ~(other & (cosine >= own_cosine)).any(-1) & real
    return {"top1": (hit.sum().astype(jnp.float32), real.sum().astype(jnp.float32))}


def r_precision(
    motions: Vectors,
    texts: Float[np.ndarray, "m p"],
    own_text: Int[np.ndarray, " n"],
    seed: int = 0,
    pool: int | None = POOL,
) -> dict[str, float]:
    """Counts how often a motion's own text is among the nearest of a pool.

    The pool of a motion is its own text and others drawn from the remaining texts.
    Another text at the same distance as its own counts as nearer.

    Args:
        motions: (n, P) vectors of the motions.
        texts: (m, P) vectors of the texts, one row per distinct text.
        own_text: (n,) row of each motion's text in `texts`.
        seed: seed of the draws.
        pool: number of texts in a pool, at most m; None takes all texts.

    Returns:
        top1 top2 top3 in [0, 1]; pool, the number of texts in the pools; chance, the
        top1 of a random order.

    Raises:
        InputError: for fewer than two texts, or invalid vectors.
    """
    motions, texts, own_text = _checked(motions), _checked(texts), np.asarray(own_text)
    if len(texts) < 2:
        raise InputError(
            "retrieval precision must have at least 2 distinct texts, got "
            f"{len(texts)}; evaluate a larger split"
        )
    size = len(texts) if pool is None else min(pool, len(texts))
    rng = np.random.default_rng(seed)
    hits = np.zeros(len(TOPS))
    for vector, row in zip(motions, own_text, strict=True):
        others = rng.choice(len(texts) - 1, size - 1, replace=False)
        others += others >= row  # all but the motion's own text
        distance = np.linalg.norm(texts[others] - vector, axis=-1)
        ahead = (distance <= np.linalg.norm(texts[row] - vector)).sum()
        hits += ahead < np.array(TOPS)
    rates = {
        f"top{k}": float(h / len(motions)) for k, h in zip(TOPS, hits, strict=True)
    }
    return {**rates, "pool": size, "chance": 1 / size}


def matching_distance(
    motions: Vectors, texts: Float[np.ndarray, "m p"], own_text: Int[np.ndarray, " n"]
) -> float:
    """Returns the mean distance of (n, P) motions from their texts, rows of (m, P)."""
    apart = _checked(motions) - _checked(texts)[np.asarray(own_text)]
    return float(np.linalg.norm(apart, axis=-1).mean())


def fid(a: Vectors, b: Float[np.ndarray, "m p"]) -> float:
    """Returns the Frechet distance between normal distributions fitted to two samples.

    Args:
        a: (n, P) at least 2 vectors.
        b: (m, P) at least 2 vectors.

    Returns:
        |mean a - mean b|^2 + tr(A + B - 2 sqrt(A B)) with covariances A and B. For few
        samples it is large even if both come from one distribution: see `fid_floor`.

    Raises:
        InputError: for fewer than two vectors, or invalid vectors.
    """
    a, b = _checked(a), _checked(b)
    if min(len(a), len(b)) < 2:
        raise InputError(
            f"the FID needs at least 2 motions on either side, got {len(a)} and "
            f"{len(b)}; evaluate a larger split"
        )
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    # A B and sqrt(A) B sqrt(A) have the same eigenvalues; the latter is symmetric.
    product = np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0)
    mean = ((a.mean(0) - b.mean(0)) ** 2).sum()
    total = mean + np.trace(cov_a) + np.trace(cov_b) - 2 * np.sqrt(product).sum()
    return float(max(total, 0.0))


def fid_floor(real: Vectors, seed: int = 0) -> dict[str, float]:
    """Returns the FID of real motions from other real motions.

    Args:
        real: (n, P) at least 4 vectors of real motions.
        seed: seed of the splits.

    Returns:
        mean and std of the FID over 20 random splits into halves; n, the size of a
        half.

    Raises:
        InputError: for fewer than four vectors.
    """
    real = _checked(real)
    rng, half = np.random.default_rng(seed), len(real) // 2
    values = []
    for _ in range(_FLOOR_SPLITS):
        order = rng.permutation(len(real))
        values.append(fid(real[order[:half]], real[order[half : 2 * half]]))
    return {"mean": float(np.mean(values)), "std": float(np.std(values)), "n": half}


def diversity(motions: Vectors, seed: int = 0) -> dict[str, float]:
    """Returns the mean distance between the two motions of random pairs.

    Args:
        motions: (n, P) vectors of the motions; fewer than 2 give NaN.
        seed: seed of the draw.

    Returns:
        mean, and pairs, the number of pairs: 300, or n // 2 if that is less. No motion
        is in two pairs.
    """
    motions = _checked(motions)
    pairs = min(_DIVERSITY_PAIRS, len(motions) // 2)
    if pairs == 0:
        return {"mean": float("nan"), "pairs": 0}
    order = np.random.default_rng(seed).permutation(len(motions))[: 2 * pairs]
    apart = motions[order[:pairs]] - motions[order[pairs:]]
    return {"mean": float(np.linalg.norm(apart, axis=-1).mean()), "pairs": pairs}


def multimodality(samples: Sequence[Vectors]) -> float:
    """Returns the mean distance between motions of the same text.

    Args:
        samples: for each text the (s, P) vectors of its motions; texts with one
            motion are left out.

    Returns:
        The mean over all pairs of a text's motions, then over texts; NaN if no text
        has two motions.
    """
    means = []
    for vectors in map(_checked, samples):
        apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)
        if len(vectors) > 1:
            means.append(apart.sum() / (len(vectors) * (len(vectors) - 1)))
    return float(np.mean(means)) if means else float("nan")


def _checked(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or not len(vectors):
        raise InputError(
            f"vectors must have shape (n, P) with n at least 1, got {vectors.shape}; "
            "encode at least one motion"
        )
    if not np.isfinite(vectors).all():
        row = int(np.argwhere(~np.isfinite(vectors))[0, 0])
        raise InputError(
            f"vectors must be finite, got row {row} with NaN or infinity; check the "
            "motion or text that it encodes"
        )
    return vectors


def similarities(
    latents: Float[AnyArray, "*batch d"], texts: Float[AnyArray, "c d"]
) -> Float[Array, "*batch c"]:
    """Returns the cosine of every latent to every text.

    Args:
        latents: (..., D) latents of motions.
        texts: (C, D) one vector per class.

    Returns:
        (..., C) cosines from -1 to 1.
    """
    return jnp.einsum(
        "...d,cd->...c", unit(latents), unit(texts), precision=jax.lax.Precision.HIGHEST
    )


def is_recognised(
    scores: Float[AnyArray, "*batch c"], valid: Bool[AnyArray, "*batch c"], k: int
) -> Bool[Array, "*batch"]:
    """Returns whether one of a motion's classes is among the k best scores.

    Args:
        scores: (..., C) score of each class; higher is better.
        valid: (..., C) True for every class that the motion belongs to.
        k: number of best scores; 1 and 5 in published figures.

    Returns:
        (...) bool; its mean is the top-k accuracy.
    """
    scores, valid = jnp.asarray(scores), jnp.asarray(valid)
    best = jnp.where(valid, scores, -jnp.inf).max(-1, keepdims=True)
    # Wrong classes with the same score as the best valid class count as better.
    ahead = (~valid & (scores >= jnp.broadcast_to(best, scores.shape))).sum(-1)
    return valid.any(-1) & (ahead < k)
