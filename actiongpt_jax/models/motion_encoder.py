"""From a motion to a Gaussian over latents: the encoder of ACTOR, no action tokens.

Source: ACTOR, arXiv:2104.05670; TEMOS, arXiv:2204.14109.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from actiongpt_jax.models.pooling import pool, pool_gaussian, project
from actiongpt_jax.nn.attention import mask_to_bias
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
