"""Embeds phrases for a trained model, from a store, descriptions or the phrases."""

import functools
import pathlib
import warnings
from collections.abc import Sequence

import numpy as np

from actiongpt_jax.config_fields import Config, lookup
from actiongpt_jax.errors import InputError
from actiongpt_jax.models.family import family_of
from actiongpt_jax.text import encoders
from actiongpt_jax.text.aggregate import DEFAULT
from actiongpt_jax.text.descriptions import DescriptionSource, read_descriptions
from actiongpt_jax.text.embeddings.encode import embed_texts
from actiongpt_jax.text.embeddings.store import open_embeddings


class PhraseEmbedder:
    """Embeds phrases in the same way as the texts of the model's training.

    A phrase's descriptions are taken from the given ones if there are any, else
    from the embedding store; a phrase without any is embedded itself, with a warning.
    The text encoder is loaded only when something must be embedded.

    For a model that reads one vector per text, a phrase has a single token, which is
    that vector.
    """

    def __init__(
        self,
        config: Config,
        store: str | pathlib.Path | None = None,
        descriptions: DescriptionSource | None = None,
    ):
        """Opens the embedding store and the descriptions, if there are any.

        Args:
            config: config of the trained model.
            store: embedding store; None takes the one used in training, if it still
                exists.
            descriptions: JSONL file, folder or published JSON file of descriptions, or
                texts, {phrase: [texts]}.

        Raises:
            InputError: if the store was made with another encoder than the model's.
        """
        self._text = config.text
        self.pooled = family_of(config).pooled_text
        path = store or config.text.store
        exists = bool(path) and pathlib.Path(path).exists()
        self._store = open_embeddings(path) if store or exists else None
        self._missing_store = path if path and self._store is None else None
        if self._store is not None and self._store.encoder != config.text.encoder:
            # Converted weights do not record which copy of their encoder they read.
            unknown = config.text.weight_hash is None
            if unknown and self._store.width != config.text.width:
                raise InputError(
                    f"embedding store {path} must have the width of the model's "
                    f"texts, {config.text.width}, got {self._store.width} of encoder "
                    f"{self._store.encoder!r}; embed with the model's own encoder"
                )
            if not unknown:
                raise InputError(
                    f"embedding store {path} was made with encoder "
                    f"{self._store.encoder!r}, but the model was trained with "
                    f"{config.text.encoder!r}; give a store of that encoder"
                )
            self._text = config.text.copy_and_resolve_references()
            self._text.encoder = self._store.encoder
        self._described = read_descriptions(descriptions) if descriptions else None

    def describes(self, phrase: str) -> bool:
        """Says whether the model's texts of a phrase are known.

        They are for a model that reads phrases only, and else if descriptions of the
        phrase were given or are in the embedding store.
        """
        if self._text.source == "phrase":
            return True
        given = self._described is not None and phrase in self._described
        stored = self._store is not None and self._store.has(phrase, "descriptions")
        return given or stored

    def tokens(self, phrase: str) -> np.ndarray:
        """Returns (n, E) embeddings of a phrase, aggregated over its descriptions."""
        if not phrase.strip():
            warnings.warn(
                "a text is empty, which the model has never seen in training; expect "
                "poor motion",
                stacklevel=2,
            )
        # A model that reads both kinds of text gets descriptions where there are some.
        source = "phrase" if self._text.source == "phrase" else "descriptions"
        one = lookup(self._text, "draw", "all") == "one"
        if source == "descriptions" and self._described and phrase in self._described:
            texts = self._described.texts(phrase)[: 1 if one else self._text.k]
            return self._embed(texts, self._text.aggregation)
        if self._store is not None and self._store.has(phrase, source):
            single = one and source == "descriptions" and self._store.singles(phrase)
            return self._stored(phrase, source, index=0 if single else None)
        if self._text.source == "descriptions":
            where = ""
            if self._missing_store is not None:
                where = (
                    f"; the store {self._missing_store} no longer exists: give its path"
                    " as --embeddings"
                )
            warnings.warn(
                f"no descriptions of {phrase!r} were found, so the phrase itself is "
                "used; describe it, as in training, and give the file as "
                f"--descriptions{where}",
                stacklevel=2,
            )
        if self._store is not None and self._store.has(phrase, "phrase"):
            return self._stored(phrase, "phrase")
        return self._embed([phrase])

    def singles(self, phrase: str) -> list[np.ndarray]:
        """Returns the embeddings of a phrase's single descriptions, [(n, E), ...].

        Raises:
            InputError: if its single descriptions are not known.
        """
        if self._described is not None and phrase in self._described:
            texts = self._described.texts(phrase)
            return [self._embed([text]) for text in texts]
        if self._store is not None and phrase in self._store:
            count = self._store.singles(phrase)
            if count:
                return [self._stored(phrase, index=i) for i in range(count)]
        raise InputError(
            f"the single descriptions of {phrase!r} are not known; give their file "
            "as --descriptions, or an embedding store made with --each"
        )

    def describe(self, texts: Sequence[str]) -> np.ndarray:
        """Returns (n, E) embeddings of texts, as if they were a phrase's descriptions.

        Args:
            texts: at least one text.
        """
        return self._embed(list(texts), self._text.aggregation)

    def _stored(self, phrase: str, source="descriptions", index=None) -> np.ndarray:
        assert self._store is not None
        if self.pooled:
            return self._store.pooled(phrase, source, index)[None]
        return self._store.tokens(phrase, source, index)

    def _embed(self, texts: list[str], how: str = DEFAULT) -> np.ndarray:
        embedding = embed_texts(self._encoder, texts, how)
        if not self.pooled:
            return embedding.tokens
        if embedding.pooled is None:
            raise InputError(
                f"encoder {self._text.encoder!r} gives no vector per text, which this "
                "model reads; use the encoder that it was trained with"
            )
        return embedding.pooled[None]

    @functools.cached_property
    def _encoder(self) -> encoders.PretrainedEncoder:
        encoder = encoders.load(self._text.encoder)
        if encoder.width != self._text.width:
            raise InputError(
                f"encoder {self._text.encoder!r} has width {encoder.width}, but "
                f"the model was trained with width {self._text.width}; use the encoder "
                "that it was trained with"
            )
        return encoder
