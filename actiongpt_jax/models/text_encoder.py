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
    """Turns a text mask into the bias that is added to attention logits.

    Args:
        mask: (B, N) True = real token.
        text_mask: 'bool' hides padding. 'shipped' is what Action-GPT's published
            code does: it adds its integer mask to the logits, so nothing is hidden
            and padding gets a logit 1 higher than real tokens.

    Raises:
        ValueError: if `text_mask` is neither.
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
        text_mask: 'bool' or 'shipped'; see `text_bias`.
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
            tokens: (B, N, E) hidden states of a frozen text model.
            mask: (B, N) True = real token.
            deterministic: True switches dropout off.

        Returns:
            Gaussian over (B, D).
        """
        text = project_text(self, tokens)
        bias = text_bias(mask, self.text_mask)
        return pool_gaussian(self, text, bias, deterministic)


class PastTextEncoder(TextEncoder):
    """`TextEncoder` that also reads the end of the previous motion.

    The sequence is: mu, logvar, past frames, previous latent, separator, text. One
    stack encodes the past frames alone and then the whole sequence. Positions are
    added to the text and to the past frames, each counted from 0; the other tokens
    get no position.

    Source: TEACH, arXiv:2209.04066, section 3. As in its published code, past frames
    go through the stack that encodes the text; the separate stack for past frames
    that its checkpoints contain is kept in the collection `unused`.

    The attributes are those of `TextEncoder`.
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
            tokens: (B, N, E) hidden states of a frozen text model.
            mask: (B, N) True = real token.
            deterministic: True switches dropout off.
            past: (B, P, F) normalised features of the last frames of the previous
                motion, or None. Pass them to initialise every parameter.
            z_prev: (B, D) latent of the previous motion, or None.

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
            # Past frames have no padding, so their bias is 0.
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
        # Only text is padded: the bias of every token before it is 0.
        added = x.shape[1] - mask.shape[1]
        bias = jnp.pad(text_bias(mask, self.text_mask), ((0, 0), (added, 0)))
        pooled = encoder(x, bias, deterministic, num_outputs=2).astype(jnp.float32)
        return Gaussian(mu=pooled[:, 0], logvar=pooled[:, 1])
