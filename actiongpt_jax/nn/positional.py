"""Fixed sinusoidal position embeddings."""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


@functools.lru_cache(maxsize=64)
def _table(length: int, width: int) -> np.ndarray:
    # Angles are rounded to float32 as torch rounds them: at position 750 of width 256
    # an exact angle would change the table by 5e-5, and the published weights were
    # trained with the rounded one.
    exponents = np.arange(0, width, 2, dtype=np.float32)
    exponents *= np.float32(-np.log(10000.0) / width)
    rates = np.exp(exponents.astype(np.float64)).astype(np.float32)
    angles = (np.arange(length, dtype=np.float32)[:, None] * rates).astype(np.float64)
    table = np.empty((length, width), np.float32)
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles)
    return table


def sinusoids(length: int, width: int) -> Float[Array, "length width"]:
    """Embeds positions 0 .. length-1 as sines (even columns) and cosines (odd columns).

    Args:
        length: number of positions.
        width: D, number of columns; must be even.

    Returns:
        (length, D) float32.

    Raises:
        ValueError: if the width is odd.

    Source: Vaswani et al. 2017, arXiv:1706.03762.
    """
    if width % 2:
        raise ValueError(f"the width of positions must be even, got {width}")
    return jnp.asarray(_table(length, width))
