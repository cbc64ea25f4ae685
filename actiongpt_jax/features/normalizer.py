"""Mean and standard deviation of features, computed in one pass over a corpus."""

from collections.abc import Iterable
from typing import TypeVar

import flax.struct
import jax
import numpy as np
from jaxtyping import Float

from actiongpt_jax.errors import InputError
from actiongpt_jax.shapes import check_shape

ArrayT = TypeVar("ArrayT", np.ndarray, jax.Array)

# Keeps a standard deviation of 0 from dividing by 0; the published value.
_EPS = 1e-12
# A feature that varies by less than a few roundings of float32 counts as constant.
_ROUNDING = 1e-6


@flax.struct.dataclass
class Normalizer:
    """Scales features to mean 0 and standard deviation 1, and back.

    Attributes:
        mean: (F,) float32 mean of each feature.
        std: (F,) float32 standard deviation of each feature.
    """

    mean: np.ndarray | jax.Array
    std: np.ndarray | jax.Array

    def normalize(self, features: ArrayT) -> ArrayT:
        """Returns (features - mean) / (std + 1e-12) for features (..., F)."""
        mean, std = self._rows(features)
        return (features - mean) / (std + _EPS)

    def unnormalize(self, features: ArrayT) -> ArrayT:
        """Returns features * std + mean for normalised features (..., F)."""
        mean, std = self._rows(features)
        return features * std + mean

    def _rows(self, features: ArrayT):
        remedy = "use the normalizer that was fitted on the same features"
        check_shape("features", features, f"... {self.mean.size}", remedy=remedy)
        shape = (1,) * (features.ndim - 1) + self.mean.shape
        return self.mean.reshape(shape), self.std.reshape(shape)


def fit_normalizer(batches: Iterable[Float[np.ndarray, "_n F"]]) -> Normalizer:
    """Computes mean and unbiased standard deviation in one pass, in float64.

    Memory does not grow with the corpus: each batch is reduced to its count, mean
    and sum of squared deviations, and these are merged.

    Args:
        batches: arrays (n, F) of real frames; n may differ and may be 0.

    Returns:
        The normalizer, float32. A feature that never varies beyond rounding gets
        std 1, because dividing by its std would amplify rounding noise.

    Raises:
        InputError: for fewer than two frames, unequal widths, or a value that is
            not finite.

    Source: Chan, Golub, LeVeque 1983 (the merge).
    """
    count, mean, squares = 0, np.zeros(0), np.zeros(0)
    for number, batch in enumerate(batches):
        batch = np.asarray(batch, np.float64)
        columns = mean.size if number else "F"
        check_shape(f"features of batch {number}", batch, f"n {columns}")
        if not number:
            mean, squares = np.zeros(batch.shape[1]), np.zeros(batch.shape[1])
        if not np.isfinite(batch).all():
            frame, column = np.argwhere(~np.isfinite(batch))[0]
            raise InputError(
                f"features must be finite, got {batch[frame, column]} in batch "
                f"{number}, frame {frame}, column {column}; leave that motion out"
            )
        n = batch.shape[0]
        if n == 0:
            continue
        batch_mean = batch.mean(0)
        delta = batch_mean - mean
        squares += ((batch - batch_mean) ** 2).sum(0) + delta**2 * (
            count * n / (count + n)
        )
        mean = mean + delta * (n / (count + n))
        count += n
    if count < 2:
        raise InputError(
            f"a normalizer needs at least 2 frames, got {count}; "
            "add motions to the training split"
        )
    std = np.sqrt(squares / (count - 1))
    # DIFFERS: the published code keeps the std of constant features and divides by it.
    std = np.where(std <= _ROUNDING * np.maximum(np.abs(mean), 1.0), 1.0, std)
    return Normalizer(mean.astype(np.float32), std.astype(np.float32))
