"""TEACH: motions for a series of texts, each given the end of the previous motion.

Source: TEACH, arXiv:2209.04066; with Action-GPT's text, arXiv:2211.15603.
"""

from typing import ClassVar

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from actiongpt_jax.models.temos import Temos, TemosOutputs
from actiongpt_jax.models.text_encoder import PastTextEncoder
from actiongpt_jax.structs import Gaussian


@flax.struct.dataclass
class TeachOutputs:
    """What one training pass over pairs of actions computes.

    The attributes are those of `TemosOutputs`, with names that end in _0 for the first
    action and in _1 for the second, which includes the transition before it.
    """

    text_0: Gaussian
    text_1: Gaussian
    motion_0: Gaussian
    motion_1: Gaussian
    z_text_0: jax.Array
    z_text_1: jax.Array
    z_motion_0: jax.Array
    z_motion_1: jax.Array
    features_text_0: jax.Array
    features_text_1: jax.Array
    features_motion_0: jax.Array
    features_motion_1: jax.Array

    def action(self, number: int) -> TemosOutputs:
        """Returns the outputs of the first (0) or second (1) action."""
        names = TemosOutputs.__dataclass_fields__
        return TemosOutputs(**{n: getattr(self, f"{n}_{number}") for n in names})


def last_frames(
    features: Float[Array, "b t f"], lengths: Int[Array, " b"], count: int
) -> Float[Array, "b p f"]:
    """Returns the last `count` real frames of each item.

    Args:
        features: (B, T, F).
        lengths: (B,) number of real frames, at least `count`; the result for a
            shorter item is finite but undefined.
        count: P, the number of frames to return.

    Returns:
        (B, P, F).
    """
    rows = lengths[:, None] - count + jnp.arange(count)
    rows = jnp.clip(rows, 0, features.shape[1] - 1)
    return jnp.take_along_axis(features, rows[..., None], axis=1)


class Teach(Temos):
    """`Temos` whose text encoder also reads the last frames of the previous motion.

    It also has the attributes of `Temos`.

    Attributes:
        hist_frames: P, number of past frames that the text encoder reads.
        z_prev_text: whether the text encoder also reads the latent of the previous
            action.
        teacher_forcing: whether training takes the past frames from the real first
            action instead of from the one generated from its text.
        motion_mask: 'bool' hides padded frames from the motion encoder. 'shipped' is
            what the published code does: the encoder attends to padded frames, up to
            the length of the longest motion in the batch.
    """

    hist_frames: int = 5
    z_prev_text: bool = False
    teacher_forcing: bool = False
    motion_mask: str = "bool"

    text_encoder_type: ClassVar[type[nn.Module]] = PastTextEncoder

    def encode_text(
        self,
        tokens: Float[Array, "b n e"],
        mask: Bool[Array, "b n"],
        past: Float[Array, "b p f"] | None = None,
        z_prev: Float[Array, "b d"] | None = None,
        *,
        deterministic: bool = True,
    ) -> Gaussian:
        """Encodes texts, optionally conditioned on the previous motion.

        Args:
            tokens: (B, N, E) hidden states of a frozen text model.
            mask: (B, N) True = real token.
            past: (B, P, F) normalised features of the last frames of the previous
                motion; None for a first action.
            z_prev: (B, D) latent of the previous action, for models that read it.
            deterministic: True switches dropout off.
        """
        return self.text_encoder(tokens, mask, deterministic, past, z_prev)

    def __call__(
        self,
        batch: dict[str, jax.Array],
        noise: dict[str, jax.Array],
        deterministic: bool = True,
    ) -> TeachOutputs:
        """Runs the text and the motion branch of training over both actions.

        Args:
            batch: for i in 0, 1: features_i (B, T_i, F), frame_mask_i (B, T_i),
                tokens_i (B, N_i, E), token_mask_i (B, N_i); on several devices also
                longest_i (), the frames of the longest item of the global batch.
            noise: text_0, text_1, motion_0, motion_1: (B, D) standard normal noise
                for each latent; zeros give the means.
            deterministic: True switches dropout off.
        """
        outputs, past, z_prev = {}, None, None
        for i, motion in enumerate(self._encode_motions(batch, deterministic)):
            text = self.encode_text(
                batch[f"tokens_{i}"],
                batch[f"token_mask_{i}"],
                past,
                z_prev,
                deterministic=deterministic,
            )
            frame_mask = batch[f"frame_mask_{i}"]
            draws = noise[f"text_{i}"], noise[f"motion_{i}"]
            action = self._decode_both(text, motion, draws, frame_mask, deterministic)
            outputs |= {f"{name}_{i}": part for name, part in vars(action).items()}
            # What the second action's text encoder reads. No stop_gradient: the losses
            # of the second action train the text encoder on the first text, too.
            real = batch[f"features_{i}"]
            source = action.features_text
            if self.teacher_forcing or source is None:
                source = real
            past = last_frames(source, frame_mask.sum(-1), self.hist_frames)
            z_prev = action.z_text if self.z_prev_text else None
        return TeachOutputs(**outputs)

    def _encode_motions(
        self, batch: dict[str, jax.Array], deterministic: bool
    ) -> tuple[Gaussian, Gaussian]:
        """Encodes the real first and second motions in one call of 2 B items."""
        features, masks = [], []
        frames = max(batch["frame_mask_0"].shape[1], batch["frame_mask_1"].shape[1])
        for i in (0, 1):
            mask = batch[f"frame_mask_{i}"]
            if self.motion_mask == "shipped":
                longest = batch.get(f"longest_{i}", mask.sum(-1).max())
                mask = jnp.broadcast_to(jnp.arange(mask.shape[1]) < longest, mask.shape)
            missing = (0, frames - mask.shape[1])
            masks.append(jnp.pad(mask, ((0, 0), missing)))
            features.append(jnp.pad(batch[f"features_{i}"], ((0, 0), missing, (0, 0))))
        both = self.encode_motion(
            jnp.concatenate(features), jnp.concatenate(masks), deterministic
        )
        mu, logvar = jnp.split(both.mu, 2), jnp.split(both.logvar, 2)
        return Gaussian(mu[0], logvar[0]), Gaussian(mu[1], logvar[1])
