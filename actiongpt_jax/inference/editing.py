"""Edits motions of any model by arithmetic on their latents.

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
        num_steps: number of latents, including both ends.

    Returns:
        (num_steps, ..., D); the first is `start`, the last `end`.

    Raises:
        InputError: for fewer than two steps, or latents of different shapes.
    """
    if num_steps < 2:
        raise InputError(
            f"an interpolation must have at least 2 steps (its ends), got {num_steps}"
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
    """Changes a latent by the difference between two others.

    "drink while standing" - "stand" + "sit" is "drink while sitting".

    Args:
        base: (..., D) latents to change.
        start: (..., D) latents that are subtracted: what is removed.
        end: (..., D) latents that are added: what replaces it.

    Returns:
        (..., D) base - start + end.

    Raises:
        InputError: for latents of different shapes.
    """
    base, start, end = _alike({"base": base, "start": start, "end": end})
    return base - start + end


def _alike(latents: dict[str, AnyArray]) -> list[Array]:
    """Returns latents as JAX arrays after checking that their shapes are equal."""
    sizes = None
    for name, latent in latents.items():
        remedy = "encode all latents with one model"
        sizes = check_shape(name, latent, "...", sizes, remedy)
    return [jnp.asarray(latent) for latent in latents.values()]


def encode_sources(
    trained: Trained, embedder: PhraseEmbedder, sources: Sequence[str]
) -> np.ndarray:
    """Encodes phrases and motion files as latents.

    Args:
        trained: the model.
        embedder: embeds the model's texts.
        sources: paths of motion files, which end in .npz, or phrases.

    Returns:
        (n, D) latents; for a model with latent distributions, their means.

    Raises:
        InputError: for an unreadable file.
        JobIncompleteError: if a writer could not describe all phrases.
    """
    files = {source for source in sources if pathlib.Path(source).suffix == ".npz"}
    embedder.describe_unknown(source for source in sources if source not in files)
    latents = []
    for source in sources:
        if source in files:
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
    """Finds the phrases that describe a motion best.

    Args:
        trained: the model.
        embedder: embeds the model's texts.
        motion: a motion of any frame rate.
        phrases: the phrases to choose from.
        count: number of phrases to return, at most.

    Returns:
        (phrase, cosine between its latent and the motion's), best first.
    """
    requests = [plan_samples(embedder, phrase, 1, fact=0.0)[0] for phrase in phrases]
    texts = encode_texts(trained, requests)
    scores = np.asarray(similarities(encode_motions(trained, [motion])[0], texts))
    best = np.argsort(-scores, kind="stable")[:count]
    return [(phrases[i], float(scores[i])) for i in best]
