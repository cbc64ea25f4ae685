"""Reads token embeddings of phrases from memory-mapped files, never a whole store.

A store is a folder with `meta.json`, `index.jsonl` (one row per phrase) and shards
`shard-00000.safetensors`. A shard holds three ragged tables: `descriptions` (the k
descriptions joined), `phrase` (the phrase itself) and `each` (single descriptions).
Each table consists of `<table>.tokens` (rows, E) float16, `<table>.offsets` (items + 1)
int64 and, if the encoder has pooled vectors, `<table>.pooled` (items, P) float32. In a
store that several jobs wrote, each part is such a folder; see `index`.
"""

import functools
import os
import pathlib
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from actiongpt_jax.errors import InputError, check_choice
from actiongpt_jax.files.reading import parsing
from actiongpt_jax.files.safetensors import open_tensors
from actiongpt_jax.text.embeddings.index import PARTIAL, Content, Row, read_store

_REMEDY = "make the store again"
SOURCES = ("descriptions", "phrase")


class EmbeddingStore:
    """Embeddings of phrases by one encoder.

    Attributes:
        path: the folder of the store.
        encoder: 'minilm', hub id or folder of the encoder.
        weight_hash: hash of the encoder's parameters.
        texts_hash: hash of all texts in the store; None if it does not record one.
        width: width E of the token embeddings.
        k: number of descriptions joined per phrase; 0 if only phrases are stored.
        aggregation: how the descriptions were joined.
        prompt: name of the prompt of the descriptions; None without descriptions.
        prompt_version: version of the prompt; None if unknown.
        writer: name of the writer of the descriptions; None without descriptions.
        meta: all fields of meta.json.
    """

    def __init__(self, path: pathlib.Path, content: Content):
        """Stores the path and the index, which `open_embeddings` reads."""
        self.path = path
        self.meta = meta = content.meta
        self._rows = content.rows
        self._files = content.files
        self.encoder: str = meta["encoder"]
        self.weight_hash: str = meta["weight_hash"]
        # A store in parts has the hash of all its texts in every part.
        self.texts_hash: str | None = meta.get("whole_hash", meta.get("texts_hash"))
        self.width: int = meta["width"]
        self.k: int = meta["k"]
        self.aggregation: str = meta["aggregation"]
        self.prompt: str | None = meta["prompt"]
        self.prompt_version: str | None = meta["prompt_version"]
        self.writer: str | None = meta["writer"]
        # A cache of this object, so that open shards are released with the store.
        self._shard = functools.cache(self._open_shard)

    @property
    def phrases(self) -> list[str]:
        """All phrases, in the order of the descriptions."""
        return list(self._rows)

    def __len__(self) -> int:
        """Returns the number of phrases."""
        return len(self._rows)

    def __contains__(self, phrase: object) -> bool:
        """Returns whether the phrase itself is stored."""
        return phrase in self._rows

    def has(self, phrase: str, source: str = "descriptions") -> bool:
        """Returns whether `tokens(phrase, source)` is stored."""
        row = self._rows.get(phrase)
        return row is not None and (source == "phrase" or row.descriptions > 0)

    def singles(self, phrase: str) -> int:
        """Returns how many single descriptions of a phrase are stored (`--each`)."""
        return self._find(phrase, "phrase").singles

    def tokens(
        self, phrase: str, source: str = "descriptions", index: int | None = None
    ) -> Float[np.ndarray, "n e"]:
        """Returns the token embeddings of a phrase, without padding.

        Args:
            phrase: the phrase to look up.
            source: 'descriptions' for the joined descriptions, 'phrase' for the phrase
                itself.
            index: number of a single description to return instead; needs a store made
                with --each. None returns the joined descriptions.

        Returns:
            (n, E) float16 view of the file.

        Raises:
            InputError: if the phrase or description is not stored; the message names
                the command that stores it.
        """
        tensors, table, item = self._locate(phrase, source, index)
        with parsing(self.path, "a whole store", _REMEDY):
            begin, end = tensors[f"{table}.offsets"][item : item + 2]
            tokens = tensors[f"{table}.tokens"]
            if not 0 <= begin <= end <= len(tokens) or tokens.shape[1:] != (
                self.width,
            ):
                raise ValueError(f"the table {table!r} does not fit its offsets")
            return tokens[begin:end]

    def pooled(
        self, phrase: str, source: str = "descriptions", index: int | None = None
    ) -> Float[np.ndarray, " p"]:
        """Returns the pooled vector of a text; for k joined texts, the mean.

        Args:
            phrase: the phrase to look up.
            source: 'descriptions' for the joined descriptions, 'phrase' for the phrase
                itself.
            index: number of a single description, like in `tokens`.

        Returns:
            (P,) float32 view of the file.

        Raises:
            InputError: if the phrase or description is not stored, or the encoder has
                no pooled vectors.
        """
        tensors, table, item = self._locate(phrase, source, index)
        if f"{table}.pooled" not in tensors:
            raise InputError(
                f"the encoder {self.encoder} of {self.path} has no pooled vectors;"
                " embed with an encoder that has them, such as 'minilm'"
            )
        with parsing(self.path, "a whole store", _REMEDY):
            return tensors[f"{table}.pooled"][item]

    def max_tokens(self, phrases: Iterable[str], source: str = "descriptions") -> int:
        """Returns the largest number of token rows of the phrases, 0 for no phrase."""
        return max((self.num_tokens(phrase, source) for phrase in phrases), default=0)

    def num_tokens(self, phrase: str, source: str = "descriptions") -> int:
        """Returns the number of token rows of a phrase; no shard is opened."""
        row = self._find(phrase, source)
        return row.descriptions if source == "descriptions" else row.phrase

    def _locate(
        self, phrase: str, source: str, index: int | None
    ) -> tuple[dict[str, np.ndarray], str, int]:
        row = self._find(phrase, source)
        if index is None:
            return self._shard(row.shard), source, row.row
        if source != "descriptions":
            raise InputError(
                "an index selects a single description, so source must be"
                f" 'descriptions', got {source!r}"
            )
        if not self.meta["each"]:
            raise InputError(
                f"{self.path} holds no single descriptions of {phrase!r}; make it again"
                f" with `{self._command()} --each`"
            )
        if not 0 <= index < row.singles:
            raise InputError(
                f"the index must be 0..{row.singles - 1} for the descriptions of"
                f" {phrase!r} in {self.path}, got {index}"
            )
        return self._shard(row.shard), "each", row.each + index

    def _find(self, phrase: str, source: str) -> Row:
        check_choice("source", source, SOURCES)
        row = self._rows.get(phrase)
        if row is None or (source == "descriptions" and not row.descriptions):
            what = "phrase" if row is None else "description of the phrase"
            raise InputError(
                f"{self.path} has no {what} {phrase!r}; describe the phrase and run"
                f" `{self._command()}`"
            )
        return row

    def _command(self) -> str:
        return (
            "python -m actiongpt_jax.embed --descriptions FILE"
            f" --encoder {self.encoder} --k {self.k or 4} --out STORE"
        )

    def _open_shard(self, number: int) -> dict[str, np.ndarray]:
        path = self._files[number]
        try:
            return open_tensors(path)[0]
        except FileNotFoundError as error:
            raise InputError(f"{path} is missing; {_REMEDY}") from error


def open_embeddings(path: str | os.PathLike) -> EmbeddingStore:
    """Opens an embedding store; only its index is read.

    Args:
        path: the folder that `python -m actiongpt_jax.embed` wrote.

    Raises:
        FileNotFoundError: if the folder does not exist; the message names the command
            that makes a store.
        InputError: if the folder is not a store, is damaged, or lacks a part.
    """
    path = pathlib.Path(path)
    if not path.exists():
        unfinished = path.with_name(path.name + PARTIAL).exists()
        raise FileNotFoundError(
            f"no embedding store at {path}; "
            + (
                "it is unfinished, run the same command again: "
                if unfinished
                else "run "
            )
            + "`python -m actiongpt_jax.embed --descriptions FILE --encoder minilm"
            f" --k 4 --out {path}`"
        )
    return EmbeddingStore(path, read_store(path))
