"""Whether a run can go on with a config, and runs that start from other weights."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import serialization
from tqdm import tqdm

from actiongpt_jax.config_fields import Config, check_values, resolve
from actiongpt_jax.errors import InputError
from actiongpt_jax.training import checkpoints, parallel
from actiongpt_jax.training.builtin_data import ENCODER, makes_builtin_data
from actiongpt_jax.training.checkpoints import Restored
from actiongpt_jax.training.inputs import open_inputs
from actiongpt_jax.training.step import TrainState
from actiongpt_jax.training.workdir import (
    check_workdir,
    holds_checkpoints,
    lock_workdir,
)

# Fields that a resumed run must share with its checkpoint, like all fields of the
# model. Those of `train` are part of the optimizer's state.
_FIXED = {
    "data": ("heading", "pair_cut", "align", "translation", "framerate"),
    "text": ("source", "encoder", "k", "aggregation", "width", "weight_hash"),
    "train": ("optimizer", "schedule", "warmup_steps", "grad_clip"),
}
# Fields that a run must share with the one whose weights it starts from, like all
# fields of the model but its dropout: they say what the features and texts mean.
_OF_WEIGHTS = {
    "data": ("heading", "align", "translation", "framerate"),
    "text": ("encoder", "width", "weight_hash"),
}
# Fields that may change, but then the run ends differently from an uninterrupted one.
_EXACT = {
    "data": (
        "store",
        "labels",
        "min_frames",
        "max_frames",
        "limit",
        "train_split",
        "window_text",
        "num_frames",
        "clip_frames",
        "images",
        "turn",
    ),
    "text": ("store",),
    "train": ("batch_size", "seed", "dtype", "learning_rate"),
}
# The learning rate of a schedule depends on the length of the run.
_EXACT_OF_SCHEDULES = ("num_steps", "num_epochs")


def check_same_run(
    config: Config, saved: Config, workdir: str | pathlib.Path
) -> list[str]:
    """Checks that a run can be resumed with a config.

    Args:
        config: config of the resumed run.
        saved: config in the checkpoint.
        workdir: folder of the run, for errors.

    Returns:
        Sentences about differences that are allowed, but make the run end differently
        from an uninterrupted one.

    Raises:
        InputError: if the model, the features or the text differ.
    """
    fixed = {**_FIXED, "model": tuple(config.model)}
    for section, field, then, now in _changes(_known(fixed, saved), saved, config):
        raise InputError(
            f"workdir {workdir} was trained with {section}.{field}={then!r} and "
            f"cannot continue with {now!r}; use another --workdir"
        )
    exact = {**_EXACT, "losses": tuple(config.losses)}
    if config.train.schedule != "constant":
        exact["train"] += _EXACT_OF_SCHEDULES
    replaced = []
    for section in ("data", "text"):
        path, now = config[section].store, config[section].get("store_hash")
        then = saved[section].get("store_hash")
        # Checkpoints and stores of earlier versions may have no hash.
        known = then is not None and now is not None
        if known and then != now and path == saved[section].store:
            replaced.append(f"{path} has been replaced by another store")
    return replaced + [
        f"{section}.{field} was {then!r}, is {now!r}"
        for section, field, then, now in _changes(exact, saved, config)
    ]


def check_same_weights(
    config: Config,
    saved: Config,
    source: str | pathlib.Path,
    text: Sequence[str] = _OF_WEIGHTS["text"],
) -> None:
    """Checks that a run can start from the weights of another one.

    Args:
        config: config of the new run, with the fields that its stores fill in.
        saved: config in the checkpoint with the weights.
        source: folder of that checkpoint, for errors.
        text: the fields of the text encoder that are known and must be equal.

    Raises:
        InputError: if the model, the features or the text encoder differ.
    """
    # The model's name comes first: most other fields follow from it.
    names = ("name", *(x for x in config.model if x not in ("name", "dropout")))
    fields = _known({"model": names, **_OF_WEIGHTS, "text": text}, saved)
    for section, field, then, now in _changes(fields, saved, config):
        raise InputError(
            f"the weights of {source} were trained with {section}.{field}={then!r} and "
            f"cannot start a run with {now!r}; use the config of that run, or texts "
            "that were embedded with its encoder"
        )


def _known(
    fields: Mapping[str, Sequence[str]], saved: Config
) -> Mapping[str, Sequence[str]]:
    """Leaves out what a converted checkpoint does not record: its text encoder."""
    if saved.text.weight_hash is None:
        return {**fields, "text": [x for x in fields["text"] if x == "width"]}
    return fields


def _changes(
    fields: Mapping[str, Sequence[str]], saved: Config, config: Config
) -> Iterator[tuple[str, str, Any, Any]]:
    """Yields (section, field, value then, value now) of the fields that differ."""
    for section, names in fields.items():
        for name in names:
            now = config[section].get(name)
            # The checkpoint may predate the field: it then had today's value.
            then = saved[section].get(name, now)
            if then != now:
                yield section, name, then, now


def into_state(restored: Restored, fresh: TrainState) -> TrainState:
    """Puts restored arrays into a state of the same model and optimizer.

    Args:
        restored: checkpoint of a run, or weights alone, for which everything else
            starts from scratch.
        fresh: the state that a run would start with; shapes alone are enough for a
            checkpoint with an optimizer state.

    Raises:
        InputError: if names or shapes differ; lists missing and unexpected names.
    """
    start = serialization.to_state_dict(fresh)
    held = restored.state
    if not restored.has_optimizer:
        fresh_parts = {name: start[name] for name in ("opt_state", "rng", "unused")}
        held = {**fresh_parts, **held}
    expected, stored = _shapes(start), _shapes(held)
    missing = sorted(expected.keys() - stored.keys())
    unexpected = sorted(stored.keys() - expected.keys())
    common = expected.keys() & stored.keys()
    other = sorted(name for name in common if expected[name] != stored[name])
    if missing or unexpected or other:
        raise InputError(
            "the checkpoint does not fit this model and optimizer: missing "
            f"{missing[:5] or 'nothing'}, unexpected {unexpected[:5] or 'nothing'}, "
            f"with another shape {other[:5] or 'nothing'}; use another --workdir"
        )
    state: Any = serialization.from_state_dict(fresh, held)
    return state


def _shapes(tree: dict) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.shape(leaf) for path, leaf in leaves}


def read_start(
    source: pathlib.Path, config: Config, workdir: str | pathlib.Path
) -> Restored | None:
    """Reads the weights of another run, and checks what is known without any data.

    Args:
        source: folder of a run, a conversion or a model folder; its last checkpoint is
            taken.
        config: config of the new run; its stores may still be missing.
        workdir: folder of the new run.

    Returns:
        The weights; None if the workdir has checkpoints already.

    Raises:
        FileNotFoundError: if the source has no checkpoint.
        InputError: if the source is the workdir itself, or its weights do not fit the
            config.
    """
    workdir = pathlib.Path(workdir)
    check_workdir(workdir)
    if source.resolve() == workdir.resolve():
        raise InputError(
            f"--init must be the folder of another run than --workdir, got {source} "
            "for both; leave --init out to continue that run"
        )
    if holds_checkpoints(workdir):
        return None
    restored = checkpoints.restore(source)
    if restored is None:
        raise FileNotFoundError(
            f"{source} has no checkpoint; give the folder of a trained model as --init"
        )
    config = resolve(config).copy_and_resolve_references()
    check_values(config)
    text = ()
    if makes_builtin_data(config):
        config.text.encoder, text = ENCODER, ("encoder",)
    check_same_weights(config, restored.config, source, text)
    return restored


def start_from(
    source: pathlib.Path, config: Config, workdir: str | pathlib.Path
) -> None:
    """Writes the weights of another run as the first checkpoint of a workdir.

    The model, its features and its text encoder must be those of the other run. The
    motions, the texts and their number, the losses and all settings of the training may
    differ. The checkpoint has the normalizer of the other run, which its weights need,
    but no optimizer state: `loop.train` starts at step 0 with a new one.

    A workdir that has checkpoints already is left alone, so that the same call
    continues an interrupted run.

    Args:
        source: folder of a run, a conversion or a model folder; its last checkpoint is
            taken.
        config: config of the new run.
        workdir: folder of the new run.

    Raises:
        FileNotFoundError: if the source has no checkpoint.
        InputError: if the source is the workdir itself, or its weights do not fit the
            config; and for the bad input that `loop.train` refuses.
    """
    workdir = pathlib.Path(workdir)
    parallel.run_on_first(
        lambda: _write(source, config, workdir), f"the first checkpoint of {workdir}"
    )


def _write(source: pathlib.Path, config: Config, workdir: pathlib.Path) -> None:
    restored = read_start(source, config, workdir)
    if restored is None:
        tqdm.write(f"{workdir} has checkpoints; the run continues from them")
        return
    config = resolve(config).copy_and_resolve_references()
    open_inputs(config)  # fills in what the stores say about the texts
    check_same_weights(config, restored.config, source)
    variables = {
        name: restored.state[name]
        for name in ("params", "unused")
        if name in restored.state
    }
    with lock_workdir(workdir):
        checkpoints.save_weights(workdir, config, restored.normalizer, variables)
    tqdm.write(f"{workdir} starts from the weights of {source}, step {restored.step}")
