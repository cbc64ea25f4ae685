"""Words and default values that command lines show in their help.

They stand here, and not with the code that acts on them, because that code imports JAX,
which takes seconds: help and errors about flags should not wait for it.
"""

from typing import Literal, get_args

Align = Literal["full", "translation", "none"]
Protocol = Literal["paper", "reference"]

# How an action of a series goes on from the one before.
ALIGN: tuple[Align, ...] = get_args(Align)
# Length of the slerp transition between two actions, in frames.
WINDOW = 8
# 'past': each action reads how the motion before ended. 'independent': each by itself,
# then joined. 'joined': all texts in one prompt. 'off': a motion of each text. The
# second and third are the baselines of the TEACH paper.
SERIES = ("past", "independent", "joined", "off")
# What the samples of one text differ by.
DIVERSE = ("latent", "descriptions", "both")

# How motions are normalized before position and variance errors are measured.
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
# What an evaluation can compare the model with.
BASELINES = ("mean_pose", "random_clip")

# How the embeddings of k descriptions become one text; the first is the default.
AGGREGATIONS = ("masked_mean", "reference_mean", "concat")
# What a converted checkpoint was trained on, as fields of `config.text`.
CONVERTED_TEXTS = {
    "descriptions": {"source": "descriptions", "k": 4, "aggregation": "reference_mean"},
    "phrase": {"source": "phrase"},
}

# How a body is drawn in a .gif or .mp4.
FIGURES = ("skeleton", "capsules")
