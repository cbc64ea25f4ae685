"""What is to be generated: texts, lengths, and where samples differ."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from actiongpt_jax.choices import DIVERSE
from actiongpt_jax.errors import InputError, check_choice
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder

FPS = 30.0


@dataclasses.dataclass(frozen=True)
class Request:
    """One action to generate: a whole motion, or a part of a series.

    Attributes:
        text: the phrase, for the result's caption.
        tokens: (n, E) its embeddings; to models that read one vector, (1, P).
        num_frames: length at 30 fps.
        seed: (run seed, number of the sample) of the latent noise.
        fact: factor on the latent's deviation from its mean; 0 gives the mean.
    """

    text: str
    tokens: np.ndarray
    num_frames: int
    seed: tuple[int, int] = (0, 0)
    fact: float = 1.0


def plan_samples(
    embedder: PhraseEmbedder,
    phrase: str,
    num_frames: int,
    samples: int = 1,
    diverse: str | None = "latent",
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
            mean latent of each single description; 'both' draws from those. None
            takes 'latent', or 'descriptions' for several samples of a model that
            draws no latents.
        fact: factor on the latent's deviation from its mean.
        seed: of the draws.

    Raises:
        InputError: for an unknown `diverse`, lengths below 1, a seed out of
            range, or fewer descriptions than samples that must differ by them.
    """
    if diverse is None:
        only_texts = embedder.pooled and samples > 1
        diverse = "descriptions" if only_texts else "latent"
    check_choice("--diverse", diverse, DIVERSE)
    if samples < 1 or num_frames < 1:
        raise InputError(
            f"a motion must have at least one frame and sample, got {num_frames} "
            f"frames and {samples} samples"
        )
    if not 0 <= seed < 2**32:
        raise InputError(f"--seed must be from 0 to 2^32 - 1, got {seed}")
    if embedder.pooled and samples > 1 and diverse != "descriptions":
        raise InputError(
            f"{samples} samples of this model can differ by description only, since "
            f"it draws no latents, got --diverse {diverse}; use --diverse descriptions"
        )
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


def plan_series(
    embedder: PhraseEmbedder,
    phrases: Sequence[str],
    num_frames: Sequence[int],
    samples: int = 1,
    diverse: str | None = "latent",
    fact: float = 1.0,
    seed: int = 0,
) -> list[tuple[Request, ...]]:
    """Lists the requests for several motions of one series of phrases.

    Args:
        embedder: of the model's text.
        phrases: what to do, one after the other.
        num_frames: of each, at 30 fps.
        samples: how many motions of the whole series.
        diverse: as of `plan_samples`, in every action.
        fact: factor on the latents' deviation from their means.
        seed: of the draws.

    Returns:
        Per sample, a request per phrase.

    Raises:
        InputError: as of `plan_samples`, and for more phrases than lengths or fewer.
    """
    if len(phrases) != len(num_frames) or not phrases:
        raise InputError(
            "a series must have one duration for each of its texts, got "
            f"{len(phrases)} texts and {len(num_frames)} durations"
        )
    actions = [
        plan_samples(embedder, phrase, frames, samples, diverse, fact, seed)
        for phrase, frames in zip(phrases, num_frames, strict=True)
    ]
    return list(zip(*actions, strict=True))
