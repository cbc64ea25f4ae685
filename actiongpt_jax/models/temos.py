"""TEMOS: one latent space for texts and motions.

Source: TEMOS, arXiv:2204.14109; with Action-GPT's text, arXiv:2211.15603.
"""

from typing import ClassVar, cast

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from actiongpt_jax.models.motion_decoder import MotionDecoder
from actiongpt_jax.models.motion_encoder import MotionEncoder
from actiongpt_jax.models.text_encoder import TextEncoder
from actiongpt_jax.structs import Gaussian


@flax.struct.dataclass
class TemosOutputs:
    """What one training pass computes.

    Attributes:
        text: Gaussian of the texts, (B, D).
        motion: Gaussian of the motions, (B, D).
        z_text: (B, D) sample of `text`.
        z_motion: (B, D) sample of `motion`.
        features_text: (B, T, F) decoded from `z_text`.
        features_motion: (B, T, F) decoded from `z_motion`.
    """

    text: Gaussian
    motion: Gaussian
    z_text: jax.Array
    z_motion: jax.Array
    features_text: jax.Array
    features_motion: jax.Array


class Temos(nn.Module):
    """Text and motion encoders into one latent space, and a decoder out of it.

    Attributes:
        nfeats: width of a frame of features.
        latent_dim: width of the latent and of every block.
        num_layers: of each of the three stacks.
        num_heads: 4 is what the reference runs; its `num_head` key is unread.
        ff_size: inner width of the feed-forward parts.
        dropout: rate of every dropout.
        text_mask: 'bool' or 'shipped', see `models.text_encoder.text_bias`.
        dtype: of the products; parameters and outputs are float32.
    """

    nfeats: int = 135
    latent_dim: int = 256
    num_layers: int = 6
    num_heads: int = 4
    ff_size: int = 1024
    dropout: float = 0.1
    text_mask: str = "bool"
    dtype: DTypeLike = jnp.float32

    text_encoder_type: ClassVar[type[nn.Module]] = TextEncoder

    def setup(self):
        """Creates the three parts."""
        sizes = {
            "latent_dim": self.latent_dim,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "ff_size": self.ff_size,
            "dropout": self.dropout,
            "dtype": self.dtype,
        }
        self.text_encoder = self.text_encoder_type(text_mask=self.text_mask, **sizes)
        self.motion_encoder = MotionEncoder(**sizes)
        self.motion_decoder = MotionDecoder(nfeats=self.nfeats, **sizes)

    def encode_text(
        self,
        tokens: Float[Array, "b n e"],
        mask: Bool[Array, "b n"],
        *,
        deterministic: bool = True,
    ) -> Gaussian:
        """Encodes (B, N, E) token states under a (B, N) mask; True = real."""
        return self.text_encoder(tokens, mask, deterministic)

    def encode_motion(
        self,
        features: Float[Array, "b t f"],
        mask: Bool[Array, "b t"],
        deterministic: bool = True,
    ) -> Gaussian:
        """Encodes (B, T, F) normalised features under a (B, T) mask; True = real."""
        encoded = self.motion_encoder(features, mask, deterministic)
        return cast(Gaussian, encoded)

    def decode(
        self,
        latent: Float[Array, "b d"],
        mask: Bool[Array, "b t"],
        deterministic: bool = True,
    ) -> Float[Array, "b t f"]:
        """Decodes (B, D) latents to the (B, T) frames wanted; 0 elsewhere."""
        return self.motion_decoder(latent, mask, deterministic)

    def __call__(
        self,
        batch: dict[str, jax.Array],
        noise: dict[str, jax.Array],
        deterministic: bool = True,
    ) -> TemosOutputs:
        """Runs both branches of training.

        Args:
            batch: features (B, T, F), frame_mask (B, T), tokens (B, N, E),
                token_mask (B, N).
            noise: text and motion, (B, D) standard normal; zeros give the means.
            deterministic: no dropout.
        """
        text = self.encode_text(
            batch["tokens"], batch["token_mask"], deterministic=deterministic
        )
        motion = self.encode_motion(
            batch["features"], batch["frame_mask"], deterministic
        )
        z_text = text.sample(noise["text"])
        z_motion = motion.sample(noise["motion"])
        # One decode of 2 B items: few large operations instead of many small ones.
        features_text, features_motion = jnp.split(
            self.decode(
                jnp.concatenate([z_text, z_motion]),
                jnp.concatenate([batch["frame_mask"]] * 2),
                deterministic,
            ),
            2,
        )
        return TemosOutputs(
            text, motion, z_text, z_motion, features_text, features_motion
        )
