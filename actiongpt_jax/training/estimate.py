"""Estimates the memory and the time of a run from a few steps, without training."""

import dataclasses
import time
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from actiongpt_jax.config_fields import Config, check_values, resolve
from actiongpt_jax.data.batches.prefetch import prefetch
from actiongpt_jax.nn.parameters import count_parameters
from actiongpt_jax.training import parallel
from actiongpt_jax.training.inputs import Inputs, open_inputs
from actiongpt_jax.training.programs import Programs, make_programs
from actiongpt_jax.training.step import TrainState
from actiongpt_jax.training.tasks import task_of

# Padded lengths differ between batches, and the time of a step with them.
_MEASURED_STEPS = 8


@dataclasses.dataclass(frozen=True)
class StepMemory:
    """Memory of a training step on one device, in bytes.

    Attributes:
        items: number of items of the device's part of the batch.
        batch: the raw batch.
        temporary: activations, gradients and whatever else lives only during the step.
        total: all of it, with parameters and optimizer state.
    """

    items: int
    batch: int
    temporary: int
    total: int


@dataclasses.dataclass(frozen=True)
class RunEstimate:
    """What a run needs.

    Attributes:
        model: name of the model.
        parameters: number of trained parameters.
        parameter_bytes: bytes of the parameters, and of their gradients.
        optimizer_bytes: bytes of the optimizer state.
        frames: padded length of the longest batch; for pairs, of both actions.
        memory: memory of a step at that length, by number of items.
        batch_size: number of items of the global batch.
        devices: number of devices of this run.
        platform: kind of these devices, such as 'cpu' or 'gpu'.
        steps_per_epoch: number of steps per epoch.
        num_steps: number of steps of the whole run.
        step_seconds: expected mean time of a step on these devices.
    """

    model: str
    parameters: int
    parameter_bytes: int
    optimizer_bytes: int
    frames: int
    memory: tuple[StepMemory, ...]
    batch_size: int
    devices: int
    platform: str
    steps_per_epoch: int
    num_steps: int
    step_seconds: float


def estimate_run(config: Config, items_per_device: Iterable[int] = ()) -> RunEstimate:
    """Compiles the training step and runs it for a few batches; keeps nothing.

    Training later finds the compiled programs in the cache.

    Args:
        config: the config of the run.
        items_per_device: numbers of items to compile the step for, besides that of
            the config.

    Raises:
        InputError: for bad input.
    """
    config = resolve(config).copy_and_resolve_references()
    check_values(config)
    parallel.use_compilation_cache()
    devices = parallel.DataParallel(config.train.batch_size)
    inputs = open_inputs(config)
    normalizer = task_of(config).fit(inputs.train)
    programs = make_programs(config, inputs, normalizer, devices)
    state = devices.place_state(programs.fresh_state())
    own = config.train.batch_size // jax.device_count()
    frames = _padded_frames(inputs)
    longest = _load(inputs, int(frames.argmax()))
    return RunEstimate(
        model=config.model.name,
        parameters=count_parameters(state.params),
        parameter_bytes=_bytes(state.params),
        optimizer_bytes=_bytes(state.opt_state),
        frames=int(frames.max()),
        memory=tuple(
            _step_memory(programs, devices, state, longest, items)
            for items in sorted({own, *items_per_device})
        ),
        batch_size=config.train.batch_size,
        devices=jax.device_count(),
        platform=jax.devices()[0].platform,
        steps_per_epoch=inputs.per_epoch,
        num_steps=programs.num_steps,
        # Last, because it donates the state.
        step_seconds=_step_seconds(programs, devices, state, inputs, frames),
    )


def _padded_frames(inputs: Inputs) -> np.ndarray:
    """Returns the padded length of every batch of an epoch; pairs count both parts."""
    plan = inputs.train.plan
    return np.array([np.sum(plan.batch(i)[1]) for i in range(inputs.per_epoch)])


def _load(inputs: Inputs, step: int) -> dict[str, np.ndarray]:
    raw = inputs.train.load(step)
    del raw["item"]
    return raw


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _step_memory(
    programs: Programs,
    devices: parallel.DataParallel,
    state: TrainState,
    raw: dict[str, np.ndarray],
    items: int,
) -> StepMemory:
    """Returns the memory of a step on batches like `raw`, as compiled."""
    rows = items * jax.local_device_count()
    # np.resize repeats the rows.
    batch = {name: np.resize(a, (rows, *a.shape[1:])) for name, a in raw.items()}
    program = programs.run_step.lower(state, devices.place_batch(batch)).compile()
    temporary = program.memory_analysis().temp_size_in_bytes
    size = _bytes(batch) // jax.local_device_count()
    # The new state takes the place of the old one.
    return StepMemory(items, size, temporary, _bytes(state) + size + temporary)


def _step_seconds(
    programs: Programs,
    devices: parallel.DataParallel,
    state: TrainState,
    inputs: Inputs,
    frames: np.ndarray,
) -> float:
    """Measures a few steps, and scales their time to the mean length of an epoch."""
    count = min(_MEASURED_STEPS, inputs.per_epoch)
    # The first pass compiles a program for every length.
    batches = prefetch(
        lambda step: devices.place_batch(_load(inputs, step)), [*range(count)] * 2
    )
    started = 0.0
    for i, batch in enumerate(batches):
        if i == count:
            jax.block_until_ready(state)
            started = time.perf_counter()
        state, _ = programs.run_step(state, batch)
    jax.block_until_ready(state)
    seconds = time.perf_counter() - started
    return seconds / float(frames[:count].sum()) * float(frames.mean())


def format_estimate(estimate: RunEstimate) -> str:
    """Returns the lines that `train --plan` prints."""
    e = estimate
    divisors = [str(n) for n in range(1, e.batch_size + 1) if e.batch_size % n == 0]
    parameters, optimizer = _size(e.parameter_bytes), _size(e.optimizer_bytes)
    rows = [("items", "batch", "activations, gradients", "in all")]
    rows += [
        (f"{m.items}", _size(m.batch), _size(m.temporary), _size(m.total))
        for m in e.memory
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  " + "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True))
        for row in rows
    ]
    lines = [
        f"{e.model}: {e.parameters:,} parameters",
        f"every device holds parameters {parameters}, gradients {parameters}, "
        f"optimizer state {optimizer}",
        f"memory per device of a step on {e.frames} frames, the longest padded length, "
        f"by items per device (as compiled for {e.platform})",
        *table,
        f"a batch of {e.batch_size} divides among {', '.join(divisors)} devices; "
        f"this run has {e.devices}",
        f"{e.steps_per_epoch:,} steps per epoch, {e.num_steps:,} in all",
        f"{1e3 * e.step_seconds:,.1f} ms per step, from the first steps on this "
        f"machine's {e.platform}: the run takes "
        f"{_duration(e.step_seconds * e.num_steps)}, validations not included",
    ]
    return "\n".join(lines)


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _duration(seconds: float) -> str:
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.0f} seconds"
