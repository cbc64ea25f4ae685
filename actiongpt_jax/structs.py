"""Pytree containers that several layers hand to each other."""

import dataclasses

import flax.struct
import jax
import numpy as np


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


@flax.struct.dataclass
class TextFeatures:
    """What a text encoder makes of a batch of texts.

    Attributes:
        tokens: (B, N, E) last hidden states, padding included.
        pooled: (B, P) one vector per text, or None where the encoder has none.
    """

    tokens: jax.Array
    pooled: jax.Array | None = None


@dataclasses.dataclass
class Motion:
    """One motion of the SMPL body, on the host.

    Attributes:
        rotations: (T, 22, 3) float32 parent-relative axis-angle, radians; joint 0
            is the global orientation. World is z-up.
        translation: (T, 3) float32 metres; pelvis = translation + rest pelvis.
        fps: frames per second.
        text: the phrases, in order of time.
        lengths: frames of each phrase; sums to T.
        hands: (T, 2, 3) axis-angle of SMPL-H joints 22 and 37, or None.
    """

    rotations: np.ndarray
    translation: np.ndarray
    fps: float = 30.0
    text: tuple[str, ...] = ()
    lengths: tuple[int, ...] = ()
    hands: np.ndarray | None = None

    def _repr_html_(self) -> str:
        """Shows the motion in a notebook."""
        from actiongpt_jax.viewing import webpage  # a later layer

        return webpage.frame_of(webpage.page([self]))
