"""Elementwise losses and their masked reductions.

A term is a pair (sum, count). Sums and counts are added over devices and divided once,
so that a mean does not depend on how a batch is split.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from actiongpt_jax.structs import Gaussian

Term = tuple[jax.Array, jax.Array]


def smooth_l1(
    prediction: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Huber loss with threshold 1, elementwise: d^2 / 2 if |d| < 1, else |d| - 1/2."""
    distance = jnp.abs(prediction - target)
    return jnp.where(distance < 1.0, 0.5 * distance * distance, distance - 0.5)


def kl_divergence(q: Gaussian, p: Gaussian) -> Float[Array, "..."]:
    """KL(q || p) of diagonal Gaussians, elementwise, not summed.

    Args:
        q: Gaussian over (..., D).
        p: Gaussian over (..., D).

    Returns:
        (..., D) divergence of each element, in nats.
    """
    mean_part = (q.mu - p.mu) ** 2 * jnp.exp(-p.logvar)
    log_ratio = q.logvar - p.logvar
    return 0.5 * (jnp.exp(log_ratio) + mean_part - 1.0 - log_ratio)


def masked_term(values: Float[Array, "b ..."], mask: Bool[Array, "..."]) -> Term:
    """Sums `values` where a mask over their leading axes is True.

    Args:
        values: (B, ..., F) elementwise losses.
        mask: bool over leading axes of `values`.

    Returns:
        (sum of the elements where the mask is True, count of these elements).
    """
    wide = mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim))
    per_entry = values.size // mask.size
    total = jnp.where(wide, values, 0.0).sum(dtype=jnp.float32)
    return total, mask.sum().astype(jnp.float32) * per_entry
