"""The options of an evaluation."""

import dataclasses
import math

from actiongpt_jax.choices import SEMANTIC, WINDOW, Align, Protocol
from actiongpt_jax.errors import InputError, check_choice

# Options that change only what a model generates, or that need a model.
_OF_MODELS = frozenset(
    {"workdir", "checkpoint", "multimodality", "semantic", "categories", "align"}
    | {"window", "diverse", "fact", "embeddings", "descriptions", "bare"}
)


@dataclasses.dataclass(frozen=True)
class Options:
    """What is evaluated and how.

    Attributes:
        workdir: folder or name of the model, as `load_model` takes it.
        motions: folder of motion files to evaluate in place of a model's motions.
        checkpoint: 'latest', 'best' or the number of a step.
        data: motion store; None takes the one used in training.
        split: split of the store, 'train', 'val' or 'test'.
        limit: number of motions, drawn from the split; None takes all.
        samples: number of generated motions per text; None takes 1, and for `semantic`
            8. Of files, the first ones of each text; None takes all.
        protocol: 'paper' or 'reference'; see `metrics.ape_ave`.
        body: SMPL or SMPL-H model file, for the heels of the 'reference' protocol.
        evaluator: workdir of a retrieval evaluator, trained with configs/evaluator.py;
            None measures no agreement between texts and motions.
        multimodality: number of texts for which ten motions each are generated and
            compared; 0 leaves this out. Needs `evaluator`.
        baselines: whether to evaluate `choices.BASELINES` too.
        semantic: 'also' judges too whether motions do what the phrases of the built-in
            corpus say; 'only' leaves out all other figures.
        categories: file of categories, one a line; the evaluation then measures how
            often the nearest text names a motion's category, and nothing else.
        series: how the actions of a pair are combined; see `generate_motions`. With
            `motions`, any value but 'off' says that they show pairs of actions.
        align: how an action is joined to the previous one; see `generate_motions`.
        window: length of the slerp transition between actions, in frames.
        diverse: source of variation between samples; see `generate_motions`.
        fact: factor on the latent's deviation from its mean.
        seed: seed of all random numbers, from 0 to 2^32 - 1.
        embeddings: embedding store; None takes the one used in training.
        descriptions: file or folder of descriptions, embedded when needed.
        bare: whether a model that was trained to read both reads phrases themselves in
            place of their descriptions.

    Raises:
        InputError: for a number out of its range, or an option that does not go with
            `motions`.
    """

    workdir: str | None = None
    motions: str | None = None
    checkpoint: str | int = "latest"
    data: str | None = None
    split: str = "val"
    limit: int | None = None
    samples: int | None = None
    protocol: Protocol = "paper"
    body: str | None = None
    evaluator: str | None = None
    multimodality: int = 20
    baselines: bool = False
    semantic: str | None = None
    categories: str | None = None
    series: str | None = None
    align: Align = "full"
    window: int = WINDOW
    diverse: str | None = None
    fact: float = 1.0
    seed: int = 0
    embeddings: str | None = None
    descriptions: str | None = None
    bare: bool = False

    def __post_init__(self):
        """Checks the numbers."""
        for name, least in (("samples", 1), ("limit", 1), ("multimodality", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"--{name} must be {least} or more, got {value}")
        check_choice("--semantic", self.semantic, (None, *SEMANTIC))
        if not math.isfinite(self.fact):
            raise InputError(f"--fact must be finite, got {self.fact}")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"--seed must be from 0 to 2^32 - 1, got {self.seed}")
        for field in dataclasses.fields(self):
            given = getattr(self, field.name) != field.default
            if self.motions is not None and given and field.name in _OF_MODELS:
                raise InputError(
                    f"--motions evaluates files, not a model; leave --{field.name} out"
                )
