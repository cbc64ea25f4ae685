"""From token embeddings of a text to a Gaussian over motion latents.

Source: TEMOS, arXiv:2204.14109; TEACH, arXiv:2209.04066.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from actiongpt_jax.models.pooling import (
    add_positions,
    learned_token,
    pool_gaussian,
    project,
)
from actiongpt_jax.nn.attention import mask_to_bias
from actiongpt_jax.nn.sizes import Sizes
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


def project_text(
    module: nn.Module, tokens: Float[Array, "b n e"]
) -> Float[Array, "b n d"]:
    """Maps the states of a text model to the latent's width.

    The published code puts a ReLU in front of the projection, not behind it, so the
    negative half of every state is lost; its weights were trained that way.
    """
    return project(module, jax.nn.relu(tokens), "projection")


class TextEncoder(nn.Module):
    """Pools token embeddings into a `Gaussian` through two learned tokens.

    Source: TEMOS, arXiv:2204.14109, section 3.

    Attributes:
        sizes: sizes of the encoder.
        text_mask: 'bool' or 'shipped', see `text_bias`.
    """

    sizes: Sizes = Sizes()
    text_mask: str = "bool"

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
        text = project_text(self, tokens)
        bias = text_bias(mask, self.text_mask)
        return pool_gaussian(self, text, bias, deterministic)


class PastTextEncoder(TextEncoder):
    """`TextEncoder` that also reads how the motion before ended.

    Sequence: mu, logvar, past frames, previous latent, separator, text. One stack
    encodes the past frames by themselves, and then the whole sequence. Positions are
    added to text and past frames, each from 0; the other tokens have none.

    Source: TEACH, arXiv:2209.04066, section 3; past frames go through the stack of
    the text as in its published code (a stack of their own is carried as `unused`).

    Attributes: those of `TextEncoder`.
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
        batch, sizes = len(tokens), self.sizes
        encoder = Encoder(sizes, name="encoder")

        def repeated(name: str) -> jax.Array:
            token = learned_token(self, name).astype(sizes.dtype)
            return jnp.broadcast_to(token, (batch, 1, sizes.latent_dim))

        mu, logvar = repeated("mu_token"), repeated("logvar_token")
        separator = repeated("separation_token")
        text = add_positions(self, project_text(self, tokens), deterministic)
        parts = [mu, logvar]
        if past is not None:
            past = project(self, past, "skel_embedding")
            past = add_positions(self, past, deterministic)
            # Past frames have no padding: nothing is added to their logits.
            bias = jnp.zeros(past.shape[:2])
            parts.append(encoder(past, bias, deterministic))
            if self.is_initializing():
                inert = Encoder(sizes, parent=None)
                self.variable(
                    "unused",
                    "past_encoder",
                    lambda: inert.init(self.make_rng("params"), past, bias)["params"],
                )
        if z_prev is not None:
            parts.append(z_prev[:, None])
        parts += [separator, text]
        x = jnp.concatenate([part.astype(sizes.dtype) for part in parts], axis=1)
        # Only text is padded: nothing is added to the logits of what precedes it.
        added = x.shape[1] - mask.shape[1]
        bias = jnp.pad(text_bias(mask, self.text_mask), ((0, 0), (added, 0)))
        pooled = encoder(x, bias, deterministic, num_outputs=2).astype(jnp.float32)
        return Gaussian(mu=pooled[:, 0], logvar=pooled[:, 1])
