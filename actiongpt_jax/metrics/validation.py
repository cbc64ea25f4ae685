"""Errors of generated motion that validation during training adds to the losses."""

from typing import Any

import jax
import jax.numpy as jnp

from actiongpt_jax.features import rot_velocity
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.geometry.kinematics import forward_kinematics
from actiongpt_jax.losses.motionclip import body_points
from actiongpt_jax.losses.terms import Term, masked_term
from actiongpt_jax.metrics.ape_ave import ape_ave_sums
from actiongpt_jax.models.motionclip import MotionClipOutputs


def ape_ave_terms(
    outputs: Any, batch: dict[str, jax.Array], normalizer: Normalizer
) -> dict[str, tuple[jax.Array, jax.Array]]:
    """Compares the motions generated from text with the real ones, on 22 joints.

    The protocol is 'paper' of `metrics.ape_ave`. The two actions of a pair count as
    separate motions.

    Args:
        outputs: model outputs, decoded with latents at their means, with the normalised
            features_text (B, T, 135); for pairs features_text_0 and features_text_1.
        batch: features (B, T, 135), normalised, and frame_mask (B, T); for pairs both
            names end in _0 and _1.
        normalizer: normalizer of the features.

    Returns:
        name -> (sum, count); APE in metres, AVE in square metres.
    """

    def joints(features: jax.Array) -> jax.Array:
        return forward_kinematics(
            *rot_velocity.decode(normalizer.unnormalize(features))
        )

    parts = ("",) if "features" in batch else ("_0", "_1")
    masks = [batch[f"frame_mask{part}"] for part in parts]
    frames = max(mask.shape[1] for mask in masks)

    def together(arrays: list[jax.Array]) -> jax.Array:
        """Stacks both actions along the batch axis, so that one program serves both."""
        return jnp.concatenate(
            [
                jnp.pad(a, [(0, 0), (0, frames - a.shape[1])] + [(0, 0)] * (a.ndim - 2))
                for a in arrays
            ]
        )

    mask = together(masks)
    return ape_ave_sums(
        joints(together([getattr(outputs, f"features_text{part}") for part in parts])),
        joints(together([batch[f"features{part}"] for part in parts])),
        mask.sum(-1),
        protocol="paper",
        mask=mask,
    )


def joint_error_terms(
    outputs: MotionClipOutputs,
    batch: dict[str, jax.Array],
    normalizer: Normalizer | None = None,
) -> dict[str, Term]:
    """Measures the reconstruction error of the 22 joints, with the root kept in place.

    Args:
        outputs: outputs of `models.MotionClip`.
        batch: poses (B, T, 150) and frame_mask (B, T).
        normalizer: not used, because poses are not normalised.

    Returns:
        {'joint_error': (sum, count)} of the joints' distances, metres.
    """
    difference = body_points(outputs.poses) - body_points(batch["poses"])
    distance = jnp.sqrt((difference**2).sum(-1))
    return {"joint_error": masked_term(distance, batch["frame_mask"])}
