"""From a latent to all frames of a motion at once: the decoder of ACTOR.

Source: ACTOR, arXiv:2104.05670; TEMOS, arXiv:2204.14109.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from actiongpt_jax.models.pooling import add_positions
from actiongpt_jax.nn.attention import Dense, mask_to_bias
from actiongpt_jax.nn.transformer import Decoder


class MotionDecoder(nn.Module):
    """Turns a latent into all frames of a motion at once.

    Attributes: those of `motion_encoder.MotionEncoder`, and
        nfeats: width of a frame.
    """

    nfeats: int = 135
    latent_dim: int = 256
    num_layers: int = 6
    num_heads: int = 4
    ff_size: int = 1024
    dropout: float = 0.1
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        latent: Float[Array, "b d"],
        mask: Bool[Array, "b t"],
        deterministic: bool = True,
    ) -> Float[Array, "b t f"]:
        """Decodes latents.

        Args:
            latent: (B, D).
            mask: (B, T) True = frame wanted.
            deterministic: no dropout.

        Returns:
            (B, T, F) float32 normalised features, exactly 0 where not wanted.
        """
        batch, frames = mask.shape
        zeros = jnp.zeros((batch, frames, self.latent_dim), self.dtype)
        queries = add_positions(self, zeros, deterministic)
        decoder = Decoder(
            self.num_layers,
            self.num_heads,
            self.ff_size,
            self.dropout,
            dtype=self.dtype,
            name="decoder",
        )
        hidden = decoder(queries, latent, mask_to_bias(mask), deterministic)
        features = Dense(self.nfeats, dtype=self.dtype, name="final_layer")(
            hidden.reshape(batch * frames, self.latent_dim)
        ).reshape(batch, frames, self.nfeats)
        return jnp.where(mask[..., None], features.astype(jnp.float32), 0.0)
