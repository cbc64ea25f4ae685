"""Encodes a motion as a Gaussian over latents: ACTOR's encoder, no action tokens.

Source: ACTOR, arXiv:2104.05670; TEMOS, arXiv:2204.14109.
"""

import flax.linen as nn
import jax
from jaxtyping import Array, Bool, Float

from actiongpt_jax.models.pooling import pool, pool_gaussian, project
from actiongpt_jax.nn.attention import mask_to_bias
from actiongpt_jax.nn.sizes import Sizes
from actiongpt_jax.structs import Gaussian


class MotionEncoder(nn.Module):
    """Pools a padded motion into a `Gaussian` through two learned tokens.

    Attributes:
        sizes: sizes of the encoder.
        vae: whether to return a Gaussian; False pools the motion into one vector
            through one learned token.
    """

    sizes: Sizes = Sizes()
    vae: bool = True

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "b t f"],
        mask: Bool[Array, "b t"],
        deterministic: bool = True,
    ) -> Gaussian | jax.Array:
        """Encodes motions.

        Args:
            features: (B, T, F) normalised features.
            mask: (B, T) True = real frame.
            deterministic: True switches dropout off.

        Returns:
            Gaussian over (B, D), or the (B, D) embedding if `vae` is False.
        """
        frames, bias = project(self, features, "skel_embedding"), mask_to_bias(mask)
        if self.vae:
            return pool_gaussian(self, frames, bias, deterministic)
        return pool(self, ["emb_token"], frames, bias, deterministic)[:, 0]
