"""Pytree containers that several packages pass to each other."""

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
        """Returns mu + fact * std * noise, where noise is (..., D) standard normal."""
        return self.mu + fact * jax.numpy.exp(0.5 * self.logvar) * noise


def latent_of(
    encoded: Gaussian | jax.Array, noise: jax.Array | None = None
) -> jax.Array:
    """Returns the latents that a text or motion encoder's output stands for.

    Args:
        encoded: a distribution over (..., D), or the (..., D) latents themselves.
        noise: (..., D) standard normal noise with which to sample a distribution;
            None takes its mean.
    """
    if not isinstance(encoded, Gaussian):
        return encoded
    return encoded.mu if noise is None else encoded.sample(noise)


@flax.struct.dataclass
class TextFeatures:
    """The output of a pretrained text encoder for a batch of texts.

    Attributes:
        tokens: (B, N, E) last hidden states, padding included.
        pooled: (B, P) one vector per text, or None if the encoder does not pool.
    """

    tokens: jax.Array
    pooled: jax.Array | None = None
