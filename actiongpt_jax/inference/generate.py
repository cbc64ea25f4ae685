"""Motions from text with a trained model."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from actiongpt_jax.config import Config
from actiongpt_jax.errors import InputError
from actiongpt_jax.features import rot_velocity
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.geometry.rotations import matrix_to_axis_angle
from actiongpt_jax.inference.phrases import PhraseEmbedder
from actiongpt_jax.models.build import build
from actiongpt_jax.structs import Motion
from actiongpt_jax.training import checkpoints

FPS = 30.0
# Frames and tokens are rounded up to these, so that few shapes are compiled.
_FRAME_STEP, _TOKEN_STEP = 32, 16
DIVERSE = ("latent", "descriptions", "both")


@dataclasses.dataclass(frozen=True)
class Trained:
    """A model ready to generate.

    Attributes:
        config: of its training.
        model: Linen module.
        variables: what `model.apply` takes.
        normalizer: of its features.
        step: training steps done.
    """

    config: Config
    model: nn.Module
    variables: dict[str, Any]
    normalizer: Normalizer
    step: int


@dataclasses.dataclass(frozen=True)
class Request:
    """One motion to generate.

    Attributes:
        text: the phrase, for the result's caption.
        tokens: (n, E) its embeddings.
        num_frames: length at 30 fps.
        seed: (run seed, number of the sample) of the latent noise.
        fact: factor on the latent's deviation from its mean; 0 gives the mean.
    """

    text: str
    tokens: np.ndarray
    num_frames: int
    seed: tuple[int, int] = (0, 0)
    fact: float = 1.0


def load_trained(workdir: str | pathlib.Path, which: str | int = "latest") -> Trained:
    """Opens a workdir's checkpoint.

    Args:
        workdir: of a training run.
        which: 'latest', 'best' or a step.

    Raises:
        FileNotFoundError: if there is no checkpoint.
    """
    restored = checkpoints.restore(workdir, which)
    if restored is None:
        raise FileNotFoundError(
            f"{workdir} has no checkpoint; train one with `python -m "
            f"actiongpt_jax.train --config configs/temos.py:demo --workdir {workdir}`"
        )
    return Trained(
        config=restored.config,
        model=build(restored.config),
        variables=jax.device_put(restored.variables),
        normalizer=restored.normalizer,
        step=restored.step,
    )


def plan_samples(
    embedder: PhraseEmbedder,
    phrase: str,
    num_frames: int,
    samples: int = 1,
    diverse: str = "latent",
    fact: float = 1.0,
    seed: int = 0,
) -> list[Request]:
    """Lists the requests for several motions of one phrase.

    Args:
        embedder: of the model's text.
        phrase: what to do.
        num_frames: at 30 fps.
        samples: how many motions.
        diverse: where they differ: 'latent' draws each from the latent
            distribution of all descriptions together; 'descriptions' takes the
            mean latent of each single description; 'both' draws from those.
        fact: factor on the latent's deviation from its mean.
        seed: of the draws.

    Raises:
        InputError: for an unknown `diverse`, lengths below 1, a seed out of
            range, or fewer descriptions than samples that must differ by them.
    """
    if diverse not in DIVERSE:
        raise InputError(
            f"--diverse must be one of {', '.join(DIVERSE)}, got {diverse!r}"
        )
    if samples < 1 or num_frames < 1:
        raise InputError(
            f"a motion must have at least one frame and sample, got {num_frames} "
            f"frames and {samples} samples"
        )
    if not 0 <= seed < 2**32:
        raise InputError(f"--seed must be from 0 to 2^32 - 1, got {seed}")
    if diverse == "latent":
        texts = [embedder.tokens(phrase)] * samples
    else:
        singles = embedder.singles(phrase)
        if diverse == "descriptions" and samples > len(singles):
            raise InputError(
                f"{phrase!r} has {len(singles)} descriptions, too few for {samples} "
                "samples that differ by description only; use --diverse both"
            )
        texts = [singles[i % len(singles)] for i in range(samples)]
    fact = 0.0 if diverse == "descriptions" else fact
    return [
        Request(phrase, tokens, num_frames, (seed, i), fact)
        for i, tokens in enumerate(texts)
    ]


def generate_motion(
    trained: Trained, requests: Sequence[Request], batch_size: int = 16
) -> list[Motion]:
    """Generates one motion per request, many in one call.

    A motion depends on its own request only, not on what it is batched with.

    Args:
        trained: the model.
        requests: in any number and lengths.
        batch_size: rows of one call.

    Returns:
        Motions in the order of the requests, facing -x at the origin in frame 0.

    Raises:
        InputError: if embeddings are not of the width the model was trained with.
    """
    width = trained.config.text.width
    for request in requests:
        if width is not None and request.tokens.shape[-1] != width:
            raise InputError(
                f"embeddings of {request.text!r} have width "
                f"{request.tokens.shape[-1]}, the model was trained with {width}; "
                f"embed with its encoder {trained.config.text.encoder!r}"
            )
    motions: list[Motion | None] = [None] * len(requests)
    order = sorted(range(len(requests)), key=lambda i: requests[i].num_frames)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = [requests[i] for i in rows]
        features = _sample(trained.model, trained.variables, *_pad(batch, batch_size))
        rotations, translation = jax.device_get(_decode(features, trained.normalizer))
        for i, request, r, t in zip(rows, batch, rotations, translation, strict=False):
            motions[i] = Motion(
                rotations=r[: request.num_frames],
                translation=t[: request.num_frames],
                fps=FPS,
                text=(request.text,),
                lengths=(request.num_frames,),
            )
    return [motion for motion in motions if motion is not None]


def _pad(batch: Sequence[Request], rows: int):
    frames = _round_up(max(request.num_frames for request in batch), _FRAME_STEP)
    length = _round_up(max(len(request.tokens) for request in batch), _TOKEN_STEP)
    # A whole batch or a power of two: single requests need not pay for sixteen.
    rows = min(rows, 1 << (len(batch) - 1).bit_length())
    tokens = np.zeros((rows, length, batch[0].tokens.shape[-1]), np.float32)
    token_mask = np.zeros((rows, length), bool)
    frame_mask = np.zeros((rows, frames), bool)
    seeds = np.zeros((rows, 2), np.uint32)
    fact = np.zeros(rows, np.float32)
    for row, request in enumerate(batch):
        count = len(request.tokens)
        tokens[row, :count] = request.tokens
        token_mask[row, :count] = True
        frame_mask[row, : request.num_frames] = True
        seeds[row] = request.seed
        fact[row] = request.fact
    return tokens, token_mask, frame_mask, seeds, fact


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step


@functools.partial(jax.jit, static_argnums=0)
def _sample(model, variables, tokens, token_mask, frame_mask, seeds, fact):
    text = model.apply(variables, tokens, token_mask, method="encode_text")

    def draw(seed):
        key = jax.random.fold_in(jax.random.PRNGKey(seed[0]), seed[1])
        return jax.random.normal(key, (model.latent_dim,))

    latent = text.sample(jax.vmap(draw)(seeds), fact[:, None])
    return model.apply(variables, latent, frame_mask, method="decode")


@jax.jit
def _decode(features: jax.Array, normalizer: Normalizer) -> tuple[jax.Array, jax.Array]:
    rotations, translation = rot_velocity.decode(normalizer.unnormalize(features))
    return matrix_to_axis_angle(rotations), jnp.asarray(translation)
