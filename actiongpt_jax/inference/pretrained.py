"""Finds a trained model by its folder, or by the name of one that is passed on.

A model is named by the folder of a run, a conversion or a model folder; by
`pretrained:NAME` for one that is installed with the package; or by
`hf:owner/name[@revision]` for a model folder on the Hugging Face hub.
"""

import os
import pathlib

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.hub import fetch
from actiongpt_jax.training.model_folder import (
    CARD,
    CONFIG,
    RECORD,
    WEIGHTS,
    is_model_folder,
)
from actiongpt_jax.training.phrase_lengths import LENGTHS

# The installed model folders, one per name.
FOLDER = pathlib.Path(__file__).parents[1] / "pretrained"
# The model that is used if none is named: it generates series of actions.
DEFAULT = "pretrained:teach"
_PACKAGED, _HUB = "pretrained:", "hf:"


def find_model(workdir: str | os.PathLike | None) -> pathlib.Path:
    """Returns the folder of a model; one on the hub is fetched unless it is cached.

    Args:
        workdir: folder, or name of a model as above; None takes `DEFAULT`.

    Raises:
        InputError: if there is no installed model of that name, or if a model on the
            hub cannot be fetched or is not a model folder.
    """
    name = DEFAULT if workdir is None else os.fspath(workdir)
    if name.startswith(_PACKAGED):
        return _find_packaged(name.removeprefix(_PACKAGED))
    if name.startswith(_HUB):
        return _fetch(name)
    return pathlib.Path(name)


def output_folder(workdir: str | os.PathLike | None) -> pathlib.Path:
    """Returns the folder for files about a model: its own, or for a name one in runs/.

    Args:
        workdir: folder or name of a model; see `find_model`.
    """
    name = DEFAULT if workdir is None else os.fspath(workdir)
    if not name.startswith((_PACKAGED, _HUB)):
        return pathlib.Path(name)
    plain = "".join(letter if letter.isalnum() else "-" for letter in name)
    return pathlib.Path("runs") / plain


def _find_packaged(name: str) -> pathlib.Path:
    folders = FOLDER.iterdir() if FOLDER.is_dir() else ()
    known = {folder.name: folder for folder in folders if is_model_folder(folder)}
    if name in known:
        return known[name]
    if not known:
        raise InputError(
            f"the pretrained model {name!r} is not installed: this copy of the package "
            "has none; make them in a checkout with `make pretrained`, or give the "
            "folder of a model as --workdir"
        )
    named = ", ".join(f"{_PACKAGED}{one}" for one in sorted(known))
    raise InputError(
        f"--workdir must be a folder or one of {named}, got {_PACKAGED}{name}"
    )


def _fetch(name: str) -> pathlib.Path:
    repository, at, revision = name.removeprefix(_HUB).partition("@")
    if at and not revision:
        raise InputError(f"--workdir {name} names no revision after the @; give one")
    words = {
        "what": f"the model {name}",
        "remedy": "correct the name, connect to the network, or give a folder as "
        "--workdir",
    }
    # A repository of another kind can be large: look before its weights are fetched.
    folder = fetch(repository, [RECORD, CONFIG, CARD], revision or None, **words)
    if (folder / RECORD).is_file():
        folder = fetch(repository, [WEIGHTS, LENGTHS], revision or None, **words)
    missing = [
        file for file in (RECORD, CONFIG, WEIGHTS) if not (folder / file).is_file()
    ]
    if missing:
        raise InputError(
            f"{name} must be a model folder that `python -m actiongpt_jax.pack` wrote, "
            f"but has no {missing[0]}; correct the name"
        )
    return folder
