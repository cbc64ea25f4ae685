"""A trained model, opened from its workdir."""

import dataclasses
import pathlib
from typing import Any

import flax.linen as nn
import jax

from actiongpt_jax.config import Config, resolve
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.models.build import build
from actiongpt_jax.training import checkpoints


@dataclasses.dataclass(frozen=True)
class Trained:
    """A model ready to use.

    Attributes:
        config: of its training.
        model: Linen module.
        variables: what `model.apply` takes.
        normalizer: of its features.
        step: training steps done.
    """

    config: Config
    model: nn.Module
    variables: dict[str, Any]
    normalizer: Normalizer
    step: int


def load_trained(workdir: str | pathlib.Path, which: str | int = "latest") -> Trained:
    """Opens a workdir's checkpoint.

    Args:
        workdir: of a training run.
        which: 'latest', 'best' or a step.

    Raises:
        FileNotFoundError: if there is no checkpoint.
    """
    restored = checkpoints.restore(workdir, which)
    if restored is None:
        raise FileNotFoundError(
            f"{workdir} has no checkpoint; train one with `python -m "
            f"actiongpt_jax.train --config configs/teach.py:demo --workdir {workdir}`"
        )
    # Spelt out first: `compat` would bring the text mask back.
    config = resolve(restored.config).copy_and_resolve_references()
    config.compat = None
    if "text_mask" in config.model:
        # 'shipped' looks at padding, which a text alone has none of; here texts are
        # padded for the shape's sake.
        config.model.text_mask = "bool"
    return Trained(
        config=restored.config,
        model=build(config),
        variables=jax.device_put(restored.variables),
        normalizer=restored.normalizer,
        step=restored.step,
    )
