"""Still pictures of motions: rows of poses over time."""

import pathlib
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation

from actiongpt_jax.geometry.kinematics import forward_kinematics
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.structs import Motion

_LEFT, _RIGHT, _MIDDLE = "#d1495b", "#30638e", "#444444"
# Seen from the front left and a little above: neither side hides the other.
_AZIMUTH, _ELEVATION = np.radians(40.0), np.radians(12.0)


def motion_joints(motion: Motion) -> np.ndarray:
    """Returns (T, 22, 3) joint positions of a motion, metres, z-up."""
    shape = motion.rotations.shape
    matrices = Rotation.from_rotvec(motion.rotations.reshape(-1, 3)).as_matrix()
    matrices = matrices.reshape(*shape, 3).astype(np.float32)
    translation = jnp.asarray(motion.translation)
    return np.asarray(forward_kinematics(jnp.asarray(matrices), translation))


def strip(
    motions: Sequence[Motion], path: str | pathlib.Path, poses: int = 9, captions=None
) -> None:
    """Draws one row of poses per motion into a PNG.

    Red is the body's left side, blue its right; poses are spread along the row, each
    at its true height, turned as in the motion; the line below is the floor.

    Args:
        motions: at least one.
        path: of the PNG.
        poses: per row, evenly spaced in time.
        captions: per motion; the phrases by default.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(motions), 1, figsize=(1.35 * poses, 2.4 * len(motions)), squeeze=False
    )
    for row, (motion, axis) in enumerate(zip(motions, axes[:, 0], strict=True)):
        joints = motion_joints(motion)
        frames = np.linspace(0, len(joints) - 1, poses).round().astype(int)
        for place, frame in enumerate(frames):
            _draw_pose(axis, joints[frame], place)
            label = f"{frame / motion.fps:.1f} s"
            axis.text(
                place, -0.14, label, ha="center", va="top", fontsize=7, color="#888888"
            )
        axis.axhline(0.0, color="#bbbbbb", linewidth=0.8, zorder=0)
        caption = captions[row] if captions else ", then ".join(motion.text)
        axis.set_title(caption, fontsize=10, loc="left")
        axis.set_xlim(-0.6, poses - 0.4)
        axis.set_ylim(-0.3, 2.1)
        axis.set_aspect("equal")
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_pose(axis, joints: np.ndarray, place: float) -> None:
    """Draws (22, 3) joints around x = `place`, seen from a fixed direction."""
    centred = joints - joints[0] * np.array([1.0, 1.0, 0.0])
    # Canonical motions face -x in frame 0; the camera looks along +x, turned a bit.
    cos, sin = np.cos(_AZIMUTH), np.sin(_AZIMUTH)
    across = centred[:, 0] * sin - centred[:, 1] * cos
    nearness = -centred[:, 0] * cos - centred[:, 1] * sin
    height = centred[:, 2] * np.cos(_ELEVATION) - nearness * np.sin(_ELEVATION)
    for joint, parent in enumerate(SMPL22.parents):
        if parent < 0:
            continue
        name = SMPL22.names[joint]
        colour = _LEFT if "left" in name else _RIGHT if "right" in name else _MIDDLE
        axis.plot(
            place + across[[parent, joint]],
            height[[parent, joint]],
            color=colour,
            linewidth=2.0,
            solid_capstyle="round",
            zorder=2 + nearness[[parent, joint]].mean(),
        )
