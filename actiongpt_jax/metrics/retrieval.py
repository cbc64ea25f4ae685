"""Whether motions fit their texts, and how they are spread, in an evaluator's space.

All figures take vectors of a `models.evaluator.RetrievalEvaluator`; they compare only
among the same evaluator, the same number of items and the same seed.

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
# Published: pairs of motions between which diversity is measured.
_DIVERSITY_PAIRS = 300
_FLOOR_SPLITS = 20

Vectors = Float[np.ndarray, "n p"]


def top1_terms(
    outputs: EvaluatorOutputs, batch: dict[str, jax.Array], normalizer: Normalizer
) -> dict[str, Term]:
    """Counts the motions of a batch whose own text is the nearest of the batch's.

    Args:
        outputs: of `models.evaluator.RetrievalEvaluator`.
        batch: frame_mask (B, T) and text_id (B,).
        normalizer: not read.

    Returns:
        top1: (sum, count).
    """
    del normalizer
    ids, real = batch["text_id"], batch["frame_mask"].any(-1)
    cosine = jnp.matmul(
        outputs.motion, outputs.text.T, precision=jax.lax.Precision.HIGHEST
    )
    own = jnp.diagonal(cosine)[:, None]
    other = (ids[:, None] != ids[None]) & real[None]
    hit = ~(other & (cosine >= own)).any(-1) & real
    return {"top1": (hit.sum().astype(jnp.float32), real.sum().astype(jnp.float32))}


def r_precision(
    motions: Vectors,
    texts: Float[np.ndarray, "m p"],
    own: Int[np.ndarray, " n"],
    seed: int = 0,
    pool: int | None = POOL,
) -> dict[str, float]:
    """Counts how often a motion's own text is among the nearest of a pool.

    The pool of a motion is its own text and others drawn from those that differ from
    it. Another text that lies equally near counts against it.

    Args:
        motions: (n, P).
        texts: (m, P), one row per distinct text.
        own: (n,) row of each motion's text.
        seed: of the draws.
        pool: texts in a pool, at most m; None takes all.

    Returns:
        top1 top2 top3 in [0, 1]; pool, the number of texts there were; chance, of
        top1.

    Raises:
        InputError: for fewer than two texts, or vectors that do not fit.
    """
    motions, texts, own = _checked(motions), _checked(texts), np.asarray(own)
    if len(texts) < 2:
        raise InputError(
            "retrieval precision must have at least 2 distinct texts, got "
            f"{len(texts)}; judge a larger split"
        )
    size = len(texts) if pool is None else min(pool, len(texts))
    rng = np.random.default_rng(seed)
    hits = np.zeros(len(TOPS))
    for vector, row in zip(motions, own, strict=True):
        others = rng.choice(len(texts) - 1, size - 1, replace=False)
        others += others >= row  # all but the motion's own text
        distance = np.linalg.norm(texts[others] - vector, axis=-1)
        ahead = (distance <= np.linalg.norm(texts[row] - vector)).sum()
        hits += ahead < np.array(TOPS)
    found = {
        f"top{k}": float(h / len(motions)) for k, h in zip(TOPS, hits, strict=True)
    }
    return {**found, "pool": size, "chance": 1 / size}


def matching_distance(
    motions: Vectors, texts: Float[np.ndarray, "m p"], own: Int[np.ndarray, " n"]
) -> float:
    """Returns the mean distance of (n, P) motions to their own of (m, P) texts."""
    apart = _checked(motions) - _checked(texts)[np.asarray(own)]
    return float(np.linalg.norm(apart, axis=-1).mean())


def fid(a: Vectors, b: Float[np.ndarray, "m p"]) -> float:
    """Returns the Frechet distance of the normal distributions of two samples.

    Args:
        a: (n, P), n from 2 on.
        b: (m, P), m from 2 on.

    Returns:
        |mean a - mean b|^2 + tr(A + B - 2 sqrt(A B)) of covariances A and B. With few
        samples it is large even for samples of one distribution: see `fid_floor`.

    Raises:
        InputError: for fewer than two vectors, or vectors that do not fit.
    """
    a, b = _checked(a), _checked(b)
    if min(len(a), len(b)) < 2:
        raise InputError(
            f"a FID must be of at least 2 motions on either side, got {len(a)} and "
            f"{len(b)}; judge a larger split"
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
        real: (n, P), n from 4 on.
        seed: of the splits.

    Returns:
        mean and std over 20 random splits into halves; n, the size of a half.

    Raises:
        InputError: for fewer than four vectors.
    """
    real = _checked(real)
    rng, half = np.random.default_rng(seed), len(real) // 2
    found = []
    for _ in range(_FLOOR_SPLITS):
        order = rng.permutation(len(real))
        found.append(fid(real[order[:half]], real[order[half : 2 * half]]))
    return {"mean": float(np.mean(found)), "std": float(np.std(found)), "n": half}


def diversity(motions: Vectors, seed: int = 0) -> dict[str, float]:
    """Returns the mean distance of motions drawn in pairs.

    Args:
        motions: (n, P), n from 2 on.
        seed: of the draw.

    Returns:
        mean, and the number of pairs: 300, or n // 2 where that is less. No motion
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
    """Returns the mean distance between motions of one text.

    Args:
        samples: per text, (s, P) of its motions; texts with one motion do not count.

    Returns:
        The mean over all pairs of a text's motions, then over texts; NaN without any.
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
            f"vectors must have shape (n, P) with n from 1 on, got {vectors.shape}; "
            "encode at least one motion"
        )
    if not np.isfinite(vectors).all():
        row = int(np.argwhere(~np.isfinite(vectors))[0, 0])
        raise InputError(
            f"vectors must be finite, got row {row} with NaN or infinity; look at the "
            "motion that it was made of"
        )
    return vectors


def similarities(
    latents: Float[AnyArray, "*batch d"], texts: Float[AnyArray, "c d"]
) -> Float[Array, "*batch c"]:
    """Returns the cosine of every latent to every text.

    Args:
        latents: (..., D) of motions.
        texts: (C, D) one vector per class.

    Returns:
        (..., C) from -1 to 1.
    """
    return jnp.einsum(
        "...d,cd->...c", unit(latents), unit(texts), precision=jax.lax.Precision.HIGHEST
    )


def is_recognised(
    scores: Float[AnyArray, "*batch c"], valid: Bool[AnyArray, "*batch c"], k: int
) -> Bool[Array, "*batch"]:
    """Whether one of a motion's classes is among the k best scores.

    Args:
        scores: (..., C) higher is better.
        valid: (..., C) True for every class that a motion is of.
        k: 1 or 5 in what is published.

    Returns:
        (...) bool; the mean is the top-k accuracy.
    """
    scores, valid = jnp.asarray(scores), jnp.asarray(valid)
    best = jnp.where(valid, scores, -jnp.inf).max(-1, keepdims=True)
    # Classes that are not its own and score as well count against it.
    ahead = (~valid & (scores >= jnp.broadcast_to(best, scores.shape))).sum(-1)
    return valid.any(-1) & (ahead < k)
