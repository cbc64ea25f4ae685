"""Padding that must count in no loss."""

import jax
import jax.numpy as jnp
import numpy as np


def assert_padding_counts_in_nothing(terms, outputs, batch, frames, rtol=1e-6):
    """Compares terms with those of the same items among fillers full of garbage.

    Args:
        terms: function of outputs and batch.
        outputs: of the model.
        batch: what the outputs are compared with.
        frames: the numbers of frames of arrays that have any.
        rtol: the same numbers are summed in another order.
    """

    def grown(array):
        space = [(0, 2)] + [(0, 0)] * (array.ndim - 1)
        if array.ndim > 1 and array.shape[1] in frames:
            space[1] = (0, 3)
        fill = False if array.dtype == bool else 50.0
        return jnp.pad(array, space, constant_values=fill)

    expected = terms(outputs, batch)
    found = terms(*jax.tree.map(grown, (outputs, batch)))
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol, err_msg=name)
