"""Self-attention on flattened sequences, and attention to a single token."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, UInt32

from actiongpt_jax.nn.dropout import dropout, keep_mask
from actiongpt_jax.nn.sizes import Sizes

# Finite, so that a row with no real key has a defined (uniform) softmax.
_MASKED = -1e9


def mask_to_bias(mask: Bool[Array, "b n"]) -> Float[Array, "b n"]:
    """Turns a mask (True = real) into the bias that is added to attention logits."""
    return jnp.where(mask, 0.0, _MASKED).astype(jnp.float32)


def uniform_init(fan_in: int):
    """Returns torch's default initializer of linear layers, U(+-1/sqrt(fan_in))."""
    bound = 1.0 / math.sqrt(fan_in)

    def init(rng, shape, dtype=jnp.float32):
        return jax.random.uniform(rng, shape, dtype, -bound, bound)

    return init


def _packed_init(width: int):
    # Xavier-uniform over the packed (3 D, D) matrix, as torch initialises it.
    bound = math.sqrt(6.0 / (4 * width))

    def init(rng, shape, dtype=jnp.float32):
        return jax.random.uniform(rng, shape, dtype, -bound, bound)

    return init


class Dense(nn.Module):
    """Linear layer on the last axis of a 2-D array.

    The input has two axes, not three: with batch and time flattened into one axis, a
    training step on a CPU is 8 % faster.

    Attributes:
        features: output width.
        out_in: whether to store the kernel as (out, in). The kernel's gradient is a
            product with one transposed side; if the input is wider than the output,
            this layout transposes the narrow side, which saves 4 % of a CPU step.
        dtype: type of the product; parameters are float32.
    """

    features: int
    out_in: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "m i"]) -> Float[Array, "m o"]:
        """Maps (M, input width) to (M, features)."""
        init = uniform_init(x.shape[-1])
        bias = self.param("bias", init, (self.features,)).astype(self.dtype)
        x = x.astype(self.dtype)
        if self.out_in:
            kernel = self.param("kernel_out_in", init, (self.features, x.shape[-1]))
            contract = (((1,), (1,)), ((), ()))
            return jax.lax.dot_general(x, kernel.astype(self.dtype), contract) + bias
        kernel = self.param("kernel", init, (x.shape[-1], self.features))
        return x @ kernel.astype(self.dtype) + bias


@jax.custom_vjp
def _logits(q: jax.Array, k: jax.Array) -> jax.Array:
    """Returns q k^T, (B, H, Q, K) float32, for (B, H, Q, d) and (B, H, K, d).

    For bfloat16 inputs the automatic gradient would multiply float32 by bfloat16, for
    which GPUs have no fast product; the custom gradient rounds to bfloat16 first.
    """
    return jnp.einsum("bhqd,bhkd->bhqk", q, k, preferred_element_type=jnp.float32)


def _logits_forward(q, k):
    return _logits(q, k), (q, k)


def _logits_backward(saved, g):
    q, k = saved
    g = g.astype(q.dtype)
    grad_q = jnp.einsum("bhqk,bhkd->bhqd", g, k)
    return grad_q, jnp.einsum("bhqk,bhqd->bhkd", g, q)


_logits.defvjp(_logits_forward, _logits_backward)


class SelfAttention(nn.Module):
    """Multi-head self-attention with packed query, key and value projections.

    Attributes:
        sizes: number of heads, dropout rate (on the attention weights) and dtype.
        causal: whether to keep tokens from attending to later ones.
    """

    sizes: Sizes = Sizes()
    causal: bool = False

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "m d"],
        bias: Float[Array, "b n"],
        seeds: UInt32[Array, "2"] | None = None,
        num_queries: int | None = None,
    ) -> Float[Array, "q d"]:
        """Attends within each of B sequences of N tokens.

        Args:
            x: (B * N, D) flattened sequences.
            bias: (B, N) number added to the logits of each key.
            seeds: (2,) seeds of the dropout, or None for no dropout.
            num_queries: Q, the number of leading tokens of each sequence to compute
                outputs for; None computes all N.

        Returns:
            (B * Q, D).
        """
        dtype, rate = self.sizes.dtype, self.sizes.dropout
        batch, tokens = bias.shape
        width = x.shape[-1]
        depth = width // self.sizes.num_heads
        kernel = self.param("in_kernel", _packed_init(width), (width, 3 * width))
        in_bias = self.param("in_bias", nn.initializers.zeros, (3 * width,))
        kernel, in_bias = kernel.astype(dtype), in_bias.astype(dtype)
        x = x.astype(dtype)
        if num_queries is None or num_queries == tokens:
            num_queries = tokens
            packed = (x @ kernel + in_bias).reshape(batch, tokens, 3, -1, depth)
            q, k, v = packed.transpose(2, 0, 3, 1, 4)
        else:
            first = x.reshape(batch, tokens, width)[:, :num_queries].reshape(-1, width)
            q = first @ kernel[:, :width] + in_bias[:width]
            q = q.reshape(batch, num_queries, -1, depth).transpose(0, 2, 1, 3)
            packed = x @ kernel[:, width:] + in_bias[width:]
            packed = packed.reshape(batch, tokens, 2, -1, depth)
            k, v = packed.transpose(2, 0, 3, 1, 4)
        # Heads come first: einsums over (b h q d) are twice as fast as over (b q h d).
        logits = _logits(q * (1.0 / math.sqrt(depth)), k)
        logits = logits + bias[:, None, None, :]
        if self.causal:
            earlier = np.tri(num_queries, tokens, dtype=bool)
            logits = jnp.where(earlier, logits, _MASKED)
        weights = jax.nn.softmax(logits, axis=-1)
        if seeds is not None and rate > 0:
            weights = dropout(weights, seeds, rate)
        out = jnp.einsum("bhqk,bhkd->bhqd", weights.astype(dtype), v)
        out = out.transpose(0, 2, 1, 3).reshape(batch * num_queries, width)
        return Dense(width, dtype=dtype, name="out")(out)


class SingleTokenAttention(nn.Module):
    """Cross-attention to a memory of one token, in closed form.

    A softmax over one logit is 1, so every query receives `out(value(z))`; queries
    and keys do not matter and their weights have no gradient. They are kept in the
    collection `unused` for checkpoints that contain them. In training, dropout still
    acts on the attention weights: each is 0 or 1/(1 - rate) per item, head and query.

    Attributes:
        sizes: number of heads, dropout rate (on the attention weights) and dtype.
    """

    sizes: Sizes = Sizes()

    @nn.compact
    def __call__(
        self,
        memory: Float[Array, "b d"],
        num_queries: int,
        seeds: UInt32[Array, "2"] | None = None,
    ) -> Float[Array, "b q d"]:
        """Returns the output of the attention for each query.

        Args:
            memory: (B, D) the one memory token of each item.
            num_queries: Q, the number of queries.
            seeds: (2,) seeds of the dropout, or None for no dropout.

        Returns:
            (B, Q, D), or without dropout (B, 1, D), which broadcasts to it.
        """
        dtype, rate = self.sizes.dtype, self.sizes.dropout
        num_heads = self.sizes.num_heads
        batch, width = memory.shape
        if self.is_initializing():
            shape, init = (width, 2 * width), _packed_init(width)
            self.variable(
                "unused", "kernel", lambda: init(self.make_rng("params"), shape)
            )
            self.variable("unused", "bias", jnp.zeros, (2 * width,))
        value_kernel = self.param("value_kernel", _packed_init(width), (width, width))
        value_bias = self.param("value_bias", nn.initializers.zeros, (width,))
        out_kernel = self.param("out_kernel", uniform_init(width), (width, width))
        out_bias = self.param("out_bias", nn.initializers.zeros, (width,))
        value = memory.astype(dtype) @ value_kernel.astype(dtype)
        value = value + value_bias.astype(dtype)
        out_kernel, out_bias = out_kernel.astype(dtype), out_bias.astype(dtype)
        if seeds is None or rate == 0:
            return (value @ out_kernel + out_bias)[:, None]
        per_head = jnp.einsum(
            "bhd,hde->bhe",
            value.reshape(batch, num_heads, -1),
            out_kernel.reshape(num_heads, -1, width),
        )
        keep = keep_mask(seeds, (batch, num_queries, num_heads), rate)
        weights = jnp.where(keep, 1.0 / (1.0 - rate), 0.0).astype(dtype)
        return jnp.einsum("bqh,bhe->bqe", weights, per_head) + out_bias
