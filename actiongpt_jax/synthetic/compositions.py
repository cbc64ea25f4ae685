"""Combinations of the built-in phrases, for training on more than their own few.

A combination is a move of the legs with one of the arms, one of the head, or both, or a
move of the arms with one of the head. Its moves are those that training has alone, and
their mirror images where the phrase names the side: "walk forward and punch with the
left hand" is a combination though "punch with the left hand" is held out.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from actiongpt_jax.synthetic.moves_arms import ARM_MOVES
from actiongpt_jax.synthetic.moves_gaits import GAITS
from actiongpt_jax.synthetic.moves_legs import LEG_MOVES
from actiongpt_jax.synthetic.phrases import Phrase, load_phrases, phrases_to_judge

Part = tuple[str, int | None]

STAND: Part = ("stand", None)
# Moves that cannot be told any more once the arms do something else, need a chair, or
# bend the whole body.
_ALONE = {"stand", "frog", "jacks", "sit", "rise", "bowl", "golf", "flap"}
_STEPS = {"throw"}  # moves of the arms that take a step themselves
# Largest number of combinations of one kind in the corpus.
_DRAWN = 500
_HEAD = ("look", "nod", "shake_head")


def combinations(held_out: Iterable[Phrase]) -> list[Phrase]:
    """Lists all combinations of moves that occur alone in a phrase of training.

    Args:
        held_out: phrases whose moves must not occur together in a combination, nor
            their mirror images unless training has these.

    Returns:
        Phrases such as "walk forward, salute and look to the left".
    """
    seen = [phrase for phrase in load_phrases() if not phrase.held_out]
    named = {_acts(phrase.parts): phrase for phrase in reversed(seen)}
    single = {acts[0]: phrase for acts, phrase in named.items() if len(acts) == 1}
    single = {part: p for part, p in single.items() if part[0] not in _ALONE}
    for part, phrase in list(single.items()):
        image = _image(phrase)
        if image.text != phrase.text:
            single.setdefault(mirrored([part])[0], image)
    alone = sorted(single, key=str)
    legs = [part for part in alone if part[0] in GAITS | LEG_MOVES]
    arms = [part for part in alone if part[0] in ARM_MOVES]
    head = [part for part in alone if part[0] in _HEAD]
    kept_out = [set(acts) for acts in _kept_out(held_out, named)]
    groups = [(legs, arms), (legs, head), (arms, head), (legs, arms, head)]
    return [
        _joined([single[part] for part in parts])
        for parts in itertools.chain(*(itertools.product(*group) for group in groups))
        if tuple(parts) not in named
        and not (parts[0] in legs and any(name in _STEPS for name, _ in parts))
        and not any(acts <= set(parts) for acts in kept_out)
    ]


def draw_combinations() -> list[Phrase]:
    """Draws the combinations that the corpus is made of, always the same.

    Returns:
        Up to `_DRAWN` combinations of each kind (legs and arms, legs and head, arms and
        head, all three), in which no moves of a held-out phrase occur together.
    """
    rng = np.random.default_rng(0)
    kinds: dict[tuple[bool, int], list[Phrase]] = {}
    for phrase in combinations(p for p in phrases_to_judge() if p.held_out):
        kinds.setdefault((STAND in phrase.parts, len(phrase.parts)), []).append(phrase)
    return [
        phrases[i]
        for phrases in kinds.values()
        for i in rng.permutation(len(phrases))[:_DRAWN]
    ]


def mirrored(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Returns moves with left and right exchanged."""
    return tuple((name, None if side is None else 1 - side) for name, side in parts)


def _acts(parts):
    return tuple(part for part in parts if part != STAND)


def _image(phrase):
    """Returns the mirror image of a phrase, in its words and in its moves."""
    swap = {"left": "right", "right": "left"}
    words: list[str] = phrase.text.split(" ")
    text = " ".join(swap.get(word, word) for word in words)
    return dataclasses.replace(phrase, text=text, parts=mirrored(phrase.parts))


def _kept_out(held_out, named):
    for phrase in held_out:
        acts = _acts(phrase.parts)
        if len(acts) > 1:
            yield from (way for way in (acts, mirrored(acts)) if way not in named)


def _joined(phrases):
    """Returns the phrase whose moves are those of phrases of single moves."""
    parts = tuple(part for phrase in phrases for part in _acts(phrase.parts))
    if parts[0][0] not in GAITS | LEG_MOVES:
        parts = (STAND, *parts)
    *texts, last = (phrase.text for phrase in phrases)
    shortest, longest = zip(*(phrase.seconds for phrase in phrases), strict=True)
    return Phrase(
        text=f"{', '.join(texts)} and {last}",
        parts=parts,
        seconds=(max(shortest), max(longest)),
        categories=tuple(dict.fromkeys(c for p in phrases for c in p.categories)),
    )
