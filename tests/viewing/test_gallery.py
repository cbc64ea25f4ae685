"""The gallery's texts: colours, escaping, and commands for missing descriptions."""

import re
import shlex

from actiongpt_jax.synthetic.phrases import held_out_phrases
from benchmarks import gallery
from tests.viewing.motions import HOSTILE


def test_words_of_several_descriptions_have_their_own_colour():
    shown = gallery.coloured(["The arm rises.", "The ARM sinks & falls"])
    kinds = dict(
        (word.lower(), kind)
        for kind, word in re.findall(r'<span class="(\w+)">(\w+)</span>', shown)
    )
    assert kinds["the"] == kinds["arm"] == "several"
    assert kinds["rises"] == kinds["falls"] == "single"
    assert "&amp;" in shown


def test_hostile_descriptions_are_escaped():
    shown = gallery.coloured(list(HOSTILE))
    tags = set(re.findall(r"<(/?\w+)", shown))
    assert tags == {"p", "/p", "ol", "/ol", "li", "/li", "span", "/span"}


def test_missing_descriptions_print_quoted_commands(capsys):
    gallery.print_missing(["act like a dog", "it's; rm -rf $HOME"])
    printed = capsys.readouterr().err
    line = next(line for line in printed.splitlines() if "printf" in line)
    words = shlex.split(line)
    assert words[2:4] == ["act like a dog", "it's; rm -rf $HOME"]
    assert "actiongpt_jax.describe --phrases phrases.txt" in printed
    gallery.print_missing([])
    assert capsys.readouterr().err == ""


def test_paper_and_builtin_have_phrases_for_every_figure():
    assert gallery.PAPER.keys() == gallery.BUILTIN.keys()
    for figures in (gallery.PAPER, gallery.BUILTIN):
        assert all(figures.values()) and len(figures["edit"]) == 3


def test_unseen_builtin_phrases_are_held_out():
    assert set(gallery.BUILTIN["unseen"]) <= set(held_out_phrases())
    assert not set(gallery.BUILTIN["seen"]) & set(held_out_phrases())
