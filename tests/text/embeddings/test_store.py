"""The embedding store: content, memory mapping, resuming after a kill, and errors."""

import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import locked
from actiongpt_jax.text import encoders
from actiongpt_jax.text.embeddings.builder import build_embedding_store, count_texts
from actiongpt_jax.text.embeddings.encode import embed_texts
from actiongpt_jax.text.embeddings.shard import Settings
from actiongpt_jax.text.embeddings.store import open_embeddings

# Half precision keeps 11 bits of numbers below 8; batching adds float32 rounding.
HALF = 4e-3
TEXTS = {
    "walk": ["walk forward", "the left leg", "and the right leg"],
    "jump over it": ["jump over it with left leg", "jump", "the person"],
    "kicks": ["the person kicks", "kicks with the right leg and turns", "leg"],
    "turns": [],
}
SETTINGS = Settings(2, "masked_mean", each=True, prompt="detail", writer="test")


@pytest.fixture(scope="module")
def encoder(bert_folder):
    return encoders.load(bert_folder)


def close(actual, expected):
    assert expected is not None
    np.testing.assert_allclose(
        np.asarray(actual, np.float32), expected, atol=HALF, rtol=2e-3
    )


def content(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["masked_mean", "reference_mean", "concat"])
@pytest.mark.parametrize("texts_per_shard", [3, 100])
def test_store_holds_the_embedded_texts(how, texts_per_shard, encoder, tmp_path):
    settings = Settings(2, how, each=True, prompt="detail", prompt_version="1")
    done = []
    build_embedding_store(
        tmp_path / "store",
        TEXTS,
        encoder,
        settings,
        texts_per_shard=texts_per_shard,
        batch_size=4,
        on_texts=done.append,
    )
    assert sum(done) == count_texts(TEXTS, settings) == 13
    store = open_embeddings(tmp_path / "store")
    assert store.phrases == list(TEXTS)
    assert (store.k, store.width, store.aggregation) == (2, encoder.width, how)
    assert (store.encoder, store.weight_hash) == (encoder.name, encoder.weight_hash)
    assert (store.prompt, store.prompt_version) == ("detail", "1")
    for phrase, texts in TEXTS.items():
        embedded = embed_texts(encoder, [phrase])
        close(store.tokens(phrase, "phrase"), embedded.tokens)
        close(store.pooled(phrase, "phrase"), embedded.pooled)
        assert store.singles(phrase) == len(texts)
        for index, text in enumerate(texts):
            single = embed_texts(encoder, [text])
            close(store.tokens(phrase, index=index), single.tokens)
            close(store.pooled(phrase, index=index), single.pooled)
        if texts:
            joined = embed_texts(encoder, texts[:2], how)
            close(store.tokens(phrase), joined.tokens)
            close(store.pooled(phrase), joined.pooled)
            assert store.num_tokens(phrase) == len(joined.tokens)
        assert store.has(phrase) == bool(texts)
    described = [phrase for phrase in TEXTS if TEXTS[phrase]]
    assert store.max_tokens(described) == max(len(store.tokens(p)) for p in described)
    assert store.max_tokens(TEXTS, "phrase") == 5


def test_arrays_are_views_of_mapped_files(encoder, tmp_path):
    build_embedding_store(tmp_path / "store", TEXTS, encoder, SETTINGS)
    tokens = open_embeddings(tmp_path / "store").tokens("walk")
    assert tokens.dtype == np.float16
    assert not tokens.flags.writeable
    base = tokens
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert type(base.base).__name__ == "mmap"


@pytest.mark.slow
def test_store_without_pooled_vectors_reports_it(make_folder, tmp_path):
    encoder = encoders.load(make_folder("distilbert"))
    build_embedding_store(tmp_path / "store", TEXTS, encoder, SETTINGS)
    store = open_embeddings(tmp_path / "store")
    assert store.tokens("walk").shape[1] == encoder.width
    with pytest.raises(InputError, match="no pooled vectors"):
        store.pooled("walk")


def test_stores_phrases_without_descriptions(encoder, tmp_path):
    phrases = {phrase: [] for phrase in TEXTS}
    build_embedding_store(
        tmp_path / "store", phrases, encoder, Settings(0, "masked_mean")
    )
    store = open_embeddings(tmp_path / "store")
    assert store.tokens("turns", "phrase").shape == (3, encoder.width)
    with pytest.raises(InputError, match="description of the phrase"):
        store.tokens("turns")


def test_missing_entry_error_names_the_command(encoder, tmp_path):
    build_embedding_store(tmp_path / "each", TEXTS, encoder, SETTINGS)
    store = open_embeddings(tmp_path / "each")
    for call in (store.tokens, store.pooled, store.num_tokens):
        with pytest.raises(InputError, match="'moonwalk'.*actiongpt_jax.embed"):
            call("moonwalk")
    with pytest.raises(InputError, match="'turns'.*actiongpt_jax.embed"):
        store.tokens("turns")
    with pytest.raises(InputError, match=r"0\.\.2.*got 3"):
        store.tokens("walk", index=3)
    with pytest.raises(InputError, match="source"):
        store.tokens("walk", "text")
    plain = Settings(2, "masked_mean")
    build_embedding_store(tmp_path / "plain", TEXTS, encoder, plain)
    with pytest.raises(InputError, match="--each"):
        open_embeddings(tmp_path / "plain").tokens("walk", index=0)


def test_truncation_is_counted_over_shards(encoder, tmp_path):
    texts = {"walk": ["jump " * 50, "leg"], "kicks": ["leg " * 39, "turns"]}
    settings = Settings(2, "masked_mean")
    meta = build_embedding_store(
        tmp_path / "s", texts, encoder, settings, texts_per_shard=1
    )
    # The limit is 40 pieces, two of them special.
    assert (meta["truncated"], meta["cut"], meta["texts"]) == (2, 12 + 1, 6)
    assert meta["first_truncated"].startswith("jump jump")


KILLED = """
import os, signal, sys
from actiongpt_jax.text import encoders
from actiongpt_jax.text.embeddings.builder import build_embedding_store
from tests.text.embeddings.test_store import SETTINGS, TEXTS
done = 0
def count(texts):
    global done
    done += texts
    if done >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
build_embedding_store(sys.argv[2], TEXTS, encoders.load(sys.argv[1]), SETTINGS,
            batch_size=2, texts_per_shard=3, on_texts=count)
"""


@pytest.mark.slow
def test_resume_after_kill_reuses_finished_shards(encoder, tmp_path):
    options: dict[str, Any] = {"batch_size": 2, "texts_per_shard": 3}
    build_embedding_store(tmp_path / "whole", TEXTS, encoder, SETTINGS, **options)
    out = tmp_path / "out"
    root = pathlib.Path(__file__).parents[3]
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            KILLED,
            str(encoder.folder),
            str(out),
            "9",
        ],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu"},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    partial = out.with_name("out.partial")
    kept = {p.name: p.stat().st_ino for p in partial.glob("*.safetensors")}
    assert len(kept) == 2
    done = []
    build_embedding_store(
        out, TEXTS, encoder, SETTINGS, on_texts=done.append, **options
    )
    assert sum(done) == count_texts(TEXTS, SETTINGS)
    assert {name: (out / name).stat().st_ino for name in kept} == kept
    assert content(out) == content(tmp_path / "whole")
    assert not partial.exists()


def test_full_disk_leaves_no_store_and_is_resumed(encoder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    flushed = []

    def full_after_two(descriptor):
        flushed.append(descriptor)
        if len(flushed) > 2:
            raise OSError(28, "No space left on device")

    options: dict[str, Any] = {"texts_per_shard": 3}
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_after_two)
        with pytest.raises(OSError, match="No space") as raised:
            build_embedding_store(out, TEXTS, encoder, SETTINGS, **options)
    assert "shard-00001" in raised.value.filename
    assert not out.exists()
    build_embedding_store(out, TEXTS, encoder, SETTINGS, **options)
    build_embedding_store(tmp_path / "whole", TEXTS, encoder, SETTINGS, **options)
    assert content(out) == content(tmp_path / "whole")


def test_unfinished_file_of_a_kill_is_removed(encoder, tmp_path):
    partial = tmp_path / "out.partial"
    partial.mkdir()
    (partial / ".new-0123.safetensors").write_bytes(b"truncated")
    build_embedding_store(tmp_path / "out", TEXTS, encoder, SETTINGS)
    assert sorted(content(tmp_path / "out")) == [
        "index.jsonl",
        "meta.json",
        "shard-00000.safetensors",
    ]


def test_shards_of_other_settings_are_not_reused(encoder, tmp_path):
    partial = tmp_path / "out.partial"
    build_embedding_store(partial, TEXTS, encoder, SETTINGS)
    (partial / "plan.json").write_text(json.dumps({"k": 4}))
    build_embedding_store(tmp_path / "out", TEXTS, encoder, Settings(1, "concat"))
    assert open_embeddings(tmp_path / "out").tokens("walk").shape[0] == 4


def test_finished_store_is_not_written_again(encoder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    first = build_embedding_store(out, TEXTS, encoder, SETTINGS)
    before = content(out)
    assert build_embedding_store(out, TEXTS, encoder, SETTINGS) == first
    with pytest.raises(InputError, match="must not exist yet"):
        build_embedding_store(out, TEXTS, encoder, Settings(1, "masked_mean"))
    changed = TEXTS | {"walk": ["walk", "leg"]}
    with pytest.raises(InputError, match="must not exist yet"):
        build_embedding_store(out, changed, encoder, SETTINGS)
    assert content(out) == before


def test_second_writer_is_refused(encoder, tmp_path):
    with locked(tmp_path / "out", "refused"):
        with pytest.raises(InputError, match="another process"):
            build_embedding_store(tmp_path / "out", TEXTS, encoder, SETTINGS)


def test_rejects_states_too_large_for_half_precision(
    make_folder, make_state_dict, tmp_path
):
    sd = make_state_dict("bert")
    sd["encoder.layer.1.output.LayerNorm.weight"] *= 1e6
    huge = encoders.load(make_folder("bert", sd))
    with pytest.raises(InputError, match="65504"):
        build_embedding_store(tmp_path / "out", TEXTS, huge, SETTINGS)


def test_rejects_folders_that_are_not_stores(encoder, tmp_path):
    with pytest.raises(FileNotFoundError, match="actiongpt_jax.embed"):
        open_embeddings(tmp_path / "absent")
    (tmp_path / "begun.partial").mkdir()
    with pytest.raises(FileNotFoundError, match="run the same command again"):
        open_embeddings(tmp_path / "begun")
    with pytest.raises(InputError, match="has no meta.json"):
        open_embeddings(tmp_path)
    out = tmp_path / "out"
    build_embedding_store(out, TEXTS, encoder, SETTINGS)
    meta = json.loads((out / "meta.json").read_text())
    for changes, words in (
        ({"format": "other"}, "format"),
        ({"version": 9}, "version 1, got 9"),
        ({"phrases": 3}, "must list 3 phrases"),
    ):
        (out / "meta.json").write_text(json.dumps(meta | changes))
        with pytest.raises(InputError, match=words):
            open_embeddings(out)
    (out / "meta.json").write_text("{")
    with pytest.raises(InputError, match="must be JSON"):
        open_embeddings(out)
    del meta["k"]
    (out / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(InputError, match="'k'"):
        open_embeddings(out)


def test_damaged_shards_are_reported(encoder, tmp_path):
    out = tmp_path / "out"
    build_embedding_store(out, TEXTS, encoder, SETTINGS)
    shard = out / "shard-00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(InputError, match="whole safetensors file"):
        open_embeddings(out).tokens("walk")
    shard.unlink()
    with pytest.raises(InputError, match="missing"):
        open_embeddings(out).tokens("walk")
