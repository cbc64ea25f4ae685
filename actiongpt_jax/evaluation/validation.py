"""APE and AVE of what a model generates during training, as loss-like terms."""

from typing import Any

import jax

from actiongpt_jax.evaluation.ape_ave import ape_ave_sums
from actiongpt_jax.features import rot_velocity
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.geometry.kinematics import forward_kinematics


def ape_ave_terms(
    outputs: Any, batch: dict[str, jax.Array], normalizer: Normalizer
) -> dict[str, tuple[jax.Array, jax.Array]]:
    """Compares the motions generated from text with the real ones, on 22 joints.

    The protocol is 'paper' of `evaluation.ape_ave`; latents are at their means.

    Args:
        outputs: features_text (B, T, 135), normalised.
        batch: features (B, T, 135), normalised; frame_mask (B, T).
        normalizer: of the features.

    Returns:
        name -> (sum, count), metres.
    """

    def joints(features: jax.Array) -> jax.Array:
        return forward_kinematics(
            *rot_velocity.decode(normalizer.unnormalize(features))
        )

    mask = batch["frame_mask"]
    return ape_ave_sums(
        joints(outputs.features_text),
        joints(batch["features"]),
        mask.sum(-1),
        protocol="paper",
        mask=mask,
    )
