"""Splits texts into word pieces, cut at the encoder's limit."""

import contextlib
import dataclasses
import os
import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.reading import parsing, read_json

_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json")


@dataclasses.dataclass(frozen=True, slots=True)
class Pieces:
    """One text as word pieces.

    Attributes:
        ids: (n,) int32 word pieces, including special ones.
        cut: number of pieces dropped beyond the encoder's limit.
    """

    ids: Int[np.ndarray, " n"]
    cut: int = 0


class Tokenizer:
    """Splits texts into word pieces.

    Attributes:
        limit: largest number of pieces in one text, including special ones.
        pad_id: the piece that pads a batch.
    """

    def __init__(
        self,
        folder: str | pathlib.Path,
        limit: int,
        kind: str | None = None,
        clean: Callable[[str], str] | None = None,
    ):
        """Loads the tokenizer of a Hugging Face folder.

        Args:
            folder: folder with tokenizer.json or a vocabulary.
            limit: largest number of pieces in one text, including special ones.
            kind: type of the tokenizer in a folder that has only a vocabulary; None
                takes it from the folder's config.json.
            clean: applied to every text instead of the tokenizer's own normalisation;
                None keeps the tokenizer's.

        Raises:
            InputError: if the tokenizer is missing or damaged.
        """
        options: dict[str, Any] = {"local_files_only": True}
        if not _check_files(pathlib.Path(folder)) and kind is not None:
            options["tokenizer_type"] = kind
        # The import takes seconds, and models that read a store do not need it. Its
        # warning that torch is missing does not matter here.
        os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
        from transformers import AutoTokenizer

        self._folder = folder
        with self._parsing():
            loaded: Any = AutoTokenizer.from_pretrained(str(folder), **options)
        if clean is not None:
            loaded.backend_tokenizer.normalizer = None
        self._tokenizer = loaded
        self._clean = clean
        self.limit = limit
        self.pad_id: int = loaded.pad_token_id or 0
        # The pieces that even an empty text has. In CLIP the piece that ends a text is
        # also the unknown word.
        self._special: list[int] = self._split([""])[0]

    def _parsing(self) -> contextlib.AbstractContextManager[None]:
        # Libraries raise errors of many kinds for damaged tokenizers, also on use.
        what, remedy = "a tokenizer's", "copy the whole folder of the model again"
        return parsing(f"the files in {self._folder}", what, remedy)

    def __call__(self, texts: Sequence[str]) -> list[Pieces]:
        """Splits texts; one that is too long is cut at a word piece.

        Args:
            texts: any strings.

        Returns:
            The pieces of each text.

        Raises:
            InputError: if the vocabulary has no word of any of the texts, or a text has
                characters that Unicode does not allow.
        """
        if not texts:
            return []
        for text in texts:
            check_characters(text)
        if self._clean is not None:
            texts = list(map(self._clean, texts))
        uncut = self._split(texts)
        long = [i for i, ids in enumerate(uncut) if len(ids) > self.limit]
        pieces = [Pieces(np.asarray(ids, np.int32)) for ids in uncut]
        if long:
            short = self._split(
                [texts[i] for i in long], truncation=True, max_length=self.limit
            )
            for i, ids in zip(long, short, strict=True):
                cut = len(uncut[i]) - len(ids)
                pieces[i] = Pieces(np.asarray(ids, np.int32), cut)
        self._check_words(texts, uncut)
        return pieces

    def count(self, text: str) -> int:
        """Returns how many pieces a text has before it is cut; knows any text."""
        return len(self._split([text if self._clean is None else self._clean(text)])[0])

    def _split(self, texts: Sequence[str], **options: Any) -> list[list[int]]:
        options = {"truncation": False, **options}
        with self._parsing():
            return self._tokenizer(
                list(texts),
                padding=False,
                return_attention_mask=False,
                return_token_type_ids=False,
                verbose=False,
                **options,
            )["input_ids"]

    def _check_words(self, texts: Sequence[str], whole: Sequence[list[int]]) -> None:
        """Names a text without any word that the vocabulary has."""
        unknown = self._tokenizer.unk_token_id
        if unknown is None:
            return
        special = self._special.count(unknown)
        strange = [
            text
            for text, ids in zip(texts, whole, strict=True)
            if ids.count(unknown) > special and not self._knows_a_word(ids)
        ]
        if not strange:
            return
        fault = (
            f"the text {strange[0][:60]!r} has no word that the encoder in "
            f"{self._folder} knows; write it in the language of the encoder"
        )
        if len(strange) == len(texts):
            raise InputError(
                f"{fault}, or, if its vocabulary must know the words, use the one that "
                "belongs to its weights"
            )
        warnings.warn(
            f"{fault} ({len(strange)} of {len(texts)} texts are like this)",
            stacklevel=3,
        )

    def _knows_a_word(self, ids: Sequence[int]) -> bool:
        known = {*ids} - {*self._special, self._tokenizer.unk_token_id}
        pieces = self._tokenizer.convert_ids_to_tokens(list(known))
        words = (piece.removesuffix("</w>") for piece in pieces)  # CLIP's end of a word
        return any(character.isalnum() for word in words for character in word)


def check_characters(text: str) -> None:
    """Checks that a text can be written in UTF-8.

    Raises:
        InputError: if it cannot; the message names the place.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"the text {text[:60]!r} has half a character, {text[error.start]!r}, at "
            f"position {error.start + 1}; write it in UTF-8"
        ) from error


def _check_files(folder: pathlib.Path) -> bool:
    """Returns whether the folder holds more than a bare vocabulary."""
    # transformers makes an empty vocabulary if the file is missing, and its parser
    # raises bare exceptions for damaged files.
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        raise InputError(
            f"{folder} must hold a tokenizer ({' or '.join(_VOCABULARIES)}), but does"
            " not; fetch the whole folder from the hub"
        )
    described = False
    for name in ("tokenizer.json", "tokenizer_config.json"):
        path = folder / name
        if path.exists():
            described = bool(read_json(path, "fetch it again")) or described
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    if not described and vocabulary.is_file() and not merges.is_file():
        # Without merges it would split words into letters, silently.
        raise InputError(
            f"{merges} must exist next to {vocabulary.name}, but does not; fetch the"
            " whole folder from the hub"
        )
    return described
