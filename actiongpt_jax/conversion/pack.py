"""Packs a trained model into a model folder, with its record and its model card."""

import os
import pathlib
from typing import Any

import actiongpt_jax
from actiongpt_jax.config_fields import Config, lookup
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.tables import readable
from actiongpt_jax.files.reading import parsing, read_json
from actiongpt_jax.nn.parameters import count_parameters, parameter_hash
from actiongpt_jax.synthetic.texts import WRITER
from actiongpt_jax.text.embeddings.store import open_embeddings
from actiongpt_jax.text.prompts import DEFAULT
from actiongpt_jax.training import checkpoints
from actiongpt_jax.training.inputs import PATHS
from actiongpt_jax.training.model_folder import (
    WEIGHTS,
    PackedModel,
    round_weights,
    write_model_folder,
)
from actiongpt_jax.training.phrase_lengths import read_lengths, write_lengths

# Fields of an evaluation that name files of the machine.
_FILES = ("data", "embeddings", "descriptions", "path", "notes")
_MEGABYTE = 1_000_000


def pack(
    workdir: str | os.PathLike,
    out: str | os.PathLike,
    which: str | int = "latest",
    *,
    figures: str | os.PathLike | None = None,
    commit: str | None = None,
    encoder: str | None = None,
    most_megabytes: float | None = None,
) -> dict[str, Any]:
    """Makes a model folder of a checkpoint; see `training.model_folder`.

    Args:
        workdir: folder of a training run.
        out: folder to make, or to write over.
        which: 'latest', 'best' or the number of a step.
        figures: JSON file that `evaluate` wrote about this checkpoint, for record and
            card.
        commit: version of the code that trained the model, for the record.
        encoder: name under which others find the text encoder; None keeps that of the
            training.
        most_megabytes: largest size of the weights' file; None for any size.

    Returns:
        The record, the content of record.json.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        InputError: if the weights are too large, or the text encoder is a folder of
            this machine, or the figures are those of other weights.
    """
    # Read and check everything before anything is written.
    workdir, out = pathlib.Path(workdir), pathlib.Path(out)
    restored = checkpoints.restore(workdir, which)
    if restored is None:
        raise FileNotFoundError(f"{workdir} has no checkpoint; give a workdir")
    if "unused" not in restored.state:
        raise InputError(
            f"{workdir} is a model folder already; give the workdir of its training"
        )
    config, params = restored.config, restored.variables["params"]
    rounded = round_weights(params)
    size = sum(array.nbytes for array in rounded.values())
    if most_megabytes is not None and size > most_megabytes * _MEGABYTE:
        raise InputError(
            f"the weights must have at most {most_megabytes:g} MB, got "
            f"{size / _MEGABYTE:.3g}; train a smaller model"
        )
    portable = _portable(config, encoder)
    hashed = parameter_hash(restored.variables)
    record = {
        "model": config.model.name,
        "program": f"actiongpt_jax {actiongpt_jax.__version__}",
        "commit": commit,
        "parameters": count_parameters(params),
        "hash_in_training": hashed,
        "seed": config.train.seed,
        "steps": restored.step,
        "batch_size": config.train.batch_size,
        "framerate": config.data.framerate,
        "corpus": _corpus(config),
        "texts": {
            name: portable.text[name]
            for name in ("source", "encoder", "k", "aggregation")
        },
        "figures": figures and read_figures(figures, hashed),
    }

    # Write the folder.
    packed = PackedModel(restored.step, portable, restored.normalizer, params)
    if (lengths := read_lengths(workdir)) is not None:
        write_lengths(out, lengths)
    write_model_folder(out, packed, record, model_card(record))
    return {**record, "bytes": (out / WEIGHTS).stat().st_size}


def model_card(record: dict[str, Any]) -> str:
    """Writes the model card of a record, in Markdown.

    Args:
        record: the content of record.json.
    """
    name, corpus, texts = record["model"], record["corpus"], record["texts"]
    licence = "mit" if corpus else "other"
    about = (
        "**A demonstration, trained on procedural motion.** A program made all motions "
        "and descriptions that this model was trained on: the built-in corpus of "
        "actiongpt_jax. The model knows the actions of that corpus and little else, "
        "and its figures say nothing about captured motion. The weights are as free as "
        "the code (MIT)."
        if corpus
        else "The terms of the data that it was trained on apply to these weights."
    )
    flags = " ".join(
        f"--{name.replace('_', '-')} {value}" for name, value in (corpus or {}).items()
    )
    facts = {
        "model": name,
        "parameters": f"{record['parameters']:,}, stored as float16",
        "training": f"{record['steps']} steps of {record['batch_size']} items, seed "
        f"{record['seed']}",
        "corpus": f"`prepare synthetic {flags}`" if corpus else "not the built-in one",
        "texts": f"{texts['source']}, k={texts['k']}, text encoder {texts['encoder']}",
        "code": f"{record['program']}, commit {record['commit'] or 'not recorded'}",
    }
    rows = "\n".join(f"| {key} | {value} |" for key, value in facts.items())
    figures = "No figures were recorded."
    if record["figures"]:
        shown = readable({**record["figures"], "notes": []})
        figures = (
            "Measured by `evaluate` before the weights were rounded to float16:\n\n"
            f"```\n{shown}\n```"
        )
    return (
        f"---\nlicense: {licence}\nlibrary_name: actiongpt_jax\ntags:\n"
        "- text-to-motion\n- human-motion\n- jax\n---\n\n"
        f"# A small {name.upper()}: text to motion\n\n{about}\n\n"
        f"| | |\n|---|---|\n{rows}\n\n## Use\n\n```\n"
        'python -m actiongpt_jax.generate --workdir FOLDER --text "walk forward" '
        "--seconds 3 --out walk.html\n```\n\n"
        "`FOLDER` is this folder, or `hf:owner/name` on the Hugging Face hub. Motions "
        "are SMPL joint rotations and a translation at "
        f"{record['framerate']:g} frames per second.\n\n"
        f"## Figures\n\n{figures}\n"
    )


def _portable(config: Config, encoder: str | None) -> Config:
    """Returns a config that names no path of this machine."""
    portable = config.copy_and_resolve_references()
    corpus = _corpus(config)
    with portable.unlocked():
        for section, name in PATHS:
            if lookup(portable, f"{section}.{name}", None):
                portable[section][name] = ""
        portable.data.builtin = corpus["sequences"] if corpus else 0
        if encoder is not None:
            portable.text.encoder = encoder
    name = portable.text.encoder
    if name and pathlib.PurePath(name).is_absolute():
        raise InputError(
            f"the text encoder of this model is the folder {name}, which others do not "
            "have; give the name under which they find it, such as a Hugging Face id, "
            "as --encoder"
        )
    return portable


def _corpus(config: Config) -> dict[str, int] | None:
    """Returns the arguments of the built-in corpus of a training, None for other data.

    The descriptions must be the built-in ones too: readers of the model folder write
    them again.
    """
    try:
        settings = open_store(pathlib.Path(config.data.store)).meta.get("settings")
        texts = open_embeddings(config.text.store)
    except (InputError, OSError):
        return None
    corpus = (settings or {}).get("synthetic")
    builtin = texts.writer in (None, WRITER) and texts.prompt in (None, DEFAULT)
    return corpus if builtin else None


def read_figures(path: str | os.PathLike, hashed: str) -> dict[str, Any]:
    """Reads a JSON file that `evaluate` wrote, without its paths.

    Args:
        path: the file.
        hashed: hash of the parameters that it must be about.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file is damaged, or about other parameters.
    """
    remedy = "give a file that `evaluate` wrote"
    result = read_json(path, remedy)
    with parsing(path, "figures that `evaluate` wrote", remedy):
        readable({**result, "notes": []})  # the model card shows them
    if result.get("parameters") != hashed:
        raise InputError(
            f"{path} must hold the figures of this checkpoint, got those of other "
            "weights; evaluate it again with `python -m actiongpt_jax.evaluate`"
        )
    return {name: value for name, value in result.items() if name not in _FILES}
