"""The tables of the Action-GPT paper, for comparison with ours.

Source: arXiv:2211.15603, tables 1 to 3.
"""

CAVEAT = (
    "the paper's rows of TEACH and MotionCLIP with phrases use the authors' released "
    "weights (TEACH: batch 8), while those with descriptions were retrained "
    "(batch 16), so their gain mixes text with training; TEMOS was retrained for both"
)
COLUMNS = tuple(
    f"{metric}_{part}"
    for metric in ("ape", "ave")
    for part in ("root", "traj", "local", "global")
)
# (model, text) -> the eight columns, on BABEL. MotionCLIP generates no translation.
TABLE1 = {
    ("motionclip", "phrase"): (None, None, 0.556, 0.541, None, None, 0.056, 0.020),
    ("motionclip", "descriptions"): (None, None, 0.590, 0.571)
    + (None, None, 0.042, 0.019),
    ("temos", "phrase"): (0.597, 0.574, 0.162, 0.644, 0.113, 0.112, 0.010, 0.122),
    ("temos", "descriptions"): (0.561, 0.540, 0.151, 0.605)
    + (0.101, 0.100, 0.010, 0.109),
    ("teach", "phrase"): (0.674, 0.654, 0.159, 0.717, 0.222, 0.220, 0.014, 0.234),
    ("teach", "descriptions"): (0.606, 0.586, 0.159, 0.650)
    + (0.204, 0.202, 0.014, 0.216),
}
# TEACH with phrases, or with descriptions by how they were made -> the eight columns.
TABLE2 = {
    "default": TABLE1["teach", "phrase"],
    "k=1": (0.655, 0.635, 0.159, 0.698, 0.216, 0.214, 0.015, 0.228),
    "k=2": (0.637, 0.617, 0.158, 0.680, 0.211, 0.209, 0.015, 0.223),
    "k=4": (0.606, 0.586, 0.158, 0.650, 0.204, 0.202, 0.014, 0.216),
    "k=8": (0.632, 0.613, 0.157, 0.674, 0.212, 0.210, 0.015, 0.224),
    # GPT-3 curie instead of davinci.
    "other writer": (0.642, 0.622, 0.159, 0.680, 0.216, 0.214, 0.015, 0.228),
}
# (model, text) -> ranges in seconds: training time per epoch, averaged over 100 epochs,
# and generation time of a batch of 16, on a GPU of the GTX 1080 Ti's class.
TABLE3 = {
    ("motionclip", "phrase"): ((585, 598), (0.32, 0.34)),
    ("motionclip", "descriptions"): ((700, 712), (0.53, 0.62)),
    ("temos", "phrase"): ((225, 230), (0.80, 0.96)),
    ("temos", "descriptions"): ((255, 260), (1.44, 1.76)),
    ("teach", "phrase"): ((234, 240), (1.6, 2.1)),
    ("teach", "descriptions"): ((315, 320), (3.4, 3.8)),
}
