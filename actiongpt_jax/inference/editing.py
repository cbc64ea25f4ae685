"""Editing motions by arithmetic on latents, whatever model they are of.

Source: MotionCLIP, arXiv:2203.08063, section 4.2.
"""

import pathlib
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from actiongpt_jax.data.motion import Motion, load_motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.rotations import AnyArray
from actiongpt_jax.inference.latents import encode_motions, encode_texts
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_samples
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.metrics.retrieval import similarities
from actiongpt_jax.shapes import check_shape


def interpolate(
    start: Float[AnyArray, "*batch d"], end: Float[AnyArray, "*batch d"], num_steps: int
) -> Float[Array, "n *batch d"]:
    """Goes from one latent to another in equal steps.

    Args:
        start: (..., D) latents.
        end: (..., D) latents.
        num_steps: how many latents, both ends among them.

    Returns:
        (num_steps, ..., D); the first is `start`, the last `end`.

    Raises:
        InputError: for fewer than two steps, or latents of different shapes.
    """
    if num_steps < 2:
        raise InputError(
            f"an interpolation must have at least 2 steps, its ends, got {num_steps}"
        )
    start, end = _alike({"start": start, "end": end})
    weights = jnp.linspace(0.0, 1.0, num_steps, dtype=start.dtype)
    weights = weights.reshape(num_steps, *[1] * start.ndim)
    return (1.0 - weights) * start[None] + weights * end[None]


def edit(
    base: Float[AnyArray, "*batch d"],
    start: Float[AnyArray, "*batch d"],
    end: Float[AnyArray, "*batch d"],
) -> Float[Array, "*batch d"]:
    """Changes a latent as `start` would have to change to become `end`.

    "drink while standing" - "stand" + "sit" is "drink while sitting".

    Args:
        base: (..., D) latents to change.
        start: (..., D) what they have.
        end: (..., D) what they get in its place.

    Returns:
        (..., D) base - start + end.

    Raises:
        InputError: for latents of different shapes.
    """
    base, start, end = _alike({"base": base, "start": start, "end": end})
    return base - start + end


def _alike(latents: dict[str, AnyArray]) -> list[Array]:
    sizes = None
    for name, latent in latents.items():
        remedy = "encode all latents with one model"
        sizes = check_shape(name, latent, "...", sizes, remedy)
    return [jnp.asarray(latent) for latent in latents.values()]


def encode_sources(
    trained: Trained, embedder: PhraseEmbedder, sources: Sequence[str]
) -> np.ndarray:
    """Encodes phrases and motion files.

    Args:
        trained: the model.
        embedder: of its texts.
        sources: what ends in .npz is a motion file, anything else a phrase.

    Returns:
        (n, D) latents, of distributions the means.

    Raises:
        InputError: for an unreadable file.
    """
    latents = []
    for source in sources:
        if pathlib.Path(source).suffix == ".npz":
            latents.append(encode_motions(trained, [load_motion(source)])[0])
        else:
            request = plan_samples(embedder, source, 1, fact=0.0)
            latents.append(encode_texts(trained, request)[0])
    return np.stack(latents)


def nearest_phrases(
    trained: Trained,
    embedder: PhraseEmbedder,
    motion: Motion,
    phrases: list[str],
    count: int = 5,
) -> list[tuple[str, float]]:
    """Recognises what a motion shows: the phrases nearest to it.

    Args:
        trained: the model.
        embedder: of its texts.
        motion: of any frame rate.
        phrases: to choose from.
        count: how many to return, at most.

    Returns:
        (phrase, cosine of its latent to the motion's), best first.
    """
    requests = [plan_samples(embedder, phrase, 1, fact=0.0)[0] for phrase in phrases]
    texts = encode_texts(trained, requests)
    scores = np.asarray(similarities(encode_motions(trained, [motion])[0], texts))
    best = np.argsort(-scores, kind="stable")[:count]
    return [(phrases[i], float(scores[i])) for i in best]
