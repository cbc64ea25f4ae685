"""The one term of the retrieval evaluator: texts and motions must find each other.

Source: InfoNCE as in CLIP (arXiv:2103.00020); texts that are alike are no negatives, as
in TMR (arXiv:2305.00976), here those that are equal.
"""

import jax

from actiongpt_jax.config_fields import Config
from actiongpt_jax.losses.contrastive import contrastive
from actiongpt_jax.losses.terms import Term
from actiongpt_jax.models.evaluator import EvaluatorOutputs

WEIGHTS = {"contrastive": 1.0}


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
        outputs: what `models.evaluator.RetrievalEvaluator` returns.
        batch: frame_mask (B, T) and text_id (B,), equal for equal texts.
        config: `config.losses.logit_scale` is the logarithm of the factor on cosines.
        axis_name: name of the device axis; the batch is that of all devices.

    Returns:
        contrastive: (sum, count).
    """
    return {
        "contrastive": contrastive(
            outputs.motion,
            outputs.text,
            batch["frame_mask"].any(-1),
            config.losses.logit_scale,
            axis_name,
            batch["text_id"],
        )
    }
