"""Requests for motions: texts, lengths, and how samples differ."""

import dataclasses
import warnings
import zlib
from collections.abc import Iterable, Sequence

import numpy as np

from actiongpt_jax.choices import DIVERSE
from actiongpt_jax.config_fields import Config, lookup
from actiongpt_jax.errors import InputError, check_choice
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder


@dataclasses.dataclass(frozen=True)
class Request:
    """One action to generate: a whole motion, or one action of a series.

    Attributes:
        text: the phrase, for the result's caption.
        tokens: (n, E) its embeddings; (1, P) for models that read one vector per text.
        num_frames: number of frames at the model's frame rate.
        seed: seed of the latent noise: (seed of the run, number of the sample).
        fact: factor on the latent's deviation from its mean; 0 uses the mean latent.
    """

    text: str
    tokens: np.ndarray
    num_frames: int
    seed: tuple[int, int] = (0, 0)
    fact: float = 1.0


def warn_of_unseen_lengths(config: Config, num_frames: Iterable[int]) -> None:
    """Warns if motions are to have a length that the model has never seen in training.

    Args:
        config: config of the trained model.
        num_frames: number of frames of every motion or action.
    """
    data, fps = config.data, config.data.framerate
    # A model of windows knows a single length.
    exact = lookup(config, "data.num_frames", None)
    least, most = (exact, exact) if exact else (data.min_frames, data.max_frames)
    unseen = [frames for frames in num_frames if not least <= frames <= most]
    if unseen:
        seen = f"{least} to {most} frames ({least / fps:.3g} to {most / fps:.3g} s)"
        seen = f"{exact} frames ({exact / fps:.3g} s)" if exact else seen
        warnings.warn(
            f"the model was trained on motions of {seen} only, and {unseen[0]} frames "
            f"({unseen[0] / fps:.3g} s) were asked for; expect poor motion",
            stacklevel=2,
        )


def seed_of(seed: int, key: str) -> int:
    """Returns the seed for the draws of one stretch of a motion store.

    Args:
        seed: seed of the command, from 0 to 2^32 - 1.
        key: key of the labelled stretch.
    """
    return zlib.crc32(f"{seed}/{key}".encode())


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
        embedder: embeds the model's texts.
        phrase: the action, in words.
        num_frames: number of frames at the model's frame rate.
        samples: number of motions.
        diverse: source of variation between samples. 'latent' draws each sample from
            the latent distribution of the aggregated descriptions; 'descriptions' takes
            the mean latent of a single description for each sample; 'both' draws from
            the latent distribution of a single description. None takes 'latent', or
            'descriptions' for several samples of a model that draws no latents.
        fact: factor on the latent's deviation from its mean.
        seed: seed of the draws.

    Raises:
        InputError: for an unknown `diverse`, lengths below 1, a seed out of range, or,
            with 'descriptions', more samples than descriptions.
    """
    if diverse is None:
        only_texts = embedder.pooled and samples > 1
        diverse = "descriptions" if only_texts else "latent"
    check_choice("--diverse", diverse, DIVERSE)
    if samples < 1 or num_frames < 1:
        raise InputError(
            f"a motion must have at least 1 frame and 1 sample, got {num_frames} "
            f"frames and {samples} samples"
        )
    if not 0 <= seed < 2**32:
        raise InputError(f"--seed must be from 0 to 2^32 - 1, got {seed}")
    if embedder.pooled and samples > 1 and diverse != "descriptions":
        raise InputError(
            f"several samples of this model must be made with --diverse descriptions, "
            f"since it draws no latents, got --diverse {diverse} for {samples} samples"
        )
    if diverse == "latent":
        texts = [embedder.tokens(phrase)] * samples
    else:
        singles = embedder.singles(phrase)
        if diverse == "descriptions" and samples > len(singles):
            raise InputError(
                f"{phrase!r} has {len(singles)} descriptions, too few for {samples} "
                "samples with --diverse descriptions; use --diverse both"
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
        embedder: embeds the model's texts.
        phrases: the actions, in words, in order of time.
        num_frames: number of frames of each action, at the model's
            frame rate.
        samples: number of motions of the whole series.
        diverse: source of variation between samples, in every action; see
            `plan_samples`.
        fact: factor on the latents' deviation from their means.
        seed: seed of the draws.

    Returns:
        For each sample, one request per phrase.

    Raises:
        InputError: if the numbers of phrases and lengths differ, and in the cases of
            `plan_samples`.
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
