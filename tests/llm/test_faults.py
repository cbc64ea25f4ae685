"""Faults of descriptions, found in examples and in a real cache."""

import collections

import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.llm.faults import (
    REASONS,
    count_words,
    estimate_pieces,
    find_faults,
    parse_reasons,
    report,
)
from actiongpt_jax.llm.reports import compare
from actiongpt_jax.text.description import Description
from actiongpt_jax.text.descriptions import read_descriptions

GOOD = "The person lifts the left knee, bends it and lowers the foot again."


def faults(text, phrase="walk", **fields):
    return {f.reason for f in find_faults([Description(phrase, 0, text, **fields)])}


@pytest.mark.parametrize(
    ("text", "fields", "reasons"),
    [
        (GOOD, {}, set()),
        (f'{GOOD[:-1]}."', {}, set()),
        ("", {}, {"empty"}),
        (" \n", {}, {"empty"}),
        (GOOD[:-1], {}, {"truncated"}),
        (GOOD, {"finish_reason": "length"}, {"truncated"}),
        (GOOD, {"finish_reason": "max_output_tokens"}, {"truncated"}),
        (GOOD, {"finish_reason": "content_filter"}, {"refused"}),
        (f"I'm sorry, but I cannot describe that. {GOOD}", {}, {"refused"}),
        (f"As an AI language model I have no body. {GOOD}", {}, {"refused"}),
        ("The person walks.", {}, {"short"}),
        (f"{GOOD}Then {GOOD}", {}, {"glued"}),
        (GOOD + " Then" * 80 + ".", {}, {"long-clip"}),
        (GOOD + " Then" * 520 + ".", {}, {"long-clip", "long-distilbert"}),
        ("walk", {}, {"echo", "short", "truncated"}),
        (
            "A person's body movements who is performing the action walk in detail are"
            " these: the legs swing.",
            {},
            {"echo"},
        ),
        (f"Describe the action walk. {GOOD}", {"prompt": "action"}, {"echo"}),
        (f"Say how one does walk here. {GOOD}", {"prompt": "phrase"}, set()),
        (
            f"Tell me of walk now please. {GOOD}",
            {"prompt": "mine", "template": "Tell me of {phrase} now please"},
            {"echo"},
        ),
    ],
)
def test_faults(text, fields, reasons):
    assert faults(text, **fields) == reasons


def test_words_of_a_person_are_no_refusal():
    assert faults("The person cannot sit still, so the hands are always busy.") == set()
    assert faults("They look sorry, drop both shoulders and bow the head.") == set()


def test_a_long_phrase_may_be_repeated():
    phrase = "walk forward then turn left and sit down on a low chair"
    assert faults(f"To {phrase}, the person takes eight steps.", phrase) == set()


def test_duplicates_are_those_of_the_same_phrase_and_writer():
    again = GOOD.upper()
    found = find_faults(
        [
            Description("walk", 0, GOOD),
            Description("walk", 1, again),
            Description("walk", 2, GOOD, writer="other"),
            Description("run", 0, GOOD),
        ]
    )
    assert [(f.reason, f.record.index) for f in found] == [("duplicate", 1)]


def test_words_and_pieces():
    assert count_words("Don't stop: it's 3 o'clock") == 5
    assert count_words("他走路。") == 3
    assert estimate_pieces("") == 2
    assert estimate_pieces("The legs move.") == 6


def test_reasons():
    assert parse_reasons("echo, short") == ["echo", "short"]
    for spec in ("bad", "", "echo,bad"):
        with pytest.raises(InputError, match=", ".join(REASONS)):
            parse_reasons(spec)


def test_a_real_cache_is_full_of_faults(shared_file):
    read = read_descriptions(shared_file("data/llm/gpt35_babel_categories.json"))
    records = [record for of_phrase in read.values() for record in of_phrase]
    found = find_faults(records)
    counts = collections.Counter(fault.reason for fault in found)
    # Counted with grep: texts whose last character is no full stop, and those in
    # which a full stop stands between two letters.
    assert counts["truncated"] == 830
    assert counts["glued"] > 700
    assert counts["echo"] == 2
    assert counts["refused"] == counts["empty"] == counts["short"] == 0
    lines = report(found, records)
    assert any(line.startswith("truncated") and "830" in line for line in lines)
    assert sum(line.startswith("truncated: ") for line in lines) == 830


def test_good_texts_have_no_faults(shared_file):
    read = read_descriptions(shared_file("data/minibabel/descriptions.json"))
    records = [record for of_phrase in read.values() for record in of_phrase]
    assert {f.reason for f in find_faults(records)} == {"long-clip"}


def test_two_writers_side_by_side():
    mine = {"walk": [Description("walk", 0, GOOD)], "run": []}
    yours = {
        "walk": [Description("walk", 0, "Legs.")],
        "sit": [Description("s", 0, "")],
    }
    lines = list(compare(("mine", "yours"), mine, yours))
    assert lines[0].startswith("walk: ")
    assert any(line.startswith("mine: 1 texts of 1 phrases") for line in lines)
    assert "1 empty" in lines[-2] and "1 phrases" in lines[-1]
