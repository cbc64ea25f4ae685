"""Makes an embedding store from descriptions."""

import os
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from actiongpt_jax.files.shard import Shard
from actiongpt_jax.text import aggregate, encoders
from actiongpt_jax.text.descriptions import DescriptionSource
from actiongpt_jax.text.embeddings.builder import (
    build_embedding_store,
    count_texts,
    gather,
    share_of,
)


def embed_descriptions(
    out: str | os.PathLike,
    descriptions: DescriptionSource | None,
    encoder: str,
    *,
    k: int = 4,
    phrases: Iterable[str] = (),
    how: str = aggregate.DEFAULT,
    each: bool = False,
    prompt: str | None = None,
    writer: str | None = None,
    part: Shard | None = None,
    batch_size: int | None = None,
) -> dict[str, Any]:
    """Embeds phrases and their descriptions into a store, with a progress bar.

    If it was stopped, the next call with the same input continues where it was.

    Args:
        out: folder of the store to make.
        descriptions: JSONL file, folder of such files, {phrase: [texts]} JSON, or such
            a mapping itself; None for `phrases` alone.
        encoder: 'minilm', a model's folder, or a Hugging Face id.
        k: descriptions joined per phrase.
        phrases: further phrases, stored without descriptions.
        how: how the descriptions are joined, one of `choices.AGGREGATIONS`.
        each: store every single description too.
        prompt: name of the prompt whose answers are taken; None takes the file's only
            prompt, or 'detail' if there are several.
        writer: writer whose descriptions are taken; None takes the first in the file.
        part: embed only this part of the phrases, in its own folder within `out`; None
            embeds all phrases.
        batch_size: number of texts encoded at once; None takes 8 on a CPU and 128 on an
            accelerator.

    Returns:
        The content of the store's meta.json.

    Raises:
        InputError: if a described phrase has fewer than k descriptions, if there are no
            phrases, or if `out` holds something else.
        FileNotFoundError: if the descriptions or the encoder do not exist.
    """
    inputs = gather(
        descriptions, phrases, k=k, how=how, each=each, prompt=prompt, writer=writer
    )
    for where in inputs.truncated:
        print(f"skipped {where}: the line is truncated", file=sys.stderr)
    texts, settings = inputs.texts, inputs.settings
    if settings.writer is not None:
        print(f"descriptions by {settings.writer!r} for the prompt {settings.prompt!r}")
    loaded = encoders.load(encoder)
    total = count_texts(share_of(texts, part), settings)
    with tqdm(total=total, unit="text", desc="embed") as bar:
        return build_embedding_store(
            out,
            texts,
            loaded,
            settings,
            part=part,
            batch_size=batch_size,
            on_texts=bar.update,
        )
