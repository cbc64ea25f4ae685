"""Continues a given motion: what a model reads about it, and joining both."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np

from actiongpt_jax.config_fields import lookup
from actiongpt_jax.data.motion import Motion
from actiongpt_jax.features import pose6d
from actiongpt_jax.geometry.rotations import axis_angle_to_matrix
from actiongpt_jax.inference.latents import (
    encode_motions,
    motion_features,
    resampled_motion,
)
from actiongpt_jax.inference.next_action import SoFar
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.models.teach import last_frames

_UNNAMED = "the given motion"


def to_continue(motion: Motion, fps: float) -> Motion:
    """Returns a motion at a frame rate, with a length for each of its texts.

    A motion of another frame rate is resampled, with a warning. One without texts gets
    'the given motion' as its text.

    Args:
        motion: the motion.
        fps: frames per second of the result.
    """
    rotations, translation = resampled_motion(motion, fps)
    if motion.fps != fps:
        warnings.warn(
            f"the motion to continue has {motion.fps:g} frames per second; it is "
            f"resampled to {fps:g}",
            stacklevel=3,
        )
    ends = np.round(np.cumsum(motion.lengths) * fps / motion.fps).astype(int)
    lengths = np.diff(np.minimum(ends, len(translation)), prepend=0)
    named = len(motion.text) == len(lengths) > 0
    if named:
        lengths[-1] += len(translation) - lengths.sum()
    return Motion(
        rotations[:, :22],
        translation,
        fps,
        motion.text if named else (motion.caption or _UNNAMED,),
        tuple(map(int, lengths)) if named else (len(translation),),
        None if motion.hands is None else rotations[:, 22:],
        motion.edits,
    )


def so_far(trained: Trained, motion: Motion, rows: int, read_past: bool) -> SoFar:
    """Describes how a motion ends, as if the model had generated its last action.

    Args:
        trained: the model that is to continue it.
        motion: a motion of `to_continue`. Its last action is encoded, but no more
            frames than the longest action of the model's training.
        rows: B, the number of series that continue it.
        read_past: whether the model reads the motion's last frames.
    """
    config, model = trained.config, trained.model
    frames = min(motion.lengths[-1], lookup(config, "data.max_frames", None) or 10**9)
    last = dataclasses.replace(
        motion,
        rotations=motion.rotations[-frames:],
        translation=motion.translation[-frames:],
        hands=None if motion.hands is None else motion.hands[-frames:],
        text=(),
        lengths=(),
    )
    past = None
    count = model.hist_frames if read_past else 0
    if count:
        rotations, translation = resampled_motion(last, last.fps)
        features = motion_features(trained, rotations[None], translation[None])
        # A motion shorter than P is preceded by zeros, as published for short actions.
        padded = jnp.pad(features, ((0, 0), (count, 0), (0, 0)))
        past = last_frames(padded, jnp.array([frames + count]), count)
    latent = jnp.zeros((1, model.sizes.latent_dim))
    if model.z_prev_text:
        latent = jnp.asarray(encode_motions(trained, [last]))
    joints, translation = resampled_motion(last, last.fps)
    if trained.family.nfeats != pose6d.NFEATS:
        joints = joints[:, :22]
    end = SoFar(
        past, latent, axis_angle_to_matrix(joints[-1:]), jnp.asarray(translation[-1:])
    )
    return jax.tree.map(lambda x: jnp.repeat(x, rows, axis=0), end)


def joined(motion: Motion, generated: Motion) -> Motion:
    """Appends a generated motion to the one that it continues.

    The hands keep the last pose of the given motion if the model generates no hands.
    """
    hands = None
    if motion.hands is not None or generated.hands is not None:
        first, then = motion.hands, generated.hands
        if first is None:
            first = np.zeros((len(motion.translation), 2, 3), np.float32)
        if then is None:
            then = np.repeat(first[-1:], len(generated.translation), 0)
        hands = np.concatenate([first, then])
    return Motion(
        np.concatenate([motion.rotations, generated.rotations]),
        np.concatenate([motion.translation, generated.translation]),
        motion.fps,
        motion.text + generated.text,
        motion.lengths + generated.lengths,
        hands,
        motion.edits,
    )
