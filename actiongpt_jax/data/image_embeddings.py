"""Embeddings of pictures of clips, one vector for each clip.

A safetensors file with one tensor (P,) per clip, under the clip's key,
'<sequence name>-<index of the clip in its sequence>'.
"""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from actiongpt_jax.data.windows import Clip
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.safetensors import open_tensors


def read_images(path: str | os.PathLike, clips: Sequence[Clip]) -> list[np.ndarray]:
    """Maps the embeddings of clips' pictures into memory.

    Args:
        path: of the file.
        clips: whose pictures.

    Returns:
        (P,) arrays in the order of the clips.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is damaged, lacks a clip, or holds other shapes or types.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no image embeddings at {path}; give a safetensors file with one CLIP "
            "image vector per clip of the motion store, or none at all"
        )
    tensors, _ = open_tensors(path)
    missing = [clip.key for clip in clips if clip.key not in tensors]
    if missing:
        raise InputError(
            f"{path} must hold a vector for each of the {len(clips)} clips, but lacks "
            f"{len(missing)}, the first being {missing[0]!r}; embed a picture of each "
            "clip of this motion store"
        )
    for clip in clips:
        vector = tensors[clip.key]
        if vector.ndim != 1 or not np.issubdtype(vector.dtype, np.floating):
            raise InputError(
                f"{path}: {clip.key} must be one vector of floats, got "
                f"{vector.dtype} {vector.shape}; write one (width,) tensor per clip"
            )
    return [tensors[clip.key] for clip in clips]
