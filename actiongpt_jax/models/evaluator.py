"""Retrieval evaluator: encodes motions and texts as points on one unit sphere.

It measures generated motions and generates none. A motion and its text lie close to
each other in its space, in which `metrics.retrieval` computes retrieval precision, FID
and diversity.

Source: the idea of T2M's evaluators (Guo et al. 2022) and TMR (arXiv:2305.00976),
without their variance and decoder.
"""

from typing import Any, ClassVar

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from actiongpt_jax.geometry.rotations import unit
from actiongpt_jax.models.motion_encoder import MotionEncoder
from actiongpt_jax.models.text_encoder import TextEncoder
from actiongpt_jax.nn.attention import Dense
from actiongpt_jax.nn.sizes import Sizes


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
    """A text encoder and a motion encoder into one space, with no shared weights.

    Attributes:
        sizes: sizes of both encoders.
        nfeats: F, number of features per frame.
        embed_dim: P, width of the shared space.
    """

    sizes: Sizes = Sizes(num_layers=4)
    nfeats: int = 135
    embed_dim: int = 64

    # The model does not read a previous motion.
    hist_frames: ClassVar[int] = 0
    z_prev_text: ClassVar[bool] = False

    def setup(self):
        """Creates both encoders and the layers that map them to the shared width."""
        self.text_encoder = TextEncoder(self.sizes)
        self.motion_encoder = MotionEncoder(self.sizes, vae=False)
        self.text_head = Dense(self.embed_dim, dtype=self.sizes.dtype)
        self.motion_head = Dense(self.embed_dim, dtype=self.sizes.dtype)

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
        """Encodes the texts and the motions of a batch.

        Args:
            batch: features (B, T, F), frame_mask (B, T), tokens (B, N, E),
                token_mask (B, N).
            noise: not used, because nothing is sampled.
            deterministic: True switches dropout off.
        """
        del noise
        return EvaluatorOutputs(
            self.encode_text(batch["tokens"], batch["token_mask"], deterministic),
            self.encode_motion(batch["features"], batch["frame_mask"], deterministic),
        )
