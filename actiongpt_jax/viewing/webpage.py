"""One self-contained page that shows motions side by side: no network, no library."""

import base64
import hashlib
import html
import importlib.resources
import json
import os
from collections.abc import Mapping, Sequence

import numpy as np

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import write_text
from actiongpt_jax.viewing.figure import (
    BONES,
    check_motion,
    figure_points,
    first_heading,
)

# What lies further from the pelvis than 3.2 m is not a body's.
_STEP = 1e-4  # metres, of 16-bit whole numbers
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src '{hash}'">
<title>motion</title>
<style>{style}</style>
</head>
<body>
<h1 id="heading" dir="auto"></h1>
<main id="grid"></main>
<div id="controls">
<button type="button" id="play">Play</button>
<input type="range" id="scrub" min="0" max="0" step="1" value="0" aria-label="frame">
<span id="time"></span>
<select id="speed" aria-label="speed"></select>
<button type="button" id="body">Skeleton</button>
<button type="button" id="trail">Trail</button>
<button type="button" id="reset">Reset view</button>
</div>
<p id="help">Drag to orbit, pinch or wheel to zoom. Keys: space plays, arrows step,
a d w s orbit, + − zoom, [ ] speed, b body, t trail, r reset.
<span class="left">Red is the body's left</span>,
<span class="right">blue its right</span>.</p>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def page(
    motions: Sequence[Motion],
    titles: Sequence[str] = (),
    descriptions: Mapping[str, Sequence[str]] | None = None,
    heading: str = "",
) -> str:
    """Makes a page that plays motions in lock-step.

    Args:
        motions: at least one; their frame rates may differ.
        titles: of each; none, or as many as motions.
        descriptions: phrase to texts, shown on demand below motions of that phrase.
        heading: of the page.

    Returns:
        HTML. All texts are shown as they are, whatever is in them.

    Raises:
        InputError: for no motions, one without frames or of another skeleton.
    """
    if not motions:
        raise InputError("a page must show at least one motion, got none")
    titles = list(titles or [""] * len(motions))
    if len(titles) != len(motions):
        raise InputError(
            f"titles must be one per motion, got {len(titles)} for {len(motions)}"
        )
    shown = {phrase for motion in motions for phrase in motion.text}
    data = {
        "heading": heading,
        "bones": [[b.start, b.end, *b.radii, b.side] for b in BONES],
        "motions": [_motion(m, t) for m, t in zip(motions, titles, strict=True)],
        "descriptions": {
            phrase: list(texts)
            for phrase, texts in (descriptions or {}).items()
            if phrase in shown
        },
    }
    folder = importlib.resources.files("actiongpt_jax.viewing")
    script = folder.joinpath("viewer.js").read_text("utf-8")
    return _PAGE.format(
        hash=script_hash(script),
        style=folder.joinpath("viewer.css").read_text("utf-8"),
        # Nothing in it can end the element.
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        script=script,
    )


def write_page(
    path: str | os.PathLike,
    motions: Sequence[Motion],
    titles: Sequence[str] = (),
    descriptions: Mapping[str, Sequence[str]] | None = None,
    heading: str = "",
) -> None:
    """Writes what `page` makes to a file, replaced as a whole."""
    write_text(path, page(motions, titles, descriptions, heading))


def script_hash(script: str) -> str:
    """Returns how a content security policy names an inline script."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def frame_of(content: str, height: int = 620) -> str:
    """Wraps a page so that a notebook or another page can hold it."""
    return (
        f'<iframe sandbox="allow-scripts" srcdoc="{html.escape(content)}" '
        f'style="width:100%;height:{height}px;border:0"></iframe>'
    )


def motion_html(motion: Motion) -> str:
    """Returns what a notebook shows of a motion."""
    return frame_of(page([motion]))


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
