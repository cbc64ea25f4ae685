"""Frames into .gif and .mp4 files."""

import itertools
import os
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from actiongpt_jax.errors import InputError
from actiongpt_jax.viewing.files import replaced

_COLOURS = 128


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
