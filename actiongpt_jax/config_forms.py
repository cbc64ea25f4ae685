"""The forms of configs that words after a colon choose, such as `temos:small`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from actiongpt_jax.config_fields import Config
from actiongpt_jax.errors import InputError

# Values that the small forms of all models share.
_DEMO = {
    "data.builtin": 240,
    "model.latent_dim": 128,
    "model.ff_size": 256,
    "train.checkpoint_steps": 200,
    "train.log_steps": 10,
}
# What makes small TEMOS and TEACH models converge on the built-in corpus; the page on
# training says why. The latents of texts learn the distribution of those of motions and
# are not decoded in training, so that they need not be means over the phases of a gait.
CONVERGING = {
    "data.builtin": 1600,
    "data.combined": 3200,
    "data.first_foot": "right",
    "data.max_frames": 200,
    "losses.weights.recons_text2rfeats": 0.0,
    "losses.weights.kl_text2motion": 0.0,
    "losses.weights.kl_motion2text": 0.1,
    "losses.weights.kl_text": 0.0,
    "losses.weights.kl_motion": 0.0,
    "losses.weights.latent_manifold": 0.0,
    "losses.weights.velocity": 100.0,
    "model.latent_dim": 128,
    "model.ff_size": 256,
    "model.num_layers": 3,
    "model.dropout": 0.0,
    "text.k": 8,
    "text.draw": "one",
    "text.source": "mixed",
    "train.checkpoint_steps": 1000,
    "train.log_steps": 50,
    "train.schedule": "cosine",
    "train.warmup_steps": 200,
}
_DEBUG = {
    "data.builtin": 12,
    "data.max_shapes": 1,
    "model.latent_dim": 16,
    "model.ff_size": 32,
    "model.num_layers": 2,
    "train.num_steps": 8,
    "train.batch_size": 4,
    "train.eval_epochs": 8,
    "train.checkpoint_steps": 4,
    "train.log_steps": 1,
}


def apply_words(
    config: Config,
    arg: str | None,
    *,
    builtin: Mapping[str, Any],
    demo: Mapping[str, Any],
    debug: Mapping[str, Any] = MappingProxyType({}),
    small: Mapping[str, Any] | None = None,
) -> Config:
    """Applies the words that configs accept: demo, debug, small, k=N and text=SOURCE.

    Args:
        config: config of the published size; changed in place.
        arg: the words after the colon, or None.
        builtin: 'section.field' -> value in all forms, which use built-in data.
        demo: more fields of 'demo', which trains in minutes on a CPU.
        debug: more fields of 'debug', which trains in seconds.
        small: more fields of 'small', which trains for hours on a CPU until it
            converges; None for a config without that word.

    Returns:
        The config.

    Raises:
        InputError: if a word is unknown, or k is not a whole number.
    """
    forms = {
        "demo": {**_DEMO, **builtin, **demo},
        "debug": {**_DEBUG, **builtin, **debug},
    }
    if small is not None:
        forms["small"] = {**builtin, **small}
    fields: dict[str, Any] = {}
    for word in filter(None, map(str.strip, (arg or "").split(","))):
        key, _, value = word.partition("=")
        if word in forms:
            fields |= forms[word]
        elif key == "k" and value.isdecimal():
            fields["text.k"] = int(value)
        elif key == "k":
            raise InputError(f"config word {word!r} must have a whole number")
        elif key == "text":
            fields["text.source"] = value
        else:
            raise InputError(
                f"config word {word!r} is unknown; known are {', '.join(forms)}, "
                "k=..., text=..."
            )
    config.update_from_flattened_dict(fields)
    return config
