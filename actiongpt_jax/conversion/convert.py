"""Converts published PyTorch checkpoints to workdirs of this library, and back."""

import contextlib
import dataclasses
import pathlib
import re
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np

from actiongpt_jax.choices import CONVERTED_TEXTS
from actiongpt_jax.config import to_json
from actiongpt_jax.config_fields import Config, check_values
from actiongpt_jax.conversion import from_torch
from actiongpt_jax.conversion.settings import (
    apply_settings,
    find_settings,
    overrides_of,
)
from actiongpt_jax.errors import InputError, check_choice
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.files.arrays import read_npy
from actiongpt_jax.files.atomic import write_json, write_text
from actiongpt_jax.files.reading import sha256
from actiongpt_jax.files.safetensors import open_tensors, write_tensors
from actiongpt_jax.files.torch_reader import read_torch
from actiongpt_jax.geometry import body as bodies
from actiongpt_jax.models.family import family_of
from actiongpt_jax.training import checkpoints
from actiongpt_jax.training.model_folder import CONFIG, is_model_folder
from actiongpt_jax.training.workdir import (
    check_workdir,
    holds_checkpoints,
    lock_workdir,
)

RECORD, BUFFERS, BODY = "converted.json", "torch_buffers.safetensors", "body.npz"
_PARTIAL, _WEIGHTS = ".partial", "checkpoints"
# Patterns of the names of checkpoints in the folder of a run.
_CHECKPOINTS = ("*.ckpt", "*.pth.tar")


@dataclasses.dataclass(frozen=True)
class Options:
    """The facts that a checkpoint does not record.

    Attributes:
        stats: files with the mean and the standard deviation of the features: a folder
            with files that end in mean.pt and std.pt (or .npy), or those two files.
        body: path of SMPL's or SMPL-H's own model file.
        texts: texts that the weights were trained on, a key of `CONVERTED_TEXTS`.
        framerate: frames per second of the motions; None takes those of the run's
            settings.
        overrides: settings that shapes do not determine; see
            `from_torch.from_state_dict`.
    """

    stats: tuple[pathlib.Path, ...] = ()
    body: pathlib.Path | None = None
    texts: str = "descriptions"
    framerate: float | None = None
    overrides: dict[str, Any] = dataclasses.field(default_factory=dict)


def convert(
    source: str | pathlib.Path, workdir: str | pathlib.Path, options: Options
) -> list[str]:
    """Makes a workdir from a published checkpoint.

    Args:
        source: `.ckpt` file of TEMOS or TEACH, `.pth.tar` file of MotionCLIP, or the
            folder of a run, whose last checkpoint is converted. The settings of the run
            (`.hydra/config.yaml`, `opt.yaml`) are read if they are next to it.
        workdir: folder to make; it must not hold checkpoints.
        options: the facts that the checkpoint does not record.

    Returns:
        Sentences for the user about what was found, copied or assumed.

    Raises:
        InputError: if the checkpoint or a file of its run cannot be converted, or the
            workdir cannot hold checkpoints.
        FileNotFoundError: if there is no such file.
    """
    path, workdir = find_checkpoint(pathlib.Path(source)), pathlib.Path(workdir)
    check_workdir(workdir)
    with lock_workdir(workdir):
        return _convert(path, workdir, options)


def _convert(path: pathlib.Path, workdir: pathlib.Path, options: Options) -> list[str]:
    """Converts a file to a workdir that is locked; see `convert`."""
    if holds_checkpoints(workdir) or is_model_folder(workdir):
        raise InputError(
            f"--out must be a folder without checkpoints, got {workdir}; choose another"
        )
    # Read everything before anything is written.
    settings = find_settings(path)
    overrides = overrides_of(settings) | options.overrides
    published = from_torch.open_published(path, **overrides)
    config, name = published.config, published.config.model.name
    _check_width(config, path)
    notes = [f"{path}: {name}, {config.model.num_layers} layers"]
    # Settings inside the checkpoint take precedence over those in the run's file.
    sources = (published.settings, settings.values)
    notes += apply_settings(config, sources, settings.path)
    notes.append(_set_framerate(config, options.framerate))
    _set_texts(config, options.texts)
    normalizer, note = _normalizer(config, options.stats)
    notes.append(note)
    body = None if options.body is None else bodies.load(options.body)

    # Write the workdir: body, stored positions, record, config, weights.
    with _all_or_nothing(workdir) as partial:
        if body is not None:
            target = workdir.absolute() / BODY
            bodies.save(partial / BODY, body)
            if "body" in config.losses:
                config.losses.body = str(target)
            notes.append(f"body of {body.num_joints} joints: {target}")
        # Store the original positions: training does not keep them, and those computed
        # here may differ in the last bits.
        if buffers := from_torch.stored_buffers(config, published.variables):
            write_state_dict(partial / BUFFERS, buffers)
        variables = {
            name: published.variables.get(name, {}) for name in ("params", "unused")
        }
        record = {
            "source": path.name,
            "sha256": sha256(path, "copy or download it again"),
            "bytes": path.stat().st_size,
            "model": name,
            "settings": None if settings.path is None else settings.path.name,
            "texts": options.texts,
            "stats": [stats.name for stats in options.stats],
            "tensors_of_a_language_model_left_out": published.set_aside,
            **published.facts,
        }
        write_json(partial / RECORD, record)
        # Training may continue with the texts of any store of the same width.
        free = config.copy_and_resolve_references()
        free.text.update({"encoder": None, "k": None, "aggregation": None})
        write_text(partial / CONFIG, to_json(free) + "\n")
        checkpoints.save_weights(partial, config, normalizer, variables)
    return notes


@contextlib.contextmanager
def _all_or_nothing(workdir: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a folder to write to, and moves its content to a workdir on success."""
    workdir.mkdir(parents=True, exist_ok=True)
    partial = workdir / _PARTIAL
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    partial.mkdir()
    try:
        yield partial
        (workdir / BUFFERS).unlink(missing_ok=True)  # of a conversion that was killed
        shutil.rmtree(workdir / _WEIGHTS, ignore_errors=True)  # unfinished ones
        # The weights come last: without them, the conversion can be repeated.
        for path in sorted(partial.iterdir(), key=lambda path: path.name == _WEIGHTS):
            path.replace(workdir / path.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with contextlib.suppress(OSError):  # it holds files
            workdir.rmdir()


def find_checkpoint(source: pathlib.Path) -> pathlib.Path:
    """Returns the file itself, or the last checkpoint of a folder.

    Raises:
        InputError: if the folder has no checkpoint.
        FileNotFoundError: if there is no such file or folder.
    """
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist; give a checkpoint's path")
    if not source.is_dir():
        return source
    folders = (source, source / "checkpoints")
    files = [p for f in folders for kind in _CHECKPOINTS for p in f.glob(kind)]
    if not files:
        raise InputError(
            f"{source}, or its folder checkpoints/, must hold a checkpoint "
            f"({' or '.join(_CHECKPOINTS)}), got none; give the file itself"
        )

    def age(path: pathlib.Path) -> tuple[bool, list[int], str]:
        numbers = [int(n) for n in re.findall(r"\d+", path.name)]
        return path.name == "last.ckpt", numbers, path.name

    return max(files, key=age)


def state_dict_of(
    workdir: str | pathlib.Path, which: str | int = "latest"
) -> tuple[Config, dict[str, np.ndarray]]:
    """Returns a workdir's weights with the authors' names and layouts.

    Args:
        workdir: workdir of a training run or a conversion.
        which: 'latest', 'best' or a step.

    Returns:
        (config, torch name -> array). For a converted checkpoint, the stored positions
        equal the original ones bit for bit.

    Raises:
        InputError: if there is no published form of the model.
        FileNotFoundError: if there is no checkpoint.
    """
    workdir = pathlib.Path(workdir)
    restored = checkpoints.restore(workdir, which)
    if restored is None:
        raise FileNotFoundError(f"{workdir} has no checkpoint; give a workdir")
    variables = {name: restored.state.get(name, {}) for name in ("params", "unused")}
    state = from_torch.to_state_dict(restored.config, variables)
    if (workdir / BUFFERS).is_file():
        buffers, _ = open_tensors(workdir / BUFFERS)
        state |= {name: np.array(table) for name, table in buffers.items()}
    return restored.config, state


def write_state_dict(path: str | pathlib.Path, state: dict[str, np.ndarray]) -> None:
    """Writes a state dict as safetensors, which PyTorch users can load."""
    pieces = {name: [array] for name, array in state.items()}
    write_tensors(path, pieces, {"format": "pt"})


def _check_width(config: Config, path: pathlib.Path) -> None:
    width, nfeats = config.model.nfeats, family_of(config).nfeats
    if width != nfeats:
        raise InputError(
            f"{path}: a frame of {config.model.name} must have the {nfeats} features "
            f"of SMPL's joint rotations, got {width}; give weights that were trained "
            "on rotations, such as TEMOS's kit-amass-rot"
        )


def _set_framerate(config: Config, framerate: float | None) -> str:
    if framerate is not None:
        config.data.framerate = framerate
        check_values(config)
    return (
        f"motions have {config.data.framerate:g} frames per second; --framerate sets "
        "another rate"
    )


def _set_texts(config: Config, texts: str) -> None:
    check_choice("--texts", texts, CONVERTED_TEXTS)
    config.text.update(CONVERTED_TEXTS[texts])
    if texts == "descriptions" and "text_mask" in config.model:
        config.model.text_mask = "shipped"


def _normalizer(
    config: Config, stats: tuple[pathlib.Path, ...]
) -> tuple[Normalizer, str]:
    """Returns the normalizer of the features, and a sentence about it."""
    width = config.model.nfeats
    if not stats:
        identity = Normalizer(np.zeros(width, np.float32), np.ones(width, np.float32))
        if not family_of(config).normalized:
            return identity, "poses are not normalised"
        return identity, (
            "WARNING: without --stats features are not normalised, but these weights "
            "were trained on features normalised by the authors' rfeats_mean.pt and "
            "rfeats_std.pt; the generated motions will be useless"
        )
    mean_file, std_file = (_stats_file(stats, part) for part in ("mean", "std"))
    mean, std = _read_stats(mean_file, width), _read_stats(std_file, width)
    if (std < 0).any():
        raise InputError(
            f"{std_file} must hold no negative number, got {std.min()}; give the file "
            "with the standard deviations"
        )
    return Normalizer(mean, std), f"features are normalised by {mean_file}, {std_file}"


def _read_stats(path: pathlib.Path, width: int) -> np.ndarray:
    is_numpy, remedy = (
        path.suffix == ".npy",
        "give the file that belongs to these weights",
    )
    array = read_npy(path, remedy) if is_numpy else read_torch(path)
    floats = isinstance(array, np.ndarray) and array.dtype.kind == "f"
    if not floats or array.shape != (width,) or not np.isfinite(array).all():
        raise InputError(
            f"{path} must hold {width} finite numbers, one per feature, got "
            f"{array.shape if floats else type(array).__name__}; "
            f"{remedy}"
        )
    return np.array(array, np.float32)


def _stats_file(stats: tuple[pathlib.Path, ...], part: str) -> pathlib.Path:
    files = [p for s in stats for p in (sorted(s.iterdir()) if s.is_dir() else [s])]
    fitting = [p for p in files if p.suffix in (".pt", ".npy") and part in p.stem]
    # A folder may also hold the statistics of joint features.
    fitting = [p for p in fitting if "jfeats" not in p.stem] or fitting
    if len(fitting) != 1:
        raise InputError(
            f"--stats must give one file of the {part} of the features, such as "
            f"rfeats_{part}.pt, got {len(fitting)} in {', '.join(map(str, stats))}; "
            "give the two files by name"
        )
    return fitting[0]
