"""Optimizers by name."""

import optax

from actiongpt_jax.config import Config
from actiongpt_jax.errors import InputError


def make_optimizer(config: Config) -> optax.GradientTransformation:
    """Builds the optimizer of `config.train`.

    AdamW decays every parameter, biases and norms included, as the published runs
    do (torch's default).

    Raises:
        InputError: for an unknown name.
    """
    train = config.train
    if train.optimizer == "adamw":
        tx = optax.adamw(
            train.learning_rate,
            b1=train.b1,
            b2=train.b2,
            eps=train.eps,
            weight_decay=train.weight_decay,
        )
    elif train.optimizer == "sgd":
        tx = optax.sgd(train.learning_rate)
    else:
        raise InputError(
            f"config.train.optimizer must be adamw or sgd, got {train.optimizer!r}"
        )
    if train.grad_clip is not None:
        tx = optax.chain(optax.clip_by_global_norm(train.grad_clip), tx)
    return tx
