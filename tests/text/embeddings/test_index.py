"""Parts of a store: written separately, read as one, refused if they do not fit."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.shard import Shard
from actiongpt_jax.text import encoders
from actiongpt_jax.text.embeddings.builder import (
    build_embedding_store,
    count_texts,
    share_of,
)
from actiongpt_jax.text.embeddings.shard import Settings
from actiongpt_jax.text.embeddings.store import open_embeddings

TEXTS = {
    "walk": ["walk forward", "the left leg", "and the right leg"],
    "jump over it": ["jump over it with left leg", "jump", "the person"],
    "turns": [],
    "kicks": ["the person kicks", "kicks with the right leg", "leg " * 50],
    "left": ["the left leg", "left", "left leg"],
}
SETTINGS = Settings(2, "masked_mean", each=True, prompt="detail", writer="test")
# Half precision of numbers below 4, and float32 sums in batches of other shapes.
HALF = 2e-3


@pytest.fixture(scope="module")
def encoder(bert_folder):
    return encoders.load(bert_folder)


@pytest.fixture(scope="module")
def whole(encoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "store"
    build_embedding_store(path, TEXTS, encoder, SETTINGS)
    return open_embeddings(path)


def build(path, encoder, count, numbers=None, settings=SETTINGS, texts=None):
    for number in numbers or range(1, count + 1):
        options = {"part": Shard(number, count), "texts_per_shard": 4}
        build_embedding_store(path, texts or TEXTS, encoder, settings, **options)
    return path


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_parts_are_read_like_a_whole_store(count, encoder, whole, tmp_path):
    parts = open_embeddings(build(tmp_path / "s", encoder, count))
    assert parts.phrases == whole.phrases
    for name in ("phrases", "texts", "truncated", "cut", "tokens", "first_truncated"):
        assert parts.meta[name] == whole.meta[name]
    for phrase in TEXTS:
        assert parts.has(phrase) == whole.has(phrase)
        assert parts.singles(phrase) == whole.singles(phrase) == len(TEXTS[phrase])
        cases: list[dict] = [{"source": "phrase"}]
        cases += [{"index": i} for i in range(len(TEXTS[phrase]))]
        cases += [{}] if TEXTS[phrase] else []
        for case in cases:
            for read in ("tokens", "pooled"):
                actual = getattr(parts, read)(phrase, **case)
                expected = getattr(whole, read)(phrase, **case)
                assert actual.dtype == expected.dtype
                np.testing.assert_allclose(
                    actual.astype(np.float32), expected, atol=HALF
                )


def test_every_phrase_is_in_exactly_one_part():
    shares = [share_of(TEXTS, Shard(number, 3)) for number in (1, 2, 3)]
    assert sorted(p for share in shares for p in share) == sorted(TEXTS)
    counts = [count_texts(share, SETTINGS) for share in shares]
    assert sum(counts) == count_texts(TEXTS, SETTINGS)
    assert share_of(TEXTS, None) is TEXTS
    with pytest.raises(InputError, match="the number of phrases, 5, got 6"):
        share_of(TEXTS, Shard(1, 6))


def test_finished_part_is_not_written_again(encoder, tmp_path):
    build(tmp_path / "s", encoder, 2)
    path = tmp_path / "s" / Shard(2, 2).name / "meta.json"
    before = path.stat().st_ino
    build(tmp_path / "s", encoder, 2)
    assert path.stat().st_ino == before


def test_missing_parts_are_named_with_the_command(encoder, tmp_path):
    path = build(tmp_path / "s", encoder, 4, numbers=(2, 3))
    with pytest.raises(InputError, match=r"lacks 2;.*embed.*--shard 1/4, 4/4"):
        open_embeddings(path)
    (path / f"{Shard(1, 4).name}.partial").mkdir()
    with pytest.raises(InputError, match=r"--shard 1/4, 4/4"):
        open_embeddings(path)


def test_parts_of_other_runs_are_refused(encoder, tmp_path):
    path = build(tmp_path / "s", encoder, 2, numbers=(1,))
    other = dataclasses.replace(SETTINGS, k=1)
    changed = TEXTS | {"left": ["leg", "leg", "leg"]}
    for wrong in (
        {"count": 3, "numbers": (2,)},
        {"count": 2, "numbers": (2,), "settings": other},
        {"count": 2, "numbers": (2,), "texts": changed},
    ):
        with pytest.raises(InputError, match="parts of one run only, but has part-"):
            build(path, encoder, **wrong)
    build(tmp_path / "changed", encoder, 2, texts=changed)
    shutil.copytree(tmp_path / "changed" / Shard(2, 2).name, path / Shard(2, 2).name)
    with pytest.raises(InputError, match="differ in 'whole_hash'"):
        open_embeddings(path)
    (path / Shard(1, 3).name).mkdir()
    with pytest.raises(InputError, match="parts of runs with 2 and 3 shards"):
        open_embeddings(path)


def test_parts_in_a_whole_store_are_refused(encoder, tmp_path):
    build_embedding_store(tmp_path / "s", TEXTS, encoder, SETTINGS)
    with pytest.raises(InputError, match="but has meta.json"):
        build(tmp_path / "s", encoder, 2)


def test_damaged_parts_are_reported(encoder, tmp_path):
    path = build(tmp_path / "s", encoder, 2)
    meta = path / Shard(1, 2).name / "meta.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"phrases": 9}))
    with pytest.raises(InputError, match="must list 9 phrases"):
        open_embeddings(path)
    meta.unlink()
    with pytest.raises(InputError, match="has no meta.json"):
        open_embeddings(path)
