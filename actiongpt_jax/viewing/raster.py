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
from actiongpt_jax.viewing.camera import (
    ELEVATION,
    Camera,
    follow,
    view_axes,
)
from actiongpt_jax.viewing.captions import caption_image
from actiongpt_jax.viewing.figure import (
    BONES,
    COLOURS,
    active_phrase,
    body_vertices,
    bone_radii,
    check_motion,
    figure_points,
    first_heading,
    interpolate,
)
from actiongpt_jax.viewing.shading import brightness, darken_floor, paint_capsules

_BACKGROUND, _FLOOR, _GRID = "#fafaf8", "#ececea", "#c6c6c0"
_TRAIL, _TRAIL_AHEAD = "#6e6e6e", "#c2c2bd"
_OVERSAMPLE = 2  # lines and meshes are drawn this much larger, then shrunk
_GRID_STEP, _GRID_REACH = 0.5, 3.5  # metres
_FADE = 2.6  # radius of the visible floor, metres
_MESH_COLOUR = np.array([176.0, 190.0, 207.0])
_GROUND = np.array([1.0, 1.0, 0.0])  # multiplying projects points onto the floor
# A point's shadow on the floor: radius, and what a height of a metre adds to it, in
# metres; strength on the floor, and the height at which a third of it is left.
_SHADOW_RADIUS, _SHADOW_SPREAD, _SHADOW_STRENGTH, _SHADOW_HEIGHT = 0.11, 0.5, 0.36, 0.1
_BODY_SHADOW = 0.45, 0.16  # radius, metres, and strength of the one below the pelvis
_BONES = np.array([(bone.start, bone.end) for bone in BONES])
_COLOURS = np.array([ImageColor.getrgb(COLOURS[bone.part]) for bone in BONES], float)


class Panel:
    """Draws one motion into its part of the picture."""

    def __init__(
        self,
        motion: Motion,
        size: int,
        figure: str = "capsules",
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
        self.motion, self._size = motion, size
        self._points, self._radii = figure_points(motion), bone_radii(figure)
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
        frame = int(self._place(time) + 0.5)
        caption = self._caption(int(self._active[frame]))
        shape = self._size, self._size + caption.height
        whole = Image.new("RGB", shape, _BACKGROUND)
        whole.paste(self.pose(time, floor=True))
        if self._title is not None:
            whole.paste(self._title)
        whole.paste(caption, (0, self._size))
        return whole

    def pose(self, time: float, *, floor: bool = False) -> Image.Image:
        """Returns the body and its shadow at a time, on the floor or on white."""
        place = self._place(time)
        points = interpolate(self._points, place)
        canvas = _Canvas(self.camera, place, self._size)
        if floor:
            canvas.floor(self._points[:, 0])
        canvas.shadow(points)
        if self._mesh is None:
            canvas.figure(points, self._radii)
        else:
            vertices, faces = self._mesh
            canvas.mesh(interpolate(vertices, place), faces)
        return canvas.image()

    def _place(self, time: float) -> float:
        """Returns the number of the frame at a time, which may be fractional."""
        return min(time * self.motion.fps, len(self._points) - 1)


def share_scale(panels: Sequence[Panel]) -> None:
    """Draws all bodies at the scale of the motion that needs the most room."""
    extent = max(panel.camera.extent for panel in panels)
    for panel in panels:
        panel.camera = dataclasses.replace(panel.camera, extent=extent)


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
    share_scale(panels)
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


@functools.lru_cache(8)
def _fade(size: int, extent: float, height: float) -> Image.Image:
    """Returns how much of the floor each pixel shows, 0 to 255.

    Args:
        size: width and height of the picture in pixels.
        extent: visible distance above and below the target, metres.
        height: height of the camera's target above the floor, metres.
    """
    camera = Camera(np.zeros((1, 3)), 0.0, extent)
    places, scale = camera.project(np.zeros(3), np.array([0.0, 0.0, height]))
    centres = (np.arange(size, dtype=np.float32) + 0.5) * 2 / size - 1
    x = (centres - places[0]) / (_FADE * scale)
    y = (centres - places[1])[:, None] / (_FADE * scale * np.sin(ELEVATION))
    seen = np.clip(1 - np.hypot(x, y), 0, 1)
    return Image.fromarray(np.round(255 * seen).astype(np.uint8))


class _Canvas:
    """Draws in world coordinates into a square picture of `size` pixels."""

    def __init__(self, camera: Camera, place: float, size: int):
        self._camera, self._place, self._size = camera, place, size
        self._target = interpolate(camera.targets, place)
        self._pixels = np.full((size, size, 3), 255, np.float32)

    def image(self) -> Image.Image:
        return Image.fromarray((self._pixels + 0.5).astype(np.uint8))

    def _project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        places, scale = self._camera.project(points, self._target)
        return (places + 1) * self._size / 2, scale * self._size / 2

    def _larger(self, mode: str, colour: str | int) -> Image.Image:
        side = self._size * _OVERSAMPLE
        return Image.new(mode, (side, side), colour)

    def floor(self, pelvis: np.ndarray) -> None:
        """Draws the floor's grid, and on it the path of the (T, 3) pelvis."""
        lines = self._larger("RGB", _FLOOR)
        draw = ImageDraw.Draw(lines)

        def line(points: np.ndarray, colour: str, width: float) -> None:
            places = (self._project(points)[0] * _OVERSAMPLE).ravel().tolist()
            draw.line(places, colour, round(width * _OVERSAMPLE))

        middle = np.round(self._target[:2] / _GRID_STEP) * _GRID_STEP
        steps = np.arange(-_GRID_REACH, _GRID_REACH + _GRID_STEP / 2, _GRID_STEP)
        for axis in (0, 1):
            for along in middle[axis] + steps:
                ends = np.zeros((2, 3))
                ends[:, axis] = along
                ends[:, 1 - axis] = middle[1 - axis] + [-_GRID_REACH, _GRID_REACH]
                line(ends, _GRID, 0.5 if along % 1.0 else 1)
        away = np.linalg.norm(pelvis[:, :2] - self._target[:2], axis=-1)
        shown = np.flatnonzero(away <= _GRID_REACH)
        for part, colour in (
            (shown[shown >= self._place], _TRAIL_AHEAD),
            (shown[shown <= self._place + 1], _TRAIL),
        ):
            if len(part) > 1:
                line(pelvis[part] * _GROUND, colour, 2)
        # The floor fades out around the body.
        mask = _fade(self._size, self._camera.extent, float(self._target[2]))
        outside = Image.new("RGB", mask.size, _BACKGROUND)
        shown = Image.composite(lines.reduce(_OVERSAMPLE), outside, mask)
        self._pixels = np.asarray(shown, np.float32).copy()

    def shadow(self, points: np.ndarray) -> None:
        places, scale = self._project(points * _GROUND)
        height = np.maximum(points[:, 2], 0)
        radius = _SHADOW_RADIUS + _SHADOW_SPREAD * height
        strength = _SHADOW_STRENGTH * np.exp(-height / _SHADOW_HEIGHT)
        radius[0], strength[0] = _BODY_SHADOW
        wide = radius * scale
        sizes = np.stack([wide, wide * np.sin(ELEVATION)], -1)
        dark = strength > 0.01
        darken_floor(self._pixels, places[dark], sizes[dark], strength[dark])

    def figure(self, points: np.ndarray, radii: np.ndarray) -> None:
        places, scale = self._project(points)
        near = (points - self._target) @ view_axes(self._camera.azimuth)[2]
        near *= self._size / 2 / self._camera.extent  # pixels of a metre at the target
        places = np.concatenate([places, near[:, None]], -1)
        radii = radii * scale[_BONES]
        paint_capsules(self._pixels, places, _BONES, radii, _COLOURS)

    def mesh(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        places, scale = self._project(vertices)
        corners = places[faces] * _OVERSAMPLE
        one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        # The picture's y axis points down, so front faces are clockwise there.
        front = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0] < 0
        corners, faces = corners[front], faces[front]
        a, b, c = vertices[faces].swapaxes(0, 1)
        axes = view_axes(self._camera.azimuth) * np.array([[1.0], [-1.0], [1.0]])
        normals = np.cross(b - a, c - a) @ axes.T
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
        factor, shine = brightness(normals)
        colours = np.minimum(factor * _MESH_COLOUR + shine, 255).astype(np.uint8)
        # Painter's algorithm: far triangles are drawn first.
        order = np.argsort(scale[faces].mean(1))
        flat, packed = corners.reshape(-1, 6)[order].tolist(), colours[order].tolist()
        drawn, covered = self._larger("RGB", 0), self._larger("L", 0)
        draw, cover = ImageDraw.Draw(drawn), ImageDraw.Draw(covered)
        for place, colour in zip(flat, packed, strict=True):
            draw.polygon(place, tuple(colour))
            cover.polygon(place, 255)
        share = np.asarray(covered.reduce(_OVERSAMPLE), np.float32)[..., None] / 255
        body = np.asarray(drawn.reduce(_OVERSAMPLE), np.float32)
        self._pixels = body + (1 - share) * self._pixels
