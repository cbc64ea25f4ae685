"""The training loop of every model."""

import collections
import dataclasses
import math
import pathlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from actiongpt_jax.config import Config, cache_folder, check_values, resolve, to_json
from actiongpt_jax.data.batches.prefetch import prefetch
from actiongpt_jax.errors import InputError
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.models.build import NOISE, build
from actiongpt_jax.training import checkpoints, parallel
from actiongpt_jax.training.inputs import (
    Inputs,
    check_same_run,
    check_workdir,
    open_inputs,
)
from actiongpt_jax.training.optim import make_optimizer
from actiongpt_jax.training.state import TrainState, count_parameters, create_state
from actiongpt_jax.training.step import make_eval_step, make_train_step
from actiongpt_jax.training.tasks import TASKS, Evaluator
from actiongpt_jax.training.writers import MetricWriter


def train(
    config: Config,
    workdir: str | pathlib.Path,
    evaluators: Sequence[Evaluator] = (),
) -> TrainState:
    """Trains a model, from the workdir's last checkpoint where it has one.

    Writes config.json, metrics.jsonl and checkpoints/ into the workdir. Killed and
    called again, it ends with the same parameters, bit for bit, as uninterrupted.

    Args:
        config: see `configs/`.
        workdir: folder of the run; made where absent.
        evaluators: pure functions that add figures to each validation.

    Returns:
        The final state.

    Raises:
        InputError: for bad input, and when the loss is no longer finite.
    """
    config = resolve(config).copy_and_resolve_references()
    check_values(config)
    workdir = pathlib.Path(workdir)
    check_workdir(workdir)
    parallel.use_compilation_cache(cache_folder() / "xla")
    devices = parallel.DataParallel(config.train.batch_size)
    restored = checkpoints.restore(workdir)
    inputs, task = open_inputs(config), TASKS[config.model.name]
    if restored is not None:
        for change in check_same_run(config, restored.config, workdir):
            if jax.process_index() == 0:
                tqdm.write(f"note: {change}; the run continues, but not exactly")
        normalizer = restored.normalizer
    else:
        normalizer = task.fit(inputs.train, config)

    num_steps = config.train.num_steps or config.train.num_epochs * inputs.per_epoch
    model, tx = build(config), make_optimizer(config, num_steps)
    names, axis = NOISE[config.model.name], devices.axis_name
    terms_fn, weights = task.terms(config, axis), task.weights(config)

    def to_model(raw: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        batch = task.to_model(raw, normalizer, config)
        return {**batch, "index": raw["index"]}

    def eval_terms(outputs, batch):
        found = terms_fn(outputs, batch)
        for evaluator in evaluators:
            found |= evaluator(outputs, batch, normalizer)
        return found

    step_fn = make_train_step(model, terms_fn, weights, tx, names, axis)
    eval_fn = make_eval_step(model, eval_terms, names, axis)
    run_step = devices.compile(
        lambda s, raw: step_fn(s, to_model(raw)), donate_state=True
    )
    run_eval = devices.compile(
        lambda s, raw: eval_fn(s, to_model(raw)), donate_state=False
    )

    def fresh_state() -> TrainState:
        raw = {n: jnp.asarray(a[:1]) for n, a in inputs.train.load(0).items()}
        noise = {name: jnp.zeros((1, config.model.latent_dim)) for name in names}
        return create_state(model, tx, to_model(raw), noise, config.train.seed)

    if restored is None:
        state = fresh_state()
    elif restored.has_optimizer:
        state = checkpoints.into_state(restored, jax.eval_shape(fresh_state))
    else:
        state = checkpoints.into_state(restored, fresh_state())
    state = devices.place_state(state)
    run = _Run(
        *(config, workdir, inputs, normalizer, devices, weights),
        *(run_step, run_eval, num_steps),
    )
    return run.go(state)


@dataclasses.dataclass
class _Run:
    """One call of `train` from its first step to its last."""

    config: Config
    workdir: pathlib.Path
    inputs: Inputs
    normalizer: Normalizer
    devices: parallel.DataParallel
    weights: dict[str, float]
    run_step: Callable
    run_eval: Callable
    num_steps: int

    def __post_init__(self):
        self.per_epoch = self.inputs.per_epoch
        self.main = jax.process_index() == 0
        # Figures of steps that the device may still be computing.
        self.pending = collections.deque()
        self.window: list[dict[str, float]] = []

    def go(self, state: TrainState) -> TrainState:
        start = int(state.step)
        if start > self.num_steps:
            raise InputError(
                f"{self.workdir} has done {start} steps already, more than the "
                f"{self.num_steps} asked for; raise config.train.num_steps or use "
                "another --workdir"
            )
        self.checkpoints = checkpoints.Checkpoints(self.workdir, self.config)
        self._announce(state, start)
        writer = MetricWriter(self.workdir, start) if self.main else None
        evaluate_every = self.config.train.eval_epochs * self.per_epoch
        bar = tqdm(
            total=self.num_steps,
            initial=start,
            unit="step",
            disable=not self.main,
            leave=False,
            # A log file needs no line for every step.
            mininterval=0.5 if sys.stderr.isatty() else 30.0,
        )
        if start == 0:
            self._evaluate(state, 0, writer)
        self.clock = time.perf_counter()
        self.frames = 0
        batches = prefetch(self._load, range(start, self.num_steps))
        try:
            for step, (placed, items, frames) in enumerate(batches, start=start + 1):
                state, metrics = self.run_step(state, placed)
                self.pending.append((step, metrics, items))
                self.frames += frames
                # One step behind, so that the host never waits for the device.
                self._settle(keep=1)
                bar.update()
                last = step == self.num_steps
                evaluate = last or step % evaluate_every == 0
                if step % self.config.train.log_steps == 0 or evaluate:
                    self._settle(keep=0)
                    self._log(step, writer, bar)
                if evaluate:
                    figures = self._evaluate(state, step, writer)
                    self.checkpoints.save(state, self.normalizer, figures)
                elif step % self.config.train.checkpoint_steps == 0:
                    self._settle(keep=0)
                    self.checkpoints.save(state, self.normalizer)
        finally:
            batches.close()
            bar.close()
            self.checkpoints.close()
            if writer is not None:
                writer.close()
        return state

    def _announce(self, state: TrainState, start: int) -> None:
        self.workdir.mkdir(parents=True, exist_ok=True)
        if not self.main:
            return
        (self.workdir / "config.json").write_text(to_json(self.config) + "\n")
        plan, trained = self.inputs.train.plan, count_parameters(state.params)
        inert = count_parameters(state.unused)
        text, noun = self.config.text, TASKS[self.config.model.name].noun
        tqdm.write(
            f"{self.config.model.name}: {trained:,} parameters ({trained + inert:,} "
            f"with the inert ones of the published layout); text: {text.source}, "
            f"{text.encoder}, k={text.k}\n"
            f"{len(self.inputs.train_items)} {noun}s in {self.per_epoch} batches of "
            f"{self.config.train.batch_size} per epoch, padded to "
            f"{list(plan.shapes)} frames ({plan.padding:.1%} padding)\n"
            f"{jax.device_count()} {jax.devices()[0].platform} device(s), "
            f"{jax.process_count()} process(es)\n"
            f"{self.workdir}: step {start} of {self.num_steps}"
        )

    def _load(self, step: int):
        raw = self.inputs.train.load(step)
        items = raw.pop("item")
        frames = int(raw["lengths"].sum()) * jax.process_count()
        return self.devices.place_batch(raw), items, frames

    def _settle(self, keep: int) -> None:
        """Reads figures off the device and stops where one is not finite."""
        while len(self.pending) > keep:
            step, metrics, items = self.pending.popleft()
            figures = {name: float(value) for name, value in metrics.items()}
            if not (
                math.isfinite(figures["loss"]) and math.isfinite(figures["grad_norm"])
            ):
                keys = [self.inputs.train_items[i].key for i in items if i >= 0]
                raise InputError(
                    f"the loss is {figures['loss']} (gradient norm "
                    f"{figures['grad_norm']}) at step {step} on items "
                    f"{', '.join(map(str, keys))}; the last good checkpoint is "
                    f"{self.checkpoints.latest_path()}; look at these items or lower "
                    "config.train.learning_rate"
                )
            self.window.append(figures)

    def _log(self, step: int, writer: MetricWriter | None, bar: tqdm) -> None:
        now = time.perf_counter()
        seconds = now - self.clock
        if not self.window:
            return
        means = {
            f"train/{name}": float(np.mean([figures[name] for figures in self.window]))
            for name in self.window[0]
        }
        step_ms = 1e3 * seconds / len(self.window)
        rate = self.frames / seconds
        bar.set_postfix_str(
            f"loss {means['train/loss']:.4f}, {step_ms:.0f} ms, {rate:,.0f} frames/s"
        )
        if writer is not None:
            writer.write(step, {**means, "step_ms": step_ms, "frames_per_s": rate})
        self.window, self.frames, self.clock = [], 0, now

    def _evaluate(
        self, state: TrainState, step: int, writer: MetricWriter | None
    ) -> dict[str, float] | None:
        """Runs the validation split once; None where there is none."""
        if self.inputs.val is None:
            return None
        val = self.inputs.val
        totals: dict[str, list[float]] = {}
        for i in range(val.plan.batches_per_epoch):
            raw = val.load(i)
            raw.pop("item")
            terms = jax.device_get(self.run_eval(state, self.devices.place_batch(raw)))
            for name, (total, count) in terms.items():
                sums = totals.setdefault(name, [0.0, 0.0])
                sums[0] += float(total)
                sums[1] += float(count)
        means = {name: s / max(n, 1.0) for name, (s, n) in totals.items()}
        figures = {f"val/{name}": mean for name, mean in means.items()}
        figures["val/loss"] = sum(w * means[n] for n, w in self.weights.items())
        best_metric = self.config.train.best_metric
        if best_metric not in figures:
            raise InputError(
                f"config.train.best_metric must be one of {', '.join(figures)}, got "
                f"{best_metric!r}"
            )
        if writer is not None:
            writer.write(step, figures)
            epoch = step / self.per_epoch
            shown = (
                *("recons_text2rfeats", "ape_root", "ape_global", "ave_global"),
                *("joint_error", "text_cosine", "contrastive", "top1"),
            )
            line = ", ".join(
                f"{name.removeprefix('val/')} {value:.4f}"
                for name, value in figures.items()
                if any(word in name for word in shown)
            )
            tqdm.write(f"step {step} (epoch {epoch:.1f}): validation {line}")
        self.clock = time.perf_counter()
        return figures
