"""Draws motions as still pictures: one row of poses over time per motion."""

import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageChops, ImageDraw

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.files.atomic import replaced
from actiongpt_jax.geometry.body import Body
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.viewing.camera import view_axes
from actiongpt_jax.viewing.captions import plain
from actiongpt_jax.viewing.figure import figure_points
from actiongpt_jax.viewing.fonts import draw_text, text_length
from actiongpt_jax.viewing.raster import Panel, share_scale

_SIZE = 256  # height of a pose's picture, pixels
_STEP = 140  # distance of two poses, pixels; arms that are spread wide may overlap
_PATH = 100  # width of the path from above, pixels
_CAPTION, _NOTE = 16, 11  # height of the letters, pixels
_ABOVE, _BELOW = 32, 22  # room for the caption and for the notes, pixels
_OVERSAMPLE = 4  # the path is drawn this much larger, then shrunk


def motion_joints(motion: Motion) -> Float[np.ndarray, "t 22 3"]:
    """Returns the joint positions of a motion, metres, z-up."""
    return figure_points(motion)[:, : SMPL22.num_joints]


def strip(
    motions: Sequence[Motion],
    path: str | os.PathLike,
    poses: int = 9,
    captions: Sequence[str] | None = None,
    *,
    figure: str = "capsules",
    body: Body | None = None,
) -> None:
    """Draws one row of poses per motion into a PNG file.

    The body's left side is red, its right side blue. The poses are spread along the
    row; their heights above the floor and their headings are those of the motion. On
    the right is the pelvis's path from above, from the filled dot to the open one.

    Args:
        motions: motions to draw, at least one.
        path: PNG file to write, replaced atomically.
        poses: number of poses per row, evenly spaced in time.
        captions: one caption per motion; the default is the motion's phrases.
        figure: how a body is drawn, one of `choices.FIGURES`.
        body: body model whose mesh is drawn instead of the figure, or None.

    Raises:
        InputError: if a motion or the body model cannot be drawn.
    """
    captions = captions or [motion.caption for motion in motions]
    panels = [Panel(motion, _SIZE, figure, body) for motion in motions]
    share_scale(panels)
    rows = [_row(*of, poses) for of in zip(panels, captions, strict=True)]
    width, height = rows[0].size
    whole = Image.new("RGB", (width, height * len(rows)), "white")
    for number, row in enumerate(rows):
        whole.paste(row, (0, number * height))
    with replaced(path) as new:
        whole.save(new, "PNG")


def _row(panel: Panel, caption: str, poses: int) -> Image.Image:
    """Draws a motion's caption, its poses with their times, and its path."""
    end = poses * _STEP + _SIZE - _STEP
    row = Image.new("RGB", (end + _PATH, _ABOVE + _SIZE + _BELOW), "white")
    frames = len(panel.motion.rotations)
    for place, frame in enumerate(np.linspace(0, frames - 1, poses).round()):
        time = frame / panel.motion.fps
        # Where two pictures overlap, what was drawn stays visible on the white.
        left = place * _STEP, _ABOVE
        box = (*left, left[0] + _SIZE, left[1] + _SIZE)
        row.paste(ImageChops.darker(row.crop(box), panel.pose(time)), left)
        _note(row, left[0] + _SIZE / 2, f"{time:.1f} s")
    pelvis = motion_joints(panel.motion)[:, 0]
    above = _path(pelvis @ view_axes(panel.camera.azimuth, np.pi / 2)[:2].T)
    row.paste(above, (end - _STEP // 4, _ABOVE + (_SIZE - _PATH) // 2))
    walked = np.linalg.norm(np.diff(pelvis[:, :2], axis=0), axis=-1).sum()
    note = f"{walked:.1f} m, from above"
    _note(row, end - _STEP // 4 + _PATH / 2, note)
    line = plain(caption, 16 * (poses + 1))
    draw_text(row, (_STEP // 3, _ABOVE // 3), line, "#1b1b1b", _CAPTION)
    return row


def _path(seen: np.ndarray) -> Image.Image:
    """Draws a path of (T, 2) metres (right, up), at least a metre wide."""
    side = _PATH * _OVERSAMPLE
    low, high = seen.min(0), seen.max(0)
    unit = 0.8 * side / max(*(high - low), 1.0)
    places = (seen - (low + high) / 2) * [unit, -unit] + side / 2
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    draw.line(places.ravel().tolist(), "#777777", 2 * _OVERSAMPLE, "curve")
    for (x, y), radius, inside in ((places[0], 3, "#444444"), (places[-1], 4, None)):
        radius *= _OVERSAMPLE
        circle = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(circle, inside, "#444444", _OVERSAMPLE)
    return image.reduce(_OVERSAMPLE)


def _note(row: Image.Image, middle: float, text: str) -> None:
    """Writes a text under the poses, centred at a column."""
    place = middle - text_length(text, _NOTE) / 2, _ABOVE + _SIZE
    draw_text(row, place, text, "#6b6b6b", _NOTE)
