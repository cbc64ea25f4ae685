"""The published PyTorch models: how each is recognised, sized and laid out."""

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np

from actiongpt_jax.conversion import layout as torch_layout
from actiongpt_jax.conversion.layout import Layout
from actiongpt_jax.errors import InputError

State = Mapping[str, np.ndarray]
Fields = dict[str, dict[str, Any]]

# Names of tensors in layers, with the stack and the index of the layer as groups.
_LAYER = r"(\w+\.(?:seq|motion)Trans(?:En|De)coder)\.layers\.(\d+)\."
# Width of the text model's states or vectors -> the frozen text model of the published
# runs.
_ENCODERS = {768: "distilbert-base-uncased", 512: "openai/clip-vit-base-patch32"}


@dataclasses.dataclass(frozen=True)
class PublishedModel:
    """What differs between the published models.

    Attributes:
        mark: pattern of tensor names that no model before it in `MODELS` has.
        layout: torch name -> place in the variables, by number of layers and
            `variants`.
        encoder: torch name of a text or motion encoder.
        final_layer: torch name of the layer that makes features of the decoder's
            output.
        projection: torch name of the layer that reads token states; None for a model
            that reads one vector per text, as wide as its latent.
        fields: section of the config here -> the fields in which it differs from the
            model's config, beyond sizes.
        variants: field of the model's config that changes the layout -> its value
            from the names of the tensors.
    """

    mark: str
    layout: Callable[..., Layout]
    encoder: str
    final_layer: str
    projection: str | None
    fields: Fields
    variants: Mapping[str, Callable[[Collection[str]], Any]] = dataclasses.field(
        default_factory=dict
    )

    def config_fields(self, state: State) -> Fields:
        """Returns the fields in which the config differs, read from the shapes.

        Args:
            state: torch name -> array, with every tensor of the model.

        Returns:
            section of the config -> field -> value.

        Raises:
            ValueError: if a tensor has another number of axes than the published one.
        """
        nfeats, latent_dim = state[f"{self.final_layer}.weight"].shape
        first_layer = f"{self.encoder}.seqTransEncoder.layers.0"
        (ff_size,) = state[f"{first_layer}.linear1.bias"].shape
        text_width = latent_dim
        if self.projection is not None:
            _, text_width = state[f"{self.projection}.weight"].shape
        sizes = {
            "nfeats": nfeats,
            "latent_dim": latent_dim,
            "ff_size": ff_size,
            "num_layers": count_layers(state),
            # No shape tells; what the published code ran with, see `nn.sizes.Sizes`.
            "num_heads": 4,
            "dropout": 0.1,
        }
        text = {"width": text_width, "encoder": _ENCODERS.get(text_width)}
        return {**self.fields, "model": sizes | self.fields["model"], "text": text}


def count_layers(names: Iterable[str]) -> int:
    """Returns the number of layers of the stack that has most of them."""
    stacks: dict[str, set[str]] = {}
    for name in names:
        if match := re.match(_LAYER, name):
            stacks.setdefault(match[1], set()).add(match[2])
    return max(map(len, stacks.values()), default=1)


def recognise(names: Iterable[str], where: str) -> str:
    """Returns the key in `MODELS` of the model that tensors of these names make.

    Args:
        names: torch names of the tensors.
        where: the file that they are from, for the error.

    Raises:
        InputError: if the names are those of no published model.
    """
    names = list(names)
    for model_name, model in MODELS.items():
        if any(re.match(model.mark, name) for name in names):
            return model_name
    shown = ", ".join(names[:3]) + " ..." if names else "nothing"
    raise InputError(
        f"{where} must hold a model of {', '.join(MODELS)}, got tensors of another one"
        f" ({shown})"
    )


# Tried in this order. `data` and `text_mask` are what the weights were trained with,
# see `config.REFERENCE_DEVIATIONS`.
MODELS = {
    "teach": PublishedModel(
        mark=r"textencoder\.(seperation_token|skel_embedding\.|motionTransEncoder\.)",
        layout=torch_layout.teach,
        encoder="textencoder",
        final_layer="motiondecoder.final_layer",
        projection="textencoder.projection.1",
        fields={
            "model": {
                "text_mask": "bool",
                # No shape tells; what every published config says.
                "hist_frames": 5,
                "z_prev_text": False,
                "teacher_forcing": False,
                "motion_mask": "shipped",
            },
            "data": {"heading": "reference", "pair_cut": "reference"},
            "losses": {"lmd_kl": 1e-5, "lmd_latent": 1e-5},
        },
    ),
    "motionclip": PublishedModel(
        mark=r"(encoder\.(skelEmbedding|muQuery)|clip_model\.)",
        layout=torch_layout.motionclip,
        encoder="encoder",
        final_layer="decoder.finallayer",
        projection=None,
        fields={
            "model": {"text_latent": "raw", "decode_text": False},
            "data": {"translation": "reference", "window_text": "reference"},
        },
        variants={
            "encoder_tokens": lambda names: 2 if "encoder.sigmaQuery" in names else 1
        },
    ),
    "temos": PublishedModel(
        mark=r"(textencoder|motionencoder|motiondecoder)\.",
        layout=torch_layout.temos,
        encoder="textencoder",
        final_layer="motiondecoder.final_layer",
        projection="textencoder.projection.1",
        fields={
            "model": {"text_mask": "bool"},
            "data": {"heading": "reference"},
            # Weights: TEACH's repository and Action-GPT; the TEMOS paper has 1e-5
            # twice.
            "losses": {"recons_mean": "padded", "lmd_kl": 32e-5, "lmd_latent": 1e-5},
        },
    ),
}
