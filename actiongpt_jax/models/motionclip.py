"""MotionCLIP: a motion autoencoder whose latents lie in CLIP's space.

Source: MotionCLIP, arXiv:2203.08063; with Action-GPT's text, arXiv:2211.15603.
"""

from typing import ClassVar

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from actiongpt_jax.errors import InputError, check_choice
from actiongpt_jax.geometry.rotations import unit
from actiongpt_jax.models.motion_decoder import MotionDecoder, decode_pair
from actiongpt_jax.models.motion_encoder import MotionEncoder
from actiongpt_jax.nn.sizes import Sizes
from actiongpt_jax.structs import latent_of

TEXT_LATENTS = ("raw", "normalized", "matched")


@flax.struct.dataclass
class MotionClipOutputs:
    """What one training pass computes.

    Attributes:
        latent: (B, D) latents of the motions.
        poses: (B, T, F) poses decoded from `latent`.
        text: (B, D) the texts as latents; see `MotionClip.as_latent`.
        image: (B, D) the pictures as latents; None if the batch has no pictures.
        poses_text: (B, T, F) poses decoded from `text`; None unless the model decodes
            texts in training.
    """

    latent: jax.Array
    poses: jax.Array
    text: jax.Array
    image: jax.Array | None = None
    poses_text: jax.Array | None = None


class MotionClip(nn.Module):
    """A motion encoder into the space of a text model's vectors, and a decoder.

    Attributes:
        sizes: sizes of the encoder and the decoder; `latent_dim` is also the width of
            the texts' vectors, 512 in CLIP ViT-B/32.
        nfeats: F, number of features per frame.
        encoder_tokens: number of learned tokens in front of the frames, the first of
            which becomes the latent: 1 in Action-GPT, 2 in MotionCLIP itself.
        text_latent: how a text's vector becomes a latent; see `as_latent`.
        decode_text: whether training also decodes the texts and compares the results
            with the motions (the published `use_generation_losses`).
    """

    sizes: Sizes = Sizes(latent_dim=512, num_layers=8)
    nfeats: int = 150
    encoder_tokens: int = 1
    text_latent: str = "raw"
    decode_text: bool = False

    # The model does not read the previous motion.
    hist_frames: ClassVar[int] = 0
    z_prev_text: ClassVar[bool] = False

    def setup(self):
        """Creates the encoder and the decoder."""
        if self.encoder_tokens not in (1, 2):
            raise InputError(
                f"encoder_tokens must be 1 or 2, got {self.encoder_tokens!r}"
            )
        check_choice("text_latent", self.text_latent, TEXT_LATENTS)
        self.motion_encoder = MotionEncoder(self.sizes, vae=self.encoder_tokens == 2)
        self.motion_decoder = MotionDecoder(self.sizes, self.nfeats)
        if self.is_initializing():
            # The published decoder has one bias per class, which nothing reads.
            shape = (1, self.sizes.latent_dim)
            self.variable(
                "unused",
                "action_biases",
                lambda: jax.random.normal(self.make_rng("params"), shape),
            )

    def encode_text(
        self, tokens: Float[Array, "b 1 p"], mask: Bool[Array, "b 1"]
    ) -> Float[Array, "b d"]:
        """Encodes texts, each of which has one vector as its only token."""
        return self.as_latent(tokens[:, 0])

    def encode_motion(
        self,
        poses: Float[Array, "b t f"],
        mask: Bool[Array, "b t"],
        deterministic: bool = True,
    ) -> Float[Array, "b d"]:
        """Encodes (B, T, F) poses under a (B, T) mask; True = real."""
        latent = latent_of(self.motion_encoder(poses, mask, deterministic))
        return unit(latent) if self.text_latent == "normalized" else latent

    def decode(
        self,
        latent: Float[Array, "b d"],
        mask: Bool[Array, "b t"],
        deterministic: bool = True,
    ) -> Float[Array, "b t f"]:
        """Decodes (B, D) latents where the (B, T) mask is True; 0 elsewhere."""
        if self.text_latent == "normalized":
            latent = unit(latent)
        return self.motion_decoder(latent, mask, deterministic)

    def as_latent(self, vector: Float[Array, "b p"]) -> Float[Array, "b d"]:
        """Turns vectors of texts or pictures into latents for `decode`.

        Training ties only the direction of a motion's latent to its text's vector,
        not the length: CLIP's vectors have length about 10, latents about sqrt(D).
        With `text_latent` 'raw' a vector is used unchanged, as published; 'matched'
        scales it to the length of the motions' latents; 'normalized' scales latents
        and vectors to length 1.

        Args:
            vector: (B, D) vectors of the text model, or the mean of k of them.

        Raises:
            InputError: if the width of the vectors is not that of the latent.
        """
        width = self.sizes.latent_dim
        if vector.shape[-1] != width:
            raise InputError(
                f"model.latent_dim must be the width of the texts' vectors, "
                f"{vector.shape[-1]}, got {width}; set it, or embed the texts with "
                "another encoder"
            )
        if self.text_latent == "raw":
            return vector
        if self.text_latent == "normalized":
            return unit(vector)
        return unit(vector) * self._latent_length()

    def __call__(
        self,
        batch: dict[str, jax.Array],
        noise: dict[str, jax.Array] | None = None,
        deterministic: bool = True,
    ) -> MotionClipOutputs:
        """Runs a training pass.

        Args:
            batch: poses (B, T, F), frame_mask (B, T), text (B, D), and image (B, D)
                if there are pictures.
            noise: not used, because nothing is sampled.
            deterministic: True switches dropout off.
        """
        mask = batch["frame_mask"]
        latent = self.encode_motion(batch["poses"], mask, deterministic)
        text = self.as_latent(batch["text"])
        image = self.as_latent(batch["image"]) if "image" in batch else None
        if not self.decode_text:
            poses = self.decode(latent, mask, deterministic)
            return MotionClipOutputs(latent, poses, text, image)
        poses, poses_text = decode_pair(self.decode, latent, text, mask, deterministic)
        return MotionClipOutputs(latent, poses, text, image, poses_text)

    def _latent_length(self) -> jax.Array:
        """Returns the root mean square length of the encoder's outputs.

        The outputs come from a layer norm, so the length follows from that norm's
        parameters; it is exact if these do not correlate with what they multiply.
        """
        params = self.motion_encoder.variables["params"]["encoder"]
        norm = params[f"layer_{self.sizes.num_layers - 1}"]["norm2"]
        length = jnp.sqrt((norm["scale"] ** 2 + norm["bias"] ** 2).sum())
        return jax.lax.stop_gradient(length)
