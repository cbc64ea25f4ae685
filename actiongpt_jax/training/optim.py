"""Optimizers by name."""

import optax

from actiongpt_jax.config import Config
from actiongpt_jax.errors import InputError


def make_optimizer(config: Config, num_steps: int = 1) -> optax.GradientTransformation:
    """Builds the optimizer of `config.train`.

    AdamW decays every parameter, biases and norms included, as the published runs
    do (torch's default).

    Args:
        config: see `configs/`.
        num_steps: of the whole run; only a schedule that ends reads it.

    Raises:
        InputError: for an unknown name.
    """
    train, rate = config.train, _learning_rate(config, num_steps)
    if train.optimizer == "adamw":
        tx = optax.adamw(
            rate,
            b1=train.b1,
            b2=train.b2,
            eps=train.eps,
            weight_decay=train.weight_decay,
        )
    elif train.optimizer == "sgd":
        tx = optax.sgd(rate)
    else:
        raise InputError(
            f"config.train.optimizer must be adamw or sgd, got {train.optimizer!r}"
        )
    if train.grad_clip is not None:
        tx = optax.chain(optax.clip_by_global_norm(train.grad_clip), tx)
    return tx


def _learning_rate(config: Config, num_steps: int) -> optax.ScalarOrSchedule:
    """Returns a number as published, else a schedule: a number has no state."""
    train = config.train
    rate, warmup = train.learning_rate, train.warmup_steps
    if train.schedule == "constant":
        return optax.linear_schedule(0.0, rate, warmup) if warmup else rate
    return optax.warmup_cosine_decay_schedule(
        0.0 if warmup else rate, rate, warmup, max(num_steps, warmup + 1), 0.05 * rate
    )
