"""What latents are taken of: phrases and motion files, and how alike they are."""

import pathlib
from collections.abc import Sequence

import numpy as np

from actiongpt_jax.data.motion import Motion, load_motion
from actiongpt_jax.inference.latents import encode_motions, encode_texts
from actiongpt_jax.inference.phrases import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_samples
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.metrics.retrieval import similarities


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
