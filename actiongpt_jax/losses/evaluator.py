"""The single loss term of the retrieval evaluator: InfoNCE over texts and motions.

Source: CLIP (arXiv:2103.00020). TMR (arXiv:2305.00976) does not count similar texts as
negatives; here equal texts are not negatives.
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

    Items without a real frame (fillers of a last batch) are left out.

    Args:
        outputs: outputs of `models.evaluator.RetrievalEvaluator`.
        batch: frame_mask (B, T) and text_id (B,), equal for equal texts.
        config: `config.losses.logit_scale` is the logarithm of the factor that
            multiplies cosines.
        axis_name: name of the device axis over which the batch is gathered; None on
            one device.

    Returns:
        {'contrastive': (sum, count)}.
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
