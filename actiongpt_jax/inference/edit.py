"""Editing motions by arithmetic on latents, whatever model they are of.

Source: MotionCLIP, arXiv:2203.08063, section 4.2.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.rotations import AnyArray


def interpolate(
    start: Float[AnyArray, "*batch d"], end: Float[AnyArray, "*batch d"], num_steps: int
) -> Float[Array, "n *batch d"]:
    """Goes from one latent to another in equal steps.

    Args:
        start: (..., D) latents.
        end: (..., D) latents.
        num_steps: how many latents, both ends among them.

    Returns:
        (num_steps, ..., D); the first is `start`, the last `end`.

    Raises:
        InputError: for fewer than two steps, or latents of different shapes.
    """
    if num_steps < 2:
        raise InputError(
            f"an interpolation must have at least 2 steps, its ends, got {num_steps}"
        )
    start, end = _alike({"start": start, "end": end})
    weights = jnp.linspace(0.0, 1.0, num_steps, dtype=start.dtype)
    weights = weights.reshape(num_steps, *[1] * start.ndim)
    return (1.0 - weights) * start[None] + weights * end[None]


def edit(
    base: Float[AnyArray, "*batch d"],
    start: Float[AnyArray, "*batch d"],
    end: Float[AnyArray, "*batch d"],
) -> Float[Array, "*batch d"]:
    """Changes a latent as `start` would have to change to become `end`.

    "drink while standing" - "stand" + "sit" is "drink while sitting".

    Args:
        base: (..., D) latents to change.
        start: (..., D) what they have.
        end: (..., D) what they get in its place.

    Returns:
        (..., D) base - start + end.

    Raises:
        InputError: for latents of different shapes.
    """
    base, start, end = _alike({"base": base, "start": start, "end": end})
    return base - start + end


def _alike(latents: dict[str, AnyArray]) -> list[Array]:
    shapes = {name: jnp.shape(latent) for name, latent in latents.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(
            f"latents must have the same shape, got {listed}; encode all with one model"
        )
    return [jnp.asarray(latent) for latent in latents.values()]
