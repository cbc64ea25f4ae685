"""How k descriptions of one phrase become one sequence of token embeddings."""

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

    Numpy arrays in give numpy arrays out (no compilation per length), JAX arrays
    give JAX arrays.

    Args:
        tokens: (..., k, N, E) states of a text encoder.
        mask: (..., k, N) True = real token.
        how: 'masked_mean': at each position the mean over the texts that are
            real there (G = N). 'reference_mean': the sum over all k, divided by k,
            padding included, as the published code does; the encoder's states at
            padding count, so a phrase's k texts must be padded together (G = N).
            'concat': one text after the other (G = k N).

    Returns:
        tokens (..., G, E) float32 and mask (..., G), True where any text is real.
        Positions without a real text are 0 for masked_mean, and not to be read
        for the others.

    Raises:
        InputError: for another `how`.

    Source: Action-GPT, arXiv:2211.15603, section 3; G = max n_i.
    """
    check_choice("how", how, AGGREGATIONS)
    xp: Any = jnp if isinstance(tokens, jax.Array) else np
    tokens = xp.asarray(tokens, xp.float32)
    real: Any = xp.asarray(mask, bool)
    if how == "masked_mean":
        weights = real[..., None].astype(xp.float32)
        # Padding may hold anything, NaN included.
        total = xp.where(real[..., None], tokens, 0.0).sum(-3)
        return total / xp.maximum(weights.sum(-3), 1.0), real.any(-2)
    if how == "reference_mean":
        return tokens.sum(-3) / tokens.shape[-3], real.any(-2)
    *batch, k, n, width = tokens.shape
    return tokens.reshape(*batch, k * n, width), real.reshape(*batch, k * n)
