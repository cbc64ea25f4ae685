"""The fourteen loss terms of TEACH: TEMOS's seven for each action of a pair.

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

    Reconstruction is averaged first over the real frames of each item and then over
    items, so that a long motion weighs no more than a short one. Items without a real
    frame (fillers of a last batch) are left out.

    Args:
        outputs: outputs of `models.Teach`.
        batch: for i in 0, 1: features_i (B, T_i, F), frame_mask_i (B, T_i); the
            second motion includes the transition before it.
        config: the config of the run; see `temos.action_terms`.

    Returns:
        name -> (sum, count); names end in _0 and _1.
    """
    all_terms = {}
    for i in (0, 1):
        action = temos.action_terms(
            outputs.action(i),
            batch[f"features_{i}"],
            batch[f"frame_mask_{i}"],
            _distance,
            config,
        )
        all_terms |= {f"{name}_{i}": term for name, term in action.items()}
    return all_terms


def _distance(features: jax.Array, target: jax.Array, mask: jax.Array) -> Term:
    """Averages a distance over the real frames of each item, then over items."""
    values = jnp.where(mask[..., None], smooth_l1(features, target), 0.0)
    entries = jnp.maximum(mask.sum(-1), 1) * target.shape[-1]
    means = values.sum((1, 2), dtype=jnp.float32) / entries
    return means.sum(), mask.any(-1).sum().astype(jnp.float32)


def weights(config: Config) -> dict[str, float]:
    """Returns every weight: 1, `config.losses.lmd_kl` or `config.losses.lmd_latent`."""
    single = temos.weights(config)
    return {f"{name}_{i}": weight for i in (0, 1) for name, weight in single.items()}
