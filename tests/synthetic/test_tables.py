"""Parsing the tables of words and phrases, with errors that name the entry."""

import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.synthetic.phrases import Phrase, parse_phrases
from actiongpt_jax.synthetic.words import parse_words

WORDS = """
[nod]
gist = "nods [slowly|twice], the {side} hand up"
idea = "a nod means yes"
terse = "nods; {side} hand up"
"""
PHRASE = {
    "moves": '["stand", "wave left"]',
    "seconds": "[1, 2.5]",
    "categories": '["wave"]',
}


def row(**changes):
    fields = {**PHRASE, **changes}
    inside = ", ".join(f"{name} = {value}" for name, value in fields.items() if value)
    return f'"say hello" = {{ {inside} }}'


def test_reads_words():
    assert parse_words(WORDS) == {
        "nod": {
            "gist": "nods [slowly|twice], the {side} hand up",
            "idea": "a nod means yes",
            "terse": "nods; {side} hand up",
        }
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gist =", "gist", "words.toml is not valid TOML.*line 3"),
        ("[nod]", "nod = 1", "'nod' in words.toml must be a table"),
        ("terse", "tersely", r"\[nod\] in words.toml must have gist, idea, terse"),
        ('{side} hand up"\n', '{hand} up"\n', r"gist of \[nod\].*no brackets"),
        ("[slowly|twice]", "[slowly]", r"gist of \[nod\].*no brackets"),
        ("[slowly|twice]", "[slowly|twice", r"gist of \[nod\].*no brackets"),
        ('"nods; ', '"[nods|bows]; ', r"terse of \[nod\].*except in terse"),
        ('"nods; {side} hand up"', "5", r"terse of \[nod\].*must be text.*5"),
    ],
)
def test_bad_words_are_named(old, new, message):
    assert old in WORDS
    with pytest.raises(InputError, match=message):
        parse_words(WORDS.replace(old, new, 1))


def test_reads_phrases():
    (phrase,) = parse_phrases(row(held_out="true"))
    parts = (("stand", None), ("wave", 0))
    assert phrase == Phrase("say hello", parts, (1, 2.5), ("wave",), True)
    assert not parse_phrases(row())[0].held_out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"side": '"left"'}, "unknown fields: side"),
        ({"moves": '"stand"'}, "moves of 'say hello'.*must be a list of names"),
        ({"moves": None}, "moves of 'say hello'.*got None"),
        ({"moves": '["fly"]'}, "the move 'fly' of 'say hello'.*no words"),
        ({"moves": '["wave"]'}, "must be followed by left or right"),
        ({"moves": '["wave up"]'}, "must be followed by left or right"),
        ({"moves": '["nod left"]'}, "must not be followed by left or right"),
        ({"seconds": '["long", 2]'}, "seconds of.*a list of two numbers"),
        ({"seconds": "[1]"}, "the shortest and the longest duration"),
        ({"seconds": "[2, 1]"}, "the shortest and the longest duration"),
        ({"categories": "[]"}, "categories of.*must be a list"),
        ({"held_out": "1"}, "held_out of.*true or false"),
    ],
)
def test_bad_phrases_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        parse_phrases(row(**changes))
