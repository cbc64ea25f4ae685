"""The gallery: its sections, pictures, colours, and commands for missing texts."""

import base64
import re
import shlex
import types

import numpy as np
import pytest

from actiongpt_jax.config import load_config
from actiongpt_jax.synthetic.phrases import held_out_phrases
from actiongpt_jax.text.description import Description
from actiongpt_jax.text.descriptions import Descriptions
from actiongpt_jax.text.prompts import DEFAULT
from tests.viewing.motions import HOSTILE, capsule_body, upright


@pytest.fixture(scope="module")
def gallery(scripts):
    return scripts("gallery")


@pytest.fixture(scope="module")
def texts(scripts):
    return scripts("gallery_texts")


def test_words_of_several_descriptions_have_their_own_colour(texts):
    shown = texts.coloured(["The arm rises.", "The ARM sinks & falls"])
    kinds = dict(
        (word.lower(), kind)
        for kind, word in re.findall(r'<span class="(\w+)">(\w+)</span>', shown)
    )
    assert kinds["the"] == kinds["arm"] == "several"
    assert kinds["rises"] == kinds["falls"] == "single"
    assert "&amp;" in shown


def test_hostile_descriptions_are_escaped(texts):
    shown = texts.coloured(list(HOSTILE))
    tags = set(re.findall(r"<(/?\w+)", shown))
    assert tags == {"p", "/p", "ol", "/ol", "li", "/li", "span", "/span"}
    for text in HOSTILE:
        tags = set(re.findall(r"<(/?\w+)", texts.card(text, text, text)))
        assert tags <= {"div", "/div", "h3", "/h3", "p", "/p", "span", "/span"}


def test_words_about_the_body_are_marked(texts):
    shown = texts.card("detail", "Describe the arm", "Both KNEES bend; backs of feet.")
    assert re.findall(r'<span class="body">(\w+)</span>', shown) == ["KNEES", "feet"]


def test_missing_descriptions_print_quoted_commands(texts, capsys):
    texts.print_missing(["act like a dog", "it's; rm -rf $HOME"])
    printed = capsys.readouterr().err
    line = next(line for line in printed.splitlines() if "printf" in line)
    words = shlex.split(line)
    assert words[2:4] == ["act like a dog", "it's; rm -rf $HOME"]
    assert "actiongpt_jax.describe --phrases phrases.txt" in printed
    assert "--prompt" not in printed
    texts.print_missing(["duck down"], "phrase")
    assert "--k 4 --prompt phrase --out" in capsys.readouterr().err
    texts.print_missing([])
    assert capsys.readouterr().err == ""


def test_paper_and_builtin_have_phrases_for_every_figure(gallery):
    assert gallery.PAPER.keys() == gallery.BUILTIN.keys()
    for figures in (gallery.PAPER, gallery.BUILTIN):
        assert all(figures.values()) and len(figures["edit"]) == 3


def test_unseen_builtin_phrases_are_held_out(gallery):
    assert set(gallery.BUILTIN["unseen"]) <= set(held_out_phrases())
    assert not set(gallery.BUILTIN["seen"]) & set(held_out_phrases())


class FakeModel:
    """A model whose motions are made without weights."""

    def __init__(self, name, known):
        self.name, self.known, self.frames, self.reads_past = name, known, 20, True
        self.embedder, self.asked = None, []
        self.trained = types.SimpleNamespace(config=load_config("teach:debug"))

    def request(self, phrase, texts=None):
        self.asked.append((phrase, texts))
        return phrase

    def motions(self, requests):
        return [upright(20, (phrase,)) for phrase in requests]


def test_sections_show_what_was_asked_answered_and_made(gallery, monkeypatch):
    answers = {"surrender": {"phrase": "a 'retreat' <b>", DEFAULT: "Arms rise."}}
    answers["act like a frog"] = {name: f"{name} knees" for name in gallery.PROMPTS[1:]}
    for phrase in ("walk like a zombie", "hurl a javelin"):
        answers[phrase] = {DEFAULT: "slow steps"}
    known = Descriptions(
        [
            Description(phrase, i, f"{text} {i}", prompt)
            for phrase, of_prompt in answers.items()
            for prompt, text in of_prompt.items()
            for i in range(4)
        ]
    )
    models = [FakeModel(name, known) for name in ("described", "default")]
    monkeypatch.setattr(gallery, "encode_sources", lambda *_: np.zeros((3, 2)))

    def decoded(_, latents, lengths, captions):
        named = zip(lengths, captions, strict=True)
        return [upright(n, (caption,)) for n, caption in named]

    monkeypatch.setattr(gallery, "decode_latents", decoded)
    series = upright(60, tuple(gallery.BUILTIN["series"]))
    monkeypatch.setattr(gallery, "generate_sequence", lambda *_, read_past: [series])
    texts = {phrase: known.texts(phrase) for phrase in known}

    sections = list(gallery.make_sections(models, gallery.BUILTIN, texts))

    by_title = {section.title: section for section in sections}
    figures = [title.partition(":")[0] for title in by_title]
    assert figures == [f"Fig. {n}" for n in (3,) * 6 + (4, 4, 5, 6, 10, 10)] + [
        "An edit of latents"
    ]
    for section in sections[:6]:
        assert section.names == ["described", "default"]
    contrast, unanswered, prompts, four = sections[6:10]
    assert contrast.names == unanswered.names == ["phrase", "detail"]
    assert "&lt;b&gt; 0" in contrast.above and "<b>" not in contrast.above
    assert '<span class="body">Arms</span> rise. 0' in contrast.above
    assert "the model reads the phrase" in unanswered.above
    assert ("hurl a javelin", ["hurl a javelin"]) in models[0].asked
    assert prompts.names == list(gallery.PROMPTS)
    assert "Describe the action act like a frog" in prompts.above
    assert four.names == ["k = 1", "k = 4"]
    # Every model edits in a row of its own.
    edits = sections[-1]
    assert edits.names[0] == "described: drink from a cup"
    assert edits.names[edits.columns] == "default: drink from a cup"
    assert edits.names[-1].startswith("default: drink from a cup - stand")
    html = gallery.to_html(sections[-2], texts)
    assert html.count("<iframe") == 1 and "take a seat" in html


@pytest.mark.soak
def test_page_of_a_trained_model_shows_every_figure(
    gallery, random_run, run_command, stores, tmp_path, monkeypatch
):
    few = {name: phrases[:1] for name, phrases in gallery.BUILTIN.items()}
    few |= {"unseen": [], **{n: gallery.BUILTIN[n] for n in ("series", "edit")}}
    monkeypatch.setattr(gallery, "BUILTIN", few)
    out, model = tmp_path / "gallery.html", random_run("teach:debug")
    flags = [f"--workdir={name}={model}" for name in ("described", "default")]
    flags += ["--descriptions", stores[0] / "descriptions.jsonl", "--builtin"]

    code, printed, error = run_command(gallery, *flags, "--seconds", 1, "--out", out)

    assert code == 0, error
    titles = re.findall("<h2>(.*?)</h2>", out.read_text())
    assert printed == f"{out}: {len(titles)} sections\n" and len(titles) == 7
    assert "surrender" in error and "--prompt phrase" in error


def test_picture_of_a_section_shows_figures_or_meshes(gallery, tmp_path):
    section = gallery.Section("Fig. 3: a/b <i>", [upright(4)] * 2, ["<b>", "two"])
    pictures = []
    for name, body in (("figures", None), ("meshes", capsule_body())):
        shown = gallery.draw(section, tmp_path / name, body)
        (path,) = (tmp_path / name).iterdir()
        assert path.name == "fig-3-a-b-i.png" and "<b>" not in shown
        pictures.append(path.read_bytes())
        assert base64.b64encode(pictures[-1]).decode() in shown
    assert pictures[0] != pictures[1]


def test_body_without_pictures_is_refused(gallery, run_command):
    flags = ["--workdir", "absent", "--body", "model.npz"]
    code, _, error = run_command(gallery, *flags)
    assert code == 2 and "--pictures" in error
