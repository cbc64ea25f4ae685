"""Example motions for the tests of pictures, pages and exported files."""

import numpy as np
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.motion import Motion

# Texts that break careless HTML, fonts, formats or layouts.
HOSTILE = (
    "</script><script>window.harmed=1</script>",
    '"><img src=x onerror="window.harmed=1"> & \'quoted\' <b>',
    "\u202eright to left\u202c \u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd",
    "\U0001f57a\U0001f3fd dance \ud83d $\\frac{1}{0}$ {braces} %s",
    "x" * 10_000,
    "walk " * 2_000,
)


def upright(frames: int, text=("raise the left arm",), fps=30.0) -> Motion:
    """Returns a body that faces -x, walks forward and raises its left arm."""
    rotations = np.zeros((frames, 22, 3), np.float32)
    # Turn the y-up body into the z-up world, facing -y, then by 90 degrees to face -x.
    root = Rotation.from_euler("z", -90, degrees=True) * Rotation.from_euler(
        "x", 90, degrees=True
    )
    rotations[:, 0] = root.as_rotvec()
    rotations[:, 16, 2] = np.linspace(-1.2, np.pi / 2, frames)
    rotations[:, 17, 2] = 1.2
    translation = np.zeros((frames, 3), np.float32)
    translation[:, 0] = -np.arange(frames) / fps
    translation[:, 2] = 0.9  # puts the soles of SMPL's rest pose on the ground
    lengths = np.full(len(text), frames // len(text))
    lengths[-1] += frames - lengths.sum()
    return Motion(rotations, translation, fps, tuple(text), tuple(lengths.tolist()))
