"""Pytree containers that several layers hand to each other."""

import flax.struct
import jax


@flax.struct.dataclass
class Gaussian:
    """A diagonal normal distribution over a latent.

    Attributes:
        mu: (..., D) mean.
        logvar: (..., D) logarithm of the variance.
    """

    mu: jax.Array
    logvar: jax.Array

    def sample(self, noise: jax.Array, fact: float = 1.0) -> jax.Array:
        """Returns mu + fact * std * noise; noise (..., D) standard normal."""
        return self.mu + fact * jax.numpy.exp(0.5 * self.logvar) * noise


def latent_of(
    encoded: Gaussian | jax.Array, noise: jax.Array | None = None
) -> jax.Array:
    """Returns the latent of what an encoder of texts or motions returned.

    Args:
        encoded: a distribution over (..., D), or the (..., D) latents themselves.
        noise: (..., D) added to a distribution's mean in standard deviations; None
            takes the mean.
    """
    if not isinstance(encoded, Gaussian):
        return encoded
    return encoded.mu if noise is None else encoded.sample(noise)


@flax.struct.dataclass
class TextFeatures:
    """What a text encoder makes of a batch of texts.

    Attributes:
        tokens: (B, N, E) last hidden states, padding included.
        pooled: (B, P) one vector per text, or None where the encoder has none.
    """

    tokens: jax.Array
    pooled: jax.Array | None = None
