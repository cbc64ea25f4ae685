"""Generates the next action of a series and joins it to the motion so far.

Source: TEACH, arXiv:2209.04066, section 3.4.
"""

import functools
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from actiongpt_jax.choices import Align
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.geometry.interpolation import align_to, slerp_between
from actiongpt_jax.geometry.rotations import matrix_to_axis_angle
from actiongpt_jax.inference.latents import decode_features, text_latents
from actiongpt_jax.models.teach import last_frames


@flax.struct.dataclass
class SoFar:
    """How the motions of a batch of series ended.

    Attributes:
        past: (B, P, F) their last frames as normalised features; None for models
            that do not read past frames.
        latent: (B, D) latent of the last action.
        rotations: (B, J, 3, 3) the last pose; 22 joints, or 24 with hands.
        translation: (B, 3) translation of the last pose, metres.
    """

    past: jax.Array | None
    latent: jax.Array
    rotations: jax.Array
    translation: jax.Array


@flax.struct.dataclass
class Action:
    """A generated action.

    Attributes:
        features: (B, T, F) normalised features, as decoded; 0 in frames of padding.
        rotations: (B, W + T, J, 3) axis-angle, radians; the first W frames are the
            transition from the motion so far.
        translation: (B, W + T, 3) translation, metres.
    """

    features: jax.Array
    rotations: jax.Array
    translation: jax.Array


@functools.partial(jax.jit, static_argnames=("model", "align", "window", "heading"))
def next_action(
    model: nn.Module,
    variables: Any,
    normalizer: Normalizer,
    tokens: Float[Array, "b n e"],
    token_mask: Bool[Array, "b n"],
    noise: Float[Array, "b d"],
    frame_mask: Bool[Array, "b t"],
    before: SoFar | None,
    *,
    align: Align = "full",
    window: int = 0,
    heading: str = "yaw",
) -> tuple[Action, SoFar]:
    """Generates the next action of each of B series.

    Args:
        model: a text-to-motion model.
        variables: the model's variables, `{'params': ...}`.
        normalizer: normalizer of its features.
        tokens: (B, N, E) embeddings of the action's text; see `latents.text_latents`.
        token_mask: (B, N) True = real token.
        noise: (B, D) deviation from the latent's mean, in standard deviations.
        frame_mask: (B, T) True = requested frame, without the `window` frames.
        before: how the motion so far ended; None for a first action. If its `past` is
            None, a model that can read past frames reads the text alone.
        align: 'full' turns and shifts the action so that it continues at the place and
            in the direction in which the motion so far ended; 'translation' only shifts
            it; 'none' leaves it as generated, and places it as if the body went on at
            the speed of the action's first step.
        window: W, length of the slerp transition, in frames.
        heading: 'yaw' or 'reference', how the features define the heading
            (`config.data.heading`).

    Returns:
        The action, and how the motion ends after it.
    """
    context = {}
    if before is not None and before.past is not None:
        context["past"] = before.past
        if model.z_prev_text:
            context["z_prev"] = before.latent
    latent = text_latents(model, variables, tokens, token_mask, noise, **context)
    features: Any = model.apply(variables, latent, frame_mask, method="decode")
    raw = normalizer.unnormalize(features)
    rotations, translation, first_step = decode_features(raw, frame_mask)
    if before is not None:
        last = before.rotations, before.translation
        if align == "none":
            start = before.translation[:, :2] + first_step * (window + 1)
            ground = translation[..., :2] + start[:, None]
            translation = jnp.concatenate([ground, translation[..., 2:]], -1)
        else:
            rotations, translation = align_to(
                *last,
                rotations,
                translation,
                align,
                compat=None if heading == "yaw" else "reference",
            )
        if window:
            lead = slerp_between(*last, rotations[:, 0], translation[:, 0], window)
            rotations = jnp.concatenate([lead[0], rotations], axis=1)
            translation = jnp.concatenate([lead[1], translation], axis=1)
    count = frame_mask.sum(-1)
    end = count + rotations.shape[1] - frame_mask.shape[1] - 1
    rows = jnp.arange(len(end)), jnp.maximum(end, 0)
    past = None
    if past_frames := model.hist_frames:
        # An action shorter than P is preceded by zeros, as published.
        padded = jnp.pad(features, ((0, 0), (past_frames, 0), (0, 0)))
        past = last_frames(padded, count + past_frames, past_frames)
    after = SoFar(past, latent, rotations[rows], translation[rows])
    return Action(features, matrix_to_axis_angle(rotations), translation), after
