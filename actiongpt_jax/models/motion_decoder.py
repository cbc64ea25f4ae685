"""Decodes a latent to all frames of a motion at once: the decoder of ACTOR.

Source: ACTOR, arXiv:2104.05670; TEMOS, arXiv:2204.14109.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from actiongpt_jax.models.pooling import add_positions
from actiongpt_jax.nn.attention import Dense, mask_to_bias
from actiongpt_jax.nn.sizes import Sizes
from actiongpt_jax.nn.transformer import Decoder


def decode_pair(
    decode: Callable[[jax.Array, jax.Array, bool], jax.Array],
    first: Float[Array, "b d"],
    second: Float[Array, "b d"],
    mask: Bool[Array, "b t"],
    deterministic: bool,
) -> list[jax.Array]:
    """Decodes two latents per item in one call of 2 B items.

    One call on twice the items is faster than two calls.

    Args:
        decode: the model's method `decode(latent, mask, deterministic)`.
        first: (B, D) latents.
        second: (B, D) latents.
        mask: (B, T) True = frame to decode, for both latents of an item.
        deterministic: True switches dropout off.

    Returns:
        The two (B, T, F) motions.
    """
    latents, masks = jnp.concatenate([first, second]), jnp.concatenate([mask, mask])
    return jnp.split(decode(latents, masks, deterministic), 2)


class MotionDecoder(nn.Module):
    """Turns a latent into all frames of a motion at once.

    The query of a frame is its position alone; the latent is the only memory token
    that the decoder attends to.

    Attributes:
        sizes: sizes of the decoder.
        nfeats: F, number of features per frame.
    """

    sizes: Sizes = Sizes()
    nfeats: int = 135

    @nn.compact
    def __call__(
        self,
        latent: Float[Array, "b d"],
        mask: Bool[Array, "b t"],
        deterministic: bool = True,
    ) -> Float[Array, "b t f"]:
        """Decodes latents.

        Args:
            latent: (B, D) latents.
            mask: (B, T) True = frame to decode.
            deterministic: True switches dropout off.

        Returns:
            (B, T, F) float32 normalised features, exactly 0 where the mask is False.
        """
        (batch, frames), width = mask.shape, self.sizes.latent_dim
        zeros = jnp.zeros((batch, frames, width), self.sizes.dtype)
        queries = add_positions(self, zeros, deterministic)
        decoder = Decoder(self.sizes, name="decoder")
        hidden = decoder(queries, latent, mask_to_bias(mask), deterministic)
        final_layer = Dense(self.nfeats, dtype=self.sizes.dtype, name="final_layer")
        features = final_layer(hidden.reshape(batch * frames, width))
        features = features.reshape(batch, frames, self.nfeats).astype(jnp.float32)
        return jnp.where(mask[..., None], features, 0.0)
