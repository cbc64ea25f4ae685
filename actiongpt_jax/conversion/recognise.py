"""The published PyTorch models: how each is recognised, sized and laid out."""

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np

from actiongpt_jax.config_fields import REFERENCE_DEVIATIONS
from actiongpt_jax.conversion import layout as torch_layout
from actiongpt_jax.conversion.layout import Layout
from actiongpt_jax.errors import InputError

State = Mapping[str, np.ndarray]

# Names of tensors in layers, with the stack and the index of the layer as groups.
_LAYER = r"(\w+\.(?:seq|motion)Trans(?:En|De)coder)\.layers\.(\d+)\."
# Width of the text model's states or vectors -> the frozen text model that the
# published runs used.
_ENCODERS = {768: "distilbert-base-uncased", 512: "openai/clip-vit-base-patch32"}


@dataclasses.dataclass(frozen=True)
class PublishedModel:
    """The properties in which the published models differ.

    Attributes:
        mark: pattern of tensor names that no earlier model in `MODELS` has.
        layout: function that takes the fields of `structure` and returns the layout of
            the whole model.
        encoder: torch name of an encoder, whose layers show the inner width.
        final_layer: torch name of the layer that turns the decoder's output into
            features.
        projection: torch name of the layer that reads token states; None for a model
            that reads one vector per text, as wide as its latent.
        deviations: fields in `config_fields.REFERENCE_DEVIATIONS` that the weights
            were trained with.
        variants: field of the model's config that changes the layout -> function that
            finds its value from the names of the tensors.
    """

    mark: str
    layout: Callable[..., Layout]
    encoder: str
    final_layer: str
    projection: str | None
    deviations: tuple[str, ...]
    variants: Mapping[str, Callable[[Collection[str]], Any]] = dataclasses.field(
        default_factory=dict
    )

    def structure(self, names: Collection[str]) -> dict[str, Any]:
        """Returns the fields of the model's config that the layout depends on.

        Args:
            names: torch names of the tensors.

        Returns:
            `num_layers` and the fields of `variants`, by name.
        """
        variants = {field: read(names) for field, read in self.variants.items()}
        return {"num_layers": count_layers(names), **variants}

    def config_fields(self, state: State) -> dict[str, Any]:
        """Returns the config fields that the tensors determine, and the deviations.

        Args:
            state: torch name -> array, with every tensor of the model.

        Returns:
            'section.field' -> value.

        Raises:
            ValueError: if a tensor has more or fewer axes than the published one.
        """
        nfeats, latent_dim = state[f"{self.final_layer}.weight"].shape
        layer = f"{self.encoder}.seqTransEncoder.layers.0"
        (ff_size,) = state[f"{layer}.linear1.bias"].shape
        text_width = latent_dim
        if self.projection is not None:
            _, text_width = state[f"{self.projection}.weight"].shape
        structure = self.structure(state)
        return {
            **{f"model.{field}": value for field, value in structure.items()},
            "model.nfeats": nfeats,
            "model.latent_dim": latent_dim,
            "model.ff_size": ff_size,
            "text.width": text_width,
            "text.encoder": _ENCODERS.get(text_width),
            **{field: REFERENCE_DEVIATIONS[field] for field in self.deviations},
        }


def count_layers(names: Iterable[str]) -> int:
    """Returns the number of layers of the deepest stack."""
    stacks: dict[str, set[str]] = {}
    for name in names:
        if match := re.match(_LAYER, name):
            stacks.setdefault(match[1], set()).add(match[2])
    return max(map(len, stacks.values()), default=1)


def recognise(names: Iterable[str], where: str) -> str:
    """Returns the key in `MODELS` of the model with tensors of these names.

    Args:
        names: torch names of the tensors.
        where: name of their file, for the error.

    Raises:
        InputError: if no published model has tensors of these names.
    """
    names = list(names)
    for model_name, model in MODELS.items():
        if any(re.match(model.mark, name) for name in names):
            return model_name
    shown = ", ".join(names[:3]) + " ..." if names else "nothing"
    raise InputError(
        f"{where} must hold a model of {', '.join(MODELS)}, got tensors of another one"
        f" ({shown}); give a checkpoint of one of these models"
    )


# The models are tried in this order.
MODELS = {
    "teach": PublishedModel(
        mark=r"textencoder\.(seperation_token|skel_embedding\.|motionTransEncoder\.)",
        layout=torch_layout.teach,
        encoder="textencoder",
        final_layer="motiondecoder.final_layer",
        projection="textencoder.projection.1",
        deviations=("model.motion_mask", "data.heading", "data.pair_cut"),
    ),
    "motionclip": PublishedModel(
        mark=r"(encoder\.(skelEmbedding|muQuery)|clip_model\.)",
        layout=torch_layout.motionclip,
        encoder="encoder",
        final_layer="decoder.finallayer",
        projection=None,
        deviations=("data.translation", "data.window_text"),
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
        deviations=("data.heading", "losses.recons_mean"),
    ),
}
