"""Embeds the texts of one shard and writes its file of ragged tables."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.safetensors import write_tensors
from actiongpt_jax.text import aggregate
from actiongpt_jax.text.description import Description
from actiongpt_jax.text.embeddings.encode import (
    Embedding,
    encode_pieces,
    group_extents,
    join,
)
from actiongpt_jax.text.encoders.loader import PretrainedEncoder
from actiongpt_jax.text.encoders.tokenizer import Pieces


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of a store, apart from its texts and its encoder.

    Attributes:
        k: number of descriptions that are joined; 0 stores phrases only.
        aggregation: how the descriptions are joined; see `aggregate.aggregate`.
        each: whether to store every single description too.
        prompt: name of the prompt of the descriptions.
        prompt_version: version of the prompt.
        writer: name of the writer of the descriptions.
    """

    k: int
    aggregation: str
    each: bool = False
    prompt: str | None = None
    prompt_version: str | None = None
    writer: str | None = None

    @classmethod
    def of(
        cls,
        chosen: Mapping[str, Sequence[Description]],
        k: int,
        aggregation: str = aggregate.DEFAULT,
        *,
        each: bool = False,
    ) -> "Settings":
        """Returns the settings of a store of selected descriptions.

        Args:
            chosen: phrase -> its descriptions, from `Descriptions.select`.
            k: number of descriptions that are joined.
            aggregation: how the descriptions are joined.
            each: whether to store every single description too.
        """
        records = [record for of_phrase in chosen.values() for record in of_phrase]
        versions = {r.prompt_version for r in records if r.prompt_version is not None}
        return cls(
            k=k,
            aggregation=aggregation,
            each=each,
            prompt=records[0].prompt,
            prompt_version=", ".join(sorted(versions)) or None,
            writer=records[0].writer,
        )


def used_texts(descriptions: Sequence[str], settings: Settings) -> Sequence[str]:
    """Returns the descriptions of a phrase that are encoded."""
    return descriptions if settings.each else descriptions[: settings.k]


def num_texts(descriptions: Sequence[str], settings: Settings) -> int:
    """Returns how many texts of a phrase are encoded, including the phrase itself."""
    return 1 + len(used_texts(descriptions, settings))


class _Table:
    """One ragged table of a shard, as a list of arrays."""

    def __init__(self, width: int):
        self.tokens: list[np.ndarray] = [np.zeros((0, width), np.float16)]
        self.offsets = [0]
        self.pooled: list[np.ndarray] = []

    def add(self, embedding: Embedding | None) -> int:
        """Appends an item and returns its number; None has no tokens."""
        if embedding is not None:
            self.tokens.append(_half(embedding.tokens))
        rows = 0 if embedding is None else len(embedding.tokens)
        self.offsets.append(self.offsets[-1] + rows)
        if embedding is not None and embedding.pooled is not None:
            self.pooled.append(embedding.pooled.astype(np.float32)[None])
        return len(self.offsets) - 2

    def skip_pooled(self, like: np.ndarray) -> None:
        self.pooled.append(np.zeros_like(like)[None])


def _half(tokens: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        half = tokens.astype(np.float16)
    if not np.isfinite(half).all():
        raise InputError(
            "the encoder's states must be finite and below 65504 to be stored in half"
            " precision, but are not; choose another encoder"
        )
    return half


def write_shard(
    path: pathlib.Path,
    texts: Mapping[str, Sequence[str]],
    encoder: PretrainedEncoder,
    settings: Settings,
    batch_size: int | None = None,
    on_texts: Callable[[int], object] | None = None,
) -> None:
    """Embeds the phrases of one shard and writes its file.

    Args:
        path: the file to write.
        texts: phrase -> its descriptions.
        encoder: the encoder, from `encoders.load`.
        settings: settings of the store.
        batch_size: number of texts encoded at once; None asks `default_batch_size`.
        on_texts: called with the number of texts of every finished batch.
    """
    # Each phrase is followed by its descriptions; its slice selects the descriptions.
    flat: list[str] = []
    groups: list[slice] = []
    for phrase, descriptions in texts.items():
        flat += [phrase, *used_texts(descriptions, settings)]
        groups.append(
            slice(len(flat) - num_texts(descriptions, settings) + 1, len(flat))
        )
    pieces = encoder.tokenizer(flat)
    lengths = [len(text.ids) for text in pieces]
    extents = list(lengths)
    for group in groups:
        joined = slice(group.start, min(group.start + settings.k, group.stop))
        if joined.stop > joined.start:
            extents[joined] = group_extents(lengths[joined], settings.aggregation)
    embeddings = encode_pieces(encoder, pieces, extents, batch_size, on_texts)
    tables = {
        name: _Table(encoder.width) for name in ("descriptions", "phrase", "each")
    }
    index = []
    for row, group in enumerate(groups):
        phrase_embedding, singles = embeddings[group.start - 1], embeddings[group]
        of_singles = lengths[group]
        tables["phrase"].add(phrase_embedding)
        k = settings.k if singles else 0
        joined = join(singles[:k], of_singles[:k], settings.aggregation) if k else None
        tables["descriptions"].add(joined)
        if joined is None and phrase_embedding.pooled is not None:
            tables["descriptions"].skip_pooled(phrase_embedding.pooled)
        first = len(tables["each"].offsets) - 1
        if settings.each:
            for single, length in zip(singles, of_singles, strict=True):
                tables["each"].add(Embedding(single.tokens[:length], single.pooled))
        index.append(
            [
                row,
                0 if joined is None else len(joined.tokens),
                len(phrase_embedding.tokens),
                first,
                len(singles) if settings.each else 0,
            ]
        )
    tensors: dict[str, Sequence[np.ndarray]] = {}
    for name, table in tables.items():
        tensors[f"{name}.tokens"] = table.tokens
        tensors[f"{name}.offsets"] = [np.asarray(table.offsets, np.int64)]
        if table.pooled:
            tensors[f"{name}.pooled"] = table.pooled
    write_tensors(path, tensors, _shard_metadata(flat, pieces, index))


def _shard_metadata(
    flat: Sequence[str], pieces: Sequence[Pieces], index: Sequence[Sequence[int]]
) -> dict[str, str]:
    cut = [
        (text, piece.cut) for text, piece in zip(flat, pieces, strict=True) if piece.cut
    ]
    return {
        "index": json.dumps(index),
        "texts": str(len(flat)),
        "truncated": str(len(cut)),
        "cut": str(sum(pieces for _, pieces in cut)),
        "first_truncated": json.dumps(cut[0][0][:60] if cut else None),
    }
