"""Configs: how they are found, overridden, checked and stored."""

import importlib.util
import json
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import ml_collections
from absl import flags
from ml_collections import config_flags
from ml_collections.config_dict import placeholder

from actiongpt_jax.errors import InputError

# Type checkers see the fields of a ConfigDict as a union without attributes.
if TYPE_CHECKING:
    Config: TypeAlias = Any
else:
    Config = ml_collections.ConfigDict

# What the published code does by accident, by the config field that chooses it.
REFERENCE_DEVIATIONS = {
    "data.heading": "reference",
    "data.pair_cut": "reference",
    "data.shortest_action": "reference",
    "data.translation": "reference",
    "data.window_text": "reference",
    "losses.recons_mean": "padded",
    "model.motion_mask": "shipped",
    "model.text_mask": "shipped",
    "text.aggregation": "reference_mean",
}

# Fields that must be one of a few words, or a number from 1 on; where a config has
# them. All are looked at before any work, and nowhere else.
_CHOICES = {
    "compat": (None, "reference"),
    "data.align": ("none", "yaw", "full"),
    "data.heading": ("yaw", "reference"),
    "data.labels": ("frame", "frame+sequence"),
    "data.pair_cut": ("middle", "reference"),
    "data.shortest_action": ("past", "reference"),
    "data.translation": ("pelvis", "reference"),
    "data.turn": ("none", "random"),
    "data.window_text": ("covering", "reference"),
    "losses.recons_mean": ("frames", "padded"),
    "model.motion_mask": ("bool", "shipped"),
    "model.text_latent": ("raw", "normalized", "matched"),
    "model.text_mask": ("bool", "shipped"),
    "text.source": ("descriptions", "phrase"),
    "train.dtype": ("float32", "bfloat16"),
    "train.schedule": ("constant", "cosine"),
}
_POSITIVE = (
    "data.clip_frames",
    "data.limit",
    "data.max_frames",
    "data.max_shapes",
    "data.min_frames",
    "data.num_frames",
    "model.encoder_tokens",
    "model.ff_size",
    "model.hist_frames",
    "model.latent_dim",
    "model.num_heads",
    "model.num_layers",
    "text.k",
    "text.num_tokens",
    "train.batch_size",
    "train.checkpoint_steps",
    "train.eval_epochs",
    "train.keep_checkpoints",
    "train.log_steps",
    "train.num_epochs",
    "train.num_steps",
)


def base_config() -> Config:
    """Returns the fields that every model's config shares, with their defaults."""
    config = ml_collections.ConfigDict()
    # 'reference' sets every field of REFERENCE_DEVIATIONS, once, when it is loaded.
    config.compat = placeholder(str)
    config.model = ml_collections.ConfigDict()
    config.losses = ml_collections.ConfigDict()

    config.data = ml_collections.ConfigDict()
    config.data.store = ""
    # Sequences of the built-in corpus to make and train on; 0 = use `store`.
    config.data.builtin = 0
    config.data.labels = "frame"
    config.data.min_frames = 15
    config.data.max_frames = 750
    # Train on the first so many segments only: to see whether a model can learn.
    config.data.limit = placeholder(int)
    config.data.heading = "yaw"
    # Where two actions that overlap are cut apart; see `segments.cut_pair`.
    config.data.pair_cut = "middle"
    # An action of a series lasts at least the transition and the 'past' frames that
    # the next one reads; for the 'reference' the transition and two frames.
    config.data.shortest_action = "past"
    config.data.train_split = "train"
    config.data.val_split = "val"
    config.data.max_shapes = 8

    config.text = ml_collections.ConfigDict()
    config.text.store = ""
    config.text.source = "descriptions"
    # None = whatever the store holds; set and different is an error.
    config.text.encoder = placeholder(str)
    config.text.k = placeholder(int)
    config.text.aggregation = placeholder(str)
    config.text.width = placeholder(int)
    config.text.weight_hash = placeholder(str)
    # Tokens that texts are padded to; None = the longest's. Runs on other texts with
    # the same number share their compiled programs.
    config.text.num_tokens = placeholder(int)

    config.train = ml_collections.ConfigDict()
    config.train.batch_size = 16
    config.train.num_steps = placeholder(int)
    config.train.num_epochs = 1000
    config.train.seed = 42
    config.train.dtype = "float32"
    config.train.optimizer = "adamw"
    config.train.learning_rate = 1e-4
    # The rate rises from 0 for so many steps, and then stays or, with 'cosine', falls
    # to a twentieth at the last step. Published runs have neither.
    config.train.warmup_steps = 0
    config.train.schedule = "constant"
    # torch's defaults, which every published run uses.
    config.train.b1, config.train.b2, config.train.eps = 0.9, 0.999, 1e-8
    config.train.weight_decay = 0.01
    config.train.grad_clip = placeholder(float)
    config.train.log_steps = 10
    config.train.eval_epochs = 10
    config.train.checkpoint_steps = 1000
    config.train.keep_checkpoints = 3
    config.train.best_metric = "val/recons_text2rfeats"
    return config


def parse_words(
    arg: str | None, words: Sequence[str], keys: Sequence[str] = ()
) -> dict:
    """Reads what follows the colon in `--config file.py:words`.

    Args:
        arg: comma-separated words and key=value pairs, or None.
        words: those without a value that are known.
        keys: those with a value that are known.

    Returns:
        word -> True and key -> text of its value.

    Raises:
        InputError: for an unknown word; lists the known ones.
    """
    found = {}
    for part in (arg or "").split(","):
        key, equals, value = part.strip().partition("=")
        if not key:
            continue
        if key not in (keys if equals else words):
            known = [*words, *(f"{key}=..." for key in keys)]
            raise InputError(
                f"config word {part.strip()!r} is unknown; known are {', '.join(known)}"
            )
        found[key] = value if equals else True
    return found


def load_config(spec: str, overrides: Sequence[str] = ()) -> Config:
    """Loads a config file and applies `--config.a.b=value` overrides.

    Args:
        spec: 'path/to/file.py' or the bare name of an installed config ('teach'),
            each with optional ':words'; or a run's config.json.
        overrides: command-line flags.

    Returns:
        The config, locked, with `compat` spelled out; see `resolve`.

    Raises:
        InputError: for an unknown file, word, field, or a value of the wrong type.
    """
    path, words = split_spec(spec)
    config = _read_json(path) if path.suffix == ".json" else _run_file(path, words)
    config.lock()
    nfeats = _lookup(config, "model.nfeats", None)
    values = flags.FlagValues()
    argv = ["train", *overrides]
    for flag in overrides:
        if not flag.startswith("--config.") or "=" not in flag:
            raise InputError(
                f"argument {flag!r} is unknown; fields are set as --config.field=value"
            )
        _check_field(config, flag[len("--config.") :].partition("=")[0])
    try:
        config_flags.DEFINE_config_dict(
            "config", config, flag_values=values, sys_argv=argv
        )
        values(argv)
    except (flags.Error, TypeError, ValueError) as error:
        raise InputError(f"config override is not valid: {error}") from error
    if (changed := _lookup(config, "model.nfeats", None)) != nfeats:
        raise InputError(
            f"config.model.nfeats must be {nfeats}, the width of the model's features, "
            f"got {changed}"
        )
    check_values(config)
    return resolve(config)


def _read_json(path: pathlib.Path) -> Config:
    try:
        return from_json(path.read_text())
    except (ValueError, TypeError) as error:
        raise InputError(
            f"config {path} must be the config.json of a run, got another file "
            f"({error})"
        ) from error


def _run_file(path: pathlib.Path, words: str | None) -> Config:
    module_spec = importlib.util.spec_from_file_location(path.stem, path)
    if module_spec is None or module_spec.loader is None:
        raise InputError(f"config {path} must be a Python file")
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise InputError(f"config {path} must define get_config(arg)")
    try:
        return module.get_config(words)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"config words {words!r} must be whole numbers where {path} reads numbers: "
            f"{error}"
        ) from error


def check_values(config: Config) -> None:
    """Checks the fields whose wrong value would show late, or never.

    Raises:
        InputError: for the first wrong one.
    """
    for field, allowed in _CHOICES.items():
        value = _lookup(config, field, allowed[0])
        if value not in allowed:
            words = ", ".join(map(repr, filter(None, allowed)))
            raise InputError(f"config.{field} must be one of {words}, got {value!r}")
    for field in _POSITIVE:
        value = _lookup(config, field, None)
        if value is not None and value < 1:
            raise InputError(f"config.{field} must be at least 1, got {value}")
    if (steps := _lookup(config, "train.warmup_steps", 0)) < 0:
        raise InputError(f"config.train.warmup_steps must be 0 or more, got {steps}")
    rate = _lookup(config, "model.dropout", 0.0)
    if not 0 <= rate < 1:
        raise InputError(f"config.model.dropout must be in [0, 1), got {rate}")
    width = _lookup(config, "model.latent_dim", None)
    heads = _lookup(config, "model.num_heads", None)
    if width is not None and (width % 2 or (heads is not None and width % heads)):
        raise InputError(
            "config.model.latent_dim must be even and a multiple of "
            f"config.model.num_heads, got {width} and num_heads={heads}"
        )


def _lookup(config: Config, field: str, default: Any) -> Any:
    node = config
    for part in field.split("."):
        if part not in node:
            return default
        node = node[part]
    return node


def split_spec(spec: str) -> tuple[pathlib.Path, str | None]:
    """Splits 'configs/teach.py:demo' or 'teach:demo' into a file and words."""
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
    folders = list(installed.submodule_search_locations or []) if installed else []
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


def resolve(config: Config) -> Config:
    """Spells `compat='reference'` out in the fields it stands for.

    Called where a config comes in (`load_config`, `from_json`, `train`); nothing else
    looks at `compat`.

    Returns:
        The config itself without `compat`, else a changed copy whose `compat` is None.
    """
    if config.get("compat") != "reference":
        return config
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.compat = None
        for field, value in REFERENCE_DEVIATIONS.items():
            section, name = field.split(".")
            if name in config.get(section, {}):
                config[section][name] = value
    return config


def deviations(config: Config) -> list[str]:
    """Lists 'field=value' of the published code's accidents that a config has on."""
    return [
        f"{field}={value}"
        for field, value in REFERENCE_DEVIATIONS.items()
        if _lookup(config, field, None) == value
    ]


def to_json(config: Config) -> str:
    """Returns the config as JSON text."""
    return json.dumps(config.to_dict(), indent=2)


def from_json(text: str) -> Config:
    """Returns the config of JSON text written by `to_json`.

    Fields that the text lacks, because an earlier version wrote it, have their
    defaults; `compat` is spelled out.
    """
    # Into the base, which knows the types of fields that are None.
    config = base_config()
    config.update(ml_collections.ConfigDict(json.loads(text)))
    return resolve(config).lock()


def cache_folder() -> pathlib.Path:
    """Folder for what can be made again: compiled programs, the built-in corpus."""
    root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(root) / "actiongpt_jax"
