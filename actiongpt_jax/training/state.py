"""What a training run carries from step to step."""

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax


class TrainState(flax.struct.PyTreeNode):
    """All that is saved to continue a run exactly.

    Attributes:
        step: () int32, steps done.
        params: what is trained.
        unused: tensors that act on nothing, carried for the published layouts.
        opt_state: of the optimizer, for `params`.
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
    """Draws a fresh state.

    Args:
        model: called as model(batch, noise).
        tx: the optimizer.
        batch: any batch of the right widths; its values do not matter.
        noise: latent noise for that batch.
        seed: of the whole run.
    """
    rng = jax.random.PRNGKey(seed)
    # No run has that many steps.
    variables = jax.jit(model.init)(jax.random.fold_in(rng, 2**32 - 1), batch, noise)
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        unused=variables.get("unused", {}),
        opt_state=jax.jit(tx.init)(params),
        rng=rng,
    )


def count_parameters(tree: dict) -> int:
    """Returns the number of scalars in a tree of arrays."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
