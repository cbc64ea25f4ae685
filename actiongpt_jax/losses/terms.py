"""Elementwise losses and their masked reductions.

A term is a pair (sum, count): sums and counts are added over devices and divided
once, so that a mean does not depend on how a batch was split.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from actiongpt_jax.structs import Gaussian

Term = tuple[jax.Array, jax.Array]


def smooth_l1(
    prediction: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Huber loss with threshold 1, elementwise: d^2 / 2, beyond 1 |d| - 1/2."""
    distance = jnp.abs(prediction - target)
    return jnp.where(distance < 1.0, 0.5 * distance * distance, distance - 0.5)


def kl_divergence(q: Gaussian, p: Gaussian) -> Float[Array, "..."]:
    """KL(q || p) of diagonal Gaussians, elementwise, not summed.

    Args:
        q: over (..., D).
        p: over (..., D).

    Returns:
        (..., D) nats.
    """
    mean_part = (q.mu - p.mu) ** 2 * jnp.exp(-p.logvar)
    log_ratio = q.logvar - p.logvar
    return 0.5 * (jnp.exp(log_ratio) + mean_part - 1.0 - log_ratio)


def masked_term(values: Float[Array, "b ..."], mask: Bool[Array, "..."]) -> Term:
    """Sums `values` where a mask over their first axes is True.

    Args:
        values: (B, ..., F) elementwise losses.
        mask: bool over leading axes of `values`.

    Returns:
        (sum, count of elements).
    """
    wide = mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim))
    per_entry = values.size // mask.size
    total = jnp.where(wide, values, 0.0).sum(dtype=jnp.float32)
    return total, mask.sum().astype(jnp.float32) * per_entry
