"""The training step and the evaluation step: pure, for jit and pmap alike."""

from collections.abc import Callable, Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from actiongpt_jax.losses.terms import Term
from actiongpt_jax.training.state import TrainState

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


def latent_noise(
    rng: jax.Array, index: jax.Array, names: Sequence[str], width: int
) -> dict[str, jax.Array]:
    """Draws noise per item of the global batch, whatever device holds it.

    Args:
        rng: key of the step.
        index: (B,) int32 row of each item in the global batch.
        names: of the latents that are sampled.
        width: D.

    Returns:
        name -> (B, D) standard normal.
    """
    keys = jax.vmap(jax.random.fold_in, (None, 0))(rng, index)
    draws = jax.vmap(lambda key: jax.random.normal(key, (len(names), width)))(keys)
    return {name: draws[:, i] for i, name in enumerate(names)}


def _with_longest(batch: Batch, axis_name: str | None) -> Batch:
    """Adds to every frame mask the frames of the global batch's longest item.

    Some of what the published code does depends on them.
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
        model: called as model(batch, noise, deterministic) -> outputs.
        terms_fn: (outputs, batch) -> {name: (sum, count)}.
        weights: of the terms.
        tx: the optimizer.
        noise_names: of the latents that are sampled.
        axis_name: of the device axis under pmap.

    Returns:
        A pure `step(state, batch) -> (state, metrics)`; the batch also holds
        `index` (B,), the rows of the global batch. Metrics are the terms' means
        over all devices, `loss` and `grad_norm`.
    """

    def over_devices(tree):
        return tree if axis_name is None else jax.lax.psum(tree, axis_name)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        batch = _with_longest(batch, axis_name)
        noise_rng, dropout_rng = jax.random.split(
            jax.random.fold_in(state.rng, state.step)
        )
        if axis_name is not None:
            dropout_rng = jax.random.fold_in(dropout_rng, jax.lax.axis_index(axis_name))
        noise = latent_noise(noise_rng, batch["index"], noise_names, model.latent_dim)

        def loss_fn(params):
            outputs = model.apply(
                {"params": params},
                batch,
                noise,
                deterministic=False,
                rngs={"dropout": dropout_rng},
            )
            terms = terms_fn(outputs, batch)
            # Counts depend on masks only; summed over devices before the division,
            # the mean of a term is that of the global batch.
            counts = over_devices({name: count for name, (_, count) in terms.items()})
            means = {
                name: total / jnp.maximum(counts[name], 1.0)
                for name, (total, _) in terms.items()
            }
            return sum(weights[name] * mean for name, mean in means.items()), means

        (loss, means), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
        loss, means, grads = over_devices((loss, means, grads))
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        state = state.replace(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            opt_state=opt_state,
        )
        return state, {"loss": loss, **means, "grad_norm": optax.tree.norm(grads)}

    return step


def make_eval_step(
    model: nn.Module,
    terms_fn: Callable[..., dict[str, Term]],
    noise_names: Sequence[str],
    axis_name: str | None = None,
) -> Callable[[TrainState, Batch], dict[str, Term]]:
    """Makes the evaluation step: no dropout, latents at their means.

    Args: as of `make_train_step`.

    Returns:
        A pure `step(state, batch) -> {name: (sum, count)}` over all devices.
    """

    def step(state: TrainState, batch: Batch) -> dict[str, Term]:
        batch = _with_longest(batch, axis_name)
        zeros = jnp.zeros((len(batch["index"]), model.latent_dim))
        outputs = model.apply(
            {"params": state.params}, batch, dict.fromkeys(noise_names, zeros)
        )
        terms = terms_fn(outputs, batch)
        return terms if axis_name is None else jax.lax.psum(terms, axis_name)

    return step
