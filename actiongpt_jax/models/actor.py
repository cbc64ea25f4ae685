"""Motion encoder and decoder of ACTOR without action tokens.

Source: ACTOR, arXiv:2104.05670; TEMOS, arXiv:2204.14109.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from actiongpt_jax.models.text_encoder import (
    add_positions,
    pool,
    pool_gaussian,
    project,
)
from actiongpt_jax.nn.attention import Dense, mask_to_bias
from actiongpt_jax.nn.transformer import Decoder
from actiongpt_jax.structs import Gaussian


class MotionEncoder(nn.Module):
    """Pools a padded motion into a `Gaussian` through two learned tokens.

    Attributes:
        latent_dim: width of the latent and of every block.
        num_layers: of the stack.
        num_heads: 4 is what the reference runs; its `num_head` key is unread.
        ff_size: inner width of the feed-forward parts.
        dropout: rate of every dropout.
        vae: False pools into one vector, through one token.
        dtype: of the products.
    """

    latent_dim: int = 256
    num_layers: int = 6
    num_heads: int = 4
    ff_size: int = 1024
    dropout: float = 0.1
    vae: bool = True
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "b t f"],
        mask: Bool[Array, "b t"],
        deterministic: bool = True,
    ) -> Gaussian | jax.Array:
        """Encodes motions.

        Args:
            features: (B, T, F) normalised.
            mask: (B, T) True = real frame.
            deterministic: no dropout.

        Returns:
            Gaussian over (B, D); without `vae` the (B, D) embedding.
        """
        embedded = project(self, features, "skel_embedding")
        heads = 2 if self.vae else 1
        bias = jnp.pad(mask_to_bias(mask), ((0, 0), (heads, 0)))
        if self.vae:
            return pool_gaussian(self, embedded, bias, deterministic)
        token = self.param("emb_token", nn.initializers.normal(1.0), (self.latent_dim,))
        return pool(self, [token], embedded, bias, deterministic)[:, 0]


class MotionDecoder(nn.Module):
    """Turns a latent into all frames of a motion at once.

    Attributes: as of `MotionEncoder`, and nfeats, the width of a frame.
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
