"""Draws phrases as lines of text, with the active phrase highlighted."""

import itertools
import operator
import re
from collections.abc import Sequence

from PIL import Image

from actiongpt_jax.viewing.fonts import draw_text, text_length

_LINES = 3
_LEADING = 1.35  # line height in multiples of the letter height
# Longest drawn text, in characters; measuring ten thousand would take seconds.
_MOST = 600
_ACTIVE, _OTHER = "#1b1b1b", "#9a9a9a"
# Unicode's control characters and its line and paragraph separators.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def plain(text: str, most: int = _MOST) -> str:
    """Returns a text as one line without control characters and lone surrogates.

    Args:
        text: any text.
        most: number of characters to keep; a longer text ends in an ellipsis.
    """
    text = _CONTROLS.sub(" ", text.encode("utf-8", "replace").decode())
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def caption_image(
    phrases: Sequence[str], active: int, width: int, size: int, background: str
) -> Image.Image:
    """Draws phrases one after the other, in at most three lines.

    Args:
        phrases: any texts; lines that do not fit are left out, but the active phrase
            is always visible.
        active: index of the phrase drawn in dark; -1 draws all of them in dark.
        width: width of the picture in pixels.
        size: height of the letters in pixels.
        background: colour of the picture.
    """
    height = 2 * round((_LINES * _LEADING + 0.8) * size / 2)  # even, for H.264
    image = Image.new("RGB", (width, height), background)
    lines = _wrap(phrases, width - 2 * size, size)
    starts = [i for i, line in enumerate(lines) if any(n == active for n, _ in line)]
    first = max(0, min(starts[0] if starts else 0, len(lines) - _LINES))
    shown = lines[first : first + _LINES]
    if first + _LINES < len(lines):
        number, word = shown[-1][-1]
        shown[-1][-1] = number, word + "…"  # the margin has room for it
    for row, line in enumerate(shown):
        x = size
        for number, words in itertools.groupby(line, operator.itemgetter(0)):
            # Draw the words of one phrase together: some scripts run right to left.
            text = " ".join(word for _, word in words)
            colour = _ACTIVE if active in (number, -1) else _OTHER
            draw_text(image, (x, (0.4 + row * _LEADING) * size), text, colour, size)
            x += text_length(text + " ", size)
    return image


def _wrap(
    phrases: Sequence[str], width: float, size: int
) -> list[list[tuple[int, str]]]:
    """Returns lines of words, each word with the index of its phrase."""
    lines, room = [], 0.0
    for number, phrase in enumerate(phrases):
        ending = " ›" if number + 1 < len(phrases) else ""
        for word in (plain(phrase) + ending).split():
            while word:
                part = _fitting(word, width, size)
                word = word[len(part) :]
                length = text_length(part + " ", size)
                if not lines or length > room:
                    lines.append([])
                    room = width
                lines[-1].append((number, part))
                room -= length
    return lines


def _fitting(word: str, width: float, size: int) -> str:
    """Returns the longest start of a word that fits into a width in pixels."""
    while text_length(word, size) > width and len(word) > 1:
        word = word[: max(1, int(len(word) * width / text_length(word, size)))]
    return word
