"""What `python -m actiongpt_jax.embed` is to encode."""

import dataclasses
import os
from collections.abc import Iterable

from actiongpt_jax.errors import InputError
from actiongpt_jax.text import aggregate
from actiongpt_jax.text.descriptions import read_descriptions
from actiongpt_jax.text.store_shard import Settings


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Texts of a store.

    Attributes:
        texts: phrase -> its descriptions, none for a phrase that is stored alone.
        settings: of the store.
        torn: places in the files that were passed over.
    """

    texts: dict[str, list[str]]
    settings: Settings
    torn: list[str]


def gather(
    descriptions: str | os.PathLike | None,
    phrases: Iterable[str] = (),
    *,
    k: int,
    how: str = aggregate.DEFAULT,
    each: bool = False,
    prompt: str | None = None,
    writer: str | None = None,
) -> Inputs:
    """Chooses descriptions and adds phrases that have none.

    Args:
        descriptions: file or folder of them, None for phrases alone.
        phrases: more phrases; blanks around them and empty ones do not count.
        k: descriptions joined per phrase.
        how: they are joined.
        each: keep every single description, not the first k only.
        prompt: that they answer; None takes the only one, of several 'detail'.
        writer: of them; None takes the first in the file.

    Raises:
        InputError: if a described phrase has fewer than k, or nothing is there.
    """
    texts: dict[str, list[str]] = {}
    settings = Settings(0, how)
    torn: list[str] = []
    if descriptions is not None:
        read = read_descriptions(descriptions)
        torn = list(read.torn)
        chosen = read.select(prompt, writer, k)
        texts = {phrase: [r.text for r in found] for phrase, found in chosen.items()}
        settings = Settings.of(chosen, k, how, each=each)
    for phrase in map(str.strip, phrases):
        if phrase:
            texts.setdefault(phrase, [])
    if not texts:
        raise InputError("an embedding store needs at least one phrase, got none")
    return Inputs(texts, settings, torn)
