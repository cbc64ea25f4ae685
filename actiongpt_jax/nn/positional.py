"""Fixed sinusoidal positions."""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


@functools.lru_cache(maxsize=64)
def _table(length: int, width: int) -> np.ndarray:
    rates = np.exp(np.arange(0, width, 2) * (-np.log(10000.0) / width))
    angles = np.arange(length)[:, None] * rates
    table = np.empty((length, width), np.float32)
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles)
    return table


def sinusoids(length: int, width: int) -> Float[Array, "length width"]:
    """Positions 0 .. length-1 as sines (even columns) and cosines (odd columns).

    Args:
        length: number of positions.
        width: even number of columns D.

    Returns:
        (length, D) float32.

    Raises:
        ValueError: if the width is odd.

    Source: Vaswani et al. 2017, arXiv:1706.03762.
    """
    if width % 2:
        raise ValueError(f"the width of positions must be even, got {width}")
    return jnp.asarray(_table(length, width))
