"""Settings of the authors' runs: `.hydra/config.yaml`, `opt.yaml`, hyper-parameters."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from actiongpt_jax.config_fields import Config
from actiongpt_jax.errors import InputError

# Place in the authors' settings -> field of a config here.
_FIELDS = {
    # TEMOS and TEACH
    "hist_frames": "model.hist_frames",
    "z_prev_text": "model.z_prev_text",
    "teacher_forcing": "model.teacher_forcing",
    "losses.lmd_kl": "losses.lmd_kl",
    "losses.lmd_latent": "losses.lmd_latent",
    "optim.lr": "train.learning_rate",
    "data.batch_size": "train.batch_size",
    # MotionCLIP
    "lr": "train.learning_rate",
    "batch_size": "train.batch_size",
    "num_epochs": "train.num_epochs",
    "num_frames": "data.num_frames",
    "use_generation_losses": "model.decode_text",
    **{
        f"lambdas.{name}": f"losses.lambda_{name}"
        for name in ("rc", "rcxyz", "vel", "velxyz")
    },
    **{
        f"clip_lambdas.{domain}.{kind}": f"losses.{domain}_{kind}"
        for domain in ("text", "image")
        for kind in ("cosine", "mse", "ce")
    },
}
_NORMALIZE = ("normalize_encoder_output", "normalize_decoder_input")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a file of settings says.

    Attributes:
        path: of the file, or None.
        values: its model's settings, those of its data under `data`.
    """

    path: pathlib.Path | None
    values: dict[str, Any]


def find(checkpoint: pathlib.Path) -> Settings:
    """Reads the settings that lie beside a checkpoint.

    Args:
        checkpoint: of a run; looked for are `opt.yaml` in its folder, and
            `.hydra/config.yaml` there and one folder up.

    Raises:
        InputError: if the file is no plain YAML.
    """
    folder = checkpoint.absolute().parent
    for path in (
        folder / "opt.yaml",
        folder / ".hydra" / "config.yaml",
        folder.parent / ".hydra" / "config.yaml",
    ):
        if path.is_file():
            found = _read(path)
            if path.name == "opt.yaml":
                return Settings(path, found)
            model = found.get("model")
            values = dict(model) if isinstance(model, dict) else {}
            return Settings(path, {**values, "data": found.get("data")})
    return Settings(None, {})


def overrides(settings: Settings) -> dict[str, Any]:
    """Returns what `from_torch.load` must be told.

    Raises:
        InputError: if poses were not stored in the way that is read here.
    """
    told = settings.values
    if told.get("pose_rep", "rot6d") != "rot6d":
        raise InputError(
            f"{settings.path}: pose_rep must be rot6d, as in the published models, got "
            f"{told['pose_rep']!r}: such weights have no use here"
        )
    flags = [bool(told.get(name)) for name in _NORMALIZE]
    if any(flags) and not all(flags):
        raise InputError(
            f"{settings.path}: {' and '.join(_NORMALIZE)} must be both true or both "
            "false, got one of each: such a model is not supported"
        )
    return {"text_latent": "normalized"} if all(flags) else {}


def apply(
    config: Config, told: Sequence[Mapping[str, Any]], path: pathlib.Path | None
) -> list[str]:
    """Takes over what the settings say and shapes do not.

    Args:
        config: of the weights; changed.
        told: the authors' settings, those that win first.
        path: of their file, for the notes.

    Returns:
        Sentences for the user.
    """
    changed = []
    for place, field in _FIELDS.items():
        value = next(filter(_is_number, (_lookup(t, place) for t in told)), None)
        section, _, name = field.partition(".")
        # Every model has a few of them only.
        if name not in config.get(section, {}) or value is None:
            continue
        now = config[section][name]
        if isinstance(now, bool) != isinstance(value, bool):
            continue
        value = type(now)(value) if isinstance(now, int | float) else value
        if value != now:
            changed.append(f"{field}={value}")
            with config.unlocked():
                config[section][name] = value
    if (
        any(t.get("align_pose_frontview") is True for t in told)
        and "align" in config.data
    ):
        config.data.align = "full"
        changed.append("data.align=full")
    notes = [f"settings read from {path}"] if path is not None else []
    return notes + (["the run's own settings: " + ", ".join(changed)] * bool(changed))


def _is_number(value: Any) -> bool:
    # Interpolations of YAML stay texts.
    return isinstance(value, int | float)


def _lookup(told: Mapping[str, Any], place: str) -> Any:
    node: Any = told
    for part in place.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _read(path: pathlib.Path) -> dict[str, Any]:
    try:
        found = yaml.load(path.read_text(), _Plain)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error).replace("\n", " ")
        raise InputError(
            f"{path} must be plain YAML, got something else ({reason}); nothing was "
            "run: remove or mend the file"
        ) from error
    return found if isinstance(found, dict) else {}


class _Plain(yaml.SafeLoader):
    """Numbers, texts, lists and dicts; Python's tuples are lists, all else an error."""


_Plain.add_constructor(
    "tag:yaml.org,2002:python/tuple",
    lambda loader, node: loader.construct_sequence(node, deep=True),  # pyright: ignore
)
