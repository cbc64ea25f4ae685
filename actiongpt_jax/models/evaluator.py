"""A judge of generated motions: motions and texts as points of one sphere.

It is no generator. What lies near to each other in its space belongs together, and from
that come retrieval precision, FID and diversity (`metrics.retrieval`).

Source: the idea of T2M's evaluators (Guo et al. 2022) and TMR (arXiv:2305.00976), here
without a variance and a decoder.
"""

from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from actiongpt_jax.geometry.rotations import unit
from actiongpt_jax.models.motion_encoder import MotionEncoder
from actiongpt_jax.models.text_encoder import TextEncoder
from actiongpt_jax.nn.attention import Dense


@flax.struct.dataclass
class EvaluatorOutputs:
    """What one training pass computes.

    Attributes:
        text: (B, P) unit vectors of the texts.
        motion: (B, P) unit vectors of the motions.
    """

    text: jax.Array
    motion: jax.Array


class RetrievalEvaluator(nn.Module):
    """A text encoder and a motion encoder that share nothing but where they point.

    Attributes:
        nfeats: width of a frame of features.
        latent_dim: width of every block.
        embed_dim: P; small, because the bias of a FID grows with it.
        num_layers: of each of the two stacks.
        num_heads: of each attention.
        ff_size: inner width of the feed-forward parts.
        dropout: rate of every dropout.
        dtype: of the products; parameters and outputs are float32.
    """

    nfeats: int = 135
    latent_dim: int = 256
    embed_dim: int = 64
    num_layers: int = 4
    num_heads: int = 4
    ff_size: int = 1024
    dropout: float = 0.1
    dtype: DTypeLike = jnp.float32

    def setup(self):
        """Creates both encoders and what brings them to one width."""
        sizes = {
            "latent_dim": self.latent_dim,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "ff_size": self.ff_size,
            "dropout": self.dropout,
            "dtype": self.dtype,
        }
        self.text_encoder = TextEncoder(**sizes)
        self.motion_encoder = MotionEncoder(vae=False, **sizes)
        self.text_head = Dense(self.embed_dim, dtype=self.dtype)
        self.motion_head = Dense(self.embed_dim, dtype=self.dtype)

    def encode_text(
        self,
        tokens: Float[Array, "b n e"],
        mask: Bool[Array, "b n"],
        deterministic: bool = True,
    ) -> Float[Array, "b p"]:
        """Encodes (B, N, E) token states under a (B, N) mask; True = real."""
        pooled = self.text_encoder(tokens, mask, deterministic).mu
        return unit(self.text_head(pooled).astype(jnp.float32))

    def encode_motion(
        self,
        features: Float[Array, "b t f"],
        mask: Bool[Array, "b t"],
        deterministic: bool = True,
    ) -> Float[Array, "b p"]:
        """Encodes (B, T, F) normalised features under a (B, T) mask; True = real."""
        pooled: Any = self.motion_encoder(features, mask, deterministic)
        return unit(self.motion_head(pooled).astype(jnp.float32))

    def __call__(
        self,
        batch: dict[str, jax.Array],
        noise: dict[str, jax.Array],
        deterministic: bool = True,
    ) -> EvaluatorOutputs:
        """Encodes both sides of a batch.

        Args:
            batch: features (B, T, F), frame_mask (B, T), tokens (B, N, E),
                token_mask (B, N).
            noise: not read: nothing is drawn.
            deterministic: no dropout.
        """
        del noise
        return EvaluatorOutputs(
            self.encode_text(batch["tokens"], batch["token_mask"], deterministic),
            self.encode_motion(batch["features"], batch["frame_mask"], deterministic),
        )
