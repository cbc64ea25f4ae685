"""The seven loss terms of TEMOS.

Source: TEMOS, arXiv:2204.14109, section 3.3.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from actiongpt_jax.config_fields import TEMOS_TERMS, Config, lookup
from actiongpt_jax.losses.terms import Term, kl_divergence, masked_term, smooth_l1
from actiongpt_jax.models.temos import TemosOutputs
from actiongpt_jax.structs import Gaussian


def terms(
    outputs: TemosOutputs, batch: dict[str, jax.Array], config: Config
) -> dict[str, Term]:
    """Computes every term of the loss, unweighted.

    Items without a real frame (fillers of a last batch) are left out.

    Args:
        outputs: outputs of `models.Temos`.
        batch: features (B, T, F), frame_mask (B, T); on several devices also
            longest (), the frames of the longest item of the global batch.
        config: `config.losses.recons_mean` is 'frames' to average reconstruction over
            real frames, or 'padded' to divide by B x the longest item, as published.

    Returns:
        name -> (sum, count).
    """
    target, frame_mask = batch["features"], batch["frame_mask"]
    item_mask = frame_mask.any(-1)

    def distance(features: jax.Array, target: jax.Array, mask: jax.Array) -> Term:
        total, count = masked_term(smooth_l1(features, target), mask)
        if config.losses.recons_mean == "padded":
            longest = batch.get("longest", frame_mask.sum(-1).max())
            count = (item_mask.sum() * longest * target.shape[-1]).astype(jnp.float32)
        return total, count

    return action_terms(outputs, target, frame_mask, distance, config)


def action_terms(
    outputs: TemosOutputs,
    target: Float[Array, "b t f"],
    frame_mask: Bool[Array, "b t"],
    distance: Callable[[jax.Array, jax.Array, jax.Array], Term],
    config: Config,
) -> dict[str, Term]:
    """Computes the seven terms of one action, and that of velocities if it is on.

    Args:
        outputs: outputs of `models.Temos`.
        target: (B, T, F) features of the real motions.
        frame_mask: (B, T) True = real frame; an item without any is a filler.
        distance: function from (B, T, F) features, targets and their (B, T) mask to the
            term of their distance.
        config: `config.losses.weights.velocity` is not None to compare velocities, too.

    Returns:
        name -> (sum, count).
    """
    item_mask = frame_mask.any(-1)
    standard = Gaussian(
        jnp.zeros_like(outputs.text.mu), jnp.zeros_like(outputs.text.mu)
    )

    def divergence(q: Gaussian, p: Gaussian) -> Term:
        return masked_term(kl_divergence(q, p), item_mask)

    terms = {
        "recons_rfeats2rfeats": distance(outputs.features_motion, target, frame_mask),
        "kl_text2motion": divergence(outputs.text, outputs.motion),
        "kl_motion2text": divergence(outputs.motion, outputs.text),
        "kl_text": divergence(outputs.text, standard),
        "kl_motion": divergence(outputs.motion, standard),
        "latent_manifold": masked_term(
            smooth_l1(outputs.z_text, outputs.z_motion), item_mask
        ),
    }
    if outputs.features_text is not None:
        terms["recons_text2rfeats"] = distance(
            outputs.features_text, target, frame_mask
        )
    if lookup(config, "losses.weights.velocity", None) is not None:
        terms["velocity"] = distance(
            jnp.diff(outputs.features_motion, axis=1),
            jnp.diff(target, axis=1),
            frame_mask[:, 1:],
        )
    return terms


def weights(config: Config) -> dict[str, float]:
    """Returns the weight of every term.

    It is 1, `config.losses.lmd_kl` or `config.losses.lmd_latent`, as published, unless
    `config.losses.weights` has one for the term.
    """
    losses = config.losses
    published = {
        "recons_rfeats2rfeats": 1.0,
        "recons_text2rfeats": 1.0,
        "kl_text2motion": losses.lmd_kl,
        "kl_motion2text": losses.lmd_kl,
        "kl_text": losses.lmd_kl,
        "kl_motion": losses.lmd_kl,
        "latent_manifold": losses.lmd_latent,
    }
    own = {name: lookup(config, f"losses.weights.{name}", None) for name in TEMOS_TERMS}
    return published | {n: weight for n, weight in own.items() if weight is not None}
