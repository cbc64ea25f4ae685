"""The one term of the retrieval evaluator: texts and motions must find each other.

Source: InfoNCE as in CLIP (arXiv:2103.00020); texts that are alike are no negatives, as
in TMR (arXiv:2305.00976), here those that are equal.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from actiongpt_jax.config import Config
from actiongpt_jax.geometry.rotations import AnyArray
from actiongpt_jax.losses.terms import Term, masked_term
from actiongpt_jax.models.evaluator import EvaluatorOutputs

# Finite, so that a batch without a real item has a defined softmax.
_MASKED = -1e9


def terms(
    outputs: EvaluatorOutputs,
    batch: dict[str, jax.Array],
    config: Config,
    *,
    axis_name: str | None = None,
) -> dict[str, Term]:
    """Computes the loss.

    Items without a real frame (fillers of a last batch) count for nothing.

    Args:
        outputs: of `models.evaluator.RetrievalEvaluator`.
        batch: frame_mask (B, T) and text_id (B,), equal for equal texts.
        config: `config.losses.logit_scale`, the logarithm of what cosines are
            multiplied by.
        axis_name: of the device axis; the batch is that of all devices.

    Returns:
        contrastive: (sum, count).
    """
    return {
        "contrastive": contrastive(
            outputs.motion,
            outputs.text,
            batch["text_id"],
            batch["frame_mask"].any(-1),
            config.losses.logit_scale,
            axis_name,
        )
    }


def weights(config: Config) -> dict[str, float]:
    """Returns the weight of the term: 1."""
    del config
    return {"contrastive": 1.0}


def contrastive(
    motion: Float[AnyArray, "b p"],
    text: Float[AnyArray, "b p"],
    text_id: Int[AnyArray, " b"],
    mask: Bool[AnyArray, " b"],
    logit_scale: float,
    axis_name: str | None = None,
) -> Term:
    """InfoNCE both ways, in which an equal text is never a wrong answer.

    Args:
        motion: (B, P) unit vectors.
        text: (B, P) unit vectors, in the same order.
        text_id: (B,) equal for equal texts.
        mask: (B,) True = real item; others are nobody's candidates.
        logit_scale: logarithm of the factor on cosines.
        axis_name: of the device axis; the batch is that of all devices.

    Returns:
        (sum, count) of the items of this device: the mean of the cross-entropies
        from motions to texts and back.
    """
    gathered = tuple(map(jnp.asarray, (motion, text, text_id, mask)))
    motion, text, text_id, mask = gathered
    partner = jnp.arange(len(motion))
    if axis_name is not None:
        gathered = jax.lax.all_gather(gathered, axis_name, tiled=True)
        partner = partner + jax.lax.axis_index(axis_name) * len(motion)
    all_motion, all_text, all_id, all_mask = gathered
    own = partner[:, None] == jnp.arange(len(all_motion))[None]
    candidate = own | (all_mask[None] & (text_id[:, None] != all_id[None]))

    def cross_entropy(queries, candidates):
        # Rounded to TF32, cosines times a large scale would be off.
        cosine = jnp.matmul(queries, candidates.T, precision=jax.lax.Precision.HIGHEST)
        logits = jnp.where(candidate, jnp.exp(logit_scale) * cosine, _MASKED)
        hit = jnp.take_along_axis(logits, partner[:, None], -1)[:, 0]
        return jax.nn.logsumexp(logits, -1) - hit

    forth, back = cross_entropy(motion, all_text), cross_entropy(text, all_motion)
    return masked_term((forth + back) / 2, mask)
