"""Prompt functions: names, versions, user templates and presets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actiongpt_jax.errors import InputError
from actiongpt_jax.text.prompts import TEMPLATES, complete_sentences, make_prompt


@given(st.sampled_from(sorted(TEMPLATES)), st.text(min_size=1))
def test_fill_keeps_the_phrase_unchanged(name, phrase):
    before, after = TEMPLATES[name].split("{phrase}")
    assert make_prompt(name).fill(phrase) == before + phrase + after


def test_makes_prompts_from_user_templates():
    mine = make_prompt("mine=How does a body do {phrase}? x = 1")
    assert (mine.name, mine.fill("jump")) == ("mine", "How does a body do jump? x = 1")
    unnamed = make_prompt("Tell of {phrase}, {phrase}")
    assert unnamed.fill("{phrase}") == "Tell of {phrase}, {phrase}"
    assert unnamed.name == make_prompt("Tell of {phrase}, {phrase}").name


def test_version_changes_with_every_word_that_is_sent():
    specs = [*TEMPLATES, "mine=Do {phrase}", "mine=Do {phrase}!"]
    asked = [make_prompt(spec, words) for spec in specs for words in (None, 40, 50)]
    assert len({(p.name, p.version) for p in asked}) == len(asked)
    assert make_prompt("detail").version == "1"
    assert "40 words" in complete_sentences(40)


@pytest.mark.parametrize(
    ("spec", "words", "said"),
    [
        ("long", None, "one of action, person, movements, detail, phrase, reference"),
        ("detail=Do {phrase}", None, "must not be called 'detail'"),
        ("detail", 0, "1 or more, got 0"),
    ],
)
def test_rejects_invalid_prompts(spec, words, said):
    with pytest.raises(InputError, match=said):
        make_prompt(spec, words)
