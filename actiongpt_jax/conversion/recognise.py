"""The published PyTorch models: how each is recognised, sized and laid out."""

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from actiongpt_jax.conversion import layout as torch_layout
from actiongpt_jax.conversion.layout import Layout
from actiongpt_jax.errors import InputError

State = Mapping[str, np.ndarray]
Fields = dict[str, dict[str, Any]]

# Tried in order: names that only this model has.
_MARKS = {
    "teach": r"textencoder\.(seperation_token|skel_embedding\.|motionTransEncoder\.)",
    "motionclip": r"(encoder\.(skelEmbedding|muQuery)|clip_model\.)",
    "temos": r"(textencoder|motionencoder|motiondecoder)\.",
}


# Width of its states or vectors -> the frozen text model of the published runs.
_ENCODERS = {768: "distilbert-base-uncased", 512: "openai/clip-vit-base-patch32"}


@dataclasses.dataclass(frozen=True)
class PublishedModel:
    """What differs between the published models.

    Attributes:
        layout: torch name -> place in the variables, by number of layers and
            `variants`.
        layers: pattern of layer names, with the stack and the index as groups.
        fields: what differs from the model's config here, by section, from a state
            dict that has every tensor.
        example: arguments of the model's `init`, from such a state dict.
        variants: field of the model's config that changes the layout -> its value
            from the names of the tensors.
    """

    layout: Callable[..., Layout]
    layers: str
    fields: Callable[[State], Fields]
    example: Callable[[State], tuple]
    variants: Mapping[str, Callable[[Collection[str]], Any]] = dataclasses.field(
        default_factory=dict
    )

    def count_layers(self, names: Iterable[str]) -> int:
        """Returns the number of layers of the stack that has most of them."""
        found: dict[str, set[str]] = {}
        for name in names:
            if match := re.match(self.layers, name):
                found.setdefault(match[1], set()).add(match[2])
        return max(map(len, found.values()), default=1)


def recognise(names: Iterable[str], where: str) -> str:
    """Returns the key in `MODELS` of the model that tensors of these names make.

    Raises:
        InputError: if there is none.
    """
    names = list(names)
    for model, mark in _MARKS.items():
        if any(re.match(mark, name) for name in names):
            if model not in MODELS:
                raise InputError(
                    f"{where} must hold a model of {', '.join(MODELS)}, got {model},"
                    " which is not supported yet"
                )
            return model
    shown = ", ".join(names[:3]) + " ..." if names else "nothing"
    raise InputError(
        f"{where} must hold a model of {', '.join(MODELS)}, got tensors of another one"
        f" ({shown})"
    )


def _temos_fields(state: State) -> Fields:
    return {
        "model": _sizes(state),
        # What the weights were trained with, see `config_fields.REFERENCE_DEVIATIONS`.
        "data": {"heading": "reference"},
        # Weights: TEACH's repository and Action-GPT; the TEMOS paper has 1e-5 twice.
        "losses": {"recons_mean": "padded", "lmd_kl": 32e-5, "lmd_latent": 1e-5},
        "text": _text(state["textencoder.projection.1.weight"].shape[1]),
    }


def _teach_fields(state: State) -> Fields:
    return {
        "model": {
            **_sizes(state),
            # No shape tells; what every published config says.
            "hist_frames": 5,
            "z_prev_text": False,
            "teacher_forcing": False,
            "motion_mask": "shipped",
        },
        "data": {"heading": "reference", "pair_cut": "reference"},
        "losses": {"lmd_kl": 1e-5, "lmd_latent": 1e-5},
        "text": _text(state["textencoder.projection.1.weight"].shape[1]),
    }


def _text(width: int) -> dict[str, Any]:
    """What is known of the texts: their width, and by that the published encoder."""
    return {"width": width, "encoder": _ENCODERS.get(width)}


def _sizes(state: State) -> dict[str, Any]:
    nfeats, latent_dim = state["motiondecoder.final_layer.weight"].shape
    (ff_size,) = state["textencoder.seqTransEncoder.layers.0.linear1.bias"].shape
    return {
        "nfeats": nfeats,
        "latent_dim": latent_dim,
        "ff_size": ff_size,
        # The published `num_head: 6` is spelt so that it never reached the model.
        "num_heads": 4,
        "dropout": 0.1,
        "text_mask": "bool",
    }


def _example_temos(state: State) -> tuple[Any, ...]:
    nfeats, latent_dim = state["motiondecoder.final_layer.weight"].shape
    _, width = state["textencoder.projection.1.weight"].shape
    batch = {
        "features": jnp.zeros((1, 1, nfeats)),
        "frame_mask": jnp.ones((1, 1), bool),
        "tokens": jnp.zeros((1, 1, width)),
        "token_mask": jnp.ones((1, 1), bool),
    }
    noise = jnp.zeros((1, latent_dim))
    return batch, {"text": noise, "motion": noise}


def _example_teach(state: State) -> tuple[Any, ...]:
    batch, noise = _example_temos(state)
    return tuple(
        {f"{name}_{i}": array for name, array in arrays.items() for i in (0, 1)}
        for arrays in (batch, noise)
    )


def _motionclip_fields(state: State) -> Fields:
    nfeats, latent_dim = state["decoder.finallayer.weight"].shape
    (ff_size,) = state["encoder.seqTransEncoder.layers.0.linear1.bias"].shape
    return {
        "model": {
            "nfeats": nfeats,
            "latent_dim": latent_dim,
            "ff_size": ff_size,
            "num_heads": 4,
            "dropout": 0.1,
            "text_latent": "raw",
            "decode_text": False,
        },
        # What the weights were trained with, see `config_fields.REFERENCE_DEVIATIONS`.
        "data": {"translation": "reference", "window_text": "reference"},
        "text": _text(latent_dim),
    }


def _example_motionclip(state: State) -> tuple[Any, ...]:
    nfeats, latent_dim = state["decoder.finallayer.weight"].shape
    batch = {
        "poses": jnp.zeros((1, 1, nfeats)),
        "frame_mask": jnp.ones((1, 1), bool),
        "text": jnp.zeros((1, latent_dim)),
    }
    return (batch,)


_VAE_LAYERS = r"(\w+\.(?:seq|motion)Trans(?:En|De)coder)\.layers\.(\d+)\."

MODELS = {
    "teach": PublishedModel(
        torch_layout.teach, _VAE_LAYERS, _teach_fields, _example_teach
    ),
    "temos": PublishedModel(
        torch_layout.temos,
        _VAE_LAYERS,
        _temos_fields,
        _example_temos,
    ),
    "motionclip": PublishedModel(
        torch_layout.motionclip,
        r"(\w+\.seqTrans(?:En|De)coder)\.layers\.(\d+)\.",
        _motionclip_fields,
        _example_motionclip,
        {"encoder_tokens": lambda names: 2 if "encoder.sigmaQuery" in names else 1},
    ),
}
