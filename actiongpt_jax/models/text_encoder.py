"""From token embeddings of a text to a Gaussian over motion latents."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from actiongpt_jax.models.pooling import add_positions, pool_gaussian, project
from actiongpt_jax.nn.attention import mask_to_bias
from actiongpt_jax.nn.transformer import Encoder
from actiongpt_jax.structs import Gaussian

TEXT_MASKS = ("bool", "shipped")


def text_bias(mask: Bool[Array, "b n"], text_mask: str) -> Float[Array, "b n"]:
    """Returns what a text mask adds to attention logits.

    Args:
        mask: (B, N) True = real token.
        text_mask: 'bool' hides padding. 'shipped' is what Action-GPT's published
            code does: its integer mask is added to the logits, so that nothing is
            hidden and padding gets +1 over real tokens.

    Raises:
        ValueError: for another `text_mask`.
    """
    if text_mask == "bool":
        return mask_to_bias(mask)
    if text_mask == "shipped":
        return jnp.where(mask, 0.0, 1.0)
    raise ValueError(f"text_mask must be one of {TEXT_MASKS}, got {text_mask!r}")


class TextEncoder(nn.Module):
    """Pools token embeddings into a `Gaussian` through two learned tokens.

    Source: TEMOS, arXiv:2204.14109, section 3.

    Attributes:
        latent_dim: width of the latent and of every block.
        num_layers: of the stack.
        num_heads: 4 is what the reference runs; its `num_head` key is unread.
        ff_size: inner width of the feed-forward parts.
        dropout: rate of every dropout.
        text_mask: see `text_bias`.
        dtype: of the products.
    """

    latent_dim: int = 256
    num_layers: int = 6
    num_heads: int = 4
    ff_size: int = 1024
    dropout: float = 0.1
    text_mask: str = "bool"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        tokens: Float[Array, "b n e"],
        mask: Bool[Array, "b n"],
        deterministic: bool = True,
    ) -> Gaussian:
        """Encodes texts.

        Args:
            tokens: (B, N, E) states of a frozen text model.
            mask: (B, N) True = real token.
            deterministic: no dropout.

        Returns:
            Gaussian over (B, D).
        """
        # ReLU before the projection, as published.
        projected = project(self, jax.nn.relu(tokens), "projection")
        bias = jnp.pad(text_bias(mask, self.text_mask), ((0, 0), (2, 0)))
        return pool_gaussian(self, projected, bias, deterministic)


class PastTextEncoder(TextEncoder):
    """`TextEncoder` that also reads how the motion before ended.

    Sequence: mu, logvar, past frames, previous latent, separator, text. One stack
    encodes the past frames by themselves, and then the whole sequence. Positions are
    added to text and past frames, each from 0; the other tokens have none.

    Source: TEACH, arXiv:2209.04066, section 3; past frames go through the stack of
    the text as in its published code (a stack of their own is carried as `unused`).

    Attributes: as of `TextEncoder`.
    """

    @nn.compact
    def __call__(
        self,
        tokens: Float[Array, "b n e"],
        mask: Bool[Array, "b n"],
        deterministic: bool = True,
        past: Float[Array, "b p f"] | None = None,
        z_prev: Float[Array, "b d"] | None = None,
    ) -> Gaussian:
        """Encodes texts.

        Args:
            tokens: (B, N, E) states of a frozen text model.
            mask: (B, N) True = real token.
            deterministic: no dropout.
            past: (B, P, F) normalised features of the last frames before, or None.
                (To initialise every parameter, give them.)
            z_prev: (B, D) latent of the motion before, or None.

        Returns:
            Gaussian over (B, D).
        """
        batch = len(tokens)
        stack = {
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "ff_size": self.ff_size,
            "dropout": self.dropout,
            "dtype": self.dtype,
        }
        encoder = Encoder(**stack, name="encoder")
        mu, logvar, separator = (
            self.param(name, nn.initializers.normal(1.0), (self.latent_dim,))
            for name in ("mu_token", "logvar_token", "separation_token")
        )
        text = project(self, jax.nn.relu(tokens), "projection")
        text = add_positions(self, text, deterministic)
        parts = [mu, logvar]
        if past is not None:
            past = project(self, past, "skel_embedding")
            past = add_positions(self, past, deterministic)
            parts.append(encoder(past, jnp.zeros(past.shape[:2]), deterministic))
            if self.is_initializing():
                inert = Encoder(**stack, parent=None)
                self.variable(
                    "unused",
                    "past_encoder",
                    lambda: inert.init(
                        self.make_rng("params"), past, jnp.zeros(past.shape[:2])
                    )["params"],
                )
        if z_prev is not None:
            parts.append(z_prev[:, None])
        parts += [separator, text]
        x = jnp.concatenate(
            [
                jnp.broadcast_to(part, (batch, 1, self.latent_dim))
                if part.ndim == 1
                else part
                for part in (part.astype(self.dtype) for part in parts)
            ],
            axis=1,
        )
        bias = jnp.pad(
            text_bias(mask, self.text_mask),
            ((0, 0), (x.shape[1] - mask.shape[1], 0)),
        )
        pooled = encoder(x, bias, deterministic, num_outputs=2).astype(jnp.float32)
        return Gaussian(mu=pooled[:, 0], logvar=pooled[:, 1])
