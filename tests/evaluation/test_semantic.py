"""Judging what a model's motions show: figures, tables, resuming, other models."""

import json
import shutil

import numpy as np
import pytest

from actiongpt_jax import evaluate
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation import semantic, semantic_figures
from actiongpt_jax.evaluation.cases import list_cases
from actiongpt_jax.evaluation.journal import Journal
from actiongpt_jax.evaluation.options import Options
from actiongpt_jax.evaluation.semantic_figures import LENGTHS, summarise
from actiongpt_jax.evaluation.session import ModelSession
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.synthetic.phrases import KINDS, load_compositions, phrases_to_judge

pytestmark = pytest.mark.slow
# Phrases of every kind; the small store of these tests has motions of two.
CHOSEN = tuple(
    phrase
    for phrase in phrases_to_judge()
    if phrase.text
    in (
        "walk forward",
        "jog",
        "run",
        "kick forward with the left leg",
        "raise the left arm",
        "hop on the left leg",
        "catch the bus",
        "run and raise the left arm",
    )
)
PHRASES = [phrase.text for phrase in CHOSEN]


@pytest.fixture(scope="module", autouse=True)
def few_phrases():
    """Judges a few phrases only, for speed."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (semantic, semantic_figures):
            patch.setattr(module, "phrases_to_judge", lambda: CHOSEN)
        patch.setattr(semantic, "_ROWS", len(CHOSEN))  # several writes of the journal
        yield


@pytest.fixture(scope="module")
def judged(random_run, tmp_path_factory):
    """Returns (flags, folder of journals, JSON file) of a TEACH model."""
    folder = tmp_path_factory.mktemp("judged")
    workdir = shutil.copytree(random_run("teach:debug"), folder / "run")
    out = folder / "figures.json"
    flags = ["--workdir", str(workdir), "--semantic", "only", "--samples", "2"]
    flags += ["--split", "train", "--out", str(out)]
    evaluate.main(flags)
    return flags, workdir / "evaluation", out


def test_figures_have_every_phrase_and_kind(judged):
    result = json.loads(judged[2].read_text())
    assert "ape_ave" not in result
    figures = result["semantic"]
    assert figures["samples"] == 2
    assert list(figures["by_phrase"]) == PHRASES
    assert list(figures["by_kind"]) == list(KINDS)
    for kind, row in figures["by_kind"].items():
        own = [r for r in figures["by_phrase"].values() if r["kind"] == kind]
        assert row["phrases"] == len(own)
        mean = np.mean([[r[length] for length in LENGTHS] for r in own])
        assert row["satisfied"][0] == pytest.approx(mean)
        assert row["satisfied"][1] <= row["satisfied"][0] <= row["satisfied"][2]
    # The corpus of this test is small, but what it has is real motion.
    assert figures["by_kind"]["seen"]["real"][0] >= 0.95
    assert figures["series"]["series"] == len(semantic.series_cases(0))


def test_an_interrupted_judgement_goes_on_where_it_stopped(judged, capsys):
    flags, folder, out = judged
    (journal,) = folder.glob("*-semantic-2.jsonl")
    before, lines = out.read_text(), journal.read_text().splitlines(keepends=True)
    whole = [json.loads(line) for line in lines]
    journal.write_text("".join(lines[:12]) + lines[12][:20])
    evaluate.main(flags)
    assert out.read_text() == before
    rows = [json.loads(line) for line in journal.read_text().splitlines()]
    assert rows == whole
    printed = capsys.readouterr().out
    assert "does it do what it says?" in printed
    assert "seen, in series" in printed
    assert all(text in printed for text in PHRASES)


def test_judgement_joins_the_other_figures(random_run, capsys):
    workdir = random_run("teach:debug")
    flags = f"--workdir {workdir} --semantic --limit 2 --samples 2 --split train"
    evaluate.main(flags.split())
    paths = list((workdir / "evaluation").glob("train-*.json"))
    results = [json.loads(path.read_text()) for path in paths]
    assert any({"ape_ave", "semantic"} <= set(result) for result in results)
    assert "APE" in capsys.readouterr().out


def test_figures_of_real_motions_that_pass_for_generated_ones(random_run, tmp_path):
    """Copies of real motions, instead of a model's, reach the share of real motion."""
    config = load_model(random_run("teach:debug")).config
    store = open_store(config.data.store)
    cases = list_cases(config, store, "train", False)
    by_text = {c.phrases[0]: c for c in cases if c.phrases[0] in PHRASES}
    chosen = [c for c in semantic.single_cases() if c.phrases[0] in by_text]

    def copies(cases):
        return [[by_text[case.phrases[0]].captured(store)] * 2 for case in cases]

    journal = Journal(tmp_path / "copies.jsonl", {})
    # Each copy keeps its own length.
    whole = [
        semantic.Case(c.key, c.phrases, (by_text[c.phrases[0]].frames,), 0)
        for c in chosen
    ]
    semantic.judge_cases(whole, copies, journal, store.fps)
    rows = {row["key"]: row for row in journal}
    missing = {"hits": [[False, False]], "stride": [0.0] * 2, "skating": [0.0, 1.0]}
    for text in PHRASES:
        for length in LENGTHS:
            rows.setdefault(f"{text}/{length}", missing)
    real = semantic.real_motions(store, cases)
    nearest = dict.fromkeys(PHRASES, "walk forward")
    figures = summarise(rows, real, real, nearest, store.fps)
    shares = [figures["by_phrase"][text] for text in by_text]
    assert np.mean([row[LENGTHS[0]] for row in shares]) >= 0.95
    assert all(row["nearest"] in (0.0, 1.0, None) for row in shares)


def test_phrases_without_descriptions_get_the_built_in_ones(random_run):
    trained = load_model(random_run("teach:debug"))
    embedder = PhraseEmbedder(trained.config)
    texts = semantic.missing_texts(embedder)
    assert set(texts) == {p.text for p in load_compositions()} & set(PHRASES)
    assert all(len(of_phrase) == 8 for of_phrase in texts.values())


def test_a_model_that_reads_both_can_be_judged_by_phrases_alone(
    random_run, tmp_path, capsys
):
    both = random_run("temos:debug", "--config.text.source=mixed")
    workdir = str(shutil.copytree(both, tmp_path / "run"))
    how = {"workdir": workdir, "semantic": "only", "samples": 1, "split": "train"}
    flags = ["--workdir", workdir, "--semantic", "only", "--samples", "1"]
    flags += ["--split", "train"]
    embedder = ModelSession(Options(**how)).embedder
    bare = ModelSession(Options(**how, bare=True)).embedder
    for phrase in PHRASES[:2]:
        np.testing.assert_array_equal(bare.tokens(phrase), embedder.own_tokens(phrase))
        assert bare.tokens(phrase).shape != embedder.tokens(phrase).shape

    # The built-in descriptions are not given to it either.
    given = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(semantic, "judge_model", lambda *args: given.append(args[1]))
        ModelSession(Options(**how, bare=True)).judge()
    for phrase in PHRASES:
        own = embedder.own_tokens(phrase)
        np.testing.assert_array_equal(given[0].tokens(phrase), own)

    evaluate.main([*flags, "--bare"])
    assert "reads the phrases without their descriptions" in capsys.readouterr().out


def test_bare_phrases_need_a_model_that_reads_them(random_run):
    workdir = str(random_run("teach:debug"))
    with pytest.raises(InputError, match="text.source=mixed"):
        ModelSession(Options(workdir=workdir, semantic="only", bare=True))


def test_nearest_phrase_of_a_training_phrase_is_itself():
    vectors = dict(zip(PHRASES, np.eye(len(PHRASES)), strict=True))
    vectors["catch the bus"] = vectors["run"] + 0.1 * vectors["jog"]
    known = ["jog", "run", "walk forward"]
    nearest = semantic.nearest_phrases(lambda text: vectors[text][None], known)
    assert [nearest[text] for text in known] == known
    assert nearest["catch the bus"] == "run"


def test_a_store_without_the_corpus_is_named(random_run, monkeypatch):
    monkeypatch.setattr(semantic, "phrases_to_judge", lambda: ())
    workdir = random_run("teach:debug")
    # The split has no pair of actions, which --semantic only does not need.
    flags = ["--workdir", str(workdir), "--split", "val", "--semantic"]
    with pytest.raises(InputError, match="has no pair of"):
        evaluate.main(flags)
    with pytest.raises(InputError, match="needs the motions of the built-in corpus"):
        evaluate.main([*flags, "only"])
