"""The sizes of a transformer, one record shared by all of its modules."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jax.typing import DTypeLike


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of a transformer; the defaults are those of TEMOS and TEACH.

    Frozen and hashable, as the fields of a Linen module must be under `jax.jit`.

    Attributes:
        latent_dim: D, the width of every token and of the latent.
        ff_size: inner width of the feed-forward parts.
        num_layers: number of layers of each stack.
        num_heads: number of heads of every attention; must divide `latent_dim`.
        dropout: probability, in [0, 1), that a dropout sets an element to 0.
        dtype: type of the matrix products. Parameters, softmax, norms and the outputs
            of the motion models are always float32.
    """

    latent_dim: int = 256
    ff_size: int = 1024
    num_layers: int = 6
    num_heads: int = 4
    dropout: float = 0.1
    dtype: DTypeLike = jnp.float32


def split_sizes(
    fields: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits the settings of a model into those of `Sizes` and the model's own.

    Args:
        fields: name -> value, such as a config's `model` section.

    Returns:
        (settings that are fields of `Sizes`, all other settings).
    """
    names = {field.name for field in dataclasses.fields(Sizes)}
    sizes = {name: value for name, value in fields.items() if name in names}
    other_fields = {name: value for name, value in fields.items() if name not in names}
    return sizes, other_fields
