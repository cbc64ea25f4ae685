"""One record per kind of model with everything in which the kinds differ."""

import dataclasses

import flax.linen as nn

from actiongpt_jax.config_fields import Config
from actiongpt_jax.errors import check_choice
from actiongpt_jax.features import pose6d, rot_velocity
from actiongpt_jax.models.evaluator import RetrievalEvaluator
from actiongpt_jax.models.motionclip import MotionClip
from actiongpt_jax.models.teach import Teach
from actiongpt_jax.models.temos import Temos


@dataclasses.dataclass(frozen=True)
class Family:
    """The properties of one kind of model, selected by `config.model.name`.

    `training.tasks` defines how each kind is trained.

    Attributes:
        model: the Linen class.
        nfeats: number of features per frame: 135 in `features.rot_velocity`, 150 in
            `features.pose6d`.
        noise: names of the latents that a training pass samples; resumed runs rely
            on their order.
        pair: whether a training pass runs over pairs of actions, whose arrays have
            names that end in _0 and _1.
        pooled_text: whether the model reads one vector per text instead of the text's
            tokens.
        normalized: whether the model's features are normalised.
        generates: whether the model turns texts into motions.
        text_encoder: hub id of the text model whose embeddings the published weights
            read.
    """

    model: type[nn.Module]
    nfeats: int = rot_velocity.NFEATS
    noise: tuple[str, ...] = ()
    pair: bool = False
    pooled_text: bool = False
    normalized: bool = True
    generates: bool = True
    text_encoder: str = "distilbert-base-uncased"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Suffixes of the names of a batch's arrays, one per action."""
        return ("_0", "_1") if self.pair else ("",)


FAMILIES = {
    "temos": Family(Temos, noise=("text", "motion")),
    "teach": Family(
        Teach, noise=("text_0", "text_1", "motion_0", "motion_1"), pair=True
    ),
    "motionclip": Family(
        MotionClip,
        nfeats=pose6d.NFEATS,
        pooled_text=True,
        normalized=False,
        text_encoder="openai/clip-vit-base-patch32",
    ),
    "evaluator": Family(RetrievalEvaluator, generates=False),
}


def family_of(config: Config) -> Family:
    """Returns the record for the model of a config.

    Raises:
        InputError: if `config.model.name` is unknown.
    """
    name = config.model.name
    check_choice("config.model.name", name, FAMILIES)
    return FAMILIES[name]
