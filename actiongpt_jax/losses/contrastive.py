"""InfoNCE: each motion must find its partner in the batch, and each partner its motion.

Source: CLIP, arXiv:2103.00020.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from actiongpt_jax.geometry.rotations import AnyArray
from actiongpt_jax.losses.terms import Term, masked_term

# Finite, so that a batch without a real item has a defined softmax.
_MASKED = -1e9


def contrastive(
    motion: Float[AnyArray, "b p"],
    other: Float[AnyArray, "b p"],
    mask: Bool[AnyArray, " b"],
    logit_scale: float,
    axis_name: str | None = None,
    text_id: Int[AnyArray, " b"] | None = None,
) -> Term:
    """Computes the cross-entropies from motions to their partners and back.

    Args:
        motion: (B, P) unit vectors of the motions.
        other: (B, P) unit vectors of texts or pictures, in the same order.
        mask: (B,) True = real item; filler items are never negatives.
        logit_scale: logarithm of the factor that multiplies cosines.
        axis_name: name of the device axis over which the batch is gathered; None on
            one device.
        text_id: (B,) equal for equal texts, which are then never negatives of each
            other; None takes every other item as a negative.

    Returns:
        (sum, count) over the items of this device; the value of an item is the mean
        of its two cross-entropies.
    """
    motion, other, mask = map(jnp.asarray, (motion, other, mask))
    gathered, partner = (motion, other, mask, text_id), jnp.arange(len(motion))
    if axis_name is not None:
        gathered = jax.lax.all_gather(gathered, axis_name, tiled=True)
        partner = partner + jax.lax.axis_index(axis_name) * len(motion)
    all_motion, all_other, all_mask, all_id = gathered
    candidate = all_mask[None]
    if text_id is not None and all_id is not None:
        candidate &= text_id[:, None] != all_id[None]
    candidate |= partner[:, None] == jnp.arange(len(all_motion))[None]

    def cross_entropy(queries, candidates):
        # With TF32 products, cosines times 100 would be off by 0.05.
        cosine = jnp.matmul(queries, candidates.T, precision=jax.lax.Precision.HIGHEST)
        logits = jnp.where(candidate, jnp.exp(logit_scale) * cosine, _MASKED)
        hit = jnp.take_along_axis(logits, partner[:, None], -1)[:, 0]
        return jax.nn.logsumexp(logits, -1) - hit

    forth, back = cross_entropy(motion, all_other), cross_entropy(other, all_motion)
    return masked_term((forth + back) / 2, mask)
