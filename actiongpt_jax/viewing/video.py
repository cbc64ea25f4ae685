"""Motions and frames into .gif and .mp4 files."""

import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import replaced
from actiongpt_jax.geometry.body import Body
from actiongpt_jax.viewing.raster import Panel, draw_frames
from actiongpt_jax.viewing.surface import motion_surface

_COLOURS = 128


def write_video(
    path: str | os.PathLike,
    motions: Sequence[Motion],
    titles: Sequence[str],
    *,
    figure: str = "skeleton",
    body: Body | None = None,
    size: int = 480,
    fps: float = 30.0,
    on_frame: Callable[[int], object] | None = None,
) -> None:
    """Draws motions side by side into a .gif or .mp4, as the suffix says.

    Args:
        path: of the file; replaced as a whole.
        motions: at least one.
        titles: of each, may be empty.
        figure: one of `raster.FIGURES`.
        body: whose mesh is drawn in place of the figure, or None.
        size: pixels of one motion; rounded up to an even number.
        fps: of the file, whatever those of the motions.
        on_frame: called with 1 after each frame.

    Raises:
        InputError: for sizes or rates out of range, and what a motion, a body or a
            format may lack.
    """
    if not 64 <= size <= 2160:
        raise InputError(f"size must be from 64 to 2160 pixels, got {size}")
    size += size % 2  # H.264 wants even sides
    panels = [
        Panel(motion, size, figure, body and motion_surface(motion, body), title)
        for motion, title in zip(motions, titles, strict=True)
    ]

    def told() -> Iterator[Image.Image]:
        for frame in draw_frames(panels, fps):
            yield frame
            if on_frame is not None:
                on_frame(1)

    gif = os.fspath(path).lower().endswith(".gif")
    (write_gif if gif else write_mp4)(path, told(), fps)


def write_gif(
    path: str | os.PathLike, frames: Iterable[Image.Image], fps: float
) -> None:
    """Writes an endless .gif.

    Args:
        path: of the file; replaced as a whole.
        frames: at least one, of one size.
        fps: of the file; its clock ticks hundredths of a second, so that frames
            last one tick more or less, and the whole as long as it should.
    """
    frames = iter(frames)
    # One palette for all, of the first frame, which has every colour of the figure.
    first = next(frames)
    palette = first.quantize(_COLOURS, dither=Image.Dither.NONE)
    shown = [
        frame.quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in itertools.chain([first], frames)
    ]
    ticks = np.round(np.arange(len(shown) + 1) * 100 / fps).astype(int)
    with replaced(path) as new:
        shown[0].save(
            new,
            save_all=True,
            append_images=shown[1:],
            duration=(np.diff(ticks) * 10).tolist(),
            loop=0,
            optimize=False,
        )


def write_mp4(
    path: str | os.PathLike, frames: Iterable[Image.Image], fps: float
) -> None:
    """Writes an H.264 .mp4 with the ffmpeg that imageio-ffmpeg brings.

    Args:
        path: of the file; replaced as a whole.
        frames: at least one, of one size with even sides.
        fps: of the file.

    Raises:
        InputError: if imageio-ffmpeg is not installed or has no ffmpeg here.
    """
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise InputError(
            ".mp4 needs imageio-ffmpeg with its ffmpeg; run `pip install "
            "actiongpt_jax[view]` or write a .gif"
        ) from error
    frames = iter(frames)
    first = next(frames)
    with replaced(path) as new, warnings.catch_warnings():
        # JAX warns of forks; ffmpeg takes the place of this one at once.
        warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)
        # Its signature knows whole numbers only.
        options: Any = {"fps": fps, "quality": None}
        writer = imageio_ffmpeg.write_frames(
            str(new),
            first.size,
            codec="libx264",
            pix_fmt_in="rgb24",
            macro_block_size=2,
            output_params=["-crf", "20", "-preset", "veryfast"],
            **options,
        )
        writer.send(None)
        try:
            for frame in itertools.chain([first], frames):
                writer.send(frame.tobytes())
        finally:
            writer.close()
