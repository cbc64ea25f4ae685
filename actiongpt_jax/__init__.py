"""Text-to-motion with language-model descriptions (Action-GPT), in JAX.

    import actiongpt_jax as agpt

    model = agpt.load_model("runs/teach")
    motions = agpt.generate_motions(model, ["walk", "sit down"], seconds=[3, 2])
    agpt.save_motion("walk.npz", motions[0])

These names are what a research script usually needs; everything else is in the
submodules, which are imported separately: `from actiongpt_jax.models.build import
build`. In a notebook a motion is shown as an animation.
"""

import importlib
from typing import TYPE_CHECKING, Any

from actiongpt_jax import notebook

__version__ = "0.1.0"

if TYPE_CHECKING:
    from actiongpt_jax.config import load_config as load_config
    from actiongpt_jax.data.motion import Motion as Motion
    from actiongpt_jax.data.motion import load_motion as load_motion
    from actiongpt_jax.data.motion import save_motion as save_motion
    from actiongpt_jax.data.motion import save_motions as save_motions
    from actiongpt_jax.data.motion_store import open_store as open_store
    from actiongpt_jax.evaluation.run import evaluate_model as evaluate_model
    from actiongpt_jax.geometry.kinematics import (
        forward_kinematics as forward_kinematics,
    )
    from actiongpt_jax.inference.motions import generate_motions as generate_motions
    from actiongpt_jax.inference.trained import load_model as load_model
    from actiongpt_jax.models.motionclip import MotionClip as MotionClip
    from actiongpt_jax.models.teach import Teach as Teach
    from actiongpt_jax.models.temos import Temos as Temos
    from actiongpt_jax.nn.sizes import Sizes as Sizes
    from actiongpt_jax.structs import Gaussian as Gaussian
    from actiongpt_jax.text.embeddings.store import open_embeddings as open_embeddings
    from actiongpt_jax.viewing.webpage import write_page as write_page

_MODULES = {
    "Gaussian": "structs",
    "Motion": "data.motion",
    "MotionClip": "models.motionclip",
    "Sizes": "nn.sizes",
    "Teach": "models.teach",
    "Temos": "models.temos",
    "evaluate_model": "evaluation.run",
    "forward_kinematics": "geometry.kinematics",
    "generate_motions": "inference.motions",
    "load_config": "config",
    "load_model": "inference.trained",
    "load_motion": "data.motion",
    "open_embeddings": "text.embeddings.store",
    "open_store": "data.motion_store",
    "save_motion": "data.motion",
    "save_motions": "data.motion",
    "write_page": "viewing.webpage",
}
__all__ = list(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]

notebook.register("Motion", "actiongpt_jax.viewing.webpage", "motions_html")


def __getattr__(name: str) -> Any:
    # Imported on first access: a command that only prints help, or needs no model,
    # should not import JAX.
    if name not in _MODULES:
        raise AttributeError(f"module 'actiongpt_jax' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"actiongpt_jax.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
