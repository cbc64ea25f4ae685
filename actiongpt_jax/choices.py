"""Words and default values that command lines show in their help.

They are here, and not in the code that uses them, because that code imports JAX, which
takes seconds: help and errors about flags should not wait for it.
"""

from typing import Literal, get_args

Align = Literal["full", "translation", "none"]
Protocol = Literal["paper", "reference"]

# How an action of a series is aligned with the end of the previous one.
ALIGN: tuple[Align, ...] = get_args(Align)
# Length of the slerp transition between two actions, in frames.
WINDOW = 8
# How several texts are combined. 'past': each action reads how the previous motion
# ended. 'independent': actions are generated separately, then joined. 'joined': all
# texts in one prompt. 'off': a separate motion for each text. The second and third are
# the baselines of the TEACH paper.
SERIES = ("past", "independent", "joined", "off")
# Source of variation between the samples of one text.
DIVERSE = ("latent", "descriptions", "both")

# Frames per second of motion stores and models unless they say otherwise, and the rates
# that they and motion files may have: AMASS is recorded at 30 to 250 Hz, and a value
# beyond these limits is a mistake.
FRAMERATE, FPS_LIMITS = 30.0, (5.0, 1000.0)

# Frames of MotionCLIP's windows, and of the clips from which windows are drawn.
NUM_FRAMES, CLIP_FRAMES = 60, 100

# How motions are normalized before position and variance errors are measured.
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
# Baselines that an evaluation can compare the model with.
BASELINES = ("mean_pose", "random_clip")
# Whether an evaluation judges what motions show in addition to its other figures.
SEMANTIC = ("also", "only")

# How the embeddings of k descriptions are aggregated; the first is the default.
AGGREGATIONS = ("masked_mean", "reference_mean", "concat")
# Texts that a converted checkpoint was trained on -> fields of `config.text`.
CONVERTED_TEXTS = {
    "descriptions": {"source": "descriptions", "k": 4, "aggregation": "reference_mean"},
    "phrase": {"source": "phrase"},
}

# How a body is drawn in a .gif or .mp4.
FIGURES = ("skeleton", "capsules")

# Suffixes of the files that motions are rendered or exported to; see `viewing.render`.
FILE_FORMATS = (".png", ".gif", ".mp4", ".html", ".glb", ".bvh", ".npz", ".json")

# Names of the joints in a .bvh file.
JOINT_NAMES = ("smpl", "mixamo")

# Foot with which the gaits of the built-in corpus begin in training.
FIRST_FEET = ("either", "left", "right")

# Axes of a motion-capture file that can be up.
UPS = ("x", "y", "z")

# How a table's files are divided into splits.
SPLIT_BY = ("column", "random", "subject")
