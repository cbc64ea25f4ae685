"""Renders motions to one file whose suffix selects the format."""

import os
import pathlib
from collections.abc import Collection, Mapping, Sequence

from tqdm import tqdm

from actiongpt_jax.choices import FILE_FORMATS
from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.body import Body
from actiongpt_jax.viewing import export, plot, raster, video, webpage

_PICTURES = (".png", ".gif", ".mp4", ".html")
_VIDEOS = (".gif", ".mp4")
# Option -> formats that it changes.
_USED = {
    "title": _PICTURES,
    "figure": (".png", *_VIDEOS),
    "body": (".png", *_VIDEOS),
    "size": _VIDEOS,
    "fps": _VIDEOS,
    "poses": (".png",),
    "descriptions": (".html",),
    "layout": (".npz",),
    "names": (".bvh",),
    "t_pose": (".bvh",),
}


def refuse_ignored(path: str | os.PathLike, options: Collection[str]) -> None:
    """Refuses options that would change nothing in a file.

    Args:
        path: the file to write; a suffix that is not known is left to `render`.
        options: names of the options that were given, such as 'fps'.

    Raises:
        InputError: if the file's format ignores one of the options.
    """
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in FILE_FORMATS:
        return
    for name, formats in _USED.items():
        if name in options and suffix not in formats:
            name = name.replace("_", "-")
            raise InputError(
                f"--{name} changes only {' and '.join(formats)}, got --out {path}; "
                f"leave --{name} out"
            )
    if {"figure", "body"} <= set(options):
        raise InputError("--figure is ignored with --body; give one of them")


def render(
    path: str | os.PathLike,
    motions: Sequence[Motion],
    titles: Sequence[str],
    *,
    figure: str = "capsules",
    body: Body | None = None,
    size: int = 480,
    fps: float = 30.0,
    poses: int = 9,
    descriptions: Mapping[str, Sequence[str]] | None = None,
    layout: str = "smplh",
    names: str = "smpl",
    t_pose: bool = False,
) -> None:
    """Writes motions as a picture, a video, a web page or a file for another tool.

    Args:
        path: file to write, replaced atomically, ending in .png, .gif, .mp4 or .html,
            or for a single motion also in .glb, .bvh, .npz or .json.
        motions: motions to show, at least one.
        titles: one title per motion.
        figure: how a body is drawn in a picture or video, one of `choices.FIGURES`.
        body: body model whose mesh these show instead of the figure, or None.
        size: width of one motion in a video, in pixels.
        fps: frames per second of the video.
        poses: poses per row of a .png, from 2 to 40.
        descriptions: phrase -> texts that the .html shows on demand.
        layout: column layout of an .npz, 'smplh' or 'smplx'.
        names: names of the joints of a .bvh, 'smpl' or 'mixamo'.
        t_pose: whether a .bvh starts with a T-pose.

    Raises:
        InputError: if the suffix is unknown, if a format for one motion gets several,
            if a value is out of its range, or if a motion cannot be drawn.
    """
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in FILE_FORMATS:
        formats = ", ".join(FILE_FORMATS)
        raise InputError(f"--out must end in one of {formats}, got {path}")
    if suffix in export.SUFFIXES and len(motions) > 1:
        raise InputError(
            f"{suffix} must hold one motion, got {len(motions)}; export them one by one"
        )
    if len(titles) != len(motions):
        raise InputError(
            f"--title must be given once per motion, got {len(titles)} for "
            f"{len(motions)}"
        )
    if not 2 <= poses <= 40:
        raise InputError(f"--poses must be from 2 to 40, got {poses}")
    if suffix in export.SUFFIXES:
        export.export(path, motions[0], layout, names, t_pose)
    elif suffix == ".png":
        captions = [m.caption or t for m, t in zip(motions, titles, strict=True)]
        plot.strip(motions, path, poses, captions, figure=figure, body=body)
    elif suffix == ".html":
        webpage.write_page(path, motions, titles, descriptions)
    else:
        fps = video.playable_fps(path, fps)
        total = raster.count_frames(motions, fps)
        with tqdm(total=total, unit="frame", leave=False) as bar:
            video.write_video(
                path,
                motions,
                titles,
                figure=figure,
                body=body,
                size=size,
                fps=fps,
                on_frame=bar.update,
            )
