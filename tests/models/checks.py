"""Checks that apply to every model."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def assert_close(actual, expected, atol=1e-5):
    """Compares two trees; the default allows for another order of float32 sums."""
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=atol),
        actual,
        expected,
    )


def assert_every_parameter_has_a_gradient(model, variables, batch, noise):
    def loss(params):
        outputs = model.apply(variables | {"params": params}, batch, noise)
        leaves = jax.tree.leaves(outputs)
        return sum(jnp.sum(jnp.cos(leaf) * leaf) for leaf in leaves)

    gradients = jax.jit(jax.grad(loss))(variables["params"])
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, path


def assert_float32_outputs(result: Any):
    assert {leaf.dtype for leaf in jax.tree.leaves(result)} == {jnp.dtype("float32")}


def shapes_of(model, batch, noise):
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), batch, noise))
    return jax.tree.map(lambda leaf: leaf.shape, shapes)
