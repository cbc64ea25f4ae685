"""The present code reads the files that version 0.1.0 wrote."""

import json
import pathlib
import re
import shutil
import zipfile

import numpy as np
import pytest

from actiongpt_jax import describe, evaluate, generate, train
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.text.embeddings.store import open_embeddings
from actiongpt_jax.training import checkpoints
from tests.fake_openai import KEY, MODEL

pytestmark = pytest.mark.slow

ARCHIVE = pathlib.Path(__file__).parent / "golden" / "version_0_1_0.zip"
PHRASE = "act like a bird"
# float32 values of order 1, summed on another processor or by another jax release.
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def files(unpacked, tmp_path, monkeypatch):
    """Copies the files, and changes to the directory in which they were written."""
    shutil.copytree(unpacked, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old" / "version_0_1_0")
    return pathlib.Path()


def test_motion_store_opens(files):
    store = open_store(files / "motion")
    labels = (files / "motion" / "labels.jsonl").read_text().splitlines()
    assert len(store.sequences) == 4
    assert len(store.labels) == len(labels)


def test_embedding_store_opens(files):
    store = open_embeddings(files / "text")
    assert (store.k, store.width) == (2, 16)
    for phrase in store.phrases:
        assert store.tokens(phrase).shape == (store.num_tokens(phrase), 16)
        assert store.pooled(phrase).shape == (6,)
        assert store.singles(phrase) == 3


@pytest.mark.parametrize("model", ["temos", "teach", "motionclip"])
def test_checkpoint_generates_the_recorded_motion(files, model):
    where = ["--workdir", model, "--embeddings", "text", "--out", "again"]
    generate.main(["--text", PHRASE, "--seconds", "1", "--fact", "0", *where])
    name = "act_like_a_bird_0.npz"
    recorded = np.load(files / f"generated_{model}" / name)
    generated = np.load(files / "again" / name)
    for array in ("poses", "trans"):
        np.testing.assert_allclose(
            generated[array], recorded[array], rtol=0, atol=TOLERANCE
        )


def test_converted_weights_generate_the_recorded_motion(files):
    generate.main(
        ["--workdir", "converted", "--embeddings", "text", "--out", "again"]
        + ["--text", PHRASE, "--seconds", "1", "--fact", "0"]
    )
    name = "act_like_a_bird_0.npz"
    np.testing.assert_allclose(
        np.load(files / "again" / name)["trans"],
        np.load(files / "generated_temos" / name)["trans"],
        rtol=0,
        atol=TOLERANCE,
    )


@pytest.mark.parametrize("model", ["temos", "teach", "motionclip", "evaluator"])
def test_training_resumes(files, model):
    train.main(
        ["--workdir", model, "--config.data.store=motion", "--config.text.store=text"]
        + ["--config.train.num_steps=3"]
    )
    lines = (files / model / "metrics.jsonl").read_text().splitlines()
    steps = [record["step"] for record in map(json.loads, lines)]
    assert steps[-1] == 3
    assert steps.count(2) >= 1
    restored = checkpoints.restore(model)
    assert restored is not None
    assert restored.step == 3
    assert restored.has_optimizer


def test_evaluation_gives_the_recorded_figures(files):
    (recorded,) = (files / "temos" / "evaluation").glob("*.json")
    before = json.loads(recorded.read_text())
    evaluate.main(
        ["--workdir", "temos", "--split", "train", "--limit", "4", "-m", "0"]
        + ["--data", "motion", "--embeddings", "text", "--evaluator", "evaluator"]
        + ["--out", "again.json"]
    )
    after = json.loads((files / "again.json").read_text())
    for name, (value, *_) in before["ape_ave"]["mean"].items():
        assert after["ape_ave"]["mean"][name][0] == pytest.approx(value, abs=TOLERANCE)


def test_cached_descriptions_are_not_requested_again(files, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    before = (files / "cache.jsonl").read_bytes()
    server = re.search(r"(http://127.0.0.1:\d+/v1)/", before.decode())
    assert server is not None
    # No server listens at that address any more.
    describe.main(
        ["--phrases", "phrases.txt", "--model", MODEL, "--base-url", server[1]]
        + ["--k", "2", "--out", "cache.jsonl"]
    )
    assert "2 of 2 phrases have 2" in capsys.readouterr().out
    assert (files / "cache.jsonl").read_bytes() == before
