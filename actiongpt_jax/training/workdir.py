"""Where a run lies, and the config that it left there."""

import pathlib

from actiongpt_jax.config import split_spec
from actiongpt_jax.errors import InputError


def default_workdir(spec: str) -> pathlib.Path:
    """Returns runs/<config>[-words] for 'path/config.py:words'."""
    path, words = split_spec(spec)
    name = path.stem if not words else f"{path.stem}-{words.replace(',', '-')}"
    return pathlib.Path("runs") / name


def config_of_workdir(workdir: str | None) -> str:
    """Returns the path of the config that a training run or a conversion has left.

    Args:
        workdir: folder of the run; None if the user has not named one.

    Raises:
        InputError: if there is none.
    """
    path = pathlib.Path(workdir or "") / "config.json"
    if workdir is None or not path.is_file():
        where = "" if workdir is None else f"; {workdir} has no config.json"
        raise InputError(
            "--config must name a config, such as configs/temos.py, unless --workdir "
            f"is one that was trained or converted before{where}"
        )
    return str(path)


def check_workdir(workdir: pathlib.Path) -> None:
    """Checks that a run can have this folder.

    Raises:
        InputError: if it, or what it lies in, is a file.
    """
    for path in (workdir, *workdir.parents):
        if path.exists():
            if not path.is_dir():
                raise InputError(
                    f"--workdir must be a folder to make or to continue in, but {path} "
                    "is a file"
                )
            return
