"""Checkpoints of a workdir: state, config and normalizer together.

Orbax writes them asynchronously into a temporary folder and renames it, so that a
checkpoint is whole or absent whatever happens to the process.
"""

import contextlib
import dataclasses
import json
import logging
import pathlib
from collections.abc import Iterator
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
from actiongpt_jax.training.step import TrainState

# Orbax warns for every save without metrics (here only evaluated steps have some) and
# prints the traceback of a failed save before raising it where it can be caught.
logging.getLogger("absl").setLevel(logging.CRITICAL)

# What orbax raises for files that are missing or cut off.
_DAMAGE = (ValueError, KeyError, FileNotFoundError)


@dataclasses.dataclass
class Restored:
    """What a checkpoint holds, on the host.

    Attributes:
        step: steps done.
        config: the full config of the run.
        normalizer: of its features.
        state: nested dict of arrays: step, params, unused, opt_state, rng.
    """

    step: int
    config: Config
    normalizer: Normalizer
    state: dict[str, Any]

    @property
    def has_optimizer(self) -> bool:
        """Whether it is a run's; converted weights have no optimizer's state."""
        return "opt_state" in self.state

    @property
    def variables(self) -> dict[str, Any]:
        """What `model.apply` takes."""
        return {"params": self.state["params"]}


class Checkpoints:
    """The checkpoints of one workdir: the last few and the best one."""

    def __init__(self, workdir: str | pathlib.Path, config: Config):
        """Opens `workdir/checkpoints`, creating it where absent."""
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
                    # Else every checkpoint between two evaluations stays for ever.
                    keep_checkpoints_without_metrics=False,
                ),
            ]
        )
        self._config = config
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

        Args:
            state: on any devices; read before this returns.
            normalizer: of the features.
            metrics: of an evaluation at this step, which make it a candidate for
                the best.
        """
        host = jax.tree.map(
            np.asarray, jax.device_get(serialization.to_state_dict(state))
        )
        step = int(host["step"])
        if step in self._manager.all_steps():
            return
        stats = {"mean": np.asarray(normalizer.mean), "std": np.asarray(normalizer.std)}
        with self._naming_folder():
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave({"train": host, "normalizer": stats}),
                    config=ocp.args.JsonSave(self._config.to_dict()),
                ),
                metrics=metrics,
            )

    def latest_path(self) -> str:
        """Names the last good checkpoint, for messages."""
        self._manager.wait_until_finished()
        step = self._manager.latest_step()
        return "none yet" if step is None else str(self._manager.directory / str(step))

    def close(self) -> None:
        """Waits until everything is on disk."""
        with self._naming_folder():
            self._manager.wait_until_finished()
            self._manager.close()

    @contextlib.contextmanager
    def _naming_folder(self) -> Iterator[None]:
        """Says where the disk is full: orbax's error has lost the file's name."""
        try:
            yield
        except OSError as error:
            if error.errno is None or error.filename:
                raise
            folder = str(self._manager.directory)
            raise OSError(error.errno, error.strerror, folder) from error


def save_weights(
    workdir: str | pathlib.Path,
    config: Config,
    normalizer: Normalizer,
    variables: dict[str, Any],
) -> None:
    """Writes the first checkpoint of a workdir from weights that no run here made.

    It is at step 0 and without an optimizer's state. Nothing is copied on the way:
    memory holds the weights once.

    Args:
        workdir: folder without checkpoints; made where absent.
        config: to train and generate with.
        normalizer: of the features.
        variables: collections of arrays: params, unused.
    """
    weights = jax.tree.map(np.asarray, {"step": np.zeros((), np.int32), **variables})
    stats = {"mean": np.asarray(normalizer.mean), "std": np.asarray(normalizer.std)}
    handlers = ocp.type_handlers.create_type_handler_registry(
        (np.ndarray, ocp.type_handlers.NumpyHandler(deepcopy_host_arrays=False))
    )
    with ocp.CheckpointManager(
        _folder(workdir),
        options=ocp.CheckpointManagerOptions(enable_async_checkpointing=False),
        item_handlers={
            # Compressed numbers, of which there would be few less, wait in memory.
            "state": ocp.PyTreeCheckpointHandler(
                use_compression=False, type_handler_registry=handlers
            ),
            "config": ocp.JsonCheckpointHandler(),
        },
    ) as manager:
        manager.save(
            0,
            args=ocp.args.Composite(
                state=ocp.args.PyTreeSave({"train": weights, "normalizer": stats}),
                config=ocp.args.JsonSave(config.to_dict()),
            ),
        )


def _open_manager(
    folder: pathlib.Path, options: ocp.CheckpointManagerOptions
) -> ocp.CheckpointManager:
    try:
        return ocp.CheckpointManager(folder, options=options)
    except ValueError as error:
        # It reads the metrics of all steps.
        raise InputError(
            f"a checkpoint in {folder} has a damaged metrics file ({error}); delete "
            "the folder of its step"
        ) from error


def _folder(workdir: str | pathlib.Path) -> pathlib.Path:
    return pathlib.Path(workdir).absolute() / "checkpoints"


def restore(
    workdir: str | pathlib.Path, which: str | int = "latest"
) -> Restored | None:
    """Opens a checkpoint with nothing but its path.

    Args:
        workdir: folder of the run.
        which: 'latest', 'best' or a step.

    Returns:
        The checkpoint, or None where the workdir has none.

    Raises:
        InputError: if the step asked for is not there, or a file is damaged.
    """
    folder = _folder(workdir)
    if not folder.is_dir():
        return None
    options = ocp.CheckpointManagerOptions(read_only=True)
    with _open_manager(folder, options) as manager:
        steps = sorted(manager.all_steps())
        if not steps:
            return None
        step = which
        if which == "latest":
            step = steps[-1]
        elif which == "best":
            step = _best_step(manager, steps)
        if step not in steps:
            raise InputError(f"{folder} holds steps {steps}, not {which!r}")
        try:
            found = manager.restore(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardRestore(), config=ocp.args.JsonRestore()
                ),
            )
        except _DAMAGE as error:
            raise InputError(
                f"checkpoint {folder / str(step)} is damaged; delete that folder to "
                "use an earlier one"
            ) from error
    stats = found.state["normalizer"]
    return Restored(
        step=int(step),
        config=from_json(json.dumps(found.config)),
        normalizer=Normalizer(mean=stats["mean"], std=stats["std"]),
        state=found.state["train"],
    )


def _best_step(manager: ocp.CheckpointManager, steps: list[int]) -> int:
    scored = {}
    for step in steps:
        try:
            config = manager.restore(
                step, args=ocp.args.Composite(config=ocp.args.JsonRestore())
            )
            metrics = manager.metrics(step)
        except _DAMAGE:
            continue  # Half deleted: the process was killed while doing that.
        if metrics:
            name = config["config"]["train"]["best_metric"]
            scored[step] = metrics[name]
    return min(scored, key=lambda step: (scored[step], -step), default=steps[-1])


def into_state(restored: Restored, fresh: TrainState) -> TrainState:
    """Puts restored arrays into a state of the same model and optimizer.

    Args:
        restored: of a run; of converted weights, whose optimizer starts anew.
        fresh: the state that a run would start with; shapes alone will do for a
            checkpoint that has an optimizer.

    Raises:
        InputError: if names or shapes differ; lists missing and unexpected apart.
    """
    start = serialization.to_state_dict(fresh)
    held = restored.state
    if not restored.has_optimizer:
        held = {"opt_state": start["opt_state"], "rng": start["rng"], **held}
    wanted, found = _shapes(start), _shapes(held)
    missing = sorted(wanted.keys() - found.keys())
    unexpected = sorted(found.keys() - wanted.keys())
    other = sorted(k for k in wanted.keys() & found.keys() if wanted[k] != found[k])
    if missing or unexpected or other:
        raise InputError(
            "the checkpoint does not fit this model and optimizer: missing "
            f"{missing[:5] or 'nothing'}, unexpected {unexpected[:5] or 'nothing'}, of "
            f"other shape {other[:5] or 'nothing'}; use another --workdir"
        )
    state: Any = serialization.from_state_dict(fresh, held)
    return state


def _shapes(tree: dict) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.shape(leaf) for path, leaf in leaves}
