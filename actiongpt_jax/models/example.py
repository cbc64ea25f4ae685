"""Random inputs of a model's training pass, for its shapes and for checks."""

from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from actiongpt_jax.config_fields import Config
from actiongpt_jax.models.build import build
from actiongpt_jax.models.family import family_of

_ITEMS, _FRAMES, _TOKENS = 2, 8, 3
# Width of DistilBERT's and BERT's states, if the config does not set a width.
_TEXT_WIDTH = 768

Arrays = dict[str, jax.Array]


def example_inputs(config: Config) -> tuple[Arrays, Arrays]:
    """Draws a small batch and latent noise, the same ones on every call.

    Args:
        config: config of the model; `config.text.width` is the width of the token
            states, or None for 768.

    Returns:
        (batch, noise), the arguments of the model's `init` and `apply`; every frame
        and token is real.
    """
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> jax.Array:
        return jnp.asarray(rng.standard_normal((_ITEMS, *shape)), jnp.float32)

    family, sizes = family_of(config), config.model
    frame_mask = jnp.ones((_ITEMS, _FRAMES), bool)
    if family.pooled_text:
        poses, text = draw(_FRAMES, sizes.nfeats), draw(sizes.latent_dim)
        return {"poses": poses, "frame_mask": frame_mask, "text": text}, {}
    batch = {}
    for suffix in family.suffixes:
        batch |= {
            f"features{suffix}": draw(_FRAMES, sizes.nfeats),
            f"frame_mask{suffix}": frame_mask,
            f"tokens{suffix}": draw(_TOKENS, config.text.width or _TEXT_WIDTH),
            f"token_mask{suffix}": jnp.ones((_ITEMS, _TOKENS), bool),
        }
    return batch, {latent: draw(sizes.latent_dim) for latent in family.noise}


def variable_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of a model's variables, without making them.

    Args:
        config: config of the model; see `example_inputs`.

    Returns:
        'collection/module/name' -> shape, of the parameters and of the inert arrays.

    Raises:
        InputError: if the config does not fit its model.
    """
    inputs = example_inputs(config)
    shapes: Any = jax.eval_shape(build(config).init, jax.random.key(0), *inputs)
    return {name: leaf.shape for name, leaf in flat_names(dict(shapes)).items()}


def flat_names(tree: Any) -> dict[str, Any]:
    """Returns 'module/name' -> leaf of a nested dict."""
    flat: Any = flax.traverse_util.flatten_dict(tree, sep="/")
    return flat
