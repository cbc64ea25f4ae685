"""Makes a self-contained page that plays motions, without network or libraries."""

import base64
import dataclasses
import hashlib
import html
import importlib.resources
import io
import json
import os
from collections.abc import Mapping, Sequence

import numpy as np

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import write_text
from actiongpt_jax.viewing.figure import (
    ACTION_COLOURS,
    BONES,
    COLOURS,
    bone_radii,
    check_motion,
    figure_points,
    first_heading,
)

# The page stores coordinates relative to the pelvis as 16-bit integers in this unit; no
# point of a body is further than the limit of 3.2 m from its pelvis.
_STEP = 1e-4  # metres


def page(
    motions: Sequence[Motion],
    titles: Sequence[str] = (),
    descriptions: Mapping[str, Sequence[str]] | None = None,
    heading: str = "",
    columns: int = 0,
    below: str = "",
) -> str:
    """Makes a page that plays motions in synchrony.

    Args:
        motions: motions to show, at least one; their frame rates may differ.
        titles: one title per motion, or an empty sequence.
        descriptions: phrase -> texts that motions of this phrase show on demand.
        heading: heading of the page.
        columns: motions per row, so that a row is one comparison; on a narrow screen
            all motions are in one column. 0: as many as fit.
        below: HTML to show below the motions; it is not escaped.

    Returns:
        HTML. All texts are shown literally; markup in them has no effect.

    Raises:
        InputError: if there are no motions, if a motion is not valid, or if the number
            of titles differs.
    """
    if not motions:
        raise InputError("a page must show at least one motion, got none; add a motion")
    titles = list(titles or [""] * len(motions))
    if len(titles) != len(motions):
        raise InputError(
            f"titles must be one per motion, got {len(titles)} titles for "
            f"{len(motions)} motions"
        )
    shown = {phrase for motion in motions for phrase in motion.text}
    data = {
        "heading": heading,
        "columns": columns,
        "bones": [[bone.start, bone.end, bone.part] for bone in BONES],
        "radii": bone_radii("capsules").tolist(),
        "thin": bone_radii("skeleton").tolist(),
        "colours": {
            part: list(bytes.fromhex(colour[1:])) for part, colour in COLOURS.items()
        },
        "actions": ACTION_COLOURS,
        "motions": [_motion(m, t) for m, t in zip(motions, titles, strict=True)],
        "descriptions": {
            phrase: list(texts)
            for phrase, texts in (descriptions or {}).items()
            if phrase in shown
        },
    }
    template, style, figure, script = (
        read_resource("actiongpt_jax.viewing", name)
        for name in ("viewer.html", "viewer.css", "figure.js", "viewer.js")
    )
    script = figure + script
    # Without "<", no text in the data can close the script element.
    content = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    policy = content_policy(script)
    return template.format(
        policy=policy, style=style, data=content, script=script, below=below
    )


def write_page(
    path: str | os.PathLike,
    motions: Sequence[Motion],
    titles: Sequence[str] = (),
    descriptions: Mapping[str, Sequence[str]] | None = None,
    heading: str = "",
    columns: int = 0,
    below: str = "",
) -> None:
    """Writes the HTML of `page` to a file, replaced atomically."""
    write_text(path, page(motions, titles, descriptions, heading, columns, below))


def read_resource(package: str, name: str) -> str:
    """Returns the text of a resource file of a package."""
    return importlib.resources.files(package).joinpath(name).read_text("utf-8")


def content_policy(script: str, more: str = "") -> str:
    """Returns a content security policy that allows one script and no network.

    Args:
        script: text of the page's only script, which is inline.
        more: further directives to append, such as "; connect-src 'self'".
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    start = "default-src 'none'; style-src 'unsafe-inline'; script-src"
    return f"{start} 'sha256-{digest}'{more}"


def frame_of(content: str, height: int = 620, title: str = "motions") -> str:
    """Wraps a page in an iframe to embed it in a notebook or another page.

    Args:
        content: HTML of the page to embed.
        height: height of the frame in pixels.
        title: what the frame shows, for readers who cannot see it.
    """
    return (
        f'<iframe sandbox="allow-scripts" title="{html.escape(title)}" '
        f'srcdoc="{html.escape(content)}" '
        f'style="width:100%;height:{height}px;border:0"></iframe>'
    )


def motions_html(motions: Sequence[Motion]) -> str:
    """Returns the HTML with which a notebook displays motions.

    A notebook that is not trusted shows neither the iframe nor styles, only the still
    picture that the style hides elsewhere.
    """
    titles = [str(number) for number in range(len(motions))] if motions[1:] else []
    shown = frame_of(page(motions, titles))
    return f'<div class="actiongpt-motions">{shown}{_still(motions)}</div>'


def _still(motions: Sequence[Motion]) -> str:
    """Returns the middle frames of up to four motions as a hidden picture."""
    try:
        from actiongpt_jax.viewing.raster import Panel, draw_frames
    except ImportError:
        return ""  # the packages that draw pictures are not installed
    panels = []
    for motion in motions[:4]:
        middle = len(motion.rotations) // 2
        pose = dataclasses.replace(
            motion,
            rotations=motion.rotations[middle : middle + 1],
            translation=motion.translation[middle : middle + 1],
            lengths=(),
            hands=None,
        )
        panels.append(Panel(pose, 240))
    content = io.BytesIO()
    next(draw_frames(panels, 1.0)).quantize(64).save(content, "png", optimize=True)
    picture = base64.b64encode(content.getvalue()).decode()
    text = html.escape("; ".join(motion.caption for motion in motions[:4])[:300])
    return (
        "<style>.actiongpt-motions img { display: none; }</style>"
        f'<img alt="{text}" src="data:image/png;base64,{picture}">'
    )


def _motion(motion: Motion, title: str) -> dict:
    check_motion(motion, title or "the motion")
    points = figure_points(motion)
    root = points[:, 0].astype("<f4")
    local = np.clip(np.round((points - root[:, None]) / _STEP), -32768, 32767)
    return {
        "title": title,
        "fps": float(motion.fps),
        "text": list(motion.text),
        "lengths": list(motion.lengths),
        "heading": first_heading(motion),
        "root": base64.b64encode(root.tobytes()).decode(),
        "points": base64.b64encode(local.astype("<i2").tobytes()).decode(),
    }
