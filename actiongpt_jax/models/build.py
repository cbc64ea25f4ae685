"""From a config to a model."""

import flax.linen as nn
import jax.numpy as jnp

from actiongpt_jax.config import Config, resolve
from actiongpt_jax.errors import InputError
from actiongpt_jax.models.evaluator import RetrievalEvaluator
from actiongpt_jax.models.motionclip import MotionClip
from actiongpt_jax.models.teach import Teach
from actiongpt_jax.models.temos import Temos

MODELS: dict[str, type[nn.Module]] = {
    "temos": Temos,
    "teach": Teach,
    "motionclip": MotionClip,
    "evaluator": RetrievalEvaluator,
}
# What each model draws per item in training: name -> latent noise. In this order:
# runs that are continued draw the same.
NOISE = {
    "temos": ("text", "motion"),
    "teach": ("text_0", "text_1", "motion_0", "motion_1"),
    "motionclip": (),
    "evaluator": (),
}


def reads_pooled(model: nn.Module | type[nn.Module]) -> bool:
    """Whether a model reads one vector per text, not its tokens."""
    return hasattr(model, "as_latent")


def past_frames(model: nn.Module) -> int:
    """Returns P, the frames of the motion so far that a model reads; 0 for none."""
    return getattr(model, "hist_frames", 0)


def build(config: Config) -> nn.Module:
    """Builds the model of a config.

    Args:
        config: `config.model` holds `name` and the model's attributes;
            `config.train.dtype` is the type of its products.

    Returns:
        An unbound Linen module.

    Raises:
        InputError: for an unknown model or attribute.
    """
    config = resolve(config)
    fields = dict(config.model)
    name = fields.pop("name")
    if name not in MODELS:
        raise InputError(
            f"config.model.name must be one of {', '.join(MODELS)}, got {name!r}"
        )
    try:
        return MODELS[name](**fields, dtype=jnp.dtype(config.train.dtype))
    except TypeError as error:
        raise InputError(f"config.model does not fit {name}: {error}") from error
