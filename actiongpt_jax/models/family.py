"""What differs between the kinds of models, in one record each."""

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
    """The facts of one kind of model, as `config.model.name` names it.

    How it is trained is in `training.tasks`.

    Attributes:
        model: the Linen class.
        nfeats: width of a frame: 135 of `features.rot_velocity`, 150 of
            `features.pose6d`.
        noise: names of the latents that a training pass draws, in an order that
            continued runs rely on.
        pair: whether a training pass is over pairs of actions, whose arrays have
            names that end in _0 and _1.
        pooled_text: whether it reads one vector per text, not the text's tokens.
        normalized: whether its features are normalised.
        generates: whether it turns texts into motions.
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
        """Endings of the names of a batch's arrays, one per action."""
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
    """Returns the record of a config's model.

    Raises:
        InputError: for an unknown name.
    """
    name = config.model.name
    check_choice("config.model.name", name, FAMILIES)
    return FAMILIES[name]


def past_frames(config: Config) -> int:
    """Returns P, the frames of the motion so far that a model reads; 0 for none."""
    return config.model.get("hist_frames", 0)
