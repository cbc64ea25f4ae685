"""TEMOS: one latent space for texts and motions.

Source: TEMOS, arXiv:2204.14109; with Action-GPT's text, arXiv:2211.15603.
"""

from typing import ClassVar, cast

import flax.linen as nn
import flax.struct
import jax
from jaxtyping import Array, Bool, Float

from actiongpt_jax.models.motion_decoder import MotionDecoder, decode_pair
from actiongpt_jax.models.motion_encoder import MotionEncoder
from actiongpt_jax.models.text_encoder import TextEncoder
from actiongpt_jax.nn.sizes import Sizes
from actiongpt_jax.structs import Gaussian


@flax.struct.dataclass
class TemosOutputs:
    """What one training pass computes.

    Attributes:
        text: Gaussian over (B, D) encoded from the texts.
        motion: Gaussian over (B, D) encoded from the motions.
        z_text: (B, D) latents sampled from `text`.
        z_motion: (B, D) latents sampled from `motion`.
        features_text: (B, T, F) motions decoded from `z_text`; None if the model does
            not decode texts in training.
        features_motion: (B, T, F) motions decoded from `z_motion`.
    """

    text: Gaussian
    motion: Gaussian
    z_text: jax.Array
    z_motion: jax.Array
    features_text: jax.Array | None
    features_motion: jax.Array


class Temos(nn.Module):
    """Text and motion encoders into one latent space, and a decoder out of it.

    Attributes:
        sizes: sizes of each of the three parts (the two encoders and the decoder).
        nfeats: F, number of features per frame.
        text_mask: 'bool' or 'shipped'; see `models.text_encoder.text_bias`.
        decodes_text: whether training decodes texts, too. It need not if no loss reads
            their motions.
    """

    sizes: Sizes = Sizes()
    nfeats: int = 135
    text_mask: str = "bool"
    decodes_text: bool = True

    text_encoder_type: ClassVar[type[nn.Module]] = TextEncoder
    # The text encoder does not read the previous motion; that of TEACH does.
    hist_frames: ClassVar[int] = 0
    z_prev_text: ClassVar[bool] = False

    def setup(self):
        """Creates the two encoders and the decoder."""
        self.text_encoder = self.text_encoder_type(self.sizes, self.text_mask)
        self.motion_encoder = MotionEncoder(self.sizes)
        self.motion_decoder = MotionDecoder(self.sizes, self.nfeats)

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
        """Decodes (B, D) latents where the (B, T) mask is True; 0 elsewhere."""
        return self.motion_decoder(latent, mask, deterministic)

    def __call__(
        self,
        batch: dict[str, jax.Array],
        noise: dict[str, jax.Array],
        deterministic: bool = True,
    ) -> TemosOutputs:
        """Runs the text and the motion branch of training.

        Args:
            batch: features (B, T, F), frame_mask (B, T), tokens (B, N, E),
                token_mask (B, N).
            noise: text and motion: (B, D) standard normal noise for each latent;
                zeros give the means.
            deterministic: True switches dropout off.
        """
        text = self.encode_text(
            batch["tokens"], batch["token_mask"], deterministic=deterministic
        )
        motion = self.encode_motion(
            batch["features"], batch["frame_mask"], deterministic
        )
        draws = noise["text"], noise["motion"]
        return self._decode_both(
            text, motion, draws, batch["frame_mask"], deterministic
        )

    def _decode_both(
        self,
        text: Gaussian,
        motion: Gaussian,
        noise: tuple[jax.Array, jax.Array],
        mask: Bool[Array, "b t"],
        deterministic: bool,
    ) -> TemosOutputs:
        """Draws a latent of each Gaussian and decodes both."""
        z_text, z_motion = text.sample(noise[0]), motion.sample(noise[1])
        features_text = None
        if self.decodes_text or deterministic:
            features_text, features_motion = decode_pair(
                self.decode, z_text, z_motion, mask, deterministic
            )
        else:
            features_motion = self.decode(z_motion, mask, deterministic)
        return TemosOutputs(
            text, motion, z_text, z_motion, features_text, features_motion
        )
