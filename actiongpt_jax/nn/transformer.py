"""Transformer stacks as in torch.nn, on flattened sequences.

Post-norm: x = norm(x + drop(sublayer(x))) after every sublayer, exact GELU, no final
norm. Encoders can be pre-norm, x + drop(sublayer(norm(x))), as in CLIP. Dropout acts
on the attention weights, after attention, inside and after the feed-forward part. A
mask is given as `bias`, see `attention.mask_to_bias`.
"""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, UInt32

from actiongpt_jax.nn.attention import Dense, SelfAttention, SingleTokenAttention
from actiongpt_jax.nn.dropout import dropout, dropout_seeds
from actiongpt_jax.nn.ops import gelu, layer_norm

Activation = Callable[[Float[Array, "..."]], Float[Array, "..."]]


class LayerNorm(nn.Module):
    """Layer normalisation of the last axis.

    Attributes:
        eps: added to the variance; 1e-5 in the motion models, 1e-12 in BERT.
    """

    eps: float = 1e-5

    @nn.compact
    def __call__(self, x: Float[Array, "... d"]) -> Float[Array, "... d"]:
        """Normalises (..., D)."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        return layer_norm(x, scale, bias, self.eps)


class FeedForward(nn.Module):
    """Dense, activation, dropout, dense.

    Attributes:
        ff_size: inner width.
        dropout: rate after the activation.
        dtype: of the products.
        activation: elementwise function.
        out_in: layout of the second kernel, see `Dense`; good for training.
    """

    ff_size: int
    dropout: float = 0.1
    dtype: DTypeLike = jnp.float32
    activation: Activation = gelu
    out_in: bool = True

    @nn.compact
    def __call__(
        self, x: Float[Array, "m d"], seeds: UInt32[Array, "2"] | None = None
    ) -> Float[Array, "m d"]:
        """Maps (M, D) to (M, D)."""
        hidden = Dense(self.ff_size, dtype=self.dtype, name="linear1")(x)
        hidden = self.activation(hidden)
        if seeds is not None and self.dropout > 0:
            hidden = dropout(hidden, seeds, self.dropout)
        return Dense(x.shape[-1], self.out_in, self.dtype, name="linear2")(hidden)


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each followed or preceded by a norm.

    Attributes:
        num_heads: divides the width.
        ff_size: inner width of the feed-forward part.
        dropout: rate of all four dropouts.
        eps: of the norms.
        dtype: of the products; norms and softmax are float32.
        pre_norm: norms act on what enters a sublayer, not on the sum after it.
        causal: no token attends to a later one.
        activation: of the feed-forward part.
        out_in: as of `FeedForward`.
    """

    num_heads: int
    ff_size: int
    dropout: float = 0.1
    eps: float = 1e-5
    dtype: DTypeLike = jnp.float32
    pre_norm: bool = False
    causal: bool = False
    activation: Activation = gelu
    out_in: bool = True

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "m d"],
        bias: Float[Array, "b n"],
        deterministic: bool = True,
        num_queries: int | None = None,
    ) -> Float[Array, "q d"]:
        """Transforms B sequences of N tokens.

        Args:
            x: (B * N, D).
            bias: (B, N) added to the logits of each key.
            deterministic: no dropout.
            num_queries: compute only that many first tokens of each sequence.

        Returns:
            (B * Q, D), Q = N without `num_queries`.
        """
        drop = _Dropouts(self, 4, self.dropout, deterministic)
        attention = SelfAttention(
            self.num_heads, self.dropout, self.dtype, self.causal, name="self_attn"
        )
        feed_forward = FeedForward(
            self.ff_size,
            self.dropout,
            self.dtype,
            self.activation,
            self.out_in,
            name="ff",
        )
        norm1 = LayerNorm(self.eps, name="norm1")
        norm2 = LayerNorm(self.eps, name="norm2")
        attended = attention(
            norm1(x) if self.pre_norm else x, bias, drop.seeds(0), num_queries
        )
        if num_queries is not None:
            x = x.reshape(*bias.shape, -1)[:, :num_queries].reshape(attended.shape)
        x = x + drop(attended, 1)
        if self.pre_norm:
            return x + drop(feed_forward(norm2(x), drop.seeds(2)), 3)
        x = norm1(x)
        return norm2(x + drop(feed_forward(x, drop.seeds(2)), 3))


class DecoderLayer(nn.Module):
    """Self-attention, attention to one memory token, feed-forward; post-norm.

    Attributes: as of `EncoderLayer`.
    """

    num_heads: int
    ff_size: int
    dropout: float = 0.1
    eps: float = 1e-5
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "m d"],
        memory: Float[Array, "b d"],
        bias: Float[Array, "b n"],
        deterministic: bool = True,
    ) -> Float[Array, "m d"]:
        """Transforms B sequences of N queries, each given one memory token.

        Args:
            x: (B * N, D).
            memory: (B, D).
            bias: (B, N) added to the self-attention logits of each key.
            deterministic: no dropout.

        Returns:
            (B * N, D).
        """
        drop = _Dropouts(self, 6, self.dropout, deterministic)
        batch, tokens = bias.shape
        width = x.shape[-1]
        attention = SelfAttention(
            self.num_heads, self.dropout, self.dtype, name="self_attn"
        )
        x = LayerNorm(self.eps, name="norm1")(
            x + drop(attention(x, bias, drop.seeds(0)), 1)
        )
        cross = SingleTokenAttention(
            self.num_heads, self.dropout, self.dtype, name="cross_attn"
        )(memory, tokens, drop.seeds(2))
        cross = jnp.broadcast_to(cross, (batch, tokens, width)).reshape(x.shape)
        x = LayerNorm(self.eps, name="norm2")(x + drop(cross, 3))
        feed_forward = FeedForward(self.ff_size, self.dropout, self.dtype, name="ff")
        return LayerNorm(self.eps, name="norm3")(
            x + drop(feed_forward(x, drop.seeds(4)), 5)
        )


class Encoder(nn.Module):
    """A stack of encoder layers.

    # DIFFERS: the reference copies one layer, so that all start with equal weights;
    # here every layer is drawn on its own.

    Attributes: as of `EncoderLayer`, and num_layers.
    """

    num_layers: int
    num_heads: int
    ff_size: int
    dropout: float = 0.1
    eps: float = 1e-5
    dtype: DTypeLike = jnp.float32
    pre_norm: bool = False
    causal: bool = False
    activation: Activation = gelu
    out_in: bool = True

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b n d"],
        bias: Float[Array, "b n"],
        deterministic: bool = True,
        num_outputs: int | None = None,
    ) -> Float[Array, "b q d"]:
        """Transforms (B, N, D).

        Args:
            x: (B, N, D).
            bias: (B, N) added to the logits of each key.
            deterministic: no dropout.
            num_outputs: return that many first tokens only; the last layer then
                computes nothing else (7 % of a TEMOS step).

        Returns:
            (B, Q, D), Q = N without `num_outputs`.
        """
        batch, tokens, width = x.shape
        flat = x.reshape(batch * tokens, width)
        for i in range(self.num_layers):
            layer = EncoderLayer(
                self.num_heads,
                self.ff_size,
                self.dropout,
                self.eps,
                self.dtype,
                self.pre_norm,
                self.causal,
                self.activation,
                self.out_in,
                name=f"layer_{i}",
            )
            last = i == self.num_layers - 1
            flat = layer(flat, bias, deterministic, num_outputs if last else None)
        return flat.reshape(batch, -1, width)


class Decoder(nn.Module):
    """A stack of decoder layers over one memory token per item.

    Attributes: as of `EncoderLayer`, and num_layers.
    """

    num_layers: int
    num_heads: int
    ff_size: int
    dropout: float = 0.1
    eps: float = 1e-5
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b n d"],
        memory: Float[Array, "b d"],
        bias: Float[Array, "b n"],
        deterministic: bool = True,
    ) -> Float[Array, "b n d"]:
        """Transforms (B, N, D) queries given (B, D) memory tokens."""
        batch, tokens, width = x.shape
        flat = x.reshape(batch * tokens, width)
        for i in range(self.num_layers):
            layer = DecoderLayer(
                self.num_heads,
                self.ff_size,
                self.dropout,
                self.eps,
                self.dtype,
                name=f"layer_{i}",
            )
            flat = layer(flat, memory, bias, deterministic)
        return flat.reshape(batch, tokens, width)


class _Dropouts:
    """The numbered dropouts of one layer: one random draw seeds them all."""

    def __init__(self, module: nn.Module, count: int, rate: float, deterministic: bool):
        active = not deterministic and rate > 0
        self._rate = rate
        self._seeds = dropout_seeds(module, count) if active else None

    def seeds(self, number: int) -> UInt32[Array, "2"] | None:
        return None if self._seeds is None else self._seeds[number]

    def __call__(self, x: Float[Array, "..."], number: int) -> Float[Array, "..."]:
        return x if self._seeds is None else dropout(x, self._seeds[number], self._rate)
