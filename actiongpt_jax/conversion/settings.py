"""Reads settings of the authors' runs: `.hydra/config.yaml`, `opt.yaml`, and others."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from actiongpt_jax.config_fields import Config, check_values, lookup
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.yaml_reader import read_yaml

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
    "data.framerate": "data.framerate",
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
class PublishedSettings:
    """The settings in a file of the authors' run.

    Attributes:
        path: path of the file; None if there is no file.
        values: settings of the model, with those of the data under `data`.
    """

    path: pathlib.Path | None
    values: dict[str, Any]


def find_settings(checkpoint: pathlib.Path) -> PublishedSettings:
    """Reads the settings of the run that a checkpoint belongs to.

    Args:
        checkpoint: path of the checkpoint. The settings are `opt.yaml` in its folder,
            or `.hydra/config.yaml` there or one folder up.

    Returns:
        The settings of the first of these files that exists.

    Raises:
        InputError: if the file is not plain YAML.
    """
    folder = checkpoint.absolute().parent
    for path in (
        folder / "opt.yaml",
        folder / ".hydra" / "config.yaml",
        folder.parent / ".hydra" / "config.yaml",
    ):
        if path.is_file():
            content = _read(path)
            if path.name == "opt.yaml":
                return PublishedSettings(path, content)
            model = content.get("model")
            values = model if isinstance(model, dict) else {}
            return PublishedSettings(path, {**values, "data": content.get("data")})
    return PublishedSettings(None, {})


def overrides_of(settings: PublishedSettings) -> dict[str, Any]:
    """Returns the overrides for `from_torch.load` that the settings ask for.

    Raises:
        InputError: if the settings describe a model that is not supported.
    """
    values = settings.values
    if values.get("pose_rep", "rot6d") != "rot6d":
        raise InputError(
            f"{settings.path}: pose_rep must be rot6d, as in the published models, got "
            f"{values['pose_rep']!r}: such weights are not supported"
        )
    flags = [bool(values.get(name)) for name in _NORMALIZE]
    if any(flags) and not all(flags):
        raise InputError(
            f"{settings.path}: {' and '.join(_NORMALIZE)} must be both true or both "
            "false, got one of each: such a model is not supported"
        )
    return {"text_latent": "normalized"} if all(flags) else {}


def apply_settings(
    config: Config, sources: Sequence[Mapping[str, Any]], path: pathlib.Path | None
) -> list[str]:
    """Copies the settings that shapes do not determine into a config.

    Args:
        config: config of the weights; it is changed in place.
        sources: the authors' settings; the first mapping that has a field is used.
        path: path of their file, for the notes.

    Returns:
        Sentences for the user.

    Raises:
        InputError: if a setting is out of its range.
    """
    changed = {}
    for place, field in _FIELDS.items():
        values = (_setting(settings, place) for settings in sources)
        value = next(filter(_is_number, values), None)
        now = lookup(config, field, None)
        # A model has only some of the fields; a boolean must not replace a number.
        if None in (value, now) or isinstance(now, bool) != isinstance(value, bool):
            continue
        try:
            value = type(now)(value)
        except (OverflowError, ValueError) as error:
            raise InputError(
                f"{path or 'the checkpoint'}: the setting {place} must be a finite "
                f"number, got {str(value)[:40]}; correct it in a copy of the file"
            ) from error
        if value != now:
            changed[field] = value
    frontview = any(s.get("align_pose_frontview") is True for s in sources)
    if frontview and "align" in config.data:
        changed["data.align"] = "full"
    config.update_from_flattened_dict(changed)
    try:
        check_values(config)
    except InputError as error:
        raise InputError(
            f"{path or 'the checkpoint'} has a setting that cannot be used: {error}; "
            "correct it in a copy of the file"
        ) from error
    notes = [] if path is None else [f"settings read from {path}"]
    if changed:
        listed = ", ".join(f"{field}={value}" for field, value in changed.items())
        notes.append(f"the run's own settings: {listed}")
    return notes


def _is_number(value: Any) -> bool:
    # Interpolations such as ${latent_dim} are texts, and are left out.
    return isinstance(value, int | float)


def _setting(settings: Mapping[str, Any], place: str) -> Any:
    node: Any = settings
    for part in place.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _read(path: pathlib.Path) -> dict[str, Any]:
    content = read_yaml(path, "no code in it was run; remove or repair the file")
    return content if isinstance(content, dict) else {}
