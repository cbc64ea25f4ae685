"""Dropout from a counter hash, whose mask is recomputed in the backward pass.

JAX's own generator draws one random word per element, which takes a quarter of a
training step on a CPU. Here two random words per call seed a hash of the element's
index, which XLA fuses with the multiplication that uses it. The keep rate is exact to
2^-32; rate, moments and independence between calls, elements and steps are tested.
"""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32


def dropout_seeds(module: nn.Module, count: int) -> UInt32[Array, "count 2"]:
    """Draws seeds for `count` calls of `dropout` from the module's 'dropout' key.

    Seeds come from JAX's own generator, because the hash is not designed to turn
    consecutive small numbers (a step, a layer) into independent masks.
    """
    return jax.random.bits(module.make_rng("dropout"), (count, 2), jnp.uint32)


def _mix(x: jax.Array, s1: int, m1: int, s2: int, m2: int, s3: int) -> jax.Array:
    # Shift and multiply constants: C. Wellons, hash-prospector (public domain).
    x = (x ^ (x >> np.uint32(s1))) * np.uint32(m1)
    x = (x ^ (x >> np.uint32(s2))) * np.uint32(m2)
    return x ^ (x >> np.uint32(s3))


@jax.named_scope("dropout")
def keep_mask(
    seeds: UInt32[Array, "2"], shape: tuple[int, ...], rate: float
) -> jax.Array:
    """Decides for each element whether it is kept.

    Args:
        seeds: (2,) random words.
        shape: shape of the mask; at most 2^32 elements.
        rate: probability in [0, 1) that an element is dropped.

    Returns:
        bool array of shape `shape`, True where an element is kept.
    """
    x = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape) ^ seeds[0]
    x = _mix(x, 16, 0x21F0AAAD, 15, 0x735A2D97, 15) + seeds[1]
    x = _mix(x, 16, 0x7FEB352D, 15, 0x846CA68B, 16)
    return x >= np.uint32(round(rate * 2**32))


def dropout(
    x: Float[Array, "..."], seeds: UInt32[Array, "2"], rate: float
) -> Float[Array, "..."]:
    """Sets each element to 0 with probability `rate`, else divides it by 1 - rate."""
    return _dropout(x, seeds, rate)  # pyright: ignore[reportReturnType]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
@jax.named_scope("dropout")
def _dropout(x, seeds, rate):
    kept = (x.astype(jnp.float32) * (1.0 / (1.0 - rate))).astype(x.dtype)
    return jnp.where(keep_mask(seeds, x.shape, rate), kept, jnp.zeros_like(x))


def _dropout_forward(x, seeds, rate):
    return _dropout(x, seeds, rate), seeds


def _dropout_backward(rate, seeds, g):
    return _dropout(g, seeds, rate), np.zeros(seeds.shape, jax.dtypes.float0)


_dropout.defvjp(_dropout_forward, _dropout_backward)
