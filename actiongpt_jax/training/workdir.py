"""The folder of a run, and the config stored in it."""

import contextlib
import glob
import os
import pathlib

from actiongpt_jax.config import split_spec
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import locked


def default_workdir(spec: str) -> pathlib.Path:
    """Returns the folder `runs/CONFIG[-WORDS]` for 'path/CONFIG.py:WORDS'."""
    path, words = split_spec(spec)
    name = path.stem if not words else f"{path.stem}-{words.replace(',', '-')}"
    return pathlib.Path("runs") / name


def config_of_workdir(workdir: str | None, source: pathlib.Path | None = None) -> str:
    """Returns the path of the config that a training run or a conversion has stored.

    Args:
        workdir: folder of the run; None if the user did not give one.
        source: folder of the run that it starts from, whose config is taken if the
            workdir has none yet.

    Raises:
        InputError: if there is no such config.
    """
    if source is not None and workdir is None:
        raise InputError("--init needs --workdir, the folder of the new run")
    path = pathlib.Path(workdir or "") / "config.json"
    if source is not None and not path.exists():
        path = source / "config.json"
    if workdir is None or not path.is_file():
        where = "" if workdir is None else f"; {path.parent} has no config.json"
        raise InputError(
            "--config must name a config, such as configs/temos.py, unless --workdir "
            f"has the config of an earlier training run or conversion{where}"
        )
    return str(path)


def check_workdir(workdir: pathlib.Path) -> None:
    """Checks that checkpoints can be written to, and read from, the folder of a run.

    Raises:
        InputError: if the path, or one of its parents, is a file or a link without a
            target, or the absolute path has a character that orbax misreads.
    """
    # Orbax looks for the parts of a checkpoint with the whole path as a glob pattern,
    # and takes a backslash for a slash: the checkpoint would lack its arrays.
    absolute = str(workdir.absolute())
    if glob.escape(absolute) != absolute or "\\" in absolute:
        raise InputError(
            "the absolute path of a workdir must have none of the characters * ? [ \\, "
            f"with which checkpoints cannot be written, got {absolute}; choose another "
            "folder"
        )
    for path in (workdir, *workdir.parents):
        if os.path.lexists(path):
            if not path.is_dir():
                what = "a link to nothing" if path.is_symlink() else "a file"
                raise InputError(
                    "a workdir must be a new folder or the folder of a run, but "
                    f"{path} is {what}"
                )
            return


def holds_checkpoints(workdir: pathlib.Path) -> bool:
    """Returns whether a workdir has checkpoints, and not only unfinished ones."""
    folder = workdir / "checkpoints"
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return any("orbax-checkpoint-tmp" not in name for name in names)


def lock_workdir(workdir: pathlib.Path) -> contextlib.AbstractContextManager[None]:
    """Locks a workdir against other processes that would write checkpoints to it.

    Evaluating, generating and serving only read checkpoints and need no lock.

    Args:
        workdir: folder of the run; it need not exist.

    Raises:
        InputError: on entering, if another process trains or converts there.
    """
    return locked(
        workdir.absolute(),
        f"{workdir} is being written by another process; wait for it, or choose "
        "another workdir",
    )
