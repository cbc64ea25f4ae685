"""BERT and DistilBERT: one encoder module with two naming schemes for its tensors.

Source: Devlin et al. 2018 (arXiv:1810.04805), Sanh et al. 2019 (arXiv:1910.01108);
tensor names from Hugging Face's checkpoints.
"""

import json
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from actiongpt_jax.errors import InputError
from actiongpt_jax.nn.attention import mask_to_bias
from actiongpt_jax.nn.sizes import Sizes
from actiongpt_jax.nn.transformer import Encoder, LayerNorm, LayerStyle
from actiongpt_jax.structs import TextFeatures
from actiongpt_jax.text.encoders.folder import read_epsilon, read_sizes
from actiongpt_jax.text.encoders.weights import Tensors


class Bert(nn.Module):
    """Contextual states of word pieces.

    Attributes:
        vocab_size: number of word pieces.
        max_positions: length of the longest text, in word pieces.
        sizes: sizes of the stack; `latent_dim` is the width E of the states.
        num_types: number of sentence types; 0 for DistilBERT, which has no types.
        eps: number added to the variance in the norms.
        pooling: what the vector of a whole text is: 'mean' for the masked mean, 'cls'
            for the state of the first piece; None for no vector.
    """

    vocab_size: int
    max_positions: int
    sizes: Sizes
    num_types: int = 0
    eps: float = 1e-12
    pooling: str | None = None

    @nn.compact
    def __call__(
        self,
        input_ids: Int[Array, "b n"],
        mask: Bool[Array, "b n"],
        token_type_ids: Int[Array, "b n"] | None = None,
    ) -> TextFeatures:
        """Encodes texts.

        Args:
            input_ids: (B, N) word pieces.
            mask: (B, N) True = real. No token attends to padding, but padding has
                states too.
            token_type_ids: (B, N) sentence types; None for the first type.

        Returns:
            tokens (B, N, E), and pooled (B, E) unless the field `pooling` is None.
        """
        init, width = nn.initializers.normal(0.02), self.sizes.latent_dim
        word = self.param("word", init, (self.vocab_size, width))
        position = self.param("position", init, (self.max_positions, width))
        x = word[input_ids] + position[: input_ids.shape[1]]
        if self.num_types:
            types = self.param("type", init, (self.num_types, width))
            x = x + (types[0] if token_type_ids is None else types[token_type_ids])
        x = LayerNorm(self.eps, name="norm")(x)
        style = LayerStyle(eps=self.eps, out_in=False)
        stack = Encoder(self.sizes, style, name="encoder")
        tokens = stack(x, mask_to_bias(mask))
        if self.pooling == "mean":
            return TextFeatures(tokens, masked_mean(tokens, mask))
        return TextFeatures(tokens, tokens[:, 0] if self.pooling == "cls" else None)


def masked_mean(
    tokens: Float[Array, "b n e"], mask: Bool[Array, "b n"]
) -> Float[Array, "b e"]:
    """Returns the mean over the real tokens, the text vector of sentence encoders."""
    weights = mask[..., None].astype(tokens.dtype)
    return (tokens * weights).sum(1) / jnp.maximum(weights.sum(1), 1.0)


# Field of `Bert` or its `Sizes` -> key of config.json.
_FIELDS = {
    "bert": {
        "vocab_size": "vocab_size",
        "max_positions": "max_position_embeddings",
        "latent_dim": "hidden_size",
        "num_layers": "num_hidden_layers",
        "num_heads": "num_attention_heads",
        "ff_size": "intermediate_size",
        "num_types": "type_vocab_size",
    },
    "distilbert": {
        "vocab_size": "vocab_size",
        "max_positions": "max_position_embeddings",
        "latent_dim": "dim",
        "num_layers": "n_layers",
        "num_heads": "n_heads",
        "ff_size": "hidden_dim",
    },
}
# The part of a tensor's name before the index of its layer.
_PREFIX = {"bert": "encoder.layer", "distilbert": "transformer.layer"}
# Names within a layer: this library's name -> name in the checkpoint.
_LAYERS = {
    "bert": {
        "q": "attention.self.query",
        "k": "attention.self.key",
        "v": "attention.self.value",
        "out": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm2": "output.LayerNorm",
    },
    "distilbert": {
        "q": "attention.q_lin",
        "k": "attention.k_lin",
        "v": "attention.v_lin",
        "out": "attention.out_lin",
        "norm1": "sa_layer_norm",
        "linear1": "ffn.lin1",
        "linear2": "ffn.lin2",
        "norm2": "output_layer_norm",
    },
}
ANCHORS = ("embeddings.word_embeddings.weight",)
# Beginnings of the names of tensors outside the encoder: heads used in its training.
HEADS = (
    "pooler.",
    "cls.",
    "vocab_transform.",
    "vocab_layer_norm.",
    "vocab_projector.",
    "pre_classifier.",
    "classifier.",
    "qa_outputs.",
)


def from_config(config: Mapping[str, Any], where: str) -> Bert:
    """Makes the module that a config.json describes.

    Args:
        config: content of config.json, with `model_type` 'bert' or 'distilbert'.
        where: path of config.json, for error messages.

    Raises:
        InputError: if a field is missing or not supported; the message names it.
    """
    kind = config["model_type"]
    sizes, other_fields = read_sizes(config, _FIELDS[kind], where)
    required = {
        "activation" if kind == "distilbert" else "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "is_decoder": False,
    }
    for key, only in required.items():
        if config.get(key, only) != only:
            raise InputError(
                f"{where}: the field {key!r} must be {json.dumps(only)}, the only value"
                f" supported, got {json.dumps(config[key])}; use another encoder"
            )
    # The epsilon of DistilBERT's norms is fixed and not a field of config.json.
    eps = 1e-12
    if kind == "bert":
        eps = read_epsilon(config, "layer_norm_eps", eps, where)
    pooling = "mean" if kind == "bert" else None
    return Bert(**other_fields, sizes=sizes, eps=eps, pooling=pooling)


def from_tensors(module: Bert, kind: str, tensors: Tensors) -> dict[str, Any]:
    """Takes the module's parameters out of a checkpoint.

    Args:
        module: the module made by `from_config`.
        kind: 'bert' or 'distilbert'.
        tensors: the checkpoint; it records which tensors are missing.

    Returns:
        The tree `params` of the module.
    """
    width = module.sizes.latent_dim

    def embedding(name: str, rows: int):
        return tensors.take(f"embeddings.{name}_embeddings.weight", (rows, width))

    params: dict[str, Any] = {
        "word": embedding("word", module.vocab_size),
        "position": embedding("position", module.max_positions),
        "norm": tensors.take_norm("embeddings.LayerNorm", width),
        "encoder": tensors.take_stack(_PREFIX[kind], _LAYERS[kind], module.sizes),
    }
    if module.num_types:
        params["type"] = embedding("token_type", module.num_types)
    return params
