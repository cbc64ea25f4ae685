"""State dicts of the authors' models, with random or given values."""

import jax
import numpy as np

from actiongpt_jax.config import load_config
from actiongpt_jax.conversion import from_torch
from actiongpt_jax.models.build import build
from actiongpt_jax.models.example import example_inputs

# The width of MiniLM, whose embeddings the tests' store holds.
WIDTH = 384


def state_dict(config, width, draw):
    """Returns the tensors of a TEMOS model; `draw(shape)` makes each of them."""
    config.text.width = width
    shapes = jax.eval_shape(
        build(config).init, jax.random.key(0), *example_inputs(config)
    )
    drawn = jax.tree.map(lambda leaf: draw(leaf.shape), shapes)
    return from_torch.to_state_dict(config, drawn)


def small_temos_state() -> dict[str, np.ndarray]:
    """Returns a random state dict of a small TEMOS that fits the tests' stores."""
    rng = np.random.default_rng(0)
    config = load_config("temos:debug", ["--config.model.num_layers=1"])
    return state_dict(config, WIDTH, lambda x: 0.1 * rng.standard_normal(x, np.float32))
