"""How far reconstructed bodies are from the real ones, as loss-like terms."""

import jax
import jax.numpy as jnp

from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.losses.motionclip import body_points
from actiongpt_jax.losses.terms import Term, masked_term
from actiongpt_jax.models.motionclip import MotionClipOutputs


def joint_error_terms(
    outputs: MotionClipOutputs,
    batch: dict[str, jax.Array],
    normalizer: Normalizer | None = None,
) -> dict[str, Term]:
    """Measures reconstruction on the 22 joints of bodies whose root stays in place.

    Args:
        outputs: of `models.MotionClip`.
        batch: poses (B, T, 150) and frame_mask (B, T).
        normalizer: not read: poses are not normalised.

    Returns:
        joint_error: (sum, count) of the joints' distances, metres.
    """
    difference = body_points(outputs.poses) - body_points(batch["poses"])
    distance = jnp.sqrt((difference**2).sum(-1))
    return {"joint_error": masked_term(distance, batch["frame_mask"])}
