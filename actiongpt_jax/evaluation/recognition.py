"""Action recognition: the text whose vector lies nearest to a motion's latent.

Source: MotionCLIP, arXiv:2203.08063, section 4.3.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from actiongpt_jax.geometry.rotations import AnyArray, unit


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
