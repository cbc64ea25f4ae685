"""How several texts given at once are combined: one series, or separate motions."""

import math
from collections.abc import Sequence

from actiongpt_jax.config_fields import lookup
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.trained import Trained

# Ten minutes at 30 frames per second; attention over more would exhaust memory.
_MAX_FRAMES = 18_000
# Length of an action for a model that does not know the lengths of its training.
_SECONDS = 3.0


def series_mode(requested: str | None, trained: Trained) -> str:
    """Returns the requested way to combine several texts, or the model's default.

    Args:
        requested: one of `choices.SERIES`; None takes the default.
        trained: the model.

    Raises:
        InputError: for 'past' with a model that does not read past frames.
    """
    reads_past = trained.model.hist_frames > 0
    if requested == "past" and not reads_past:
        raise InputError(
            "--series past needs a model that reads the previous motion, got "
            f"{trained.config.model.name}; use --series independent or joined"
        )
    return requested or ("past" if reads_past else "off")


def usual_frames(
    trained: Trained, embedder: PhraseEmbedder, texts: Sequence[str]
) -> list[int]:
    """Returns the number of frames that each text usually lasted in training.

    A model of windows knows a single length. For other models it is the median length
    of the phrase in training, or else of the phrases nearest to it in embedding space.
    A model that does not know the lengths of its training gets three seconds.

    Args:
        trained: the model.
        embedder: embeds the model's texts.
        texts: the phrases.

    Raises:
        InputError: if a text cannot be embedded.
    """
    if window := lookup(trained.config, "data.num_frames", None):
        return [window] * len(texts)
    lengths = trained.lengths
    if lengths is None:
        return [round(_SECONDS * trained.framerate)] * len(texts)
    return [
        lengths.known(text) or lengths.nearest(embedder.own_tokens(text))
        for text in texts
    ]


def series_frames(
    seconds: Sequence[float], texts: Sequence[str], mode: str, fps: float
) -> list[int]:
    """Returns the number of frames of each text.

    Raises:
        InputError: if there is not one duration per text (with mode 'off', one duration
            may serve all texts), or a duration is out of range.
    """
    seconds, longest = list(seconds), _MAX_FRAMES / fps
    if len(seconds) == 1 and mode == "off":
        seconds *= len(texts)
    if len(seconds) != len(texts):
        raise InputError(
            f"--seconds must be given once per --text, got {len(seconds)} for "
            f"{len(texts)} texts"
        )
    for value in seconds:
        if not (math.isfinite(value) and 0 < value <= longest):
            raise InputError(
                f"--seconds must be finite, above 0 and at most {longest:g}, got "
                f"{value}"
            )
    return [max(round(value * fps), 1) for value in seconds]


def series_prompts(
    texts: Sequence[str], frames: Sequence[int], mode: str
) -> list[tuple[list[str], list[int]]]:
    """Returns the (texts, frames) of each series to generate."""
    if mode == "off":
        return [([text], [count]) for text, count in zip(texts, frames, strict=True)]
    if mode == "joined":
        return [([", ".join(texts)], [sum(frames)])]
    return [(list(texts), list(frames))]
