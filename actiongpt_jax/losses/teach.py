"""The fourteen terms of TEACH: TEMOS's seven for each action of a pair.

Source: TEACH, arXiv:2209.04066, section 3.3.
"""

import jax
import jax.numpy as jnp

from actiongpt_jax.config_fields import Config
from actiongpt_jax.losses import temos
from actiongpt_jax.losses.terms import Term, smooth_l1
from actiongpt_jax.models.teach import TeachOutputs


def terms(
    outputs: TeachOutputs, batch: dict[str, jax.Array], config: Config
) -> dict[str, Term]:
    """Computes every term of the loss, unweighted.

    Reconstruction is the mean over items of each item's own mean over its real
    frames, so that a long motion weighs no more than a short one. Items without a
    real frame (fillers of a last batch) count in no term.

    Args:
        outputs: of `models.Teach`.
        batch: for i in 0, 1: features_i (B, T_i, F), frame_mask_i (B, T_i); the
            second motion includes the transition before it.
        config: not read; the losses of all models are called alike.

    Returns:
        name -> (sum, count); names end in _0 and _1.
    """
    found = {}
    for i in (0, 1):
        target, frame_mask = batch[f"features_{i}"], batch[f"frame_mask_{i}"]
        item_mask = frame_mask.any(-1)

        def reconstruction(
            features: jax.Array,
            target: jax.Array = target,
            frame_mask: jax.Array = frame_mask,
            item_mask: jax.Array = item_mask,
        ) -> Term:
            values = jnp.where(frame_mask[..., None], smooth_l1(features, target), 0.0)
            entries = jnp.maximum(frame_mask.sum(-1), 1) * target.shape[-1]
            means = values.sum((1, 2), dtype=jnp.float32) / entries
            return means.sum(), item_mask.sum().astype(jnp.float32)

        action = temos.seven_terms(outputs.action(i), item_mask, reconstruction)
        found |= {f"{name}_{i}": term for name, term in action.items()}
    return found


def weights(config: Config) -> dict[str, float]:
    """Returns the weight of every term: 1, `config.losses.{lmd_kl,lmd_latent}`."""
    single = temos.weights(config)
    return {f"{name}_{i}": weight for i in (0, 1) for name, weight in single.items()}
