"""Writes motions as .gif and .mp4 files."""

import contextlib
import itertools
import os
import pathlib
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import replaced
from actiongpt_jax.geometry.body import Body
from actiongpt_jax.viewing.raster import Panel, draw_frames

# Size of a .gif's palette; more colours make larger files that look the same, and with
# half as many, rounded limbs look folded.
_COLOURS = 128
_SAMPLES = 5  # pictures per motion from which the palette is chosen
# Browsers show a .gif's frames for at least 20 ms; shorter ones become 100 ms.
_MOST_GIF_FPS = 50.0


def playable_fps(path: str | os.PathLike, fps: float) -> float:
    """Returns the frame rate of a video file; warns if it is not the requested one.

    Args:
        path: the video file; a .gif has at most 50 frames per second.
        fps: requested frames per second.
    """
    if not os.fspath(path).lower().endswith(".gif") or not fps > _MOST_GIF_FPS:
        return fps
    warnings.warn(
        f"a .gif plays at most {_MOST_GIF_FPS:g} frames per second, so it gets "
        f"{_MOST_GIF_FPS:g} instead of {fps:g}; write an .mp4 for more",
        UserWarning,
        stacklevel=3,
    )
    return _MOST_GIF_FPS


def write_video(
    path: str | os.PathLike,
    motions: Sequence[Motion],
    titles: Sequence[str],
    *,
    figure: str = "capsules",
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
        fps: frames per second of the file, at most 50 in a .gif; those of the motions
            may differ.
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
    is_gif = os.fspath(path).lower().endswith(".gif")
    fps = playable_fps(path, fps)
    frames = draw_frames(panels, fps, on_frame)
    with replaced(path) as new:
        if is_gif:
            _write_gif(new, frames, fps, _palette(panels))
        else:
            _write_mp4(new, frames, fps, os.fspath(path))


def _palette(panels: Sequence[Panel]) -> Image.Image:
    """Returns a picture whose palette has the colours of a video's frames."""
    pictures = []
    for panel in panels:
        length = (len(panel.motion.rotations) - 1) / panel.motion.fps
        # Most of a picture is the floor. What lies in the middle counts more.
        pictures += [
            picture.crop((side // 4, 0, side - side // 4, picture.height))
            for time in np.linspace(0, length, _SAMPLES)
            for picture in [panel.draw(time)]
            for side in [picture.width]
        ]
    width, height = pictures[0].size
    whole = Image.new("RGB", (width, height * len(pictures)))
    for place, picture in enumerate(pictures):
        whole.paste(picture, (0, place * height))
    return whole.quantize(_COLOURS)


def _write_gif(
    path: pathlib.Path,
    frames: Iterator[Image.Image],
    fps: float,
    palette: Image.Image,
) -> None:
    # Without dither, what does not move stays equal and is stored once.
    shown = [
        frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames
    ]
    # With `optimize`, what is the same as in the frame before is stored as transparent,
    # which compresses well.
    # GIF counts time in hundredths of a second: a frame may be one tick too long or too
    # short, but the total duration is right.
    ticks = np.round(np.arange(len(shown) + 1) * 100 / fps).astype(int)
    shown[0].save(
        path,
        save_all=True,
        append_images=shown[1:],
        duration=(np.diff(ticks) * 10).tolist(),
        loop=0,
        optimize=True,
    )


def _write_mp4(
    path: pathlib.Path, frames: Iterator[Image.Image], fps: float, name: str
) -> None:
    try:
        import imageio_ffmpeg

        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise InputError(
            ".mp4 needs imageio-ffmpeg with its ffmpeg; run `pip install "
            "actiongpt_jax[view]` or write a .gif"
        ) from error
    first = next(frames)
    size = f"{first.width}x{first.height}"
    # The index comes first, so that players can start before the end is there.
    flags = (
        f"-v error -f rawvideo -pix_fmt rgb24 -s {size} -r {float(fps)!r} -i - -c:v"
        " libx264 -pix_fmt yuv420p -crf 20 -preset veryfast -movflags +faststart"
    )
    command = [ffmpeg, *flags.split(), str(path)]
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said) as process:
            # If ffmpeg has ended, its words say why.
            with contextlib.suppress(BrokenPipeError):
                for frame in itertools.chain([first], frames):
                    process.stdin.write(frame.tobytes())  # pyright: ignore
                process.stdin.close()  # pyright: ignore
        if process.returncode:
            said.seek(0)
            words = " ".join(said.read().decode(errors="replace").split())[-300:]
            words = words or f"it ended with code {process.returncode}"
            raise OSError(f"ffmpeg cannot write {name}: {words}; write a .gif")
