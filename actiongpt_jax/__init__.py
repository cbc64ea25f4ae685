"""Text-to-motion with language-model descriptions (Action-GPT), in JAX.

The names below are what a research script usually needs; everything else is in the
submodules, which are imported on their own: `from actiongpt_jax.models.build
import build`.
"""

import importlib
from typing import Any

from actiongpt_jax import notebook

__version__ = "0.1.0"

_EXPORTS = {
    "Gaussian": "actiongpt_jax.structs",
    "Motion": "actiongpt_jax.data.motion",
    "Temos": "actiongpt_jax.models.temos",
    "forward_kinematics": "actiongpt_jax.geometry.kinematics",
    "generate_motion": "actiongpt_jax.inference.generate",
    "generate_sequence": "actiongpt_jax.inference.generate",
    "load_config": "actiongpt_jax.config",
    "load_trained": "actiongpt_jax.inference.trained",
    "open_embeddings": "actiongpt_jax.text.embeddings.store",
    "open_store": "actiongpt_jax.data.motion_store",
}
__all__ = list(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]


notebook.register("Motion", "actiongpt_jax.viewing.webpage", "motion_html")


def __getattr__(name: str) -> Any:
    # Looked up when asked for: a command line that only prints help, or needs no
    # model, should not import all of JAX.
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'actiongpt_jax' has no attribute {name!r}")
