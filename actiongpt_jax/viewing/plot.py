"""Draws motions as still pictures: one row of poses over time per motion."""

import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.files.atomic import replaced
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.viewing.camera import view_axes
from actiongpt_jax.viewing.captions import line_image, plain
from actiongpt_jax.viewing.figure import BONES, COLOURS, figure_points, first_heading

# A view from the front left and slightly above, so that neither side hides the other.
_AZIMUTH, _ELEVATION = np.radians(40.0), np.radians(12.0)
_DPI = 110
_COLOURS = COLOURS | {"middle": "#444444"}  # thin lines need a dark colour


def motion_joints(motion: Motion) -> Float[np.ndarray, "t 22 3"]:
    """Returns the joint positions of a motion, metres, z-up."""
    return figure_points(motion)[:, : SMPL22.num_joints]


def strip(
    motions: Sequence[Motion],
    path: str | os.PathLike,
    poses: int = 9,
    captions: Sequence[str] | None = None,
) -> None:
    """Draws one row of poses per motion into a PNG file.

    The body's left side is red, its right side blue. The poses are spread along the
    row; their heights above the floor line and their headings are those of the motion.
    On the right is the pelvis's path from above, from the filled dot to the open one.

    Args:
        motions: motions to draw, at least one.
        path: PNG file to write, replaced atomically.
        poses: number of poses per row, evenly spaced in time.
        captions: one caption per motion; the default is the motion's phrases.
    """
    from matplotlib.figure import Figure
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    captions = captions or [motion.caption for motion in motions]
    figure = Figure((0.95 * (poses + 2), 2.4 * len(motions)))
    axes = figure.subplots(len(motions), squeeze=False)
    for motion, caption, axis in zip(motions, captions, axes[:, 0], strict=True):
        joints = motion_joints(motion)
        azimuth = first_heading(motion) + _AZIMUTH
        frames = np.linspace(0, len(joints) - 1, poses).round().astype(int)
        for place, frame in enumerate(frames):
            _draw_pose(axis, joints[frame], place, azimuth)
            _note(axis, place, f"{frame / motion.fps:.1f} s")
        axis.plot([-0.6, poses - 0.4], [0, 0], color="#bbbbbb", linewidth=0.8, zorder=0)
        _draw_path(axis, joints[:, 0], poses + 0.6, azimuth)
        # The caption is a picture, since matplotlib's own text lacks many characters.
        line = line_image(plain(caption, 16 * (poses + 2)), 15, "#ffffff")
        picture = OffsetImage(np.asarray(line), zoom=72 / _DPI, interpolation="none")
        corner = {"xycoords": "axes fraction", "box_alignment": (0, 0)}
        note = AnnotationBbox(picture, (0, 1.02), frameon=False, pad=0, **corner)
        axis.add_artist(note)
        axis.set(xlim=(-0.6, poses + 1.4), ylim=(-0.3, 2.1), aspect="equal")
        axis.axis("off")
    with replaced(path) as new:
        figure.tight_layout()
        figure.savefig(new, dpi=_DPI)


def _draw_pose(axis, joints: np.ndarray, place: float, azimuth: float) -> None:
    """Draws the pose of (22, 3) joints around x = `place`."""
    centred = joints - joints[0] * np.array([1.0, 1.0, 0.0])
    across, height, nearness = view_axes(azimuth, _ELEVATION) @ centred.T
    for bone in BONES[: len(joints) - 1]:
        ends = [bone.start, bone.end]
        axis.plot(
            place + across[ends],
            height[ends],
            color=_COLOURS[bone.part],
            linewidth=2.0,
            solid_capstyle="round",
            zorder=2 + nearness[ends].mean(),
        )


def _draw_path(axis, pelvis: np.ndarray, place: float, azimuth: float) -> None:
    """Draws the path of (T, 3) positions from above, around x = `place`."""
    seen = pelvis @ view_axes(azimuth, np.pi / 2)[:2].T
    low, high = seen.min(0), seen.max(0)
    seen = (seen - (low + high) / 2) / max(*(high - low), 1.0) * 1.2
    x, y = (seen + [place, 1.0]).T
    axis.plot(x, y, color="#777777", linewidth=1.2)
    axis.plot(x[:1], y[:1], "o", color="#444444", markersize=4)
    axis.plot(x[-1:], y[-1:], "o", color="#444444", markersize=6, fillstyle="none")
    walked = np.linalg.norm(np.diff(pelvis[:, :2], axis=0), axis=-1).sum()
    _note(axis, place, f"{walked:.1f} m, from above")


def _note(axis, place: float, text: str) -> None:
    """Writes a text under the floor line, centred at x = `place`."""
    axis.text(place, -0.14, text, ha="center", va="top", fontsize=7, color="#888888")
