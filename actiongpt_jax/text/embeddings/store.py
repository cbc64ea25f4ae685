"""Reading token embeddings of phrases from disk, mapped and never loaded whole.

A store is a folder: `meta.json`, `index.jsonl` with one row per phrase, and shards
`shard-00000.safetensors`. A shard holds three ragged tables, `descriptions` (the
aggregate of k), `phrase` (the phrase itself) and `each` (single descriptions), as
`<table>.tokens` (rows, E) float16, `<table>.offsets` (items + 1) int64 and, where
the encoder has them, `<table>.pooled` (items, P) float32. Where several jobs wrote
it, each part is such a folder within it; see `index`.
"""

import functools
import os
import pathlib
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from actiongpt_jax.errors import InputError, check_choice
from actiongpt_jax.files.safetensors import open_tensors
from actiongpt_jax.text.embeddings.index import PARTIAL, Content, Row, read_store

SOURCES = ("descriptions", "phrase")


class EmbeddingStore:
    """Embeddings of phrases by one encoder.

    Attributes:
        path: the folder.
        encoder: 'minilm', hub id or folder of the encoder.
        weight_hash: hash of its parameters.
        width: E of the token embeddings.
        k: descriptions per phrase in the aggregate; 0 if only phrases are stored.
        aggregation: how they were joined.
        prompt: name of the prompt they answer, None without descriptions.
        prompt_version: its version, None where unknown.
        writer: who wrote them.
        meta: everything in meta.json.
    """

    def __init__(self, path: pathlib.Path, content: Content):
        """Keeps what was found; `open_embeddings` finds it."""
        self.path = path
        self.meta = meta = content.meta
        self._rows = content.rows
        self._files = content.files
        self.encoder: str = meta["encoder"]
        self.weight_hash: str = meta["weight_hash"]
        self.width: int = meta["width"]
        self.k: int = meta["k"]
        self.aggregation: str = meta["aggregation"]
        self.prompt: str | None = meta["prompt"]
        self.prompt_version: str | None = meta["prompt_version"]
        self.writer: str | None = meta["writer"]
        # A bound cache: it goes with the store.
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
        """Returns whether `tokens(phrase, source)` would be found."""
        row = self._rows.get(phrase)
        return row is not None and (source == "phrase" or row.descriptions > 0)

    def singles(self, phrase: str) -> int:
        """Returns how many single descriptions of a phrase are stored (`--each`)."""
        return self._find(phrase, "phrase").singles

    def tokens(
        self, phrase: str, source: str = "descriptions", index: int | None = None
    ) -> Float[np.ndarray, "n e"]:
        """Returns token embeddings, none of them padding.

        Args:
            phrase: what to look up.
            source: 'descriptions' for the aggregate of k, 'phrase' for its own.
            index: a single description instead; needs a store made with --each.

        Returns:
            (n, E) float16 view of the file.

        Raises:
            InputError: if it is not stored, with the command that stores it.
        """
        tensors, table, item = self._locate(phrase, source, index)
        begin, end = tensors[f"{table}.offsets"][item : item + 2]
        return tensors[f"{table}.tokens"][begin:end]

    def pooled(
        self, phrase: str, source: str = "descriptions", index: int | None = None
    ) -> Float[np.ndarray, " p"]:
        """Returns the one vector of a text, of k the mean.

        Args: as of `tokens`.

        Returns:
            (P,) float32 view of the file.

        Raises:
            InputError: if it is not stored or the encoder has no such vector.
        """
        tensors, table, item = self._locate(phrase, source, index)
        if f"{table}.pooled" not in tensors:
            raise InputError(
                f"the encoder {self.encoder} of {self.path} has no pooled vectors;"
                " embed with one that has, such as 'minilm'"
            )
        return tensors[f"{table}.pooled"][item]

    def max_tokens(self, phrases: Iterable[str], source: str = "descriptions") -> int:
        """Returns the most token rows that any of the phrases has, 0 for none."""
        return max((self.num_tokens(phrase, source) for phrase in phrases), default=0)

    def num_tokens(self, phrase: str, source: str = "descriptions") -> int:
        """Returns the token rows of a phrase without touching the shards."""
        row = self._find(phrase, source)
        return row.descriptions if source == "descriptions" else row.phrase

    def _locate(
        self, phrase: str, source: str, index: int | None
    ) -> tuple[dict[str, np.ndarray], str, int]:
        row = self._find(phrase, source)
        if index is None:
            return self._shard(row.shard), source, row.row
        if source != "descriptions":
            raise InputError("an index picks a description, so source must be that")
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
                f"{self.path} must hold every {what} that is asked for, but has none"
                f" for {phrase!r}; describe it and run `{self._command()}`"
            )
        return row

    def _command(self) -> str:
        return (
            "python -m actiongpt_jax.embed --descriptions FILE"
            f" --encoder {self.encoder} --k {self.k or 4} --out STORE"
        )

    def _open_shard(self, number: int) -> dict[str, np.ndarray]:
        path = self._files[number]
        if not path.is_file():
            raise InputError(f"{path} must be there but is missing; make it again")
        return open_tensors(path)[0]


def open_embeddings(path: str | os.PathLike) -> EmbeddingStore:
    """Opens a store; only its index is read.

    Args:
        path: the folder that `python -m actiongpt_jax.embed` wrote.

    Raises:
        FileNotFoundError: with the command that makes one.
        InputError: if it is another thing, damaged, or lacks a part.
    """
    path = pathlib.Path(path)
    if not path.exists():
        unfinished = path.with_name(path.name + PARTIAL).exists()
        raise FileNotFoundError(
            f"no embedding store at {path}; "
            + ("it was begun, run the same command again: " if unfinished else "run ")
            + "`python -m actiongpt_jax.embed --descriptions FILE --encoder minilm"
            f" --k 4 --out {path}`"
        )
    return EmbeddingStore(path, read_store(path))
