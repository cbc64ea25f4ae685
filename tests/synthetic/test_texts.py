"""Descriptions written by the grammar: number, length, wording and sides."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from actiongpt_jax.synthetic.phrases import SIDES, load_phrases
from actiongpt_jax.synthetic.sequence import MOVES
from actiongpt_jax.synthetic.texts import describe
from actiongpt_jax.synthetic.words import load_words

PHRASES = load_phrases()
BY_PHRASE = {phrase.text: describe(phrase) for phrase in PHRASES}
ALL = pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: phrase.text)
ONE_SIDED = [phrase for phrase in PHRASES if len(phrase.sides) == 1]


def texts(phrase, prompt="detail", writer="synthetic"):
    records = BY_PHRASE[phrase.text]
    return [r.text for r in records if (r.prompt, r.writer) == (prompt, writer)]


@ALL
def test_every_prompt_and_writer_has_its_number_of_distinct_texts(phrase):
    for prompt, writer, count in (
        ("detail", "synthetic", 8),
        ("action", "synthetic", 4),
        ("person", "synthetic", 4),
        ("movements", "synthetic", 4),
        ("detail", "synthetic-terse", 4),
    ):
        result = texts(phrase, prompt, writer)
        assert len(result) == len(set(result)) == count
        records = [
            r
            for r in BY_PHRASE[phrase.text]
            if (r.prompt, r.writer) == (prompt, writer)
        ]
        assert [r.index for r in records] == list(range(count))
    assert len({r.key for r in BY_PHRASE[phrase.text]}) == 24


@ALL
def test_texts_are_sentences_of_the_promised_length(phrase):
    for record in BY_PHRASE[phrase.text]:
        assert not re.search(r"[\[\]{}|]|  ", record.text)
        assert record.text[0].isupper() and record.text[-1] == "."
    assert all(40 <= len(text.split()) <= 80 for text in texts(phrase))


@ALL
def test_less_detailed_prompts_and_the_terse_writer_write_less(phrase):
    def mean(*setting):
        result = texts(phrase, *setting)
        return sum(len(text.split()) for text in result) / len(result)

    full = mean()
    assert mean("movements") < full
    assert mean("person") < 0.6 * full
    assert mean("action") < 0.6 * full
    assert mean("detail", "synthetic-terse") < 0.7 * full


@pytest.mark.parametrize("phrase", ONE_SIDED, ids=lambda phrase: phrase.text)
def test_descriptions_name_only_the_side_of_the_phrase(phrase):
    (side,) = phrase.sides
    named, other = SIDES[side], SIDES[1 - side]
    for record in BY_PHRASE[phrase.text]:
        if record.prompt == "action":  # does not mention the body
            continue
        words = re.findall(r"[a-z]+", record.text.lower())
        assert words.count(named) > 0, record.text
        assert words.count(other) == 0, record.text
    # The phrase itself does not name the other side either.
    assert other not in phrase.text.split()


def test_descriptions_are_the_same_every_time():
    for phrase in PHRASES[::10]:
        assert describe(phrase) == BY_PHRASE[phrase.text]


def test_moves_and_words_have_the_same_names():
    assert set(load_words()) == set(MOVES)


def test_held_out_descriptions_use_only_words_of_training_phrases():
    def vocabulary(held_out):
        return {
            word
            for phrase in PHRASES
            if phrase.held_out is held_out
            for text in texts(phrase)
            for word in re.findall(r"[a-z]+", text.lower())
        }

    unseen = vocabulary(True) - vocabulary(False)
    assert not unseen


def test_some_phrases_do_not_mention_the_body():
    body = set(
        "arm arms hand hands leg legs knee head torso toes walk jump kick".split()
    )
    silent = [p for p in PHRASES if not body & set(p.text.split())]
    assert len(silent) >= 15


@pytest.mark.slow
def test_texts_do_not_depend_on_the_order_of_sets():
    # The order differs with the seed of hashes, which is random in this process.
    code = (
        "from tests.synthetic.test_texts import BY_PHRASE\n"
        "print([d.text for texts in BY_PHRASE.values() for d in texts])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        cwd=pathlib.Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    texts = [d.text for records in BY_PHRASE.values() for d in records]
    assert done.stdout == f"{texts}\n"
