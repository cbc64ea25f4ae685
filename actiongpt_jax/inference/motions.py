"""Generates motions from texts in one call."""

import math
import pathlib
from collections.abc import Sequence

from tqdm import tqdm

from actiongpt_jax.choices import WINDOW, Align
from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference import feet
from actiongpt_jax.inference.generate import generate_sequence
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_series, warn_of_unseen_lengths
from actiongpt_jax.inference.series import (
    series_frames,
    series_mode,
    series_prompts,
    usual_frames,
)
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.inference.writer import Writer
from actiongpt_jax.text.descriptions import DescriptionSource


def generate_motions(
    model: Trained,
    texts: str | Sequence[str],
    seconds: float | Sequence[float] | None = None,
    *,
    series: str | None = None,
    samples: int = 1,
    fact: float = 1.0,
    seed: int = 0,
    align: Align = "full",
    window: int = WINDOW,
    diverse: str | None = None,
    embeddings: str | pathlib.Path | None = None,
    descriptions: DescriptionSource | None = None,
    after: Motion | None = None,
    clean_feet: bool = False,
    writer: Writer | None = None,
    progress: bool = False,
) -> list[Motion]:
    """Generates motions from texts with a trained model.

    A phrase's descriptions are taken from `descriptions` if it has some, else from
    `embeddings`, else `writer` is asked for them; a phrase that was never described is
    embedded itself, with a warning.
    Warns too about lengths and texts that the model has never seen in training, and
    about texts that are cut at the encoder's limit.

    Args:
        model: the model, as returned by `load_model`.
        texts: one phrase, or several; each may contain any words.
        seconds: duration, one for all texts or one per text; None takes the length
            that each text usually has in training; see `series.usual_frames`.
        series: how several texts are combined. 'past': one motion per sample in which
            each action reads how the previous motion ended; 'independent': actions
            generated separately, then joined; 'joined': all texts in one prompt;
            'off': a separate motion for each text. None takes 'past' for a model that
            reads past frames, else 'off'.
        samples: number of motions per text or series.
        fact: factor on the latent's deviation from its mean; 0 uses the mean latent.
        seed: seed of all random numbers, from 0 to 2^32 - 1.
        align: how an action is moved to the end of the previous one: 'full' turns and
            shifts it, 'translation' only shifts it, 'none' leaves it as generated.
        window: length of the slerp transition between actions, in frames.
        diverse: source of variation between samples: 'latent', 'descriptions' or
            'both'. None takes 'latent', or 'descriptions' for several samples of a
            model that draws no latents.
        embeddings: embedding store; None takes the one used in training.
        descriptions: file or folder of descriptions, or texts, {phrase: [texts]};
            embedded when needed.
        after: a motion to go on from, of any frame rate: every result starts with it,
            at the model's frame rate, and goes on where it ends. A model that reads
            past frames reads its last ones, unless `series` says otherwise.
        clean_feet: whether to plant feet that slide; see `feet.clean_feet`.
        writer: language model that describes phrases without descriptions; None leaves
            them undescribed.
        progress: whether to show a progress bar on stderr.

    Returns:
        Motions at the model's frame rate that face -x at the origin in frame 0, or
        start as `after` does: all samples of the first text or series, then those of
        the next.

    Raises:
        InputError: for a value out of its range, a model that cannot generate or does
            not fit the embeddings, or an action too short for its transition.
        JobIncompleteError: if the writer could not describe all phrases.
    """
    texts = [texts] if isinstance(texts, str) else list(texts)
    if not texts:
        raise InputError("texts must hold at least one phrase, got none")
    if not math.isfinite(fact):
        raise InputError(f"--fact must be finite, got {fact}")
    mode = series_mode(series, model)
    embedder = PhraseEmbedder(model.config, embeddings, descriptions, writer)
    if seconds is None:
        frames = usual_frames(model, embedder, texts)
    else:
        one_for_all = isinstance(seconds, int | float)
        durations = [seconds] * len(texts) if one_for_all else list(seconds)
        frames = series_frames(durations, texts, mode, model.framerate)
    prompts_and_lengths = series_prompts(texts, frames, mode)
    warn_of_unseen_lengths(
        model.config, (n for _, lengths in prompts_and_lengths for n in lengths)
    )
    embedder.describe_unknown(p for prompts, _ in prompts_and_lengths for p in prompts)
    requests = [
        actions
        for prompts, lengths in prompts_and_lengths
        for actions in plan_series(
            embedder, prompts, lengths, samples, diverse, fact, seed
        )
    ]
    total = sum(map(len, requests))
    with tqdm(total=total, unit="action", leave=False, disable=not progress) as bar:
        motions = generate_sequence(
            model,
            requests,
            align=align,
            window=window,
            read_past=mode == "past",
            after=after,
            on_action=bar.update,
        )
    if not clean_feet:
        return motions
    return [
        feet.clean_feet(
            motion,
            len(motion.translation) - sum(action.num_frames for action in actions),
        )
        for motion, actions in zip(motions, requests, strict=True)
    ]
