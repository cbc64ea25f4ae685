"""The config.json of a Hugging Face folder, checked field by field."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from actiongpt_jax.errors import InputError


def read_config(folder: pathlib.Path) -> dict[str, Any]:
    """Reads config.json.

    Args:
        folder: holds it.

    Raises:
        InputError: if there is none or it is no JSON object.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder} must hold config.json, has none; take both files")
    try:
        config = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} must be JSON: {error}; fetch it again") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} must be a JSON object; fetch it again")
    return config


def read_sizes(
    config: Mapping[str, Any], fields: Mapping[str, str], where: str
) -> dict[str, Any]:
    """Takes sizes out of a config.

    Args:
        config: its content.
        fields: our name -> key; 'width' and 'num_heads' are among them.
        where: the file, for the error.

    Returns:
        Our name -> size.

    Raises:
        InputError: naming a field that is no positive number, or heads that do not
            divide the width.
    """
    sizes = {}
    for field, key in fields.items():
        size = config.get(key)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise InputError(
                f"{where}: the field {key!r} must be a positive number, got"
                f" {json.dumps(size)}"
            )
        sizes[field] = size
    if sizes["width"] % sizes["num_heads"]:
        raise InputError(
            f"{where}: the width {sizes['width']} must be divisible by the number of"
            f" heads, {sizes['num_heads']}"
        )
    return sizes


def read_epsilon(config: Mapping[str, Any], key: str, default: float, where: str):
    """Takes the epsilon of the norms out of a config.

    Raises:
        InputError: if it is no positive number.
    """
    eps = config.get(key, default)
    if isinstance(eps, bool) or not isinstance(eps, int | float) or not eps > 0:
        raise InputError(
            f"{where}: the field {key!r} must be a positive number, got"
            f" {json.dumps(eps)}"
        )
    return float(eps)
