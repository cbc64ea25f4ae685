"""The training loop of every model."""

import contextlib
import math
import pathlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from actiongpt_jax.config import to_json
from actiongpt_jax.config_fields import Config, check_values, resolve
from actiongpt_jax.data.batches.item_batches import ItemBatches
from actiongpt_jax.data.batches.prefetch import prefetch
from actiongpt_jax.errors import InputError
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.files.atomic import write_text
from actiongpt_jax.nn.parameters import count_parameters
from actiongpt_jax.training import checkpoints, parallel
from actiongpt_jax.training.inputs import Inputs, open_inputs
from actiongpt_jax.training.phrase_lengths import measure_lengths, write_lengths
from actiongpt_jax.training.programs import Programs, make_programs
from actiongpt_jax.training.resume import check_same_run, into_state
from actiongpt_jax.training.step import TrainState
from actiongpt_jax.training.tasks import Task, ValidationTerms, task_of
from actiongpt_jax.training.workdir import check_workdir, lock_workdir
from actiongpt_jax.training.writers import MetricWriter

OnValidation = Callable[[Config, Normalizer, TrainState], None]


def train(
    config: Config,
    workdir: str | pathlib.Path,
    evaluators: Sequence[ValidationTerms] | None = None,
    on_validation: OnValidation | None = None,
) -> TrainState:
    """Trains a model, from the workdir's last checkpoint if there is one.

    Writes config.json, metrics.jsonl and checkpoints/ into the workdir. A run that is
    killed and called again ends with the same parameters, bit for bit, as a run that
    was not interrupted.

    Args:
        config: the config of the run; see `configs/`.
        workdir: folder of the run; it is made if it does not exist.
        evaluators: pure functions that add figures to each validation; None takes the
            one of the model's `Task`, position and variance errors.
        on_validation: called in every process after each validation whose state is
            saved, with the config, the normalizer and that state, which it must not
            keep; for example a `viewing.samples.SamplesPage`.

    Returns:
        The final state.

    Raises:
        InputError: for bad input, if another process writes to the workdir, and at the
            next log if the loss is not finite.
    """
    # Check the config and the folder before any work.
    config = resolve(config).copy_and_resolve_references()
    check_values(config)
    workdir = pathlib.Path(workdir)
    check_workdir(workdir)
    # The other processes of the run write nothing but their part of a checkpoint.
    is_main = jax.process_index() == 0
    with lock_workdir(workdir) if is_main else contextlib.nullcontext():
        return _train(config, workdir, evaluators, on_validation, is_main)


def _train(
    config: Config,
    workdir: pathlib.Path,
    evaluators: Sequence[ValidationTerms] | None,
    on_validation: OnValidation | None,
    is_main: bool,
) -> TrainState:
    """Trains in a workdir that is locked; see `train`."""
    task = task_of(config)
    parallel.use_compilation_cache()
    devices = parallel.DataParallel(config.train.batch_size)

    # Open the data, and the last checkpoint if there is one.
    restored = checkpoints.restore(workdir)
    inputs = open_inputs(config)
    if restored is None:
        normalizer = task.fit(inputs.train)
    else:
        normalizer = restored.normalizer
        for change in check_same_run(config, restored.config, workdir):
            if is_main:
                tqdm.write(f"note: {change}; the run continues, but not exactly")

    # Make the compiled steps, and restore the state or start from scratch.
    programs = make_programs(config, inputs, normalizer, devices, evaluators)
    num_steps, fresh_state = programs.num_steps, programs.fresh_state
    if restored is None:
        state = fresh_state()
    elif restored.has_optimizer:
        state = into_state(restored, jax.eval_shape(fresh_state))
    else:
        state = into_state(restored, fresh_state())
    start = int(jax.device_get(state.step))
    if start > num_steps:
        raise InputError(
            f"{workdir} has done {start} steps already, more than the requested "
            f"{num_steps}; raise config.train.num_steps or use another --workdir"
        )
    state = devices.place_state(state)

    # Open the output files, and print what is about to run.
    workdir.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        saver = stack.enter_context(
            contextlib.closing(checkpoints.Checkpoints(workdir, config))
        )
        writer = None
        if is_main:
            write_text(workdir / "config.json", to_json(config) + "\n")
            if (lengths := measure_lengths(config)) is not None:
                write_lengths(workdir, lengths)
            tqdm.write(_summary(config, task, inputs, state))
            tqdm.write(f"{workdir}: step {start} of {num_steps}")
            writer = MetricWriter(workdir, start)
            stack.callback(writer.close)
        bar = stack.enter_context(
            tqdm(
                total=num_steps,
                initial=start,
                unit="step",
                disable=not is_main,
                leave=False,
                # A log file does not need a line for every step.
                mininterval=0.5 if sys.stderr.isatty() else 30.0,
            )
        )

        def validate(step: int) -> dict[str, float] | None:
            """Runs the validation split once; returns None if it has no items."""
            if inputs.val is None:
                return None
            figures = _validate(inputs.val, devices, programs, state)
            best_metric = config.train.best_metric
            if best_metric not in figures:
                raise InputError(
                    "config.train.best_metric must be one of "
                    f"{', '.join(figures)}, got {best_metric!r}"
                )
            if writer is not None:
                writer.write(step, figures)
                shown = [
                    f"{name.removeprefix('val/')} {value:.4f}"
                    for name, value in figures.items()
                    if any(word in name for word in task.shown)
                ]
                epoch = step / inputs.per_epoch
                tqdm.write(
                    f"step {step} (epoch {epoch:.1f}): validation {', '.join(shown)}"
                )
            return figures

        if start == 0:
            validate(0)

        # Train. A thread loads batches ahead, and figures stay on the device until they
        # are logged, so that neither the host nor the device waits for the other.
        def load(step: int):
            raw = inputs.train.load(step)
            items = raw.pop("item")
            frames = int(raw["lengths"].sum()) * jax.process_count()
            return devices.place_batch(raw), items, frames

        figures = _StepFigures(inputs.train, saver)
        batches = prefetch(load, range(start, num_steps))
        stack.callback(batches.close)
        validate_every = config.train.eval_epochs * inputs.per_epoch
        for step, (batch, items, frames) in enumerate(batches, start=start + 1):
            state, metrics = programs.run_step(state, batch)
            figures.add(step, metrics, items, frames)
            bar.update()

            # Log the means since the last log.
            validates = step == num_steps or step % validate_every == 0
            if validates or step % config.train.log_steps == 0:
                figures.read()
                means = figures.means()
                bar.set_postfix_str(
                    f"loss {means['train/loss']:.4f}, {means['step_ms']:.0f} ms, "
                    f"{means['frames_per_s']:,.0f} frames/s"
                )
                if writer is not None:
                    writer.write(step, means)

            # Validate and save.
            if validates:
                saver.save(state, normalizer, validate(step))
                if on_validation is not None:
                    on_validation(config, normalizer, state)
                figures.restart_clock()
            elif step % config.train.checkpoint_steps == 0:
                figures.read()
                saver.save(state, normalizer)
    return state


class _StepFigures:
    """Collects the figures of the steps since the last log, some still on a device."""

    def __init__(self, batches: ItemBatches, saver: checkpoints.Checkpoints):
        self._batches, self._saver = batches, saver
        self._pending: list[tuple[int, Any, np.ndarray]] = []
        self._done: list[dict[str, float]] = []
        self._frames = 0
        self.restart_clock()

    def restart_clock(self) -> None:
        """Excludes the time until now from the next means."""
        self._clock = time.perf_counter()

    def add(self, step: int, metrics: Any, items: np.ndarray, frames: int) -> None:
        """Adds the metrics of a step that the device may still compute.

        Waits for the step before, because every step that runs ahead holds a batch.
        """
        if self._pending:
            jax.block_until_ready(self._pending[-1][1])
        self._pending.append((step, metrics, items))
        self._frames += frames

    def read(self) -> None:
        """Reads the figures of all steps from the device.

        Raises:
            InputError: if the loss or the gradient of a step is not finite.
        """
        pending, self._pending = self._pending, []
        values = jax.device_get([metrics for _, metrics, _ in pending])
        for (step, _, items), metrics in zip(pending, values, strict=True):
            figures = {name: float(value) for name, value in metrics.items()}
            loss, norm = figures["loss"], figures["grad_norm"]
            if not (math.isfinite(loss) and math.isfinite(norm)):
                keys = [self._batches.items[i].key for i in items if i >= 0]
                raise InputError(
                    f"the loss is {loss} (gradient norm {norm}) at step {step} on "
                    f"items {', '.join(map(str, keys))}; the last good checkpoint is "
                    f"{self._saver.latest_path()}; look at these items or lower "
                    "config.train.learning_rate"
                )
            self._done.append(figures)

    def means(self) -> dict[str, float]:
        """Returns the means over the steps that were read, and clears them."""
        done, now = self._done, time.perf_counter()
        seconds = now - self._clock
        means = {
            f"train/{name}": float(np.mean([figures[name] for figures in done]))
            for name in done[0]
        }
        means["step_ms"] = 1e3 * seconds / len(done)
        means["frames_per_s"] = self._frames / seconds
        self._done, self._frames, self._clock = [], 0, now
        return means


def _validate(
    batches: ItemBatches,
    devices: parallel.DataParallel,
    programs: Programs,
    state: TrainState,
) -> dict[str, float]:
    """Returns the means of all terms over the validation split, and the loss."""

    def load(step: int):
        raw = batches.load(step)
        raw.pop("item")
        return devices.place_batch(raw)

    totals: dict[str, list[float]] = {}
    for batch in prefetch(load, range(batches.plan.batches_per_epoch)):
        terms = jax.device_get(programs.run_eval(state, batch))
        for name, (total, count) in terms.items():
            sums = totals.setdefault(name, [0.0, 0.0])
            sums[0] += float(total)
            sums[1] += float(count)
    means = {name: s / max(n, 1.0) for name, (s, n) in totals.items()}
    figures = {f"val/{name}": mean for name, mean in means.items()}
    figures["val/loss"] = sum(w * means[name] for name, w in programs.weights.items())
    return figures


def _summary(config: Config, task: Task, inputs: Inputs, state: TrainState) -> str:
    """Returns a few lines about the model, the data and the devices."""
    plan, text = inputs.train.plan, config.text
    trained, inert = count_parameters(state.params), count_parameters(state.unused)
    return (
        f"{config.model.name}: {trained:,} parameters ({trained + inert:,} with the "
        f"inert ones of the published layout); text: {text.source}, {text.encoder}, "
        f"k={text.k}\n"
        f"{len(inputs.train.items)} {task.noun}s in {inputs.per_epoch} batches of "
        f"{config.train.batch_size} per epoch, padded to {list(plan.shapes)} frames "
        f"({plan.padding:.1%} padding)\n"
        f"{jax.device_count()} {jax.devices()[0].platform} device(s), "
        f"{jax.process_count()} process(es)"
    )
