"""Faults of descriptions, found in examples and in a real cache."""

import collections
import random
import re

import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.llm.faults import (
    REASONS,
    count_words,
    estimate_pieces,
    find_faults,
    find_words,
    is_echo,
    judge,
    parse_reasons,
    report,
)
from actiongpt_jax.llm.reports import compare
from actiongpt_jax.text.description import Description
from actiongpt_jax.text.descriptions import read_descriptions
from actiongpt_jax.text.prompts import TEMPLATES

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
        (f"hm</think>{GOOD}", {}, {"thoughts"}),
        (f"{GOOD}<|im_end|>", {}, {"thoughts", "truncated"}),
        (f"Okay, the user wants a walk. {GOOD}", {}, {"thoughts"}),
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
def test_finds_the_faults_of_a_text(text, fields, reasons):
    assert faults(text, **fields) == reasons


def test_descriptions_with_cannot_or_sorry_are_not_refusals():
    assert faults("The person cannot sit still, so the hands are always busy.") == set()
    assert faults("They look sorry, drop both shoulders and bow the head.") == set()


def test_repeating_a_long_phrase_is_no_echo():
    phrase = "walk forward then turn left and sit down on a low chair"
    assert faults(f"To {phrase}, the person takes eight steps.", phrase) == set()


def test_echo_agrees_with_a_comparison_of_all_runs():
    rng = random.Random(0)
    phrases = ["walk", "sit down", "person", "is performing", "the", "jump, turn!", "a"]
    templates = [
        *TEMPLATES.values(),
        "{phrase} as the {phrase} of me, but now",
        "do it",
    ]
    echoes = 0
    for _ in range(3000):
        template, phrase = rng.choice(templates), rng.choice(phrases)
        words = template.replace("{phrase}", phrase).split()
        start = rng.randrange(len(words))
        part = words[start : start + rng.randint(1, 14)]
        text = " ".join([*rng.choice([["The", "legs"], [], [phrase]]), *part])
        text = rng.choice([text, text.upper(), text.replace("'", "’"), f"{text} here."])
        record = Description(phrase, 0, text, "mine", template=template)
        assert is_echo(record) == has_run(record), record
        echoes += is_echo(record)
    assert 300 < echoes < 2700


def has_run(record):
    """Compares every run of seven words of the prompt with every run of the text."""
    phrase = " ".join(find_words(record.phrase))
    prompt = record.template.replace("{phrase}", f" {record.phrase} ")
    text, prompt = (
        re.sub(rf"(?<!\S){phrase}(?!\S)", "\0", " ".join(find_words(words))).split(" ")
        for words in (record.text, prompt)
    )
    size = min(7, len(prompt))
    runs = [prompt[i : i + size] for i in range(len(prompt) - size + 1)]
    found = any(text[i : i + size] in runs for i in range(len(text) - size + 1))
    return text == ["\0"] or (size >= 4 and found)


def test_duplicates_have_the_same_phrase_and_writer():
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


def test_counts_words_and_estimates_pieces():
    assert count_words("Don't stop: it's 3 o'clock") == 5
    assert count_words("他走路。") == 3
    assert estimate_pieces("") == 2
    assert estimate_pieces("The legs move.") == 6


def test_parse_reasons_rejects_unknown_names():
    assert parse_reasons("echo, short") == ["echo", "short"]
    for spec in ("bad", "", "echo,bad"):
        with pytest.raises(InputError, match=", ".join(REASONS)):
            parse_reasons(spec)


def test_counts_known_faults_of_a_real_cache(shared_file):
    read = read_descriptions(shared_file("data/llm/gpt35_babel_categories.json"))
    records = [record for of_phrase in read.values() for record in of_phrase]
    found = find_faults(records)
    counts = collections.Counter(fault.reason for fault in found)
    # Counted with grep: texts whose last character is not a full stop, and texts that
    # have a full stop between two letters.
    assert counts["truncated"] == 830
    assert counts["glued"] > 700
    assert counts["echo"] == 2
    assert counts["refused"] == counts["empty"] == counts["short"] == 0
    assert counts["thoughts"] == 0
    lines = [*report(judge(records))]
    assert any(line.startswith("truncated ") and " 830 " in line for line in lines)
    assert sum(line.startswith("truncated: ") for line in lines) == 20 + 1
    assert "truncated: and 810 more; --list 0 lists all" in lines
    lines = [*report(judge(records), None)]
    assert sum(line.startswith("truncated: ") for line in lines) == 830


def test_minibabel_descriptions_have_only_length_faults(shared_file):
    read = read_descriptions(shared_file("data/minibabel/descriptions.json"))
    records = [record for of_phrase in read.values() for record in of_phrase]
    assert {f.reason for f in find_faults(records)} == {"long-clip"}


def test_compare_lists_common_phrases_and_totals():
    mine = {"walk": [Description("walk", 0, GOOD)], "run": []}
    yours = {
        "walk": [Description("walk", 0, "Legs.")],
        "sit": [Description("s", 0, "")],
    }
    lines = list(compare(("mine", "yours"), mine, yours))
    assert lines[0].startswith("walk: ")
    assert any(line.startswith("mine: 1 texts of 1 phrases") for line in lines)
    assert "1 empty" in lines[-2] and "1 phrases" in lines[-1]
