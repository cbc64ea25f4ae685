"""CLIP's text half: a causal transformer; its state at the end represents the text.

Source: Radford et al. 2021 (arXiv:2103.00020); tensor names from Hugging Face's
checkpoints.
"""

import functools
import html
import json
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from actiongpt_jax.errors import InputError
from actiongpt_jax.nn.attention import mask_to_bias
from actiongpt_jax.nn.ops import gelu, quick_gelu
from actiongpt_jax.nn.sizes import Sizes
from actiongpt_jax.nn.transformer import Encoder, LayerNorm, LayerStyle
from actiongpt_jax.structs import TextFeatures
from actiongpt_jax.text.encoders.folder import read_epsilon, read_sizes
from actiongpt_jax.text.encoders.weights import Tensors

ACTIVATIONS = {
    "quick_gelu": quick_gelu,
    "gelu": gelu,
    "gelu_new": functools.partial(jax.nn.gelu, approximate=True),
    "gelu_pytorch_tanh": functools.partial(jax.nn.gelu, approximate=True),
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
}
# Configs from before a fix of the end-of-text rule say 2, an ordinary token; they mean
# the highest id in each text.
_LEGACY_EOS = 2


# The sizes of ViT-B/32's text half, which config.json files often leave out.
_VIT_B32 = Sizes(latent_dim=512, ff_size=2048, num_layers=12, num_heads=8, dropout=0.0)


# The name of what `clean` does, for the metadata of embedding stores.
CLEANING = "clip: ftfy, html, spaces, lower case"


def clean(text: str) -> str:
    """Cleans a text in the way in which the texts of CLIP's training were cleaned.

    Hub tokenizers leave this out, so that typographic quotes, HTML entities, ligatures,
    full-width letters and wrongly decoded text would give other word pieces than CLIP's
    own tokenizer does.

    Args:
        text: any text.

    Returns:
        The text with repaired characters, in lower case, with single spaces.
    """
    import ftfy  # takes long to import, and only CLIP needs it

    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


class ClipText(nn.Module):
    """Causal states of word pieces, and one vector per text.

    Attributes:
        vocab_size: number of word pieces.
        max_positions: length of the longest text, in word pieces.
        sizes: sizes of the stack; `latent_dim` is the width E of the states.
        projection: width P of the text's vector; None for a model without a vector.
        eos_id: id of the piece that ends a text; 2 means the highest id in each text.
        eps: number added to the variance in the norms.
        activation: key of `ACTIVATIONS`.
    """

    vocab_size: int = 49408
    max_positions: int = 77
    sizes: Sizes = _VIT_B32
    projection: int | None = 512
    eos_id: int = 49407
    eps: float = 1e-5
    activation: str = "quick_gelu"

    @nn.compact
    def __call__(
        self,
        input_ids: Int[Array, "b n"],
        mask: Bool[Array, "b n"],
        token_type_ids: Int[Array, "b n"] | None = None,
    ) -> TextFeatures:
        """Encodes texts.

        Args:
            input_ids: (B, N) word pieces; each text includes its end-of-text piece.
            mask: (B, N) True = real. States of real pieces do not depend on the padding
                after them, whether it is masked or not; states of padding do.
            token_type_ids: sentence types of other encoders; not used.

        Returns:
            tokens (B, N, E) after the final norm, and pooled (B, P), the projected
            state at the end of the text, not normalised.
        """
        init, width = nn.initializers.normal(0.02), self.sizes.latent_dim
        word = self.param("word", init, (self.vocab_size, width))
        position = self.param("position", init, (self.max_positions, width))
        activation = ACTIVATIONS[self.activation]
        style = LayerStyle(
            self.eps, pre_norm=True, causal=True, activation=activation, out_in=False
        )
        stack = Encoder(self.sizes, style, name="encoder")
        x = stack(word[input_ids] + position[: input_ids.shape[1]], mask_to_bias(mask))
        tokens = LayerNorm(self.eps, name="norm")(x)
        if self.projection is None:
            return TextFeatures(tokens)
        kernel = self.param("projection", init, (width, self.projection))
        last = tokens[jnp.arange(len(tokens)), end_of_text(input_ids, self.eos_id)]
        return TextFeatures(tokens, last @ kernel)


def end_of_text(input_ids: Int[Array, "b n"], eos_id: int) -> Int[Array, " b"]:
    """Returns the position at which each text ends.

    Args:
        input_ids: (B, N) word pieces.
        eos_id: the field `eos_token_id` of config.json.

    Returns:
        (B,) first position of that piece, or of the highest id if `eos_id` is 2; 0 if
        the text does not contain it.
    """
    if eos_id == _LEGACY_EOS:
        return input_ids.argmax(-1)
    return (input_ids == eos_id).argmax(-1)


# Field of `ClipText` or its `Sizes` -> key of config.json.
_FIELDS = {
    "vocab_size": "vocab_size",
    "max_positions": "max_position_embeddings",
    "latent_dim": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "ff_size": "intermediate_size",
}
# Values of the fields that config.json leaves out.
_DEFAULTS = {
    "vocab_size": ClipText.vocab_size,
    "max_position_embeddings": ClipText.max_positions,
    "hidden_size": _VIT_B32.latent_dim,
    "num_hidden_layers": _VIT_B32.num_layers,
    "num_attention_heads": _VIT_B32.num_heads,
    "intermediate_size": _VIT_B32.ff_size,
    "projection_dim": ClipText.projection,
    "eos_token_id": ClipText.eos_id,
    "layer_norm_eps": ClipText.eps,
    "hidden_act": ClipText.activation,
}
_LAYER = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "out": "self_attn.out_proj",
    "norm1": "layer_norm1",
    "linear1": "mlp.fc1",
    "linear2": "mlp.fc2",
    "norm2": "layer_norm2",
}
_TEXT = "text_model."
_WORDS = "embeddings.token_embedding.weight"
# Models with a projection have the prefix `text_model.`, the bare text half does not.
ANCHORS = (_TEXT + _WORDS, _WORDS)
# Beginnings of the names of tensors outside the text half: the image half, and the
# projection that some files of a bare text half contain.
HEADS = ("vision_model.", "visual_projection.", "logit_scale", "text_projection.")


def from_config(config: Mapping[str, Any], where: str) -> ClipText:
    """Makes the module that a config.json describes.

    Args:
        config: content of config.json, with `model_type` 'clip' (both halves) or
            'clip_text_model'.
        where: path of config.json, for error messages.

    Raises:
        InputError: if a field is wrong or not supported; the message names it.
    """
    text = _text_half(config, where) if config["model_type"] == "clip" else config
    text = _DEFAULTS | {k: v for k, v in text.items() if v is not None}
    activation = text["hidden_act"]
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise InputError(
            f"{where}: the field 'hidden_act' must be one of {', '.join(ACTIVATIONS)},"
            f" got {json.dumps(activation)}; use another encoder"
        )
    eos_id = text["eos_token_id"]
    if not isinstance(eos_id, int) or isinstance(eos_id, bool) or eos_id < 0:
        raise InputError(
            f"{where}: the field 'eos_token_id' must be the id of one word piece, got"
            f" {json.dumps(eos_id)}; fetch the file again"
        )
    # The bare text half has no projection.
    bare = config.get("architectures") == ["CLIPTextModel"]
    fields = _FIELDS if bare else _FIELDS | {"projection": "projection_dim"}
    sizes, other_fields = read_sizes(text, fields, where)
    other_fields.setdefault("projection", None)
    return ClipText(
        **other_fields,
        sizes=sizes,
        eos_id=eos_id,
        eps=read_epsilon(text, "layer_norm_eps", ClipText.eps, where),
        activation=activation,
    )


def _text_half(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    parts = []
    for name in ("text_config", "text_config_dict"):
        part = config.get(name) or {}
        if not isinstance(part, dict):
            raise InputError(
                f"{where}: the field {name!r} must be an object with the sizes of the"
                f" text half, got {json.dumps(part)[:40]}; fetch the file again"
            )
        parts.append(part)
    text, older = parts
    if older:
        # The older field wins; a value that it leaves out has its default.
        text = text | _DEFAULTS | older
    if config.get("projection_dim") is not None:
        text = text | {"projection_dim": config["projection_dim"]}
    return text


def from_tensors(module: ClipText, kind: str, tensors: Tensors) -> dict[str, Any]:
    """Takes the module's parameters out of a checkpoint.

    Args:
        module: the module made by `from_config`.
        kind: `model_type` of the config; both types name their tensors alike.
        tensors: the checkpoint; it records which tensors are missing.

    Returns:
        The tree `params` of the module.
    """
    width = module.sizes.latent_dim
    start = _TEXT if _TEXT + _WORDS in tensors else ""
    positions = f"{start}embeddings.position_embedding.weight"
    params: dict[str, Any] = {
        "word": tensors.take(start + _WORDS, (module.vocab_size, width)),
        "position": tensors.take(positions, (module.max_positions, width)),
        "encoder": tensors.take_stack(f"{start}encoder.layers", _LAYER, module.sizes),
        "norm": tensors.take_norm(f"{start}final_layer_norm", width),
    }
    if module.projection is not None:
        shape = (module.projection, width)
        params["projection"] = tensors.take("text_projection.weight", shape).T
    return params
