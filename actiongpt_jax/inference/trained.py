"""A trained model, opened from its workdir."""

import dataclasses
import os
from typing import Any

import flax.linen as nn
import jax

from actiongpt_jax.config_fields import Config
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.inference.pretrained import find_model
from actiongpt_jax.models.build import build
from actiongpt_jax.models.family import Family, family_of
from actiongpt_jax.training import checkpoints
from actiongpt_jax.training.parallel import use_compilation_cache
from actiongpt_jax.training.phrase_lengths import PhraseLengths, read_lengths


@dataclasses.dataclass(frozen=True)
class Trained:
    """A model ready to use.

    Attributes:
        config: the config that `model` was built from: the config of its training,
            without the text mask of the published code.
        model: the Linen module.
        variables: the model's variables, which `model.apply` takes.
        normalizer: normalizer of its features.
        step: number of training steps done.
        lengths: how long each phrase lasted in training; None if it is not known.
    """

    config: Config
    model: nn.Module
    variables: dict[str, Any]
    normalizer: Normalizer
    step: int
    lengths: PhraseLengths | None = None

    @property
    def family(self) -> Family:
        """The properties of this kind of model."""
        return family_of(self.config)

    @property
    def framerate(self) -> float:
        """Frames per second of the motions that it reads and generates."""
        return self.config.data.framerate


def load_model(
    workdir: str | os.PathLike | None = None, checkpoint: str | int = "latest"
) -> Trained:
    """Opens a trained model.

    Compiled programs are kept on disk, as in training.

    Args:
        workdir: folder of a training run or a conversion, or a model folder;
            'pretrained:temos' or 'pretrained:teach', the small models that come with
            the package; or 'hf:owner/name[@revision]', a model folder on the Hugging
            Face hub. None takes 'pretrained:teach'.
        checkpoint: 'latest', 'best' or the number of a step.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        InputError: if a file is damaged, or if there is no model of that name.
    """
    use_compilation_cache()
    folder = find_model(workdir)
    restored = checkpoints.restore(folder, checkpoint)
    if restored is None:
        raise FileNotFoundError(
            f"{folder} has no checkpoint; train one with `python -m "
            f"actiongpt_jax.train --config configs/teach.py:demo --workdir {folder}`"
        )
    return make_trained(
        restored.config,
        restored.variables["params"],
        restored.normalizer,
        restored.step,
        read_lengths(folder),
    )


def make_trained(
    config: Config,
    params: Any,
    normalizer: Normalizer,
    step: int,
    lengths: PhraseLengths | None = None,
) -> Trained:
    """Makes a model ready to use from its parameters.

    Args:
        config: config of its training.
        params: the trained parameters.
        normalizer: normalizer of its features.
        step: number of training steps done.
        lengths: how long each phrase lasted in training; None if it is not known.
    """
    config = config.copy_and_resolve_references()
    if "text_mask" in config.model:
        # 'shipped' lets the text encoder see padding. In the published code a single
        # text has no padding, but here texts are padded so that few shapes are
        # compiled.
        config.model.text_mask = "bool"
    return Trained(
        config=config,
        model=build(config),
        variables=jax.device_put({"params": params}),
        normalizer=normalizer,
        step=step,
        lengths=lengths,
    )
