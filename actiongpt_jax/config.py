"""Loads, overrides and stores configs; `config_fields` defines their fields."""

import importlib.util
import json
import os
import pathlib
import traceback
from collections.abc import Sequence

import ml_collections
from absl import flags
from ml_collections import config_flags

from actiongpt_jax.config_fields import (
    Config,
    base_config,
    check_values,
    lookup,
    resolve,
    term_weights,
)
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.reading import parse_json, parsing, read_text


def load_config(spec: str, overrides: Sequence[str] = ()) -> Config:
    """Loads a config file and applies `--config.a.b=value` overrides.

    Args:
        spec: 'path/to/file.py' or the bare name of an installed config ('teach'),
            each with optional ':words'; or a run's config.json.
        overrides: flags of the form `--config.a.b=value`.

    Returns:
        The config, locked, with `compat` resolved; see `resolve`.

    Raises:
        InputError: for an unknown file, word, field, or a value of the wrong type.
    """
    path, words = split_spec(spec)
    config = _read_json(path) if path.suffix == ".json" else _run_file(path, words)
    config.lock()
    nfeats = lookup(config, "model.nfeats", None)
    values = flags.FlagValues()
    argv = ["train", *overrides]
    for flag in overrides:
        if not flag.startswith("--config.") or "=" not in flag:
            raise InputError(
                f"argument {flag!r} is unknown; set a field with --config.field=value"
            )
        _check_field(config, flag[len("--config.") :].partition("=")[0])
    try:
        config_flags.DEFINE_config_dict(
            "config", config, flag_values=values, sys_argv=argv
        )
        values(argv)
    except (flags.Error, TypeError, ValueError) as error:
        raise InputError(f"config override is not valid: {error}") from error
    if (changed := lookup(config, "model.nfeats", None)) != nfeats:
        raise InputError(
            f"config.model.nfeats must be {nfeats}, the width of the model's features, "
            f"got {changed}"
        )
    check_values(config)
    return resolve(config)


def _read_json(path: pathlib.Path) -> Config:
    remedy = "give the config.json of a run"
    return from_json(read_text(path, remedy), path, remedy)


def _run_file(path: pathlib.Path, words: str | None) -> Config:
    module_spec = importlib.util.spec_from_file_location(path.stem, path)
    if module_spec is None or module_spec.loader is None:
        raise InputError(f"config {path} must be a Python file")
    module = importlib.util.module_from_spec(module_spec)
    source = read_text(path, "give a Python file that defines get_config(arg)")
    try:
        exec(compile(source, path, "exec"), module.__dict__)
        if not hasattr(module, "get_config"):
            raise InputError(f"config {path} must define get_config(arg)")
        return module.get_config(words)
    except InputError:
        raise
    except SyntaxError as error:
        raise InputError(
            f"{error.filename or path}:{error.lineno or 1} must be Python: {error.msg}"
        ) from error
    except Exception as error:
        raise InputError(
            f"config {path} with words {words!r} failed: {_failure(error, path)}; with "
            "ACTIONGPT_JAX_TRACEBACK=1 in the environment, the traceback is shown"
        ) from error


def _failure(error: Exception, path: pathlib.Path) -> str:
    """Says what failed, and the last line of the file that led to it."""
    frames = traceback.extract_tb(error.__traceback__)
    line = next((f.lineno for f in reversed(frames) if f.filename == str(path)), None)
    where = f" in line {line}" if line else ""
    return f"{type(error).__name__}{where}: {error}"


def split_spec(spec: str) -> tuple[pathlib.Path, str | None]:
    """Splits 'configs/teach.py:demo' or 'teach:demo' into the config file and words."""
    name, colon, words = spec.partition(":")
    path = pathlib.Path(name)
    if not path.is_file() and path.suffix == "" and len(path.parts) == 1:
        path = _installed_configs().get(name, path)
    if not path.is_file():
        raise InputError(
            f"config file {name} does not exist; give the path of one, or the bare "
            f"name of an installed config ({', '.join(sorted(_installed_configs()))}) "
            "with or without words, such as temos:demo"
        )
    return path, words if colon else None


def _installed_configs() -> dict[str, pathlib.Path]:
    installed = importlib.util.find_spec("actiongpt_jax.configs")
    # A checkout that is not installed has them next to the package.
    folders = [pathlib.Path(__file__).parents[1] / "configs"]
    if installed is not None:
        folders = list(installed.submodule_search_locations or [])
    files = [file for folder in folders for file in pathlib.Path(folder).glob("*.py")]
    return {file.stem: file for file in files if file.stem != "__init__"}


def _check_field(config: Config, field: str) -> None:
    node = config
    for depth, part in enumerate(parts := field.split(".")):
        if not isinstance(node, ml_collections.ConfigDict) or part not in node:
            where = ".".join(["config", *parts[:depth]])
            known = (
                ", ".join(node)
                if isinstance(node, ml_collections.ConfigDict)
                else "none"
            )
            raise InputError(f"{where} has no field {part!r}; its fields are {known}")
        node = node[part]


def to_json(config: Config) -> str:
    """Returns the config as JSON text."""
    return json.dumps(config.to_dict(), indent=2)


def from_json(
    text: str, where: str | os.PathLike = "the config", remedy: str = "use another"
) -> Config:
    """Returns the config in a JSON text written by `to_json`.

    Fields that the text lacks, because an earlier version wrote it, get their defaults;
    `compat` is resolved.

    Args:
        text: the JSON.
        where: name of its file, for errors.
        remedy: what the user can do about a damaged file.

    Raises:
        InputError: if the text is not the JSON of a config.
    """
    # Start from the base config, which knows the types of fields that are None, and
    # give the weights of loss terms theirs.
    config = base_config()
    with parsing(where, "the config.json of a run", remedy):
        config.update(ml_collections.ConfigDict(parse_json(text, where, remedy)))
        if weights := lookup(config, "losses.weights", None):
            config.losses.weights = term_weights(*weights)
            config.losses.weights.update(weights)
        check_values(config)
        return resolve(config).lock()


def cache_folder() -> pathlib.Path:
    """Returns the folder for compiled programs and the built-in corpus."""
    root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(root) / "actiongpt_jax"
