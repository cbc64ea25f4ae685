"""Pictures of motions, drawn in software: no display, GPU or driver is needed."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.viewing.camera import Camera, follow
from actiongpt_jax.viewing.captions import caption_height, caption_image
from actiongpt_jax.viewing.figure import (
    BONES,
    active_phrase,
    check_motion,
    figure_points,
    first_heading,
)

COLOURS = {
    "left": (209, 73, 91),
    "right": (48, 99, 142),
    "middle": (96, 96, 102),
}
FIGURES = ("skeleton", "capsules")
_BACKGROUND, _GRID, _SHADOW = (250, 250, 248), (222, 222, 218), (214, 214, 210)
_TRAIL, _TRAIL_AHEAD = (120, 120, 120), (205, 205, 200)
_OVERSAMPLE = 2  # drawn larger and shrunk: smooth edges
_SKELETON_RADIUS = 0.022  # metres
_GRID_STEP, _GRID_REACH = 0.5, 3.5  # metres
_MESH_COLOUR = np.array([176.0, 190.0, 207.0])
_LIGHT = np.array([0.35, 0.45, 0.82])  # viewer's right, up, towards the viewer


@dataclasses.dataclass(frozen=True)
class Surface:
    """The mesh of a body model in every frame of a motion.

    Attributes:
        vertices: (T, V, 3) metres, z-up.
        faces: (F, 3) counter-clockwise seen from outside.
    """

    vertices: np.ndarray
    faces: np.ndarray


class Panel:
    """One motion's part of the picture."""

    def __init__(
        self,
        motion: Motion,
        size: int,
        figure: str = "skeleton",
        surface: Surface | None = None,
        title: str = "",
    ):
        """Prepares to draw.

        Args:
            motion: what to draw.
            size: width and height in pixels, without the caption.
            figure: one of `FIGURES`.
            surface: drawn in place of the figure, or None.
            title: a word above the picture, such as where the motion is from.
        """
        check_motion(motion)
        self.motion, self.size, self._figure = motion, size, figure
        self._surface, self._title = surface, title
        self.points = figure_points(motion)
        self.camera = follow(self.points, motion.fps, first_heading(motion))
        self._active = active_phrase(motion)
        self._captions: dict[int, Image.Image] = {}

    def draw(self, time: float) -> Image.Image:
        """Returns the picture at a time in seconds; beyond its end, the last frame."""
        frame = min(round(time * self.motion.fps), len(self.points) - 1)
        side = self.size * _OVERSAMPLE
        image = Image.new("RGB", (side, side), _BACKGROUND)
        canvas = _Canvas(ImageDraw.Draw(image), self.camera, frame, side / 2)
        canvas.floor()
        canvas.trail(self.points[:, 0])
        canvas.shadow(self.points[frame])
        if self._surface is None:
            canvas.figure(self.points[frame], self._figure)
        else:
            canvas.mesh(self._surface.vertices[frame], self._surface.faces)
        image = image.reduce(_OVERSAMPLE)
        letters = max(10, self.size // 30)
        whole = Image.new(
            "RGB", (self.size, self.size + caption_height(letters)), _BACKGROUND
        )
        whole.paste(image)
        if self._title:
            strip = caption_image(
                [self._title], -1, self.size, letters, _css(_BACKGROUND)
            )
            whole.paste(strip.crop((0, 0, self.size, 2 * letters)))
        whole.paste(self._caption(int(self._active[frame]), letters), (0, self.size))
        return whole

    def _caption(self, active: int, letters: int) -> Image.Image:
        if active not in self._captions:
            self._captions[active] = caption_image(
                self.motion.text, active, self.size, letters, _css(_BACKGROUND)
            )
        return self._captions[active]


def draw_frames(panels: Sequence[Panel], fps: float) -> Iterator[Image.Image]:
    """Draws motions side by side, in lock-step, until the longest has ended.

    Args:
        panels: at least one, of one size.
        fps: of the pictures.

    Yields:
        Pictures of equal size, both sides even.
    """
    # All bodies at the scale of the one that needs most room.
    extent = max(panel.camera.extent for panel in panels)
    for panel in panels:
        panel.camera = dataclasses.replace(panel.camera, extent=extent)
    for number in range(count_frames([panel.motion for panel in panels], fps)):
        drawn = [panel.draw(number / fps) for panel in panels]
        columns = min(4, math.ceil(math.sqrt(len(drawn) * 1.6)), len(drawn))
        rows = math.ceil(len(drawn) / columns)
        width, height = drawn[0].size
        image = Image.new("RGB", (columns * width, rows * height), _BACKGROUND)
        for place, part in enumerate(drawn):
            image.paste(part, (place % columns * width, place // columns * height))
        yield image


def count_frames(motions: Sequence[Motion], fps: float) -> int:
    """Returns how many pictures at `fps` the longest of some motions takes.

    Raises:
        InputError: for a rate that is not from 1 to 120.
    """
    if not 1 <= fps <= 120:
        raise InputError(f"fps must be from 1 to 120, got {fps}")
    return max(
        1 + round((len(motion.rotations) - 1) / motion.fps * fps) for motion in motions
    )


class _Canvas:
    """Draws in world coordinates; `half` pixels are the picture's unit."""

    def __init__(self, draw, camera: Camera, frame: int, half: float):
        self._draw, self._camera, self._frame, self._half = draw, camera, frame, half

    def _project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        places, scale = self._camera.project(points, self._frame)
        return (places + 1) * self._half, scale * self._half

    def floor(self) -> None:
        centre = self._camera.targets[self._frame, :2]
        middle = np.round(centre / _GRID_STEP) * _GRID_STEP
        steps = np.arange(-_GRID_REACH, _GRID_REACH + _GRID_STEP / 2, _GRID_STEP)
        for axis in (0, 1):
            ends = np.zeros((len(steps), 2, 3))
            ends[:, :, axis] = (middle[axis] + steps)[:, None]
            ends[:, 0, 1 - axis] = middle[1 - axis] - _GRID_REACH
            ends[:, 1, 1 - axis] = middle[1 - axis] + _GRID_REACH
            places, _ = self._project(ends)
            whole = np.isclose(ends[:, 0, axis] % 1.0, 0.0)
            for (start, end), metre in zip(places, whole, strict=True):
                width = _OVERSAMPLE * (2 if metre else 1)
                self._draw.line([*start, *end], _GRID, width)

    def trail(self, pelvis: np.ndarray) -> None:
        ground = pelvis * np.array([1.0, 1.0, 0.0])
        near = np.linalg.norm(
            ground[:, :2] - self._camera.targets[self._frame, :2], axis=-1
        )
        places, _ = self._project(ground)
        places[near > 2 * _GRID_REACH] = np.nan
        for part, colour in (
            (places[self._frame :], _TRAIL_AHEAD),
            (places[: self._frame + 1], _TRAIL),
        ):
            part = part[np.isfinite(part).all(-1)]
            if len(part) > 1:
                self._draw.line(part.reshape(-1).tolist(), colour, 2 * _OVERSAMPLE)

    def shadow(self, points: np.ndarray) -> None:
        places, scale = self._project(points * np.array([1.0, 1.0, 0.0]))
        for bone in BONES:
            radius = float(scale[bone.end]) * 0.03
            self._capsule(places[[bone.start, bone.end]], (radius, radius), _SHADOW)

    def figure(self, points: np.ndarray, figure: str) -> None:
        places, scale = self._project(points)
        outline = 1.2 * _OVERSAMPLE
        thin = figure == "skeleton"
        for bone in sorted(BONES, key=lambda b: scale[b.start] + scale[b.end]):
            own = (_SKELETON_RADIUS, _SKELETON_RADIUS) if thin else bone.radii
            first, last = own[0] * scale[bone.start], own[1] * scale[bone.end]
            ends = places[[bone.start, bone.end]]
            colour = COLOURS[bone.side]
            dark = tuple(int(value * 0.6) for value in colour)
            self._capsule(ends, (first + outline, last + outline), dark)
            self._capsule(ends, (first, last), colour)

    def _capsule(self, ends: np.ndarray, radii: tuple[float, float], colour) -> None:
        (start, end), (first, last) = ends, radii
        along = end - start
        length = max(float(np.hypot(*along)), 1e-6)
        across = np.array([-along[1], along[0]]) / length
        corners = np.stack(
            [
                *(start + across * first, end + across * last),
                *(end - across * last, start - across * first),
            ]
        )
        self._draw.polygon(corners.reshape(-1).tolist(), colour)
        for (x, y), radius in ((start, first), (end, last)):
            box = [x - radius, y - radius, x + radius, y + radius]
            self._draw.ellipse(box, colour)

    def mesh(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        places, scale = self._project(vertices)
        corners = places[faces]
        one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        # Down is positive: what faces the viewer turns clockwise on the picture.
        front = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0] < 0
        corners, faces = corners[front], faces[front]
        a, b, c = (vertices[faces[:, i]] for i in range(3))
        normals = np.cross(b - a, c - a) @ self._camera.axes.T
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
        light = 0.4 + 0.6 * np.clip(normals @ _LIGHT, 0, 1)
        colours = (light[:, None] * _MESH_COLOUR).astype(np.uint8)
        # The painter's order: far triangles first.
        order = np.argsort(scale[faces].mean(1))
        flat = corners.reshape(-1, 6)[order].tolist()
        packed = colours[order].tolist()
        polygon = self._draw.polygon
        for place, colour in zip(flat, packed, strict=True):
            polygon(place, tuple(colour))


def _css(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
