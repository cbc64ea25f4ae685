"""A text encoder without weights, and embedding stores made with it."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from actiongpt_jax.structs import TextFeatures
from actiongpt_jax.text.embeddings.builder import Settings, build_embedding_store
from actiongpt_jax.text.embeddings.store import open_embeddings
from actiongpt_jax.text.encoders.loader import PretrainedEncoder
from actiongpt_jax.text.encoders.tokenizer import Pieces, Tokenizer

WIDTH = 6


class LetterTokenizer(Tokenizer):
    """Splits a text into one piece per letter."""

    def __init__(self):
        self.limit, self.pad_id = 1000, 0

    def __call__(self, texts):
        return [Pieces(np.array([ord(c) for c in text], np.int32)) for text in texts]


class Letters(PretrainedEncoder):
    """Encodes each letter as a vector; the pooled vector is the first letter's."""

    tokenizer = LetterTokenizer()  # pyright: ignore[reportAssignmentType]
    weight_hash = "none"  # pyright: ignore[reportAssignmentType]
    variant: ClassVar = {}

    def __init__(self, pooled=False):
        self.name, self.limit, self.width = "letters", 1000, WIDTH
        self._pooled = pooled

    def encode(self, input_ids, attention_mask=None, token_type_ids=None):
        letters = np.asarray(input_ids)[..., None]
        tokens = jnp.asarray(np.sin(letters * np.arange(1.0, WIDTH + 1)), jnp.float32)
        return TextFeatures(tokens, tokens[:, 0] if self._pooled else None)


def embed_letters(out, texts, k=1, pooled=False, each=False):
    """Returns an embedding store of `texts`, phrase -> list of texts."""
    settings = Settings(k=k, aggregation="masked_mean", each=each)
    build_embedding_store(out, texts, Letters(pooled), settings)
    return open_embeddings(out)
