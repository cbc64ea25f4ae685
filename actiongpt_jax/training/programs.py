"""The compiled functions of a run: its training step and its evaluation step."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from actiongpt_jax.config_fields import Config
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.models.build import build
from actiongpt_jax.models.family import family_of
from actiongpt_jax.training.inputs import Inputs
from actiongpt_jax.training.parallel import DataParallel
from actiongpt_jax.training.step import (
    TrainState,
    create_state,
    make_eval_step,
    make_optimizer,
    make_train_step,
)
from actiongpt_jax.training.tasks import ValidationTerms, task_of


@dataclasses.dataclass(frozen=True)
class Programs:
    """What a run calls in every step. Raw batches become features on the device.

    Attributes:
        num_steps: number of steps of the whole run.
        weights: name of each term of the loss -> its weight.
        fresh_state: returns the state that a new run starts with.
        run_step: compiled step(state, raw) -> (state, metrics); it donates the state.
        run_eval: compiled step(state, raw) -> {name: (sum, count)}.
    """

    num_steps: int
    weights: Mapping[str, float]
    fresh_state: Callable[[], TrainState]
    run_step: Callable[..., Any]
    run_eval: Callable[..., Any]


def make_programs(
    config: Config,
    inputs: Inputs,
    normalizer: Normalizer,
    devices: DataParallel,
    evaluators: Sequence[ValidationTerms] | None = None,
) -> Programs:
    """Makes the functions of a run; they are compiled when they are first called.

    Args:
        config: the resolved config of the run.
        inputs: the data of the run.
        normalizer: normalizer of the features.
        devices: the devices that run the steps.
        evaluators: functions that add figures to each validation; see `loop.train`.
    """
    model, task, noise_names = build(config), task_of(config), family_of(config).noise
    num_steps = config.train.num_steps or config.train.num_epochs * inputs.per_epoch
    tx = make_optimizer(config, num_steps)
    axis = devices.axis_name
    terms_fn, weights = task.terms(axis), task.weights()

    def to_model(raw: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        return {**task.to_model(raw, normalizer), "index": raw["index"]}

    def validation_terms(outputs, batch):
        terms = terms_fn(outputs, batch)
        for evaluator in [task.validation] if evaluators is None else evaluators:
            terms |= evaluator(outputs, batch, normalizer)
        return terms

    train_step = make_train_step(model, terms_fn, weights, tx, noise_names, axis)
    eval_step = make_eval_step(model, validation_terms, noise_names, axis)

    def fresh_state() -> TrainState:
        raw = {n: jnp.asarray(a[:1]) for n, a in inputs.train.load(0).items()}
        noise = {name: jnp.zeros((1, config.model.latent_dim)) for name in noise_names}
        return create_state(model, tx, to_model(raw), noise, config.train.seed)

    return Programs(
        num_steps,
        weights,
        fresh_state,
        run_step=devices.compile(
            lambda state, raw: train_step(state, to_model(raw)), donate_state=True
        ),
        run_eval=devices.compile(
            lambda state, raw: eval_step(state, to_model(raw)), donate_state=False
        ),
    )
