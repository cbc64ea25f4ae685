"""Draws motions as still pictures: one row of poses over time per motion."""

import itertools
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
from actiongpt_jax.viewing.figure import ACTION_COLOURS, figure_points
from actiongpt_jax.viewing.fonts import draw_text, text_length
from actiongpt_jax.viewing.raster import Panel, share_scale

_SIZE = 256  # height of a pose's picture, pixels
_STEP = 140  # distance of two poses, pixels; arms that are spread wide may overlap
_PATH = 100  # width of the path from above, pixels
_CAPTION, _NOTE = 16, 11  # height of the letters, pixels
_ABOVE, _BELOW = 32, 22  # room for the caption and for the notes, pixels
_TIMELINE = 22  # room for the actions of a series under the notes, pixels
_PLAIN = "#777777"  # colour of the path of a single action
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
    the right is the pelvis's path from above, from the filled dot to the open one. The
    actions of a series have colours, in which a line under the poses shows their times.

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
    room = _TIMELINE if any(len(_actions(motion)) > 1 for motion in motions) else 0
    rows = [_row(*of, poses, room) for of in zip(panels, captions, strict=True)]
    width, height = rows[0].size
    whole = Image.new("RGB", (width, height * len(rows)), "white")
    for number, row in enumerate(rows):
        whole.paste(row, (0, number * height))
    with replaced(path) as new:
        whole.save(new, "PNG")


def _actions(motion: Motion) -> list[tuple[int, int, str, str]]:
    """Returns the first and last frame, the phrase and the colour of each action."""
    last = len(motion.rotations) - 1
    if len(motion.lengths) < 2 or len(motion.lengths) != len(motion.text):
        return [(0, last, motion.caption, _PLAIN)]
    starts = np.cumsum([0, *motion.lengths]).tolist()
    colours = itertools.cycle(ACTION_COLOURS)
    return [
        (start, min(end, last), phrase, colour)
        for (start, end), phrase, colour in zip(
            itertools.pairwise(starts), motion.text, colours, strict=False
        )
    ]


def _row(panel: Panel, caption: str, poses: int, room: int) -> Image.Image:
    """Draws a motion's caption, its poses with their times, and its path."""
    end = poses * _STEP + _SIZE - _STEP
    row = Image.new("RGB", (end + _PATH, _ABOVE + _SIZE + _BELOW + room), "white")
    frames = len(panel.motion.rotations)
    for place, frame in enumerate(np.linspace(0, frames - 1, poses).round()):
        time = frame / panel.motion.fps
        # Where two pictures overlap, what was drawn stays visible on the white.
        left = place * _STEP, _ABOVE
        box = (*left, left[0] + _SIZE, left[1] + _SIZE)
        row.paste(ImageChops.darker(row.crop(box), panel.pose(time)), left)
        _note(row, left[0] + _SIZE / 2, f"{time:.1f} s")
    pelvis = motion_joints(panel.motion)[:, 0]
    actions = _actions(panel.motion)
    above = _path(pelvis @ view_axes(panel.camera.azimuth, np.pi / 2)[:2].T, actions)
    row.paste(above, (end - _STEP // 4, _ABOVE + (_SIZE - _PATH) // 2))
    walked = np.linalg.norm(np.diff(pelvis[:, :2], axis=0), axis=-1).sum()
    note = f"{walked:.1f} m, from above"
    _note(row, end - _STEP // 4 + _PATH / 2, note)
    if len(actions) > 1:
        _timeline(row, actions, (poses - 1) * _STEP)
    line = plain(caption, 16 * (poses + 1))
    draw_text(row, (_STEP // 3, _ABOVE // 3), line, "#1b1b1b", _CAPTION)
    return row


def _timeline(
    row: Image.Image, actions: Sequence[tuple[int, int, str, str]], span: int
) -> None:
    """Draws the phrase of each action and a line from its first to its last pose."""
    draw, (*_, (_, last, _, _)) = ImageDraw.Draw(row), actions
    top = _ABOVE + _SIZE + _BELOW
    for start, end, phrase, colour in actions:
        left, right = (_SIZE / 2 + span * frame / last for frame in (start, end))
        draw.line((left + 2, top, right - 2, top), colour, 4)
        text = plain(phrase, max(2, int((right - left) / (0.6 * _NOTE))))
        _note(row, (left + right) / 2, text, colour, top + 4)


def _path(
    seen: np.ndarray, actions: Sequence[tuple[int, int, str, str]]
) -> Image.Image:
    """Draws a path of (T, 2) metres (right, up), at least a metre wide."""
    side = _PATH * _OVERSAMPLE
    low, high = seen.min(0), seen.max(0)
    unit = 0.8 * side / max(*(high - low), 1.0)
    places = (seen - (low + high) / 2) * [unit, -unit] + side / 2
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    for start, end, _, colour in actions:
        part = places[start : end + 1].ravel().tolist()
        draw.line(part, colour, 2 * _OVERSAMPLE, "curve")
    for (x, y), radius, inside in ((places[0], 3, "#444444"), (places[-1], 4, None)):
        radius *= _OVERSAMPLE
        circle = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(circle, inside, "#444444", _OVERSAMPLE)
    return image.reduce(_OVERSAMPLE)


def _note(
    row: Image.Image,
    middle: float,
    text: str,
    colour: str = "#6b6b6b",
    top: int = _ABOVE + _SIZE,
) -> None:
    """Writes a text under the poses, centred at a column."""
    place = middle - text_length(text, _NOTE) / 2, top
    draw_text(row, place, text, colour, _NOTE)
