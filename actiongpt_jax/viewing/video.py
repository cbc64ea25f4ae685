"""Writes motions as .gif and .mp4 files."""

import itertools
import os
import pathlib
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import replaced
from actiongpt_jax.geometry.body import Body
from actiongpt_jax.viewing.raster import Panel, draw_frames

_COLOURS = 128  # size of a .gif's palette


def write_video(
    path: str | os.PathLike,
    motions: Sequence[Motion],
    titles: Sequence[str],
    *,
    figure: str = "skeleton",
    body: Body | None = None,
    size: int = 480,
    fps: float = 30.0,
    on_frame: Callable[[int], object] = lambda count: None,
) -> None:
    """Draws motions side by side into a looping .gif or an H.264 .mp4.

    Args:
        path: file to write, ending in .gif or .mp4; replaced atomically.
        motions: motions to draw, at least one.
        titles: one title per motion; a title may be empty.
        figure: how a body is drawn, one of `choices.FIGURES`.
        body: body model whose mesh is drawn instead of the figure, or None.
        size: width of one motion in pixels; rounded up to an even number.
        fps: frames per second of the file; those of the motions may differ.
        on_frame: called with 1 after each frame.

    Raises:
        InputError: if the size or rate is out of range, if a motion or the body model
            cannot be drawn, or if a .mp4 is requested but ffmpeg is missing.
    """
    if not 64 <= size <= 2160:
        raise InputError(f"size must be from 64 to 2160 pixels, got {size}")
    size += size % 2  # H.264 requires an even width and height
    panels = [
        Panel(motion, size, figure, body, title)
        for motion, title in zip(motions, titles, strict=True)
    ]
    write = _write_gif if os.fspath(path).lower().endswith(".gif") else _write_mp4
    with replaced(path) as new:
        write(new, draw_frames(panels, fps, on_frame), fps)


def _write_gif(path: pathlib.Path, frames: Iterator[Image.Image], fps: float) -> None:
    shown: list[Image.Image] = []
    for frame in frames:
        # All frames share the palette of the first one, which has all colours.
        palette = shown[0] if shown else frame.quantize(_COLOURS)
        shown.append(frame.quantize(palette=palette, dither=Image.Dither.NONE))
    # GIF counts time in hundredths of a second: a frame may be one tick too long or too
    # short, but the total duration is right.
    ticks = np.round(np.arange(len(shown) + 1) * 100 / fps).astype(int)
    shown[0].save(
        path,
        save_all=True,
        append_images=shown[1:],
        duration=(np.diff(ticks) * 10).tolist(),
        loop=0,
        optimize=False,
    )


def _write_mp4(path: pathlib.Path, frames: Iterator[Image.Image], fps: float) -> None:
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise InputError(
            ".mp4 needs imageio-ffmpeg with its ffmpeg; run `pip install "
            "actiongpt_jax[view]` or write a .gif"
        ) from error
    first = next(frames)
    with warnings.catch_warnings():
        # JAX warns about forks; this one is harmless, as it executes ffmpeg at once.
        warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)
        writer = imageio_ffmpeg.write_frames(
            str(path),
            first.size,
            fps=fps,  # pyright: ignore[reportArgumentType]
            quality=None,  # pyright: ignore[reportArgumentType]
            codec="libx264",
            macro_block_size=2,
            output_params=["-crf", "20", "-preset", "veryfast"],
        )
        writer.send(None)
        try:
            for frame in itertools.chain([first], frames):
                writer.send(frame.tobytes())
        finally:
            writer.close()
