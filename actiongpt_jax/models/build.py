"""Builds the model that a config describes."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from actiongpt_jax.config_fields import Config, lookup
from actiongpt_jax.errors import InputError
from actiongpt_jax.models.family import family_of
from actiongpt_jax.nn.sizes import split_sizes


def build(config: Config) -> nn.Module:
    """Builds the model that a config describes.

    Args:
        config: `config.model` holds `name` and the model's attributes;
            `config.train.dtype` is the type of its matrix products; `compat` must
            already be resolved by `config_fields.resolve`.

    Returns:
        An unbound Linen module.

    Raises:
        InputError: for an unknown model or attribute, or an unresolved `compat`.
    """
    if config.get("compat") is not None:
        raise InputError(
            "config.compat must be resolved before a model is built, got "
            f"{config.compat!r}; pass `actiongpt_jax.config_fields.resolve(config)`"
        )
    fields = dict(config.model)
    name = fields.pop("name")
    size_fields, other_fields = split_sizes(fields)
    model: Any = family_of(config).model
    if lookup(config, "losses.weights.recons_text2rfeats", None) == 0:
        other_fields["decodes_text"] = False
    try:
        dtype = jnp.dtype(config.train.dtype)
        return model(
            dataclasses.replace(model.sizes, **size_fields, dtype=dtype), **other_fields
        )
    except TypeError as error:
        raise InputError(f"config.model does not fit {name}: {error}") from error
