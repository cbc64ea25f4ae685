"""Saves and restores checkpoints: state, config and normalizer together.

A workdir without checkpoints can be a model folder, which is restored, too. Orbax
writes a checkpoint asynchronously into a temporary folder and then renames it, so that
a checkpoint is complete or absent, even if the process is killed.
"""

import dataclasses
import json
import logging
import os
import pathlib
import warnings
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import serialization
from orbax.checkpoint import checkpoint_managers

from actiongpt_jax.config import from_json
from actiongpt_jax.config_fields import Config
from actiongpt_jax.errors import InputError
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.files.atomic import naming
from actiongpt_jax.files.reading import check_files, reason_of
from actiongpt_jax.nn.parameters import checksums
from actiongpt_jax.training.model_folder import is_model_folder, read_model_folder
from actiongpt_jax.training.step import TrainState

# Orbax warns of every save without metrics, and prints the traceback of every error.
for name in ("absl", "asyncio"):
    logging.getLogger(name).setLevel(logging.CRITICAL)
_TRIES = 5  # to read a checkpoint that is deleted meanwhile


@dataclasses.dataclass
class Restored:
    """The content of a checkpoint, in host memory.

    Attributes:
        step: number of steps done.
        config: the full config of the run.
        normalizer: normalizer of the features.
        state: nested dict of arrays: step, params, unused, opt_state, rng. Converted
            weights lack the last two, those of a model folder the last three.
    """

    step: int
    config: Config
    normalizer: Normalizer
    state: dict[str, Any]

    @property
    def has_optimizer(self) -> bool:
        """Whether it has an optimizer state: weights alone do not."""
        return "opt_state" in self.state

    @property
    def variables(self) -> dict[str, Any]:
        """The model's variables, as `model.apply` takes them."""
        return {"params": self.state["params"]}


class Checkpoints:
    """The checkpoints of one workdir: the last few and the best one."""

    def __init__(self, workdir: str | pathlib.Path, config: Config):
        """Opens `workdir/checkpoints`, and creates it if it does not exist."""
        best_metric = config.train.best_metric

        def metric(metrics):
            return metrics[best_metric]

        keep = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(config.train.keep_checkpoints),
                checkpoint_managers.BestN(
                    get_metric_fn=metric,
                    reverse=True,
                    n=1,
                    # Otherwise every checkpoint between two validations stays for ever.
                    keep_checkpoints_without_metrics=False,
                ),
            ]
        )
        self._config = config
        self._unchecked: int | None = None  # the step saved last
        self._manager = _open_manager(
            _folder(workdir),
            ocp.CheckpointManagerOptions(
                preservation_policy=keep,
                best_fn=metric,
                best_mode="min",
                cleanup_tmp_directories=True,
            ),
        )

    def save(
        self,
        state: TrainState,
        normalizer: Normalizer,
        metrics: dict[str, float] | None = None,
    ) -> None:
        """Starts saving a state under its step; a step already saved is left alone.

        The save before is finished first, and checked.

        Args:
            state: the training state, on any devices; it is copied before this returns.
            normalizer: normalizer of the features.
            metrics: validation metrics of this step, which make it a candidate for the
                best checkpoint; None for a step without validation.

        Raises:
            InputError: if the save before left a checkpoint that cannot be opened.
        """
        self._check_last()
        held = jax.device_get(serialization.to_state_dict(state))
        host = jax.tree.map(np.asarray, held)
        step = int(host["step"])
        if step in self._manager.all_steps():
            return
        tree = {"train": host, "normalizer": _stats(normalizer)}
        with naming(self._manager.directory):
            self._manager.save(
                step,
                args=_content(ocp.args.StandardSave(tree), tree, self._config),
                metrics=metrics,
            )
        self._unchecked = step

    def _check_last(self) -> None:
        """Waits for the last save, and checks that its checkpoint can be opened."""
        with naming(self._manager.directory):
            self._manager.wait_until_finished()
        step, self._unchecked = self._unchecked, None
        if step is not None and jax.process_index() == 0:
            _check_opens(self._manager, step)

    def latest_path(self) -> str:
        """Returns the path of the last checkpoint, for error sentences."""
        self._manager.wait_until_finished()
        step = self._manager.latest_step()
        return "none yet" if step is None else str(self._manager.directory / str(step))

    def close(self) -> None:
        """Waits until every checkpoint is on the disk, and closes the folder.

        Raises:
            InputError: if the last checkpoint cannot be opened.
        """
        self._check_last()
        with naming(self._manager.directory):
            self._manager.close()


def save_weights(
    workdir: str | pathlib.Path,
    config: Config,
    normalizer: Normalizer,
    variables: dict[str, Any],
) -> None:
    """Writes the first checkpoint of a workdir from given weights.

    The checkpoint is at step 0 and has no optimizer state. The weights are not copied,
    so memory holds them only once.

    Args:
        workdir: folder without checkpoints; it is made if it does not exist.
        config: config to train and generate with.
        normalizer: normalizer of the features.
        variables: collection name -> arrays, for params and unused.

    Raises:
        InputError: if the checkpoint that was written cannot be opened.
    """
    weights = jax.tree.map(np.asarray, {"step": np.zeros((), np.int32), **variables})
    tree = {"train": weights, "normalizer": _stats(normalizer)}
    handlers = ocp.type_handlers.create_type_handler_registry(
        (np.ndarray, ocp.type_handlers.NumpyHandler(deepcopy_host_arrays=False))
    )
    items = {
        # Compressed arrays would wait in memory, and are hardly smaller.
        "state": ocp.PyTreeCheckpointHandler(
            use_compression=False, type_handler_registry=handlers
        ),
        "config": ocp.JsonCheckpointHandler(),
        "checksum": ocp.JsonCheckpointHandler(),
    }
    options = ocp.CheckpointManagerOptions(
        enable_async_checkpointing=False, cleanup_tmp_directories=True
    )
    folder = _folder(workdir)
    with (
        naming(folder),
        ocp.CheckpointManager(folder, options=options, item_handlers=items) as manager,
    ):
        manager.save(0, args=_content(ocp.args.PyTreeSave(tree), tree, config))
        _check_opens(manager, 0)


def _content(state: Any, tree: Any, config: Config) -> ocp.args.Composite:
    return ocp.args.Composite(
        state=state,
        config=ocp.args.JsonSave(config.to_dict()),
        checksum=ocp.args.JsonSave(checksums(tree)),
    )


def _stats(normalizer: Normalizer) -> dict[str, np.ndarray]:
    return {"mean": np.asarray(normalizer.mean), "std": np.asarray(normalizer.std)}


def _check_opens(manager: ocp.CheckpointManager, step: int) -> None:
    """Opens every array of a checkpoint, without reading it."""
    try:
        manager.item_metadata(step)
    except Exception as error:  # orbax raises errors of many kinds
        raise InputError(
            f"checkpoint {manager.directory / str(step)} was written but cannot be "
            "opened; check the disk, and write to a folder on another one"
        ) from error


def _open_manager(
    folder: pathlib.Path, options: ocp.CheckpointManagerOptions
) -> ocp.CheckpointManager:
    for step in folder.glob("[0-9]*"):  # orbax would wait for a named pipe
        check_files(step, "move the folder of that step away")
    try:
        return ocp.CheckpointManager(folder, options=options)
    except OSError:
        raise
    except Exception as error:
        # Opening the folder reads the metrics of every step.
        raise InputError(
            f"a checkpoint in {folder} has a damaged metrics file ({error}); move the "
            "folder of that step away"
        ) from error


def _folder(workdir: str | pathlib.Path) -> pathlib.Path:
    return pathlib.Path(workdir).absolute() / "checkpoints"


def restore(
    workdir: str | pathlib.Path, which: str | int = "latest"
) -> Restored | None:
    """Restores a checkpoint; nothing but its path is needed.

    Args:
        workdir: folder of the run, or a model folder.
        which: 'latest', 'best' or a step.

    Returns:
        The checkpoint, or None if the workdir has no checkpoint.

    Raises:
        InputError: if there is no checkpoint of that step, or a file is damaged.
    """
    folder = _folder(workdir)
    for _ in range(_TRIES):
        before = [*os.walk(folder)]
        try:
            return _restore(folder, which)
        except (InputError, FileNotFoundError):
            # A training that goes on there deletes old steps while they are read.
            if [*os.walk(folder)] == before:
                raise
    return _restore(folder, which)


def _restore(folder: pathlib.Path, which: str | int) -> Restored | None:
    if not folder.is_dir():
        return _restore_packed(folder.parent, which)
    options = ocp.CheckpointManagerOptions(read_only=True)
    with _open_manager(folder, options) as manager:
        steps = sorted(manager.all_steps())
        if not steps:
            return _restore_packed(folder.parent, which)
        step = steps[-1] if which == "latest" else which
        if which == "best":
            step = _best_step(manager, steps)
        if step not in steps:
            raise InputError(f"{folder} holds steps {steps}, not {which!r}")
        try:
            return _restore_step(manager, int(step))
        except Exception as error:  # orbax raises errors of many kinds
            earlier = [other for other in steps if other < int(step)]
            remedy = (
                f"move that folder away to continue from step {earlier[-1]}, the one "
                f"before it, or give --checkpoint {earlier[-1]} where a model is used"
                if earlier
                else "it is the only one: train or convert again"
            )
            raise InputError(
                f"checkpoint {folder / str(step)} is damaged ({reason_of(error)}), or "
                f"its path has a backslash; {remedy}"
            ) from error


def _restore_step(manager: ocp.CheckpointManager, step: int) -> Restored:
    """Restores one step; raises an error of any kind if a file of it is damaged."""
    items: dict[str, Any] = {
        "state": ocp.args.StandardRestore(),
        "config": ocp.args.JsonRestore(),
    }
    # Checkpoints of earlier versions have no checksums.
    has_checksums = (manager.directory / str(step) / "checksum").exists()
    if has_checksums:
        items["checksum"] = ocp.args.JsonRestore()
    content: Any = manager.restore(step, args=ocp.args.Composite(**items))
    state, stats = content.state["train"], content.state["normalizer"]
    if has_checksums:
        expected, found = content.checksum, checksums(content.state)
        for name in sorted({*expected, *found}):
            if expected.get(name) != found.get(name):
                raise ValueError(f"the numbers of {name} have changed")
    return Restored(
        step=step,
        config=from_json(json.dumps(content.config), manager.directory / str(step)),
        normalizer=Normalizer(mean=stats["mean"], std=stats["std"]),
        state=state,
    )


def _restore_packed(folder: pathlib.Path, which: str | int) -> Restored | None:
    if not is_model_folder(folder):
        return None
    packed = read_model_folder(folder)
    if which not in ("latest", "best", packed.step):
        raise InputError(f"{folder} holds only step {packed.step}, not {which!r}")
    state = {"step": np.array(packed.step, np.int32), "params": packed.params}
    return Restored(packed.step, packed.config, packed.normalizer, state)


def _best_step(manager: ocp.CheckpointManager, steps: list[int]) -> int:
    scored, only_config = {}, ocp.args.Composite(config=ocp.args.JsonRestore())
    for step in steps:
        try:
            config: Any = manager.restore(step, args=only_config)["config"]
            if metrics := manager.metrics(step):
                scored[step] = float(metrics[config["train"]["best_metric"]])
        except Exception as error:  # orbax raises errors of many kinds
            # A step that is gone was deleted by the run that goes on meanwhile.
            if (path := manager.directory / str(step)).exists():
                warnings.warn(f"{path} is skipped: {reason_of(error)}", stacklevel=3)
    return min(scored, key=lambda step: (scored[step], -step), default=steps[-1])
