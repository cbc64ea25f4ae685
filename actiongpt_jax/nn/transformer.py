"""Transformer stacks as in torch.nn, on flattened sequences.

Layers are post-norm, x = norm(x + drop(sublayer(x))), with exact GELU and no final
norm. Encoders can be pre-norm, x + drop(sublayer(norm(x))), as in CLIP. Dropout acts
on the attention weights, after attention, and inside and after the feed-forward part.
Masks are passed as `bias`; see `attention.mask_to_bias`.
"""

import dataclasses
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from actiongpt_jax.nn.attention import Dense, SelfAttention, SingleTokenAttention
from actiongpt_jax.nn.dropout import dropout, dropout_seeds
from actiongpt_jax.nn.ops import gelu, layer_norm
from actiongpt_jax.nn.sizes import Sizes

Activation = Callable[[Float[Array, "..."]], Float[Array, "..."]]


@dataclasses.dataclass(frozen=True)
class LayerStyle:
    """How an encoder layer computes; the defaults are those of the motion models.

    Attributes:
        eps: number added to the variance in the norms, 1e-12 in BERT.
        pre_norm: whether norms act on the input of a sublayer, as in CLIP, instead of
            on the sum after it.
        causal: whether to keep tokens from attending to later ones, as in CLIP.
        activation: elementwise function inside the feed-forward part.
        out_in: layout of the feed-forward part's second kernel; see
            `attention.Dense`. True is faster in training.
    """

    eps: float = 1e-5
    pre_norm: bool = False
    causal: bool = False
    activation: Activation = gelu
    out_in: bool = True


class LayerNorm(nn.Module):
    """Layer normalisation of the last axis.

    Attributes:
        eps: number added to the variance.
    """

    eps: float = 1e-5

    @nn.compact
    def __call__(self, x: Float[Array, "... d"]) -> Float[Array, "... d"]:
        """Normalises (..., D)."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        return layer_norm(x, scale, bias, self.eps)


class FeedForward(nn.Module):
    """Feed-forward part: dense layer, activation, dropout, dense layer.

    Attributes:
        sizes: inner width, dropout rate (after the activation) and dtype.
        style: the activation and the layout of the second kernel.
    """

    sizes: Sizes = Sizes()
    style: LayerStyle = LayerStyle()

    @nn.compact
    def __call__(
        self, x: Float[Array, "m d"], seeds: UInt32[Array, "2"] | None = None
    ) -> Float[Array, "m d"]:
        """Maps (M, D) to (M, D)."""
        sizes, style = self.sizes, self.style
        hidden = Dense(sizes.ff_size, dtype=sizes.dtype, name="linear1")(x)
        hidden = style.activation(hidden)
        if seeds is not None and sizes.dropout > 0:
            hidden = dropout(hidden, seeds, sizes.dropout)
        return Dense(x.shape[-1], style.out_in, sizes.dtype, name="linear2")(hidden)


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each followed or preceded by a norm.

    Attributes:
        sizes: sizes of the layer; all four dropouts have its dropout rate.
        style: how the layer computes.
    """

    sizes: Sizes = Sizes()
    style: LayerStyle = LayerStyle()

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
            x: (B * N, D) flattened sequences.
            bias: (B, N) number added to the logits of each key.
            deterministic: True switches dropout off.
            num_queries: Q, the number of leading tokens of each sequence to compute;
                None computes all N.

        Returns:
            (B * Q, D) the outputs for these tokens.
        """
        drop = _Dropouts(self, 4, self.sizes.dropout, deterministic)
        style = self.style
        attention = SelfAttention(self.sizes, style.causal, name="self_attn")
        feed_forward = FeedForward(self.sizes, style, name="ff")
        norm1 = LayerNorm(style.eps, name="norm1")
        norm2 = LayerNorm(style.eps, name="norm2")
        attended = attention(
            norm1(x) if style.pre_norm else x, bias, drop.seeds(0), num_queries
        )
        if num_queries is not None:
            x = x.reshape(*bias.shape, -1)[:, :num_queries].reshape(attended.shape)
        x = x + drop(attended, 1)
        if style.pre_norm:
            return x + drop(feed_forward(norm2(x), drop.seeds(2)), 3)
        x = norm1(x)
        return norm2(x + drop(feed_forward(x, drop.seeds(2)), 3))


class DecoderLayer(nn.Module):
    """Post-norm self-attention, attention to one memory token, and feed-forward.

    Attributes:
        sizes: sizes of the layer; all six dropouts have its dropout rate.
    """

    sizes: Sizes = Sizes()

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
            x: (B * N, D) flattened queries.
            memory: (B, D) the memory token of each item.
            bias: (B, N) number added to the self-attention logits of each key.
            deterministic: True switches dropout off.

        Returns:
            (B * N, D) transformed queries.
        """
        drop = _Dropouts(self, 6, self.sizes.dropout, deterministic)
        batch, tokens = bias.shape
        attended = SelfAttention(self.sizes, name="self_attn")(x, bias, drop.seeds(0))
        x = LayerNorm(name="norm1")(x + drop(attended, 1))
        cross_attention = SingleTokenAttention(self.sizes, name="cross_attn")
        added = cross_attention(memory, tokens, drop.seeds(2))
        added = jnp.broadcast_to(added, (batch, tokens, x.shape[-1])).reshape(x.shape)
        x = LayerNorm(name="norm2")(x + drop(added, 3))
        transformed = FeedForward(self.sizes, name="ff")(x, drop.seeds(4))
        return LayerNorm(name="norm3")(x + drop(transformed, 5))


class Encoder(nn.Module):
    """A stack of encoder layers, each with its own initial weights.

    Attributes:
        sizes: sizes of the stack.
        style: how each layer computes.
    """

    # DIFFERS: the reference copies one layer, so all layers start with equal weights.

    sizes: Sizes = Sizes()
    style: LayerStyle = LayerStyle()

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b n d"],
        bias: Float[Array, "b n"],
        deterministic: bool = True,
        num_outputs: int | None = None,
    ) -> Float[Array, "b q d"]:
        """Transforms sequences.

        Args:
            x: (B, N, D) sequences.
            bias: (B, N) number added to the logits of each key.
            deterministic: True switches dropout off.
            num_outputs: Q, the number of leading tokens to return; None returns all N.
                The last layer computes only these (saves 7 % of a TEMOS step).

        Returns:
            (B, Q, D) the outputs for these tokens.
        """
        batch, tokens, width = x.shape
        flat = x.reshape(batch * tokens, width)
        for i in range(self.sizes.num_layers):
            layer = EncoderLayer(self.sizes, self.style, name=f"layer_{i}")
            last = i == self.sizes.num_layers - 1
            flat = layer(flat, bias, deterministic, num_outputs if last else None)
        return flat.reshape(batch, -1, width)


class Decoder(nn.Module):
    """A stack of decoder layers over one memory token per item.

    Attributes:
        sizes: sizes of the stack.
    """

    sizes: Sizes = Sizes()

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
        for i in range(self.sizes.num_layers):
            layer = DecoderLayer(self.sizes, name=f"layer_{i}")
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
