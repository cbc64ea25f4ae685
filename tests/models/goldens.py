"""How the golden files of TEMOS and TEACH are read and compared with.

Tolerances are those of the files' README: networks 2e-5, losses 1e-5 relative,
gradients 1e-4 relative, rotations and translations of a whole run 1e-4.
"""

from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

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
    """Puts the weights of one module into its variables."""
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


def assert_gradients(found, case):
    names = [key.removeprefix("grad/") for key in case if key.startswith("grad/")]
    assert names
    for name in names:
        expected = case[f"grad/{name}"]
        # Relative to the tensor's own largest entry: those that are 0 in exact
        # arithmetic (the biases of keys) hold rounding noise only.
        np.testing.assert_allclose(
            found[name],
            expected,
            rtol=0,
            atol=GRADIENT * np.abs(expected).max(),
            err_msg=name,
        )
