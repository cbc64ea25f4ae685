"""Defines the fields of configs: defaults, small forms, checks, and `compat`."""

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import ml_collections
from ml_collections.config_dict import placeholder

from actiongpt_jax.choices import FIRST_FEET, FPS_LIMITS, FRAMERATE
from actiongpt_jax.errors import InputError

# Type checkers see the fields of a ConfigDict as a union without attributes.
if TYPE_CHECKING:
    Config: TypeAlias = Any
else:
    Config = ml_collections.ConfigDict

# Config field -> its value for what the published code does by accident.
REFERENCE_DEVIATIONS = {
    "data.heading": "reference",
    "data.pair_cut": "reference",
    "data.shortest_action": "reference",
    "data.translation": "reference",
    "data.window_text": "reference",
    "losses.recons_mean": "padded",
    "model.motion_mask": "shipped",
    "model.text_mask": "shipped",
    "text.aggregation": "reference_mean",
}

# Fields that must be one of a few words (here) or a number of at least 1 (below), if a
# config has them. They are checked before any work, and nowhere else.
_CHOICES = {
    "compat": (None, "reference"),
    "data.align": ("none", "yaw", "full"),
    "data.heading": ("yaw", "reference"),
    "data.labels": ("frame", "frame+sequence"),
    "data.pair_cut": ("middle", "reference"),
    "data.shortest_action": ("past", "reference"),
    "data.translation": ("pelvis", "reference"),
    "data.turn": ("none", "random"),
    "data.window_text": ("covering", "reference"),
    "losses.recons_mean": ("frames", "padded"),
    "model.motion_mask": ("bool", "shipped"),
    "model.text_latent": ("raw", "normalized", "matched"),
    "model.text_mask": ("bool", "shipped"),
    "text.draw": ("all", "one"),
    "data.first_foot": FIRST_FEET,
    "text.source": ("descriptions", "phrase", "mixed"),
    "train.dtype": ("float32", "bfloat16"),
    "train.schedule": ("constant", "cosine"),
}
# The terms of TEMOS's loss, which TEACH has for each action of a pair. The last, the
# distance of velocities (changes of the features from frame to frame), is not published
# and left out unless it has a weight.
TEMOS_TERMS = (
    "recons_rfeats2rfeats",
    "recons_text2rfeats",
    "kl_text2motion",
    "kl_motion2text",
    "kl_text",
    "kl_motion",
    "latent_manifold",
    "velocity",
)
_POSITIVE = (
    "data.clip_frames",
    "data.limit",
    "data.max_frames",
    "data.max_shapes",
    "data.min_frames",
    "data.num_frames",
    "model.encoder_tokens",
    "model.ff_size",
    "model.hist_frames",
    "model.latent_dim",
    "model.num_heads",
    "model.num_layers",
    "text.k",
    "text.num_tokens",
    "train.batch_size",
    "train.checkpoint_steps",
    "train.eval_epochs",
    "train.keep_checkpoints",
    "train.log_steps",
    "train.num_epochs",
    "train.num_steps",
)

# Sizes beyond which a config can only be damaged; building the model would never end.
_MOST = {
    "model.encoder_tokens": 16_384,
    "model.ff_size": 1 << 20,
    "model.hist_frames": 16_384,
    "model.latent_dim": 16_384,
    "model.nfeats": 16_384,
    "model.num_layers": 256,
    "text.num_tokens": 1 << 20,
    "text.width": 1 << 20,
}
_NOT_NEGATIVE = (
    "data.builtin",
    "train.eps",
    "train.grad_clip",
    "train.learning_rate",
    "train.seed",
    "train.warmup_steps",
    "train.weight_decay",
)
_BELOW_ONE = ("model.dropout", "train.b1", "train.b2")


def base_config() -> Config:
    """Returns the fields that every model's config shares, with their defaults."""
    config = ml_collections.ConfigDict()
    # 'reference' sets every field of REFERENCE_DEVIATIONS when the config is loaded.
    config.compat = placeholder(str)
    config.model = ml_collections.ConfigDict()
    config.losses = ml_collections.ConfigDict()

    config.data = ml_collections.ConfigDict()
    config.data.store = ""
    # Hash of what the store was made from; read from the store, so that a resumed run
    # notices another store under the same path.
    config.data.store_hash = placeholder(str)
    # Number of sequences of the built-in corpus to make and train on; 0 = use `store`.
    config.data.builtin = 0
    # Number of further training sequences of that corpus, in which moves are combined.
    config.data.combined = 0
    # Foot with which gaits begin in the training split of that corpus.
    config.data.first_foot = "either"
    # Frames per second of the motions that the model reads and generates. The store
    # must have the same; numbers of frames in this config are counted at this rate.
    config.data.framerate = FRAMERATE
    config.data.labels = "frame"
    config.data.min_frames = 15
    config.data.max_frames = 750
    # Train on this number of segments only, to see whether a model can fit them.
    config.data.limit = placeholder(int)
    config.data.heading = "yaw"
    # Where two overlapping actions are separated; see `segments.cut_pair`.
    config.data.pair_cut = "middle"
    # Shortest action of a series: the transition plus the 'past' frames that the next
    # action reads or, with 'reference', the transition plus two frames.
    config.data.shortest_action = "past"
    config.data.train_split = "train"
    config.data.val_split = "val"
    config.data.max_shapes = 8

    config.text = ml_collections.ConfigDict()
    config.text.store = ""
    # Hash of the texts in the store; read from the store, as `data.store_hash`.
    config.text.store_hash = placeholder(str)
    # Whether to read descriptions or the phrases themselves; 'mixed' draws one or the
    # other in each step, for each item.
    config.text.source = "descriptions"
    # 'all' reads the k descriptions joined. 'one' draws one of them in each step, for
    # each item, and needs embeddings made with --each; validation and generation then
    # read the first.
    config.text.draw = "all"
    # The text encoder. None takes the one that the store records; any other value must
    # equal it.
    config.text.encoder = placeholder(str)
    config.text.k = placeholder(int)
    config.text.aggregation = placeholder(str)
    config.text.width = placeholder(int)
    config.text.weight_hash = placeholder(str)
    # Number of tokens that texts are padded to; None = that of the longest text. Runs
    # on different texts with the same number share their compiled programs.
    config.text.num_tokens = placeholder(int)

    config.train = ml_collections.ConfigDict()
    config.train.batch_size = 16
    config.train.num_steps = placeholder(int)
    config.train.num_epochs = 1000
    config.train.seed = 42
    config.train.dtype = "float32"
    config.train.optimizer = "adamw"
    config.train.learning_rate = 1e-4
    # The learning rate rises from 0 for this many steps. Then it stays constant or,
    # with schedule 'cosine', falls to a twentieth at the last step. Published runs use
    # neither.
    config.train.warmup_steps = 0
    config.train.schedule = "constant"
    # The defaults of torch, which every published run uses.
    config.train.b1, config.train.b2, config.train.eps = 0.9, 0.999, 1e-8
    config.train.weight_decay = 0.01
    config.train.grad_clip = placeholder(float)
    config.train.log_steps = 10
    config.train.eval_epochs = 10
    config.train.checkpoint_steps = 1000
    config.train.keep_checkpoints = 3
    config.train.best_metric = "val/recons_text2rfeats"
    return config


def term_weights(*terms: str) -> Config:
    """Returns `config.losses.weights`: for each term None, which is as published."""
    weights = ml_collections.ConfigDict()
    for term in terms:
        weights[term] = placeholder(float)
    return weights


def check_values(config: Config) -> None:
    """Checks the fields whose invalid values would cause errors late, or never.

    Raises:
        InputError: for the first invalid field.
    """
    for field, allowed in _CHOICES.items():
        value = lookup(config, field, allowed[0])
        if value not in allowed:
            words = ", ".join(map(repr, filter(None, allowed)))
            raise InputError(f"config.{field} must be one of {words}, got {value!r}")
    for field in _POSITIVE:
        value = lookup(config, field, None)
        if value is not None and value < 1:
            raise InputError(f"config.{field} must be at least 1, got {value}")
    for field, most in _MOST.items():
        value = lookup(config, field, None)
        if value is not None and value > most:
            raise InputError(f"config.{field} must be at most {most}, got {value}")
    for section in ("data", "losses", "model", "train"):
        for name, value in config.get(section, {}).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"config.{section}.{name} must be finite, got {value}")
    fps, (least, most) = lookup(config, "data.framerate", FRAMERATE), FPS_LIMITS
    if not least <= fps <= most:
        raise InputError(
            f"config.data.framerate must be from {least:g} to {most:g} frames per "
            f"second, got {fps:g}"
        )
    for field in _NOT_NEGATIVE:
        value = lookup(config, field, None)
        if value is not None and value < 0:
            raise InputError(f"config.{field} must be 0 or more, got {value}")
    for field in _BELOW_ONE:
        value = lookup(config, field, 0.0)
        if not 0 <= value < 1:
            raise InputError(f"config.{field} must be in [0, 1), got {value}")
    width = lookup(config, "model.latent_dim", None)
    heads = lookup(config, "model.num_heads", None)
    if width is not None and (width % 2 or (heads is not None and width % heads)):
        raise InputError(
            "config.model.latent_dim must be even and a multiple of "
            f"config.model.num_heads, got {width} and num_heads={heads}"
        )


def lookup(config: Config, field: str, default: Any) -> Any:
    """Returns the value of 'section.field', or a default if the config lacks it."""
    node = config
    for part in field.split("."):
        if part not in node:
            return default
        node = node[part]
    return node


def resolve(config: Config) -> Config:
    """Replaces `compat='reference'` by the values of the fields that it stands for.

    `load_config`, `from_json` and `train` call this; nothing else reads `compat`.

    Returns:
        The config itself if `compat` is not set, else a changed copy without it.
    """
    if config.get("compat") != "reference":
        return config
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.compat = None
        for field, value in REFERENCE_DEVIATIONS.items():
            section, name = field.split(".")
            if name in config.get(section, {}):
                config[section][name] = value
    return config


def deviations(config: Config) -> list[str]:
    """Lists, as 'field=value', the accidents of the published code that are on."""
    return [
        f"{field}={value}"
        for field, value in REFERENCE_DEVIATIONS.items()
        if lookup(config, field, None) == value
    ]
