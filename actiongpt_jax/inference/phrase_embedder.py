"""Embeds phrases for a trained model, from a store, descriptions or the phrases."""

import functools
import itertools
import pathlib
import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from actiongpt_jax.config_fields import Config, lookup
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.writer import Writer
from actiongpt_jax.models.family import family_of
from actiongpt_jax.synthetic.compositions import draw_combinations
from actiongpt_jax.synthetic.phrases import Phrase, load_phrases
from actiongpt_jax.synthetic.texts import built_in_texts, describe_all
from actiongpt_jax.text import encoders
from actiongpt_jax.text.aggregate import DEFAULT
from actiongpt_jax.text.descriptions import (
    Descriptions,
    DescriptionSource,
    read_descriptions,
)
from actiongpt_jax.text.embeddings.encode import embed_texts
from actiongpt_jax.text.embeddings.store import open_embeddings
from actiongpt_jax.text.encoders.tokenizer import check_characters

_KEPT = 256  # embeddings of texts that are kept; the oldest are dropped


class PhraseEmbedder:
    """Embeds phrases in the same way as the texts of the model's training.

    A phrase's descriptions are taken from the given ones if there are any, else from
    the embedding store, else from the built-in ones if the model was trained on them
    and its stores are not here, as for a model that comes with the package. A phrase
    without any is embedded itself, with a warning unless the model was trained on
    phrases too; `describe_unknown` lets a writer describe it before. The text encoder
    is loaded only when something must be embedded.

    For a model that reads one vector per text, a phrase has a single token, which is
    that vector.
    """

    def __init__(
        self,
        config: Config,
        store: str | pathlib.Path | None = None,
        descriptions: DescriptionSource | None = None,
        writer: Writer | None = None,
    ):
        """Opens the embedding store and the descriptions, if there are any.

        Args:
            config: config of the trained model.
            store: embedding store; None takes the one used in training, if it still
                exists.
            descriptions: JSONL file, folder or published JSON file of descriptions, or
                texts, {phrase: [texts]}.
            writer: language model that describes phrases without descriptions; None
                leaves them undescribed.

        Raises:
            InputError: if the store was made with another encoder than the model's.
        """
        self._config, self._text, self._writer = config, config.text, writer
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
        self._described = (
            read_descriptions(descriptions) if descriptions else Descriptions([])
        )
        self._builtin: dict[str, Phrase] = {}
        if _is_builtin(config):
            phrases = [*load_phrases(), *draw_combinations()]
            self._builtin = {phrase.text: phrase for phrase in phrases}
        # A model that reads one drawn description in training reads the first.
        self._one = lookup(self._text, "draw", "all") == "one"
        # The phrases of an evaluation repeat.
        self._embed = functools.lru_cache(_KEPT)(self._embed_texts)

    def describes(self, phrase: str) -> bool:
        """Says whether the model's texts of a phrase are known.

        They are for a model that reads phrases only, and else if descriptions of the
        phrase were given, are in the embedding store or are built in.
        """
        if self._text.source == "phrase":
            return True
        given = phrase in self._builtin or bool(self._given(phrase))
        stored = self._store is not None and self._store.has(phrase, "descriptions")
        return given or stored

    def describe_unknown(self, phrases: Iterable[str]) -> None:
        """Has the writer describe all phrases without descriptions, if there is one.

        Raises:
            InputError, JobIncompleteError: as in `Writer.describe`.
        """
        if self._writer is None:
            return
        unknown = [p for p in phrases if p.strip() and not self.describes(p)]
        for phrase in unknown:
            check_characters(phrase)
        if unknown:
            self._writer.describe(self._config, unknown)

    def _given(self, phrase: str) -> Sequence[str]:
        """Returns the texts of a phrase that were given, or written on the spot."""
        if phrase in self._described:
            return self._described.texts(phrase)
        return self._writer.described.get(phrase, ()) if self._writer else ()

    def tokens(self, phrase: str) -> np.ndarray:
        """Returns (n, E) embeddings of a phrase, aggregated over its descriptions."""
        if not phrase.strip():
            warnings.warn(
                "a text is empty, which the model has never seen in training; expect "
                "poor motion",
                stacklevel=2,
            )
        source = self._text.source
        # A model that reads both kinds of text gets descriptions where there are some.
        if source != "phrase":
            if given := self._given(phrase):
                return self._joined(given)
            if self._store is not None and self._store.has(phrase, "descriptions"):
                single = self._one and self._store.singles(phrase)
                return self._stored(phrase, index=0 if single else None)
            if phrase in self._builtin:
                return self._joined(built_in_texts(self._builtin[phrase]))
        if source == "descriptions":
            where = ""
            if self._missing_store is not None:
                where = (
                    f"; the store {self._missing_store} no longer exists: give its path"
                    " as --embeddings"
                )
            warnings.warn(
                f"no descriptions of {phrase!r} were found, so the phrase itself is "
                "used; describe it, as in training, and give the file as "
                "--descriptions, or name a language model that describes it with "
                f"--describe-with{where}",
                stacklevel=2,
            )
        return self.own_tokens(phrase)

    def own_tokens(self, phrase: str) -> np.ndarray:
        """Returns (n, E) embeddings of a phrase itself, without its descriptions."""
        if self._store is not None and self._store.has(phrase, "phrase"):
            return self._stored(phrase, "phrase")
        return self._embed((phrase,))

    def singles(self, phrase: str) -> list[np.ndarray]:
        """Returns the embeddings of a phrase's single descriptions, [(n, E), ...].

        Raises:
            InputError: if its single descriptions are not known.
        """
        texts = self._given(phrase)
        if not texts and self._store is not None and phrase in self._store:
            if count := self._store.singles(phrase):
                return [self._stored(phrase, index=i) for i in range(count)]
        if not texts and phrase in self._builtin:
            texts = built_in_texts(self._builtin[phrase])
        if texts:
            return [self._embed((text,)) for text in texts]
        raise InputError(
            f"the single descriptions of {phrase!r} are not known; give their file "
            "as --descriptions, or an embedding store made with --each"
        )

    def describe(self, texts: Sequence[str]) -> np.ndarray:
        """Returns (n, E) embeddings of texts, as if they were a phrase's descriptions.

        Args:
            texts: at least one text.
        """
        return self._embed(tuple(texts), self._text.aggregation)

    def _stored(self, phrase: str, source="descriptions", index=None) -> np.ndarray:
        assert self._store is not None
        if self.pooled:
            return self._store.pooled(phrase, source, index)[None]
        return self._store.tokens(phrase, source, index)

    def _joined(self, texts: Sequence[str]) -> np.ndarray:
        """Embeds a phrase's known descriptions, as many as in training."""
        return self.describe(texts[: 1 if self._one else self._text.k])

    def _embed_texts(self, texts: tuple[str, ...], how: str = DEFAULT) -> np.ndarray:
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


def known_descriptions(
    config: Config, descriptions: DescriptionSource | None = None
) -> Descriptions:
    """Returns the descriptions of a model's phrases, to show them.

    Args:
        config: config of the trained model.
        descriptions: descriptions that take precedence; see `PhraseEmbedder`.

    Returns:
        The given descriptions, and for other phrases those stored with the motions of
        the training, or the built-in ones; none if there are no such.
    """
    given = read_descriptions(descriptions) if descriptions else Descriptions([])
    stored = pathlib.Path(config.data.store or "", "descriptions.jsonl")
    known = Descriptions(describe_all() if _is_builtin(config) else [])
    if config.data.store and stored.is_file():
        known = read_descriptions(stored)
    records = [r for phrase in known if phrase not in given for r in known[phrase]]
    return Descriptions([*itertools.chain(*given.values()), *records])


def _is_builtin(config: Config) -> bool:
    """Returns whether a model without stores was trained on the built-in texts."""
    return bool(config.data.builtin and not config.text.store)
