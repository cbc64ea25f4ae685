"""Shades capsules per pixel; `figure.js` draws the same picture in a browser."""

import numpy as np
from jaxtyping import Float, Int

# The light comes from above and from the viewer's left. Axes of the picture: right,
# down, towards the viewer.
_LIGHT = np.array([-0.42, -0.58, 0.70], np.float32)
_LIGHT /= np.linalg.norm(_LIGHT)
# Between the light and the viewer: where a smooth surface reflects the light.
_HALF = _LIGHT + np.array([0, 0, 1], np.float32)
_HALF /= np.linalg.norm(_HALF)
_STEEPEST = 0.95  # limit of a cone's slope; one of its ends then hides the other


def brightness(
    normals: Float[np.ndarray, "*batch 3"],
) -> tuple[Float[np.ndarray, "*batch 1"], Float[np.ndarray, "*batch 1"]]:
    """Returns the factor on a surface's colour, and the white light it reflects.

    Args:
        normals: (..., 3) unit vectors (right, down, towards the viewer).
    """
    facing = np.maximum(normals @ _LIGHT, 0)[..., None]
    # Edges are darker, so that a limb in front of the trunk stands out.
    edge = 0.72 + 0.28 * normals[..., 2:]
    shine = np.maximum(normals @ _HALF, 0)[..., None] ** 16
    return edge * (0.51 - 0.13 * normals[..., 1:2] + 0.58 * facing), 26 * shine


def paint_capsules(
    image: Float[np.ndarray, "h w 3"],
    points: Float[np.ndarray, "p 3"],
    bones: Int[np.ndarray, "n 2"],
    radii: Float[np.ndarray, "n 2"],
    colours: Float[np.ndarray, "n 3"],
) -> None:
    """Draws shaded capsules, which hide each other, over a picture.

    Args:
        image: the picture, 0 to 255; changed in place.
        points: pixels to the right, pixels down, and pixels towards the viewer.
        bones: indices of the two ends of each capsule.
        radii: at the two ends, pixels.
        colours: red, green and blue, 0 to 255.
    """
    depth = np.full(image.shape[:2], -np.inf, np.float32)
    ends = points[bones].astype(np.float32)
    radii = radii.astype(np.float32)
    # Far capsules come first: smooth edges blend with what is behind them.
    for number in np.argsort(ends[..., 2].sum(1)):
        (start, end), (first, last) = ends[number], radii[number]
        reach = np.array([first, last])[:, None] + 1
        low = np.floor((ends[number, :, :2] - reach).min(0)).astype(int)
        high = np.ceil((ends[number, :, :2] + reach).max(0)).astype(int)
        left, top = np.maximum(low, 0)
        right, bottom = np.minimum(high + 1, [image.shape[1], image.shape[0]])
        if left >= right or top >= bottom:
            continue
        window = np.s_[top:bottom, left:right]
        x = np.arange(left, right, dtype=np.float32)[None] + 0.5 - start[0]
        y = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5 - start[1]
        cover, near, normals = _surface(x, y, end - start, first, last)
        near += start[2]
        cover = np.where(near > depth[window], cover, 0)[..., None]
        factor, shine = brightness(normals)
        colour = np.minimum(factor * colours[number] + shine, 255)
        image[window] += cover * (colour - image[window])
        depth[window] = np.where(cover[..., 0] > 0.5, near, depth[window])


def _surface(x, y, along, first, last):
    """Returns a capsule's share of each pixel, its nearness and its normals there.

    Args:
        x: (1, W) columns from the capsule's start.
        y: (H, 1) rows from the capsule's start.
        along: (3,) from its start to its end.
        first: radius at the start.
        last: radius at the end.
    """
    dx, dy, dz = along
    square = max(dx * dx + dy * dy, 1e-6)
    length, widening = np.sqrt(square), last - first
    slope = np.clip(widening / length, -_STEEPEST, _STEEPEST)
    lean = slope / np.sqrt(1 - slope * slope) / length
    rise = dz / (length * np.sqrt(square + dz * dz))
    away = np.abs(x * dy - y * dx) / length
    # A capsule is a row of spheres; `place` from 0 to 1 says which one is meant. First
    # the one whose outline is nearest to the pixel: it decides what is inside.
    foot = (x * dx + y * dy) / square + lean * away
    place = np.clip(foot, 0, 1)
    radius = first + place * widening
    cover = radius - np.hypot(x - place * dx, y - place * dy) + 0.5
    # Then the one whose surface is nearest to the viewer there.
    place = foot + rise * np.sqrt(np.maximum(radius * radius - away * away, 0))
    place = np.clip(place, 0, 1)
    radius = first + place * widening
    out = np.stack(np.broadcast_arrays(x - place * dx, y - place * dy, 0.0), -1)
    out /= radius[..., None]
    flat = (out * out).sum(-1)
    out[..., 2] = np.sqrt(np.maximum(1 - flat, 0))
    out /= np.sqrt(np.maximum(flat, 1))[..., None]
    return np.clip(cover, 0, 1), place * dz + radius * out[..., 2], out


def darken_floor(
    image: Float[np.ndarray, "h w 3"],
    centres: Float[np.ndarray, "n 2"],
    radii: Float[np.ndarray, "n 2"],
    strengths: Float[np.ndarray, "n"],
) -> None:
    """Draws soft round shadows on the floor.

    Args:
        image: the picture, 0 to 255; changed in place.
        centres: columns and rows.
        radii: half widths and half heights, pixels.
        strengths: share of the light that is missing in the middle, 0 to 1.
    """
    for centre, radius, strength in zip(centres, radii, strengths, strict=True):
        left, top = np.maximum(np.floor(centre - radius), 0).astype(int)
        right, bottom = np.ceil(centre + radius).astype(int)
        part = image[top : max(bottom, 0), left : max(right, 0)]
        rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
        x = (columns + left + 0.5 - centre[0]) / radius[0]
        y = (rows + top + 0.5 - centre[1]) / radius[1]
        inside = np.maximum(1 - x * x - y * y, 0) ** 2
        part *= (1 - strength * inside)[..., None]
