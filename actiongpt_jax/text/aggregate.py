"""Joins the token embeddings of a phrase's k descriptions into one sequence."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from actiongpt_jax.choices import AGGREGATIONS
from actiongpt_jax.errors import check_choice

DEFAULT = AGGREGATIONS[0]

_Array = jax.Array | np.ndarray


def aggregate(
    tokens: Float[_Array, "*batch k n e"],
    mask: Shaped[_Array, "*batch k n"],
    how: str = DEFAULT,
) -> tuple[Float[_Array, "*batch g e"], Shaped[_Array, "*batch g"]]:
    """Joins the token embeddings of k texts.

    Numpy arrays yield numpy arrays (nothing is compiled per length), JAX arrays yield
    JAX arrays.

    Args:
        tokens: (..., k, N, E) token states of a text encoder.
        mask: (..., k, N) True = real token.
        how: the method. 'masked_mean': at each position the mean over the texts that
            have a real token there (G = N). 'reference_mean': at each position the sum
            over all k texts divided by k, including padding, like the published code;
            the encoder's states at padding count, so a phrase's k texts must be padded
            together (G = N). 'concat': one text after the other (G = k N).

    Returns:
        tokens (..., G, E) float32 and mask (..., G), True where any text has a real
        token. Positions without a real token are 0 for masked_mean; for the other
        methods their values have no meaning.

    Raises:
        InputError: for an unknown `how`.

    Source: Action-GPT, arXiv:2211.15603, section 3; G = max n_i.
    """
    check_choice("how", how, AGGREGATIONS)
    xp: Any = jnp if isinstance(tokens, jax.Array) else np
    tokens = xp.asarray(tokens, xp.float32)
    real: Any = xp.asarray(mask, bool)
    if how == "masked_mean":
        weights = real[..., None].astype(xp.float32)
        # Padding may hold any value, even NaN.
        total = xp.where(real[..., None], tokens, 0.0).sum(-3)
        return total / xp.maximum(weights.sum(-3), 1.0), real.any(-2)
    if how == "reference_mean":
        return tokens.sum(-3) / tokens.shape[-3], real.any(-2)
    *batch, k, n, width = tokens.shape
    return tokens.reshape(*batch, k * n, width), real.reshape(*batch, k * n)
