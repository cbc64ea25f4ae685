"""Draws pictures of motions in software, without a display, GPU or driver."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.body import Body
from actiongpt_jax.viewing.camera import Camera, follow, view_axes
from actiongpt_jax.viewing.captions import caption_image
from actiongpt_jax.viewing.figure import (
    BONES,
    COLOURS,
    active_phrase,
    body_vertices,
    check_motion,
    figure_points,
    first_heading,
)

_BACKGROUND, _GRID, _SHADOW = "#fafaf8", "#dededa", "#d6d6d2"
_TRAIL, _TRAIL_AHEAD = "#787878", "#cdcdc8"
_OVERSAMPLE = 2  # pictures are drawn this much larger, then shrunk for smooth edges
_SKELETON_RADIUS, _SHADOW_RADIUS = 0.022, 0.03  # metres
_GRID_STEP, _GRID_REACH = 0.5, 3.5  # metres
_MESH_COLOUR = np.array([176.0, 190.0, 207.0])
# Direction of the light: the viewer's right, up, towards the viewer.
_LIGHT = np.array([0.35, 0.45, 0.82])
_GROUND = np.array([1.0, 1.0, 0.0])  # multiplying projects points onto the floor


class Panel:
    """Draws one motion into its part of the picture."""

    def __init__(
        self,
        motion: Motion,
        size: int,
        figure: str = "skeleton",
        body: Body | None = None,
        title: str = "",
    ):
        """Computes the points to draw and places the camera.

        Args:
            motion: the motion to draw.
            size: width and height in pixels, without the caption.
            figure: how the body is drawn, one of `choices.FIGURES`.
            body: body model whose mesh is drawn instead of the figure, or None.
            title: title above the picture, such as the motion's origin; may be empty.

        Raises:
            InputError: if the motion or the body model cannot be drawn.
        """
        check_motion(motion)
        self.motion, self._size, self._figure = motion, size, figure
        self._points = figure_points(motion)
        self._mesh = body and (body_vertices(motion, body), np.asarray(body.faces))
        self.camera = follow(self._points, motion.fps, first_heading(motion))
        self._active = active_phrase(motion)
        letters = max(10, size // 30)
        caption = functools.partial(
            caption_image, width=size, size=letters, background=_BACKGROUND
        )
        self._caption = functools.cache(lambda active: caption(motion.text, active))
        self._title = None
        if title:
            self._title = caption([title], -1).crop((0, 0, size, 2 * letters))

    def draw(self, time: float) -> Image.Image:
        """Returns the picture at a time in seconds; after the end, the last frame."""
        frame = min(round(time * self.motion.fps), len(self._points) - 1)
        side = self._size * _OVERSAMPLE
        image = Image.new("RGB", (side, side), _BACKGROUND)
        canvas = _Canvas(ImageDraw.Draw(image), self.camera, frame, side / 2)
        canvas.floor()
        canvas.trail(self._points[:, 0])
        canvas.shadow(self._points[frame])
        if self._mesh is None:
            canvas.figure(self._points[frame], self._figure)
        else:
            vertices, faces = self._mesh
            canvas.mesh(vertices[frame], faces)
        caption = self._caption(int(self._active[frame]))
        shape = self._size, self._size + caption.height
        whole = Image.new("RGB", shape, _BACKGROUND)
        whole.paste(image.reduce(_OVERSAMPLE))
        if self._title is not None:
            whole.paste(self._title)
        whole.paste(caption, (0, self._size))
        return whole


def draw_frames(
    panels: Sequence[Panel],
    fps: float,
    on_frame: Callable[[int], object] = lambda count: None,
) -> Iterator[Image.Image]:
    """Draws motions side by side in synchrony until the longest one ends.

    Args:
        panels: panels of the motions to draw, at least one, all of one size.
        fps: pictures per second.
        on_frame: called with 1 after each picture.

    Yields:
        Pictures of equal size; width and height are even numbers.
    """
    # Draw all bodies at the scale of the motion that needs the most room.
    extent = max(panel.camera.extent for panel in panels)
    for panel in panels:
        panel.camera = dataclasses.replace(panel.camera, extent=extent)
    columns = min(4, math.ceil(math.sqrt(len(panels) * 1.6)), len(panels))
    rows = math.ceil(len(panels) / columns)
    for number in range(count_frames([panel.motion for panel in panels], fps)):
        drawn = [panel.draw(number / fps) for panel in panels]
        width, height = drawn[0].size
        image = Image.new("RGB", (columns * width, rows * height), _BACKGROUND)
        for place, part in enumerate(drawn):
            image.paste(part, (place % columns * width, place // columns * height))
        yield image
        on_frame(1)


def count_frames(motions: Sequence[Motion], fps: float) -> int:
    """Returns the number of pictures that the longest motion takes at `fps`.

    Raises:
        InputError: if `fps` is not from 1 to 120.
    """
    if not 1 <= fps <= 120:
        raise InputError(f"fps must be from 1 to 120, got {fps}")
    return max(
        1 + round((len(motion.rotations) - 1) / motion.fps * fps) for motion in motions
    )


class _Canvas:
    """Draws in world coordinates; `half` is half of the picture's width in pixels."""

    def __init__(
        self, draw: ImageDraw.ImageDraw, camera: Camera, frame: int, half: float
    ):
        self._draw, self._camera, self._frame, self._half = draw, camera, frame, half
        self._target = camera.targets[frame, :2]

    def _project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        places, scale = self._camera.project(points, self._frame)
        return (places + 1) * self._half, scale * self._half

    def _line(self, places: np.ndarray, colour: str, width: int) -> None:
        self._draw.line(places.ravel().tolist(), colour, width * _OVERSAMPLE)

    def floor(self) -> None:
        middle = np.round(self._target / _GRID_STEP) * _GRID_STEP
        steps = np.arange(-_GRID_REACH, _GRID_REACH + _GRID_STEP / 2, _GRID_STEP)
        for axis in (0, 1):
            for along in middle[axis] + steps:
                ends = np.zeros((2, 3))
                ends[:, axis] = along
                ends[:, 1 - axis] = middle[1 - axis] + [-_GRID_REACH, _GRID_REACH]
                self._line(self._project(ends)[0], _GRID, 1 if along % 1.0 else 2)

    def trail(self, pelvis: np.ndarray) -> None:
        away = np.linalg.norm(pelvis[:, :2] - self._target, axis=-1)
        places, _ = self._project(pelvis * _GROUND)
        shown = np.flatnonzero(away <= 2 * _GRID_REACH)
        for part, colour in (
            (shown[shown >= self._frame], _TRAIL_AHEAD),
            (shown[shown <= self._frame], _TRAIL),
        ):
            if len(part) > 1:
                self._line(places[part], colour, 2)

    def shadow(self, points: np.ndarray) -> None:
        places, scale = self._project(points * _GROUND)
        for bone in BONES:
            radius = _SHADOW_RADIUS * scale[bone.end]
            self._capsule(places[[bone.start, bone.end]], (radius, radius), _SHADOW)

    def figure(self, points: np.ndarray, figure: str) -> None:
        places, scale = self._project(points)
        outline = 1.2 * _OVERSAMPLE
        for bone in sorted(BONES, key=lambda b: scale[b.start] + scale[b.end]):
            joints = [bone.start, bone.end]
            thin = figure == "skeleton"
            radii = (_SKELETON_RADIUS if thin else np.array(bone.radii)) * scale[joints]
            colour = COLOURS[bone.side]
            dark = tuple(int(value * 0.6) for value in ImageColor.getrgb(colour))
            self._capsule(places[joints], radii + outline, dark)
            self._capsule(places[joints], radii, colour)

    def _capsule(self, ends, radii, colour: str | tuple[int, ...]) -> None:
        (start, end), (first, last) = ends, radii
        along = end - start
        length = max(float(np.hypot(*along)), 1e-6)
        across = np.array([-along[1], along[0]]) / length
        left = start + across * first, end + across * last
        right = end - across * last, start - across * first
        self._draw.polygon(np.concatenate(left + right).tolist(), colour)
        self._draw.circle(start.tolist(), first, colour)
        self._draw.circle(end.tolist(), last, colour)

    def mesh(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        places, scale = self._project(vertices)
        corners = places[faces]
        one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        # The picture's y axis points down, so front faces are clockwise there.
        front = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0] < 0
        corners, faces = corners[front], faces[front]
        a, b, c = vertices[faces].swapaxes(0, 1)
        normals = np.cross(b - a, c - a) @ view_axes(self._camera.azimuth).T
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
        light = 0.4 + 0.6 * np.clip(normals @ _LIGHT, 0, 1)
        colours = (light[:, None] * _MESH_COLOUR).astype(np.uint8)
        # Painter's algorithm: far triangles are drawn first.
        order = np.argsort(scale[faces].mean(1))
        flat, packed = corners.reshape(-1, 6)[order].tolist(), colours[order].tolist()
        for place, colour in zip(flat, packed, strict=True):
            self._draw.polygon(place, tuple(colour))
