"""Phrases set as lines of text, the active one highlighted."""

import functools
import pathlib
import unicodedata
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_LINES = 3
_LEADING = 1.35
# No line of a caption holds more; measuring ten thousand would take seconds.
_MOST = 600
_ACTIVE, _OTHER = "#1b1b1b", "#9a9a9a"


def plain(text: str) -> str:
    """Returns a text without control characters, line breaks and broken pairs."""
    text = text.encode("utf-8", "replace").decode()
    kept = (" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return " ".join("".join(kept).split())


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Returns DejaVu Sans, which comes with matplotlib, at a size in pixels."""
    import matplotlib

    folder = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf")
    return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), size)


def caption_height(size: int) -> int:
    """Returns the pixels that a caption of `size` takes, an even number."""
    return 2 * round((_LINES * _LEADING + 0.8) * size / 2)


def caption_image(
    phrases: Sequence[str], active: int, width: int, size: int, background: str
) -> Image.Image:
    """Sets phrases one after the other, in as many lines as there is room for.

    Args:
        phrases: any text; what does not fit is left out, the active phrase stays.
        active: index of the phrase in dark, -1 to have all of them dark.
        width: of the picture in pixels.
        size: of the letters in pixels.
        background: its colour.
    """
    image = Image.new("RGB", (width, caption_height(size)), background)
    draw = ImageDraw.Draw(image)
    lines = _wrap(phrases, width - 2 * size, font(size))
    starts = [i for i, line in enumerate(lines) if any(n == active for n, _ in line)]
    first = starts[0] if starts else 0
    first = max(0, min(first, len(lines) - _LINES))
    for row, line in enumerate(lines[first : first + _LINES]):
        x = size
        if row == _LINES - 1 and first + _LINES < len(lines):
            line = _shortened(line, width - 2 * size, font(size))
        for number, text in line:
            colour = _ACTIVE if active in (number, -1) else _OTHER
            place = (x, size * 0.4 + row * _LEADING * size)
            draw.text(place, text, colour, font(size))
            x += font(size).getlength(text + " ")
    return image


Line = list[tuple[int, str]]  # runs of one phrase: its index, and the words


def _wrap(phrases: Sequence[str], width: float, face) -> list[Line]:
    lines: list[Line] = [[]]
    room = width
    for number, phrase in enumerate(phrases):
        shown = plain(phrase[: 2 * _MOST])
        if len(shown) > _MOST or len(phrase) > 2 * _MOST:
            shown = shown[:_MOST] + "…"
        if number + 1 < len(phrases):
            shown += " ›"
        for word in shown.split():
            while word:
                part = _fitting(word, width, face)
                length = face.getlength(part + " ")
                if length > room and lines[-1]:
                    lines.append([])
                    room = width
                line = lines[-1]
                if line and line[-1][0] == number:
                    line[-1] = (number, f"{line[-1][1]} {part}")
                else:
                    line.append((number, part))
                room -= length
                word = word[len(part) :]
    return [line for line in lines if line]


def _fitting(word: str, width: float, face) -> str:
    while face.getlength(word) > width and len(word) > 1:
        word = word[: max(1, int(len(word) * width / face.getlength(word)))]
    return word


def _shortened(line: Line, width: float, face) -> Line:
    number, text = line[-1]
    before = sum(face.getlength(t + " ") for _, t in line[:-1])
    while text and before + face.getlength(text + "…") > width:
        text = text[:-1]
    return [*line[:-1], (number, text + "…")]
