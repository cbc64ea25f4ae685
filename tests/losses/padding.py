"""Check that padding does not change any loss term."""

import jax
import jax.numpy as jnp
import numpy as np


def assert_padding_does_not_count(terms, outputs, batch, frames, rtol=1e-6):
    """Compares terms with those of the same items plus garbage padding and fillers.

    Args:
        terms: function `terms(outputs, batch)` from name to (sum, count).
        outputs: outputs of the model.
        batch: batch that the outputs are compared with.
        frames: the lengths of the time axes of the arrays.
        rtol: relative tolerance, because sums are taken in another order.
    """

    def grown(array):
        space = [(0, 2)] + [(0, 0)] * (array.ndim - 1)
        if array.ndim > 1 and array.shape[1] in frames:
            space[1] = (0, 3)
        fill = False if array.dtype == bool else 50.0
        return jnp.pad(array, space, constant_values=fill)

    expected = terms(outputs, batch)
    actual = terms(*jax.tree.map(grown, (outputs, batch)))
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], rtol, err_msg=name)
