"""Encodes texts and motions as latents, and decodes latents, for every model."""

import functools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from actiongpt_jax.data.amass import resample
from actiongpt_jax.data.batches.segment_batches import encode_features
from actiongpt_jax.data.motion import Motion
from actiongpt_jax.features import pose6d, rot_velocity
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.geometry import kinematics
from actiongpt_jax.geometry import rotations as rot
from actiongpt_jax.geometry.rotations import AnyArray
from actiongpt_jax.inference.requests import Request
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.shapes import check_shape, round_up, stack_padded
from actiongpt_jax.structs import latent_of

# Numbers of frames and tokens are rounded up to multiples of these, so that few shapes
# are compiled.
FRAME_STEP, TOKEN_STEP = 32, 16
_BODY_JOINTS = 22


def text_latents(
    model: nn.Module,
    variables: Any,
    tokens: Float[Array, "b n e"],
    token_mask: Bool[Array, "b n"],
    noise: Float[Array, "b d"] | None = None,
    **context: Any,
) -> Float[Array, "b d"]:
    """Encodes texts; pure.

    Args:
        model: any model.
        variables: the model's variables, `{'params': ...}`.
        tokens: (B, N, E) embeddings of the texts; (B, 1, P) for a model that reads one
            vector per text.
        token_mask: (B, N) True = real token.
        noise: (B, D) deviation from the mean, in standard deviations, for a model with
            a latent distribution; None takes the mean.
        context: `past` and `z_prev`, for models that read them.

    Returns:
        (B, D) latents.
    """
    text: Any = model.apply(
        variables, tokens, token_mask, **context, method="encode_text"
    )
    return latent_of(text, noise)


def decode_features(
    raw: Float[Array, "b t f"], mask: Bool[Array, "b t"]
) -> tuple[Float[Array, "b t j 3 3"], Float[Array, "b t 3"], Float[Array, "b 2"]]:
    """Turns the unnormalised features of any model into motions; pure.

    Poses of 150 columns do not say where and how high a body stands, nor which way it
    faces: it is turned to face -x in frame 0, and placed so that its lowest joint over
    all frames is on the floor.

    Args:
        raw: (B, T, 135) or (B, T, 150) features.
        mask: (B, T) True = requested frame, False = padding.

    Returns:
        Rotations (B, T, 22 or 24, 3, 3), translation (B, T, 3) metres, and the step
        (B, 2) on the ground from the first frame to the second, metres.
    """
    if raw.shape[-1] != pose6d.NFEATS:
        rotations, translation = rot_velocity.decode(raw)
        return rotations, translation, raw[:, 0, 1:3]
    rotations, translation = pose6d.decode(raw)
    turn = kinematics.turn_to_canonical(rotations[:, 0, 0])
    rotations, translation = kinematics.turn_motion(turn, rotations, translation)
    body = rotations[:, :, :_BODY_JOINTS]
    heights = kinematics.forward_kinematics(body, translation)[..., 2].min(-1)
    lowest = jnp.where(mask, heights, jnp.inf).min(-1)
    lowest = jnp.where(mask.any(-1), lowest, 0.0)[:, None, None]
    translation = translation - lowest * jnp.array([0.0, 0.0, 1.0])
    # A single frame has no second one: its step is 0.
    step = translation[:, min(1, translation.shape[1] - 1), :2] - translation[:, 0, :2]
    return rotations, translation, step


def encode_texts(trained: Trained, requests: Sequence[Request]) -> np.ndarray:
    """Returns the (n, D) mean latents of the requests' texts."""
    length = round_up(max(len(r.tokens) for r in requests), TOKEN_STEP)
    tokens, mask = stack_padded([request.tokens for request in requests], length)
    return np.asarray(_text_latents(trained.model, trained.variables, tokens, mask))


def encode_motions(trained: Trained, motions: Sequence[Motion]) -> np.ndarray:
    """Encodes motions of any frame rates.

    Args:
        trained: the model.
        motions: the motions; those without hands are given hands at rest.

    Returns:
        (n, D) latents; for a model with latent distributions, their means.
    """
    resampled = [resampled_motion(motion, trained.framerate) for motion in motions]
    frames = round_up(max(len(translation) for _, translation in resampled), FRAME_STEP)
    rotations, mask = stack_padded([r for r, _ in resampled], frames, fill=None)
    translation, _ = stack_padded([t for _, t in resampled], frames, fill=None)
    features = motion_features(trained, rotations, translation)
    features = jnp.where(mask[..., None], features, 0.0)
    return np.asarray(_motion_latents(trained.model, trained.variables, features, mask))


def decode_latents(
    trained: Trained,
    latents: np.ndarray,
    num_frames: Sequence[int],
    captions: Sequence[str],
) -> list[Motion]:
    """Decodes latents to motions that face -x at the origin in frame 0.

    Args:
        trained: the model.
        latents: (n, D) latents.
        num_frames: number of frames of each motion, at the model's frame
            rate.
        captions: caption of each motion.

    Raises:
        InputError: if the latents do not have the width that the model reads.
    """
    width = trained.config.model.latent_dim
    remedy = "encode texts or motions with the model that decodes them"
    check_shape("latents", latents, f"n {width}", remedy=remedy)
    frames = round_up(max(num_frames), FRAME_STEP)
    mask = np.arange(frames) < np.array(num_frames)[:, None]
    rotations, translation = jax.device_get(
        _decode(trained.model, trained.variables, trained.normalizer, latents, mask)
    )
    return [
        to_motion(
            rotations[i, :count],
            translation[i, :count],
            (caption,),
            (count,),
            trained.framerate,
        )
        for i, (count, caption) in enumerate(zip(num_frames, captions, strict=True))
    ]


def to_motion(
    rotations: np.ndarray,
    translation: np.ndarray,
    text: tuple[str, ...],
    lengths: tuple[int, ...],
    fps: float,
) -> Motion:
    """Makes a motion from (T, 22 or 24, 3) axis-angle and (T, 3) metres."""
    hands = rotations[:, _BODY_JOINTS:]
    return Motion(
        rotations=rotations[:, :_BODY_JOINTS],
        translation=translation,
        fps=fps,
        text=text,
        lengths=lengths,
        hands=hands if hands.shape[1] else None,
    )


def motion_features(
    trained: Trained,
    rotations: Float[AnyArray, "b t 24 3"],
    translation: Float[AnyArray, "b t 3"],
) -> Float[Array, "b t f"]:
    """Returns the features of motions as the model reads them.

    Args:
        trained: the model.
        rotations: (B, T, 24, 3) axis-angle of the body's joints and the hands, radians.
        translation: (B, T, 3) metres.
    """
    data = trained.config.data
    if trained.family.nfeats == pose6d.NFEATS:
        return pose6d.encode(
            rot.axis_angle_to_matrix(rotations),
            translation,
            align=data.align,
            displacement=data.translation,
        )
    features = encode_features(
        jnp.asarray(rotations[:, :, :_BODY_JOINTS]),
        jnp.asarray(translation),
        data.heading,
    )
    return trained.normalizer.normalize(features)


def resampled_motion(motion: Motion, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns (T, 24, 3) rotations, with hands, and (T, 3) translation at a rate."""
    hands = motion.hands
    if hands is None:
        hands = np.zeros((len(motion.translation), 2, 3), np.float32)
    joints = np.concatenate([motion.rotations, hands], 1)
    return resample(joints, motion.translation, motion.fps, fps)


@functools.partial(jax.jit, static_argnames="model")
def _text_latents(model, variables, tokens, mask):
    return text_latents(model, variables, tokens, mask)


@functools.partial(jax.jit, static_argnames="model")
def _motion_latents(model, variables, features, mask):
    return latent_of(model.apply(variables, features, mask, method="encode_motion"))


@functools.partial(jax.jit, static_argnames="model")
def _decode(model, variables, normalizer: Normalizer, latents, mask):
    features = model.apply(variables, latents, mask, method="decode")
    raw = normalizer.unnormalize(features)
    rotations, translation, _ = decode_features(raw, mask)
    return rot.matrix_to_axis_angle(rotations), translation
