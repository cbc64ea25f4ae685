"""Reads and checks the phrases of the built-in corpus, and its new compositions."""

import dataclasses
import functools
from typing import Literal

from actiongpt_jax.errors import InputError
from actiongpt_jax.synthetic.words import load_words, parse_toml, read_packaged

SIDES = ("left", "right")
Kind = Literal["seen", "mirrored", "composition", "opaque"]
KINDS: tuple[Kind, ...] = ("seen", "mirrored", "composition", "opaque")
FIELDS = {
    "moves": (str, "names"),
    "seconds": ((int, float), "two numbers"),
    "categories": (str, "names"),
}


@dataclasses.dataclass(frozen=True)
class Phrase:
    """One action phrase and how to perform it.

    Attributes:
        text: the phrase.
        parts: (move, side) pairs. The first may move the whole body; the others are
            added on top of it. Side is 0 for left, 1 for right, None for moves without
            a side.
        seconds: shortest and longest duration at pace 1.
        categories: BABEL's coarse action categories.
        held_out: whether the phrase is kept out of the training split; its moves are
            trained.
    """

    text: str
    parts: tuple[tuple[str, int | None], ...]
    seconds: tuple[float, float]
    categories: tuple[str, ...]
    held_out: bool = False

    @property
    def sides(self) -> set[int]:
        """The sides that the parts name."""
        return {side for _, side in self.parts if side is not None}

    @property
    def seated(self) -> tuple[bool, bool]:
        """Whether the action starts on a chair, and whether it ends on one."""
        names = {name for name, _ in self.parts}
        return "rise" in names, "sit" in names


@functools.cache
def load_phrases() -> tuple[Phrase, ...]:
    """Reads all phrases of the corpus, in the order of `phrases.toml`.

    Raises:
        InputError: as in `parse_phrases`.
    """
    return parse_phrases(read_packaged("phrases.toml"))


@functools.cache
def load_compositions() -> tuple[Phrase, ...]:
    """Reads new combinations of trained moves, in the order of `compositions.toml`.

    They are in no split of the corpus.

    Raises:
        InputError: as in `parse_phrases`.
    """
    return parse_phrases(read_packaged("compositions.toml"), "compositions.toml")


def parse_phrases(text: str, file: str = "phrases.toml") -> tuple[Phrase, ...]:
    """Parses and checks a table of phrases.

    Args:
        text: TOML like `phrases.toml`, whose head explains the fields.
        file: name of the file, for error messages.

    Returns:
        The phrases in the order of the table.

    Raises:
        InputError: if it is not TOML; if a field is missing, unknown or out of its
            range; or if a move has no words, or lacks the side that its words need. The
            message names the phrase.
    """
    rows = parse_toml(text, file)
    return tuple(
        _phrase(name, row, f"{name!r} in {file}") for name, row in rows.items()
    )


def _phrase(text, row, where):
    if unknown := set(row) - {*FIELDS, "held_out"}:
        raise InputError(f"{where} has unknown fields: {', '.join(sorted(unknown))}")
    for field, (kind, plural) in FIELDS.items():
        values = row.get(field)
        if not (values and isinstance(values, list)) or not all(
            isinstance(value, kind) for value in values
        ):
            raise InputError(
                f"{field} of {where} must be a list of {plural}, got {values!r}"
            )
    seconds = tuple(row["seconds"])
    if len(seconds) != 2 or not 0 < seconds[0] <= seconds[1]:
        raise InputError(
            f"seconds of {where} must be the shortest and the longest duration, got"
            f" {row['seconds']}"
        )
    held_out = row.get("held_out", False)
    if not isinstance(held_out, bool):
        raise InputError(f"held_out of {where} must be true or false, got {held_out!r}")
    parts = tuple(_part(move, where) for move in row["moves"])
    return Phrase(text, parts, seconds, tuple(row["categories"]), held_out)


def _part(move, where):
    """Splits "wave left" into ("wave", 0)."""
    name, _, side = move.partition(" ")
    words = load_words()
    if name not in words:
        raise InputError(f"the move {name!r} of {where} has no words in words.toml")
    sided = any("{side}" in template for template in words[name].values())
    if side not in (SIDES if sided else ("",)):
        raise InputError(
            f"the move {name!r} of {where} must {'' if sided else 'not '}be followed by"
            f" left or right, got {move!r}"
        )
    return name, SIDES.index(side) if sided else None


@functools.cache
def held_out_phrases() -> tuple[str, ...]:
    """Returns the phrases that occur only in the validation split.

    They test composition: every move of theirs occurs, on some side, in training.
    """
    return tuple(phrase.text for phrase in load_phrases() if phrase.held_out)


@functools.cache
def opaque_phrases() -> tuple[str, ...]:
    """Returns the held-out phrases with a word that no training phrase has.

    A model trained on phrases knows their meaning only through the text encoder.
    """
    trained = {
        word
        for phrase in load_phrases()
        if not phrase.held_out
        for word in _words(phrase.text)
    }
    return tuple(text for text in held_out_phrases() if not _words(text) <= trained)


@functools.cache
def phrases_to_judge() -> tuple[Phrase, ...]:
    """Returns all phrases that a model is judged by: the corpus's, then the new ones.

    The new ones, of `compositions.toml`, are in no split of the corpus.
    """
    return load_phrases() + load_compositions()


def kind_of(phrase: Phrase) -> Kind:
    """Says how a phrase relates to those of the training split.

    Returns:
        'seen' for a phrase of the training split; 'opaque' for a held-out phrase with a
        word that no training phrase has; 'mirrored' for one whose mirror image is a
        training phrase's motion; 'composition' for the others, which no mirror image of
        a training phrase yields.
    """
    if not phrase.held_out:
        return "seen"
    if phrase.text in opaque_phrases():
        return "opaque"
    trained = {frozenset(p.parts) for p in load_phrases() if not p.held_out}
    mirrored = frozenset(
        (name, None if side is None else 1 - side) for name, side in phrase.parts
    )
    return "mirrored" if mirrored in trained else "composition"


def _words(text):
    return {word.removesuffix("ed") for word in text.split()}
