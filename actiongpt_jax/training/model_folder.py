"""Model folders: the weights of a trained model in a form that is passed on.

A model folder holds the parameters (float16) and the normalizer (float32) in
model.safetensors, the config in config.json, facts about the training in record.json,
and a model card in README.md, where the Hugging Face hub shows it. Nothing in these
files is executed. They have no optimizer state and no inert arrays, and name no path.
"""

import os
import pathlib
import re
import shutil
from typing import Any, NamedTuple

import flax.traverse_util
import numpy as np

from actiongpt_jax.config import from_json, to_json
from actiongpt_jax.config_fields import Config
from actiongpt_jax.errors import InputError, list_names
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.files.atomic import write_json, write_text
from actiongpt_jax.files.reading import parsing, read_text
from actiongpt_jax.files.safetensors import open_tensors, write_tensors
from actiongpt_jax.models.example import flat_names, variable_shapes
from actiongpt_jax.models.family import family_of

WEIGHTS, CONFIG, RECORD, CARD = (
    "model.safetensors",
    "config.json",
    "record.json",
    "README.md",
)
_FORMAT = "actiongpt_jax model 1"
_REMEDY = "fetch the folder again, or make it again with `python -m actiongpt_jax.pack`"


class PackedModel(NamedTuple):
    """The part of a model folder that is needed to use the model.

    Attributes:
        step: number of training steps done.
        config: config of the training, without paths.
        normalizer: normalizer of the features.
        params: nested dict of the parameters, float32.
    """

    step: int
    config: Config
    normalizer: Normalizer
    params: dict[str, Any]


def is_model_folder(folder: pathlib.Path) -> bool:
    """Returns whether a folder is a model folder, possibly a damaged one."""
    return any((folder / name).is_file() for name in (WEIGHTS, RECORD))


def round_weights(params: Any) -> dict[str, np.ndarray]:
    """Rounds parameters to float16.

    Args:
        params: nested dict of the parameters.

    Returns:
        'module/name' -> float16 array.

    Raises:
        InputError: if a number is not finite, or too large for float16.
    """
    rounded = {}
    for name, array in flat_names(params).items():
        with np.errstate(over="ignore"):
            rounded[name] = np.asarray(array).astype(np.float16)
        if not np.isfinite(rounded[name]).all():
            largest = np.abs(np.asarray(array)).max()
            raise InputError(
                "weights must be finite and below 65504 for a model folder, but "
                f"{name} has {largest}; train the model again"
            )
    return rounded


def write_model_folder(
    folder: pathlib.Path,
    model: PackedModel,
    record: dict[str, Any],
    card: str,
) -> None:
    """Writes a model folder; an error before all of it is written changes nothing.

    Args:
        folder: the folder, which is made.
        model: the model; its config must name no path.
        record: facts about the training, for readers.
        card: model card, in Markdown.

    Raises:
        InputError: if a weight is too large for float16.
    """
    weights = round_weights({"params": model.params})
    for name in ("mean", "std"):
        array = np.asarray(getattr(model.normalizer, name), np.float32)
        weights[f"normalizer/{name}"] = array
    tensors = {name: [array] for name, array in weights.items()}
    metadata = {"format": _FORMAT, "step": str(model.step)}
    folder = pathlib.Path(os.path.abspath(folder))
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    try:
        write_json(partial / RECORD, record)
        write_text(partial / CARD, card)
        write_text(partial / CONFIG, to_json(model.config) + "\n")
        write_tensors(partial / WEIGHTS, tensors, metadata)
        # The weights come last: without them, the folder is seen to be incomplete.
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WEIGHTS).unlink(missing_ok=True)
        for name in (RECORD, CARD, CONFIG, WEIGHTS):
            (partial / name).replace(folder / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_model_folder(folder: pathlib.Path) -> PackedModel:
    """Reads a model folder and checks that its parts fit together.

    Args:
        folder: the folder.

    Raises:
        InputError: if a file is missing or damaged, or if the weights are those of
            another model or of another program.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(f"{folder} must be a model folder, but has no {name}")
    arrays, metadata = open_tensors(folder / WEIGHTS)
    step = metadata.get("step", "")
    if metadata.get("format") != _FORMAT or not re.fullmatch(r"[0-9]{1,9}", step):
        raise InputError(
            f"{folder / WEIGHTS} must be weights that `python -m actiongpt_jax.pack` "
            "wrote, got those of another program; give another folder"
        )
    config, expected = _read_config(folder / CONFIG)
    width = (family_of(config).nfeats,)
    expected |= {"normalizer/mean": width, "normalizer/std": width}
    stored = {name: array.shape for name, array in arrays.items()}
    names = sorted(expected.keys() | stored.keys())
    faults = [name for name in names if expected.get(name) != stored.get(name)]
    if faults:
        raise InputError(
            f"{folder / WEIGHTS} must hold the weights of the model in {CONFIG}, but "
            f"does not fit in {list_names(faults)}; {_REMEDY}"
        )
    tensors = {name: array.astype(np.float32) for name, array in arrays.items()}
    damaged = [n for n, array in tensors.items() if not np.isfinite(array).all()]
    if damaged:
        raise InputError(
            f"{folder / WEIGHTS} must hold finite numbers, but {list_names(damaged)} "
            f"does not; {_REMEDY}"
        )
    tree: Any = flax.traverse_util.unflatten_dict(tensors, sep="/")
    return PackedModel(
        step=int(step),
        config=config,
        normalizer=Normalizer(**tree["normalizer"]),
        params=tree["params"],
    )


def _read_config(path: pathlib.Path) -> tuple[Config, dict[str, tuple[int, ...]]]:
    """Returns the config, and name -> shape of the parameters of its model."""
    with parsing(path, "the config of a trained model", _REMEDY):
        try:
            config = from_json(read_text(path, _REMEDY), path, _REMEDY)
            shapes = variable_shapes(config)
        except InputError as error:
            # Errors about a field do not know the file.
            raise ValueError(error) from error
    return config, {n: s for n, s in shapes.items() if n.startswith("params/")}
