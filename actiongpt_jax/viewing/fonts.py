"""Draws text with the fonts of this system that have its characters."""

import functools
import pathlib
import re
import unicodedata
import warnings
from collections.abc import Iterator

from PIL import Image, ImageDraw, ImageFont

# Emoji fonts often consist of pictures of one size, in pixels.
_PICTURE_SIZES = (109, 128, 160, 136, 64)
_UNUSUAL = re.compile("bold|italic|oblique|light|thin|black|condensed|mono|serif", re.I)
_warned: set[str] = set()  # characters without a font, once the warning was given


def text_length(text: str, size: int) -> float:
    """Returns the width of a line of text in pixels.

    Args:
        text: one line.
        size: height of the letters in pixels.
    """
    return sum(
        face.getlength(part) * size / face.size for face, part in _parts(text, size)
    )


def draw_text(
    image: Image.Image, place: tuple[float, float], text: str, colour: str, size: int
) -> None:
    """Draws a line of text, with other fonts where the usual one has no character.

    Args:
        image: picture to draw on, RGB.
        place: left and top of the text in pixels.
        text: one line. Characters that no font has become boxes, with one warning.
        colour: colour of the letters; pictures of an emoji font keep their own.
        size: height of the letters in pixels.
    """
    x, y = place
    baseline = y + _face(_usual_font(), size).getmetrics()[0]
    for face, part in _parts(text, size):
        width = face.getlength(part) * size / face.size
        if face.size == size:
            ImageDraw.Draw(image).text((x, baseline), part, colour, face, "ls")
        else:
            whole = Image.new(
                "RGBA", (int(face.getlength(part)) + 1, int(face.size * 1.3))
            )
            ImageDraw.Draw(whole).text((0, 0), part, colour, face, embedded_color=True)
            small = (
                max(1, round(width)),
                max(1, round(whole.height * size / face.size)),
            )
            whole = whole.resize(small)
            image.paste(whole, (round(x), round(y)), whole)
        x += width


def _parts(text: str, size: int) -> Iterator[tuple[ImageFont.FreeTypeFont, str]]:
    """Yields runs of characters that one font has, in their order."""
    usual, known = _usual_font(), _characters(_usual_font())
    path, run, missing = usual, "", set()
    for character in text:
        chosen = usual
        if _belongs_to_previous(character):
            chosen = path
        elif character not in known and not character.isspace():
            found = _font_with(character)
            chosen = found or usual
            if found is None:
                missing.add(character)
        if chosen != path and run:
            yield _face(path, size), run
            run = ""
        path, run = chosen, run + character
    if run:
        yield _face(path, size), run
    if missing and not _warned:
        _warned.update(missing)
        warnings.warn(
            f"no font of this system has the characters {' '.join(sorted(missing))!r}; "
            "they are drawn as boxes. Install a font that has them, such as Noto",
            UserWarning,
            stacklevel=4,
        )


def _belongs_to_previous(character: str) -> bool:
    """Returns whether a character changes the one before it, as a skin tone does."""
    kind = unicodedata.category(character)
    return kind in ("Mn", "Me", "Cf") or "\U0001f3fb" <= character <= "\U0001f3ff"


@functools.cache
def _usual_font() -> pathlib.Path:
    """Returns the path of DejaVu Sans, which comes with matplotlib."""
    import matplotlib

    return pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


@functools.cache
def _face(path: pathlib.Path, size: int) -> ImageFont.FreeTypeFont:
    for height in (size, *_PICTURE_SIZES):
        try:
            return ImageFont.truetype(str(path), height)
        except OSError:
            continue  # a font of pictures that have another size
    return ImageFont.truetype(str(_usual_font()), size)


@functools.cache
def _characters(path: pathlib.Path) -> frozenset[str]:
    """Returns the characters that a font file has."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(path, fontNumber=0, lazy=True) as font:
            return frozenset(map(chr, font.getBestCmap() or ()))
    except (OSError, TTLibError, AssertionError, KeyError, ValueError):
        return frozenset()  # damaged, or in a format that is not read


@functools.cache
def _font_with(character: str) -> pathlib.Path | None:
    return next((p for p in _system_fonts() if character in _characters(p)), None)


@functools.cache
def _system_fonts() -> list[pathlib.Path]:
    """Returns the font files of this system, plain upright ones first."""
    from matplotlib import font_manager

    paths = [pathlib.Path(path) for path in font_manager.findSystemFonts()]
    return sorted(paths, key=lambda p: (bool(_UNUSUAL.search(p.name)), p.name))
