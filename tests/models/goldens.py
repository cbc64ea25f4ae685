"""Reads the golden files of TEMOS and TEACH and compares results with them.

Tolerances are those in the README of the golden files: networks 2e-5, losses 1e-5
relative, gradients 1e-4 relative, rotations and translations of a whole run 1e-4.
"""

from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from actiongpt_jax.conversion import from_torch
from actiongpt_jax.models.build import build
from actiongpt_jax.models.family import FAMILIES
from actiongpt_jax.nn.sizes import Sizes

NETWORK, LOSS, GRADIENT, MOTION = 2e-5, 1e-5, 1e-4, 1e-4


def state_of(case):
    prefix = "sd/"
    return {k.removeprefix(prefix): v for k, v in case.items() if k.startswith(prefix)}


def sizes_of(case) -> Sizes:
    names = ("latent_dim", "ff_size", "num_layers", "num_heads")
    sizes: dict[str, Any] = {name: int(case[name]) for name in names}
    return Sizes(**sizes)


def variables_of(case, layout):
    """Returns the variables of a module from the published weights of a case."""
    leaves, state = {}, state_of(case)
    for name, entry in layout.items():
        if not entry.optional:
            leaves |= entry.split(state.pop(name))
    assert not state
    return flax.traverse_util.unflatten_dict(leaves)


def run(model, variables, *arguments) -> Any:
    return jax.jit(model.apply)(variables, *arguments)


def frame_mask(lengths, frames):
    return jnp.arange(frames) < jnp.asarray(lengths)[:, None]


def assert_gaussian(found, mu, std):
    np.testing.assert_allclose(found.mu, mu, rtol=0, atol=NETWORK)
    np.testing.assert_allclose(jnp.exp(0.5 * found.logvar), std, rtol=0, atol=NETWORK)


def grouped(case):
    """Returns (B, k, N, E) tokens and (B, k, N) mask of k texts per item."""
    items = len(case["lengths"]) if "lengths" in case else len(case["v_aggr_shipped"])
    hidden, mask = case["hidden"], case["mask"]
    shape = (items, len(hidden) // items)
    return (
        hidden.reshape(*shape, *hidden.shape[1:]),
        mask.reshape(*shape, *mask.shape[1:]),
    )


def assert_losses(case, prefix, losses, config, variables, batch):
    """Compares a loss and its terms; for prefix 'loss/' its gradients too."""
    model, weights = build(config), losses.weights(config)
    for term, weight in weights.items():
        np.testing.assert_allclose(weight, case[f"lambda/{term}"], rtol=1e-12)
    names = FAMILIES[config.model.name].noise
    noise = {name: jnp.asarray(case[f"eps_{name}"]) for name in names}

    def loss(params):
        outputs = model.apply(variables | {"params": params}, batch, noise)
        terms = losses.terms(outputs, batch, config)
        means = {term: total / count for term, (total, count) in terms.items()}
        return sum(weights[term] * mean for term, mean in means.items()), means

    if prefix == "loss/":
        gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))
        (total, means), grads = gradient(variables["params"])
        inert = jax.tree.map(np.zeros_like, variables["unused"])
        found = from_torch.to_state_dict(config, {"params": grads, "unused": inert})
        assert_gradients(found, case)
        # Parameters without a gradient in the published run get none here.
        untrained = filter(None, case["params_without_grad"])
        assert not any(found[name].any() for name in untrained)
    else:
        total, means = jax.jit(loss)(variables["params"])
    expected = {
        key.removeprefix(prefix): value
        for key, value in case.items()
        if key.startswith(prefix)
    }
    np.testing.assert_allclose(total, expected.pop("total"), rtol=LOSS)
    assert expected.keys() == means.keys()
    for term, value in expected.items():
        np.testing.assert_allclose(means[term], value, rtol=LOSS, err_msg=term)


def assert_gradients(found, case):
    names = [key.removeprefix("grad/") for key in case if key.startswith("grad/")]
    assert names
    for name in names:
        expected = case[f"grad/{name}"]
        # Relative to the tensor's largest entry, because entries that are 0 in exact
        # arithmetic (the biases of keys) contain only rounding noise.
        np.testing.assert_allclose(
            found[name],
            expected,
            rtol=0,
            atol=GRADIENT * np.abs(expected).max(),
            err_msg=name,
        )
