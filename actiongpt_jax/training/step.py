"""One training step: its state, the optimizer, and pure functions for jit and pmap."""

from collections.abc import Callable, Mapping, Sequence

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from actiongpt_jax.config_fields import Config
from actiongpt_jax.errors import InputError
from actiongpt_jax.losses.terms import Term

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


class TrainState(flax.struct.PyTreeNode):
    """Everything that is saved to resume a run exactly.

    Attributes:
        step: () int32, number of steps done.
        params: the trained parameters.
        unused: tensors without any effect, kept for the published layouts.
        opt_state: the optimizer's state for `params`.
        rng: (2,) uint32 base key; every random number derives from it and `step`.
    """

    step: jax.Array
    params: dict
    unused: dict
    opt_state: optax.OptState
    rng: jax.Array


def create_state(
    model: nn.Module,
    tx: optax.GradientTransformation,
    batch: dict[str, jax.Array],
    noise: dict[str, jax.Array],
    seed: int,
) -> TrainState:
    """Draws the state that a run starts with.

    Args:
        model: the model, called as model(batch, noise).
        tx: the optimizer.
        batch: any batch with the right widths; its values do not matter.
        noise: latent noise for that batch.
        seed: seed of the whole run.
    """
    rng = jax.random.PRNGKey(seed)
    # A number that no step has, so that this key is used nowhere else.
    variables = jax.jit(model.init)(jax.random.fold_in(rng, 2**32 - 1), batch, noise)
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        unused=variables.get("unused", {}),
        opt_state=jax.jit(tx.init)(params),
        rng=rng,
    )


def make_optimizer(config: Config, num_steps: int = 1) -> optax.GradientTransformation:
    """Builds the optimizer of `config.train`.

    AdamW decays every parameter, biases and norms included, as the published runs
    do (torch's default).

    Args:
        config: the config of the run; see `configs/`.
        num_steps: number of steps of the whole run; only the cosine schedule reads it.

    Raises:
        InputError: if the name of the optimizer is unknown.
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
    """Returns a number if the rate is constant, as published, else a schedule."""
    train = config.train
    rate, warmup = train.learning_rate, train.warmup_steps
    if train.schedule == "constant":
        return optax.linear_schedule(0.0, rate, warmup) if warmup else rate
    return optax.warmup_cosine_decay_schedule(
        0.0 if warmup else rate, rate, warmup, max(num_steps, warmup + 1), 0.05 * rate
    )


def latent_noise(
    rng: jax.Array, index: jax.Array, names: Sequence[str], width: int
) -> dict[str, jax.Array]:
    """Draws noise per item of the global batch, independent of the item's device.

    Args:
        rng: random key of the step.
        index: (B,) int32 row of each item in the global batch.
        names: names of the latents that are sampled.
        width: D, the width of a latent.

    Returns:
        name -> (B, D) standard normal.
    """
    keys = jax.vmap(jax.random.fold_in, (None, 0))(rng, index)
    draws = jax.vmap(lambda key: jax.random.normal(key, (len(names), width)))(keys)
    return {name: draws[:, i] for i, name in enumerate(names)}


def _with_longest(batch: Batch, axis_name: str | None) -> Batch:
    """Adds, for every frame mask, the length of the longest item of the global batch.

    Some deviations of the published code depend on these lengths.
    """
    masks = {name: a for name, a in batch.items() if name.startswith("frame_mask")}
    longest = {
        name.replace("frame_mask", "longest"): mask.sum(-1).max()
        for name, mask in masks.items()
    }
    if axis_name is not None:
        longest = jax.lax.pmax(longest, axis_name)
    return {**batch, **longest}


def make_train_step(
    model: nn.Module,
    terms_fn: Callable[..., dict[str, Term]],
    weights: Mapping[str, float],
    tx: optax.GradientTransformation,
    noise_names: Sequence[str],
    axis_name: str | None = None,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """Makes the training step.

    Args:
        model: the model, called as model(batch, noise, deterministic) -> outputs.
        terms_fn: function (outputs, batch) -> {name: (sum, count)}.
        weights: term name -> weight.
        tx: the optimizer.
        noise_names: names of the latents that are sampled.
        axis_name: name of the device axis under pmap; None without pmap.

    Returns:
        A pure `step(state, batch) -> (state, metrics)`. The batch must also hold
        `index` (B,), each item's row in the global batch. Metrics are the terms' means
        over all devices, `loss` and `grad_norm`.
    """

    def over_devices(tree):
        return tree if axis_name is None else jax.lax.psum(tree, axis_name)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        batch = _with_longest(batch, axis_name)
        # Random numbers depend on the seed and the step alone, so that a resumed run
        # draws what an uninterrupted one draws.
        noise_rng, dropout_rng = jax.random.split(
            jax.random.fold_in(state.rng, state.step)
        )
        # Each device drops other units; latent noise follows the item instead.
        if axis_name is not None:
            dropout_rng = jax.random.fold_in(dropout_rng, jax.lax.axis_index(axis_name))
        noise = latent_noise(
            noise_rng, batch["index"], noise_names, model.sizes.latent_dim
        )

        def loss_fn(params):
            outputs = model.apply(
                {"params": params},
                batch,
                noise,
                deterministic=False,
                rngs={"dropout": dropout_rng},
            )
            terms = terms_fn(outputs, batch)
            # Counts are summed over devices before the division, so that the mean of
            # a term is that of the global batch. They depend on masks only.
            counts = {name: count for name, (_, count) in terms.items()}
            if axis_name is not None:
                # As one array: XLA would send some of the counts together with the
                # first gradients, and the rest of the backward pass would wait.
                flat, unflatten = ravel_pytree(counts)
                counts = unflatten(over_devices(flat))
            means = {
                name: total / jnp.maximum(counts[name], 1.0)
                for name, (total, _) in terms.items()
            }
            return sum(weights[name] * mean for name, mean in means.items()), means

        # The local means are parts of global ones, so their sum over devices, and that
        # of their gradients, belongs to the whole batch.
        (loss, means), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
        loss, means, grads = over_devices((loss, means, grads))
        # Every device holds the same parameters and applies the same update.
        with jax.named_scope("optimizer"):
            updates, opt_state = tx.update(grads, state.opt_state, state.params)
            params = optax.apply_updates(state.params, updates)
            grad_norm = optax.tree.norm(grads)
        state = state.replace(step=state.step + 1, params=params, opt_state=opt_state)
        return state, {"loss": loss, **means, "grad_norm": grad_norm}

    return step


def make_eval_step(
    model: nn.Module,
    terms_fn: Callable[..., dict[str, Term]],
    noise_names: Sequence[str],
    axis_name: str | None = None,
) -> Callable[[TrainState, Batch], dict[str, Term]]:
    """Makes the evaluation step: no dropout, latents at their means.

    The arguments are those of `make_train_step`.

    Returns:
        A pure `step(state, batch) -> {name: (sum, count)}` over all devices.
    """

    def step(state: TrainState, batch: Batch) -> dict[str, Term]:
        batch = _with_longest(batch, axis_name)
        zeros = jnp.zeros((len(batch["index"]), model.sizes.latent_dim))
        outputs = model.apply(
            {"params": state.params}, batch, dict.fromkeys(noise_names, zeros)
        )
        terms = terms_fn(outputs, batch)
        return terms if axis_name is None else jax.lax.psum(terms, axis_name)

    return step
