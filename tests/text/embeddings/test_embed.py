"""The command line `python -m actiongpt_jax.embed`."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from actiongpt_jax import cli, embed
from actiongpt_jax.text.embeddings.store import open_embeddings
from tests.full_disk import file_size_limit

PUBLISHED = {
    "walk": ["walk forward", "the left leg and the right leg"],
    "kicks": ["the person kicks with left leg", "leg"],
}


@pytest.fixture
def published(tmp_path):
    path = tmp_path / "descriptions.json"
    path.write_text(json.dumps(PUBLISHED))
    return path


def run(monkeypatch, *argv):
    """Returns the exit code of the command line."""
    monkeypatch.setattr(sys, "argv", ["embed", *map(str, argv)])
    try:
        cli.run(embed.main)
    except SystemExit as stopped:
        return stopped.code
    return 0


def test_embed_writes_a_store_and_prints_its_content(
    published, bert_folder, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "store"
    argv = ("--descriptions", published, "--encoder", bert_folder, "--k", 2)
    assert run(monkeypatch, *argv, "--out", out, "--each") == 0
    store = open_embeddings(out)
    assert store.phrases == ["walk", "kicks"]
    assert (store.k, store.prompt, store.writer) == (2, "detail", "published")
    assert store.singles("walk") == 2
    printed = capsys.readouterr()
    assert "2 phrases, 6 texts" in printed.out
    assert "truncated: 0 of 6 texts at 40 word pieces" in printed.out
    assert "6/6" in printed.err
    assert run(monkeypatch, *argv, "--out", out, "--each") == 0


def test_truncated_texts_are_reported(bert_folder, tmp_path, monkeypatch, capsys):
    path = tmp_path / "d.json"
    path.write_text(json.dumps({"walk": ["jump " * 50]}))
    out = tmp_path / "store"
    argv = ("--descriptions", path, "--encoder", bert_folder, "--k", 1, "--out", out)
    assert run(monkeypatch, *argv) == 0
    printed = capsys.readouterr().out
    assert "truncated: 1 of 2 texts at 40 word pieces, 12 pieces cut" in printed
    assert len(open_embeddings(out).tokens("walk")) == 40


def test_selects_prompt_and_writer_and_skips_truncated_line(
    bert_folder, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "d.jsonl"
    rows = [
        ("detail", "one", "walk forward"),
        ("detail", "two", "leg"),
        ("action", "one", "jump over it and turns left"),
    ]
    lines = [
        json.dumps({"phrase": "walk", "index": 0, "text": t, "prompt": p, "writer": w})
        for p, w, t in rows
    ]
    path.write_text("\n".join(lines) + '\n{"phrase": "wa')
    argv = ("--descriptions", path, "--encoder", bert_folder, "--k", 1)
    for name, more, length in (
        ("default", (), 4),
        ("writer", ("--writer", "two"), 3),
        ("prompt", ("--prompt", "action"), 8),
    ):
        assert run(monkeypatch, *argv, "--out", tmp_path / name, *more) == 0
        assert len(open_embeddings(tmp_path / name).tokens("walk")) == length
    printed = capsys.readouterr()
    assert "descriptions by 'one' for the prompt 'detail'" in printed.out
    path.write_text(lines[-1] + "\n")
    assert run(monkeypatch, *argv, "--out", tmp_path / "only") == 0
    assert "by 'one' for the prompt 'action'" in capsys.readouterr().out
    assert f"{path}:4" in printed.err


@pytest.mark.slow
def test_shards_of_three_jobs_form_one_store(
    bert_folder, tmp_path, monkeypatch, capsys
):
    path, out = tmp_path / "d.json", tmp_path / "store"
    path.write_text(json.dumps({f"walk {i}": ["leg", "turns"] for i in range(5)}))
    argv = ("--descriptions", path, "--encoder", bert_folder, "--k", 2, "--out")
    assert run(monkeypatch, *argv, tmp_path / "whole") == 0
    for number in (2, 3, 1):
        assert not (out / "meta.json").exists()
        assert run(monkeypatch, *argv, out, "--shard", f"{number}/3") == 0
    printed = capsys.readouterr().out
    assert "part 3 of 3 (2 finished): 1 phrases" in printed
    store, whole = open_embeddings(out), open_embeddings(tmp_path / "whole")
    assert store.phrases == whole.phrases
    assert store.max_tokens(store.phrases) == whole.max_tokens(whole.phrases)
    assert run(monkeypatch, *argv, out) == 2
    assert "must not exist yet" in capsys.readouterr().err


def test_stores_phrases_without_descriptions(
    published, bert_folder, tmp_path, monkeypatch
):
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("walk\n\nturns left\n")
    argv = ("--phrases", phrases, "--encoder", bert_folder)
    assert run(monkeypatch, *argv, "--out", tmp_path / "alone") == 0
    store = open_embeddings(tmp_path / "alone")
    assert (store.phrases, store.k) == (["walk", "turns left"], 0)
    both = (*argv, "--descriptions", published, "--k", 2, "--out", tmp_path / "both")
    assert run(monkeypatch, *both) == 0
    store = open_embeddings(tmp_path / "both")
    assert store.phrases == ["walk", "kicks", "turns left"]
    assert [store.has(phrase) for phrase in store.phrases] == [True, True, False]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--k": "0"}, "--k must be 1 or more"),
        ({"--k": "five"}, "invalid int value: 'five'"),
        ({"--k": "3"}, "2 of 2 have fewer: 'walk' (2), 'kicks' (2)"),
        ({"--batch-size": "0"}, "--batch-size must be 1 or more"),
        ({"--descriptions": "absent.jsonl"}, "absent.jsonl"),
        ({"--descriptions": None}, "give --descriptions FILE"),
        ({"--encoder": "./absent"}, "'./absent' is not a folder"),
        ({"--encoder": None}, "--encoder"),
        ({"--aggregate": "median"}, "masked_mean"),
        ({"--prompt": "long"}, "'long'"),
        ({"--writer": "nobody"}, "'nobody'"),
        ({"--phrases": "absent.txt"}, "absent.txt"),
        ({"--shard": "3/2"}, "--shard must be i/n"),
        ({"--shard": "1/3"}, "the number of phrases, 2, got 3"),
        ({"--unknown": "1"}, "--unknown"),
    ],
)
def test_bad_input_is_one_sentence(
    changes, words, published, bert_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    flags = {
        "--descriptions": str(published),
        "--encoder": str(bert_folder),
        "--k": "2",
        "--out": "store",
    } | changes
    argv = [part for flag, value in flags.items() if value for part in (flag, value)]
    assert run(monkeypatch, *argv) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and words in line
    assert not (tmp_path / "store").exists()


def test_full_disk_is_one_sentence(
    published, bert_folder, tmp_path, monkeypatch, capsys
):
    argv = ("--descriptions", published, "--encoder", bert_folder, "--k", 2)
    with file_size_limit(1000):
        assert run(monkeypatch, *argv, "--out", tmp_path / "store") == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: ") and "File too large" in last
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_offline_hub_id_is_one_sentence(published, tmp_path):
    # This needs a process: the hub's client reads its environment at import.
    done = subprocess.run(
        [sys.executable, "-m", "actiongpt_jax.embed", "--descriptions", str(published)]
        + ["--encoder", "distilbert-base-uncased", "--k", "2", "--out", "store"],
        env={
            **os.environ,
            "PYTHONPATH": str(pathlib.Path(__file__).parents[3]),
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(tmp_path / "hub"),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and "give the path of a folder" in last
    assert not (tmp_path / "store").exists()
