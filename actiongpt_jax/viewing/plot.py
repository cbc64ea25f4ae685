"""Still pictures of motions: rows of poses over time."""

import pathlib
import warnings
from collections.abc import Sequence

import numpy as np

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.files.atomic import replaced
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.viewing.captions import plain
from actiongpt_jax.viewing.figure import figure_points, first_heading

_LEFT, _RIGHT, _MIDDLE = "#d1495b", "#30638e", "#444444"
# Seen from the front left and a little above: neither side hides the other.
_AZIMUTH, _ELEVATION = np.radians(40.0), np.radians(12.0)


def motion_joints(motion: Motion) -> np.ndarray:
    """Returns (T, 22, 3) joint positions of a motion, metres, z-up."""
    return figure_points(motion)[:, : SMPL22.num_joints]


def strip(
    motions: Sequence[Motion], path: str | pathlib.Path, poses: int = 9, captions=None
) -> None:
    """Draws one row of poses per motion into a PNG.

    Red is the body's left side, blue its right; poses are spread along the row, each
    at its true height, turned as in the motion; the line below is the floor. On the
    right is the pelvis's path seen from above, from the dot to the ring.

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
        len(motions), 1, figsize=(0.95 * (poses + 2), 2.4 * len(motions)), squeeze=False
    )
    for row, (motion, axis) in enumerate(zip(motions, axes[:, 0], strict=True)):
        joints = motion_joints(motion)
        heading = first_heading(motion)
        frames = np.linspace(0, len(joints) - 1, poses).round().astype(int)
        for place, frame in enumerate(frames):
            _draw_pose(axis, joints[frame], place, heading)
            label = f"{frame / motion.fps:.1f} s"
            axis.text(
                place, -0.14, label, ha="center", va="top", fontsize=7, color="#888888"
            )
        floor = [-0.6, poses - 0.4]
        axis.plot(floor, [0.0, 0.0], color="#bbbbbb", linewidth=0.8, zorder=0)
        _draw_path(axis, joints[:, 0, :2], poses + 0.6, heading)
        caption = captions[row] if captions else ", then ".join(motion.text)
        caption = plain(caption)
        # A caption is text: no formulas between dollar signs, no line without end.
        most = 16 * (poses + 2)
        caption = caption if len(caption) <= most else caption[: most - 1] + "…"
        axis.set_title(caption, fontsize=10, loc="left", parse_math=False)
        axis.set_xlim(-0.6, poses + 1.4)
        axis.set_ylim(-0.3, 2.1)
        axis.set_aspect("equal")
        axis.axis("off")
    with replaced(path) as new, warnings.catch_warnings():
        # An emoji that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        figure.tight_layout()
        figure.savefig(new, dpi=110)
    plt.close(figure)


def _axes(heading: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ground directions to the viewer's right and towards the viewer."""
    azimuth = heading + _AZIMUTH
    near = np.array([np.cos(azimuth), np.sin(azimuth)])
    return np.array([-near[1], near[0]]), near


def _draw_pose(
    axis, joints: np.ndarray, place: float, heading: float = float(np.pi)
) -> None:
    """Draws (22, 3) joints around x = `place`, seen from a fixed direction."""
    centred = joints - joints[0] * np.array([1.0, 1.0, 0.0])
    right, near = _axes(heading)
    across, nearness = centred[:, :2] @ right, centred[:, :2] @ near
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


def _draw_path(axis, ground: np.ndarray, place: float, heading: float) -> None:
    """Draws (T, 2) places around x = `place`, the viewer standing below."""
    right, near = _axes(heading)
    seen = np.stack([ground @ right, -ground @ near], -1)
    low, high = seen.min(0), seen.max(0)
    seen = (seen - (low + high) / 2) / max(*(high - low), 1.0) * 1.2
    x, y = seen[:, 0] + place, seen[:, 1] + 1.0
    axis.plot(x, y, color="#777777", linewidth=1.2)
    axis.plot(x[:1], y[:1], "o", color="#444444", markersize=4)
    axis.plot(x[-1:], y[-1:], "o", color="#444444", markersize=6, fillstyle="none")
    walked = np.linalg.norm(np.diff(ground, axis=0), axis=-1).sum()
    axis.text(
        *(place, -0.14, f"{walked:.1f} m, from above"),
        **{"ha": "center", "va": "top", "fontsize": 7, "color": "#888888"},
    )
