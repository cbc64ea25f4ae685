"""Model folders: what `pack` writes, what is read back, and what is refused."""

import json
import pickle
import shutil

import flax.traverse_util
import numpy as np
import pytest

from actiongpt_jax import pack as command
from actiongpt_jax.config import from_json, to_json
from actiongpt_jax.conversion.pack import pack
from actiongpt_jax.conversion.verify import verify
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.run import evaluate_model
from actiongpt_jax.files.safetensors import open_tensors, write_tensors
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.models.example import flat_names
from actiongpt_jax.training.checkpoints import restore, save_weights
from actiongpt_jax.training.loop import train

pytestmark = pytest.mark.slow

FILES = ["README.md", "config.json", "model.safetensors", "record.json"]


@pytest.fixture
def workdir(random_run):
    return random_run("temos:debug")


@pytest.fixture
def folder(packed, tmp_path):
    """Returns a copy of a model folder, to be damaged."""
    return shutil.copytree(packed / "temos", tmp_path / "temos")


def flat(variables):
    return flat_names(variables)


def test_weights_come_back_rounded_to_float16_and_the_normalizer_exactly(
    workdir, packed
):
    whole, small = load_model(workdir), load_model(packed / "temos")
    stored, read = flat(whole.variables), flat(small.variables)
    assert stored.keys() == read.keys()
    for name, array in stored.items():
        array, half = np.asarray(array), np.asarray(read[name])
        assert half.dtype == np.float32
        np.testing.assert_array_equal(half, array.astype(np.float16))
        # 11 bits of mantissa, or the smallest step of float16.
        np.testing.assert_allclose(half, array, rtol=2**-11, atol=2**-25)
    np.testing.assert_array_equal(small.normalizer.mean, whole.normalizer.mean)
    np.testing.assert_array_equal(small.normalizer.std, whole.normalizer.std)
    assert small.model == whole.model and small.step == whole.step
    assert not verify(packed / "temos").problems


def test_folder_names_no_path_and_its_config_differs_only_in_places(
    workdir, packed, stores
):
    folder = packed / "temos"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    for path in folder.iterdir():
        content = path.read_bytes()
        assert str(stores[0].parent).encode() not in content
        assert str(workdir.parent).encode() not in content
    before, after = load_model(workdir).config, load_model(folder).config
    assert before.data.store and before.text.store
    places = {"store": ""}
    expected = json.loads(to_json(before))
    expected["data"] |= places
    expected["text"] |= places
    assert json.loads(to_json(after)) == expected
    # The number of sequences of the built-in corpus is that of the store.
    assert after.data.builtin == 12


def test_record_and_card_say_what_the_model_is(workdir, stores, tmp_path):
    out = tmp_path / "packed"
    figures = evaluate_model(workdir, split="train", limit=2)["path"]
    flags = ["--figures", figures, "--commit", "0123abc", "--max-mb", "4"]
    command.main([str(workdir), "--out", str(out), *flags])
    record = json.loads((out / "record.json").read_text())
    whole = verify(workdir)
    assert record["hash_in_training"] == whole.hash
    assert record["parameters"] == whole.trained
    assert (record["commit"], record["seed"], record["steps"]) == ("0123abc", 42, 0)
    assert record["corpus"] == {"sequences": 12, "seed": 0}
    assert record["texts"]["encoder"] == "minilm" and record["texts"]["k"] == 2
    assert record["figures"]["motions"] == 2
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlicense: mit\n")
    assert "A demonstration, trained on procedural motion" in card
    assert "AMASS" not in card and "2 motions of train" in card
    assert "`prepare synthetic --sequences 12 --seed 0`" in card
    assert str(stores[0].parent) not in card + (out / "record.json").read_text()

    # Figures of other weights are refused, and nothing is written.
    changed = json.loads(open(figures).read()) | {"parameters": "0" * 32}
    (tmp_path / "other.json").write_text(json.dumps(changed))
    with pytest.raises(InputError, match="got those of other weights"):
        pack(workdir, tmp_path / "none", figures=tmp_path / "other.json")
    assert not (tmp_path / "none").exists()


def test_large_weights_are_refused_only_on_request(workdir, tmp_path, packed):
    with pytest.raises(InputError, match=r"at most 0.01 MB, got 0\.0\d+; train"):
        pack(workdir, tmp_path / "out", most_megabytes=0.01)
    assert not (tmp_path / "out").exists()
    assert pack(workdir, tmp_path / "out")["bytes"] > 10_000
    with pytest.raises(InputError, match="is a model folder already"):
        pack(packed / "temos", tmp_path / "again")
    with pytest.raises(FileNotFoundError, match="has no checkpoint"):
        pack(tmp_path, tmp_path / "again")


def test_encoder_that_is_a_folder_needs_a_name_for_others(workdir, tmp_path):
    restored = restore(workdir)
    assert restored is not None
    config = from_json(to_json(restored.config))
    config.text.encoder, config.data.store = "/models/bert", "/elsewhere"
    variables = {name: restored.state[name] for name in ("params", "unused")}
    save_weights(tmp_path / "run", config, restored.normalizer, variables)
    with pytest.raises(InputError, match="folder /models/bert, which others do not"):
        pack(tmp_path / "run", tmp_path / "out")
    record = pack(tmp_path / "run", tmp_path / "out", encoder="someone/bert")
    assert load_model(tmp_path / "out").config.text.encoder == "someone/bert"
    # The motions are not known to be the built-in ones: no licence is claimed.
    assert record["corpus"] is None
    card = (tmp_path / "out" / "README.md").read_text()
    assert "license: other" in card and "demonstration" not in card
    assert load_model(tmp_path / "out").config.data.builtin == 0


def test_weights_too_large_for_float16_are_refused(workdir, tmp_path):
    restored = restore(workdir)
    assert restored is not None
    params = flat(restored.state["params"])
    name, array = next(iter(params.items()))
    params[name] = np.full_like(array, 1e5)
    tree = flax.traverse_util.unflatten_dict(params, sep="/")
    variables = {"params": tree, "unused": restored.state["unused"]}
    save_weights(tmp_path / "run", restored.config, restored.normalizer, variables)
    with pytest.raises(InputError, match=f"below 65504.*{name}"):
        pack(tmp_path / "run", tmp_path / "out")


def rewrite(folder, change, metadata=None):
    """Writes the weights again after `change(name -> array)`."""
    arrays, kept = open_tensors(folder / "model.safetensors")
    arrays = {name: np.array(array) for name, array in arrays.items()}
    change(arrays)
    tensors = {name: [array] for name, array in arrays.items()}
    write_tensors(folder / "model.safetensors", tensors, metadata or kept)


def cut(folder, share):
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: int(share * len(content))])


def spoil_first(arrays):
    next(array for array in arrays.values() if array.size > 1).flat[0] = np.nan


def edit_config(folder, **sections):
    content = json.loads((folder / "config.json").read_text())
    for section, fields in sections.items():
        content[section] |= fields
    (folder / "config.json").write_text(json.dumps(content))


class Harmful:
    """Would make a file if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


DAMAGE = {
    "cut in the header": lambda f: cut(f, 0.01),
    "cut in the data": lambda f: cut(f, 0.9),
    "empty weights": lambda f: cut(f, 0.0),
    "no weights": lambda f: (f / "model.safetensors").unlink(),
    "no config": lambda f: (f / "config.json").unlink(),
    "config is not JSON": lambda f: (f / "config.json").write_text("{"),
    "config of nothing": lambda f: (f / "config.json").write_text("{}"),
    "config of a text encoder": lambda f: (f / "config.json").write_text(
        json.dumps({"model_type": "bert", "hidden_size": 384})
    ),
    "unknown model": lambda f: edit_config(f, model={"name": "gpt"}),
    "unknown field": lambda f: edit_config(f, model={"depth": 3}),
    "field of another type": lambda f: edit_config(f, model={"num_layers": "two"}),
    "other sizes": lambda f: edit_config(f, model={"num_layers": 2}),
    "other features": lambda f: edit_config(f, model={"nfeats": 150}),
    "heads that do not divide": lambda f: edit_config(f, model={"num_heads": 5}),
    "a tensor too few": lambda f: rewrite(f, lambda arrays: arrays.popitem()),
    "a tensor too many": lambda f: rewrite(
        f, lambda arrays: arrays.update(more=np.zeros(3, np.float16))
    ),
    "not finite": lambda f: rewrite(f, spoil_first),
    "weights of another program": lambda f: rewrite(f, len, {"format": "pt"}),
    "a pickle": lambda f: (f / "model.safetensors").write_bytes(
        pickle.dumps(Harmful(f / "harm"))
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_and_foreign_folders_give_one_sentence(kind, folder):
    DAMAGE[kind](folder)
    with pytest.raises(InputError) as raised:
        load_model(folder)
    assert "\n" not in str(raised.value) and str(folder) in str(raised.value)
    assert not (folder / "harm").exists()


def test_only_the_stored_step_can_be_asked_for(folder):
    assert load_model(folder, "best").step == load_model(folder, 0).step == 0
    with pytest.raises(InputError, match="holds only step 0, not 7"):
        load_model(folder, 7)


def test_folder_can_be_trained_further(debug_config, folder):
    # As if a first try had been killed before its first checkpoint.
    (folder / "checkpoints").mkdir()
    before = flat(load_model(folder).variables)
    train(debug_config("temos:debug", "--config.train.num_steps=1"), folder)
    tuned = load_model(folder)
    assert tuned.step == 1
    for name, array in flat(tuned.variables).items():
        # The first step of Adam changes a weight by about the learning rate, 1e-3.
        np.testing.assert_allclose(array, before[name], rtol=0, atol=2e-3)
