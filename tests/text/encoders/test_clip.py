"""CLIP's text half: published states, all forms of hub folders, and stores."""

import json
import shutil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file
from transformers import AutoTokenizer

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.safetensors import open_tensors
from actiongpt_jax.text import encoders
from actiongpt_jax.text.embeddings.builder import build_embedding_store
from actiongpt_jax.text.embeddings.encode import embed_texts
from actiongpt_jax.text.embeddings.from_descriptions import embed_descriptions
from actiongpt_jax.text.embeddings.shard import Settings
from actiongpt_jax.text.embeddings.store import open_embeddings
from actiongpt_jax.text.encoders.clip import CLEANING, ClipText, end_of_text
from tests.conversion.torch_writer import TorchFile
from tests.oracles import clip as oracle
from tests.text.encoders.clip_folder import (
    END,
    NUM_HEADS,
    NUM_LAYERS,
    PROJECTION,
    VOCABULARY,
    config,
    state_dict,
    write_folder,
)

# Tolerance of the golden files: float32 sums in another order.
ATOL = 2e-5
IDS = np.array([[80, 5, 6, END, 0, 0, 0], [80, 8, 9, 10, 11, 12, END]])
ENDS = [3, 6]


def pooled_of(features):
    assert features.pooled is not None
    return np.asarray(features.pooled)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("rule", ["legacy", "new"])
def test_matches_published_clip(rule, masked, golden, golden_file):
    case = golden(f"text/clip_text_{rule}")
    encoder = encoders.load(golden_file(f"text/clip_text_tiny_{rule}"))
    mask, end = (case["attention_mask"], "_mask") if masked else (None, "")
    features = encoder.encode(case["input_ids"], mask)
    expected = case[f"last_hidden_state{end}"]
    np.testing.assert_allclose(features.tokens, expected, atol=ATOL)
    expected = case[f"text_embeds{end}"]
    np.testing.assert_allclose(pooled_of(features), expected, atol=ATOL)


@pytest.mark.slow
@pytest.mark.parametrize("activation", list(oracle.ACTIVATIONS))
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("eos_id", [2, END])
def test_matches_float64_numpy_encoder(activation, masked, eos_id, tmp_path):
    content = config(hidden_act=activation, eos_token_id=eos_id)
    encoder = encoders.load(write_folder(tmp_path / "clip", content=content))
    mask = IDS != 0 if masked else None
    states, pooled = oracle.encode(
        state_dict(), NUM_LAYERS, NUM_HEADS, IDS, ENDS, activation, mask
    )
    features = encoder.encode(IDS, mask)
    np.testing.assert_allclose(features.tokens, states, atol=ATOL)
    np.testing.assert_allclose(pooled_of(features), pooled, atol=ATOL)


def test_finds_end_of_text_by_both_rules():
    ids = jnp.array([[9, 4, 7, 3, 7], [9, 7, 7, 7, 7], [9, 12, 7, 12, 0]])
    np.testing.assert_array_equal(end_of_text(ids, 7), [2, 1, 2])
    np.testing.assert_array_equal(end_of_text(ids, 2), [0, 0, 1])


def test_later_tokens_do_not_change_earlier_states(tmp_path):
    encoder = encoders.load(write_folder(tmp_path / "clip"))
    changed = IDS.copy()
    changed[:, 4:] = 3
    before, after = encoder.encode(IDS), encoder.encode(changed)
    np.testing.assert_allclose(after.tokens[:, :4], before.tokens[:, :4], atol=ATOL)
    np.testing.assert_allclose(pooled_of(after)[0], pooled_of(before)[0], atol=ATOL)
    assert np.abs(np.asarray(after.tokens - before.tokens))[:, 4:].max() > 0.1


def vision(sd):
    return sd | {
        "vision_model.embeddings.class_embedding": np.ones(3, np.float32),
        "vision_model.post_layernorm.weight": np.ones(3, np.float32),
        "visual_projection.weight": np.ones((2, 3), np.float32),
        "logit_scale": np.ones((), np.float32),
    }


def nested(content, **more):
    text = {k: v for k, v in content.items() if k != "architectures"}
    return {"model_type": "clip", "text_config": text, "vision_config": {}, **more}


def older(content):
    text = {k: v for k, v in content.items() if k != "architectures"}
    wrong = {"hidden_size": 8}
    return {"model_type": "clip", "text_config": wrong, "text_config_dict": text}


HUB_FORMS = {
    "both_halves": (vision, nested),
    "prefixed": (
        lambda sd: {f"clip.{name}": t for name, t in vision(sd).items()},
        nested,
    ),
    "position_ids": (
        lambda sd: (
            sd | {"text_model.embeddings.position_ids": np.arange(77, dtype=np.int64)}
        ),
        dict,
    ),
    "unprefixed": (
        lambda sd: {name.removeprefix("text_model."): t for name, t in sd.items()},
        dict,
    ),
    "older_config": (vision, older),
    "projection_above": (
        vision,
        lambda content: nested(
            content | {"projection_dim": 99}, projection_dim=content["projection_dim"]
        ),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("form", list(HUB_FORMS))
def test_hub_folders_load_with_equal_weights(form, tmp_path):
    weights, content = HUB_FORMS[form]
    plain = encoders.load(write_folder(tmp_path / "plain"))
    sd, changed = weights(state_dict()), content(config())
    other = encoders.load(write_folder(tmp_path / "other", sd, changed))
    assert other.weight_hash == plain.weight_hash
    np.testing.assert_array_equal(
        pooled_of(other.encode(IDS)), pooled_of(plain.encode(IDS))
    )


@pytest.mark.parametrize("form", list(HUB_FORMS))
@pytest.mark.parametrize("rule", ["legacy", "new"])
def test_published_vectors_match_in_every_hub_form(
    rule, form, golden, golden_file, tmp_path
):
    case = golden(f"text/clip_text_{rule}")
    source = golden_file(f"text/clip_text_tiny_{rule}")
    weights, content = HUB_FORMS[form]
    changed = content(json.loads((source / "config.json").read_text()))
    (tmp_path / "config.json").write_text(json.dumps(changed))
    sd = weights(open_tensors(source / "model.safetensors")[0])
    save_file(sd, tmp_path / "model.safetensors")
    features = encoders.load(tmp_path).encode(case["input_ids"])
    np.testing.assert_allclose(pooled_of(features), case["text_embeds"], atol=ATOL)


def test_loads_torch_file(tmp_path):
    plain = encoders.load(write_folder(tmp_path / "plain"))
    folder = write_folder(tmp_path / "clip", content=nested(config()))
    (folder / "model.safetensors").unlink()
    file = TorchFile()
    stored = {name: file.tensor(t) for name, t in vision(state_dict()).items()}
    file.write(folder / "pytorch_model.bin", stored)
    read = encoders.load(folder)
    assert read.weight_hash == plain.weight_hash
    np.testing.assert_array_equal(
        pooled_of(read.encode(IDS)), pooled_of(plain.encode(IDS))
    )


def test_bare_text_half_has_no_pooled_vector(tmp_path):
    sd = state_dict()
    del sd["text_projection.weight"]
    content = config(architectures=["CLIPTextModel"])
    encoder = encoders.load(write_folder(tmp_path / "bare", sd, content))
    whole = encoders.load(write_folder(tmp_path / "whole"))
    features = encoder.encode(IDS)
    assert features.pooled is None
    np.testing.assert_array_equal(features.tokens, whole.encode(IDS).tokens)
    with pytest.raises(InputError, match="missing tensors: text_projection.weight"):
        encoders.load(write_folder(tmp_path / "missing", sd))


def test_faulty_weights_are_listed(tmp_path):
    sd = state_dict()
    del sd["text_model.encoder.layers.1.mlp.fc2.bias"]
    sd["text_model.encoder.layers.2.mlp.fc2.bias"] = np.zeros(16, np.float32)
    with pytest.raises(InputError) as raised:
        encoders.load(write_folder(tmp_path / "clip", sd))
    message = str(raised.value)
    assert "missing tensors: text_model.encoder.layers.1.mlp.fc2.bias;" in message
    assert "unexpected tensors: text_model.encoder.layers.2.mlp.fc2.bias;" in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (config(hidden_act="mish"), "'hidden_act'.*quick_gelu"),
        (config(hidden_act=["gelu"]), "'hidden_act'"),
        (config(eos_token_id=[1, 2]), "'eos_token_id'"),
        (config(layer_norm_eps="small"), "'layer_norm_eps'"),
        (config(num_attention_heads=3), "divisible"),
        ({"model_type": "clip", "text_config": 3}, "'text_config'"),
    ],
)
def test_rejects_unsupported_configs(content, words, tmp_path):
    with pytest.raises(InputError, match=words):
        encoders.load(write_folder(tmp_path / "clip", content=content))


def test_default_sizes_match_vit_b32():
    ids = jax.ShapeDtypeStruct((1, 77), jnp.int32)
    mask = jax.ShapeDtypeStruct((1, 77), bool)
    made: Any = jax.eval_shape(
        ClipText().init_with_output, jax.random.key(0), ids, mask
    )
    features, variables = made
    assert features.tokens.shape == (1, 77, 512)
    assert features.pooled.shape == (1, 512)
    count = sum(leaf.size for leaf in jax.tree.leaves(variables))
    # ViT-B/32: words, positions, 12 layers, final norm, projection.
    layer = 12 * 512 * 512 + 13 * 512
    assert count == (49408 + 77) * 512 + 12 * layer + 2 * 512 + 512 * 512 == 63_428_096


def test_cut_text_ends_with_end_of_text(tmp_path):
    encoder = encoders.load(write_folder(tmp_path / "clip"))
    assert encoder.limit == 20
    one, long, empty = encoder.tokenizer(["walk", "jump over the left leg " * 9, ""])
    assert (one.cut, len(one.ids), one.ids[-1]) == (0, 3, END)
    assert (long.cut, len(long.ids), long.ids[-1]) == (5 * 9 + 2 - 20, 20, END)
    assert (long.ids[:-1] == END).sum() == 0
    assert list(empty.ids) == [END - 1, END]


def test_texts_are_cut_at_77_pieces(tmp_path):
    sd = state_dict()
    positions = "text_model.embeddings.position_embedding.weight"
    sd[positions] = np.resize(sd[positions], (77, sd[positions].shape[1]))
    content = config(max_position_embeddings=77)
    encoder = encoders.load(write_folder(tmp_path / "clip", sd, content))
    text = " ".join(["jump"] * 75)
    fits, long = encoder.tokenizer([text, f"{text}, left and right"])
    assert (len(fits.ids), fits.cut) == (77, 0)
    assert (len(long.ids), long.cut) == (77, 4)
    np.testing.assert_array_equal(long.ids, fits.ids)
    # Cut pieces have no effect, and the vector is read at the end of the text.
    kept, cut = (embed_texts(encoder, [t]) for t in (text, f"{text}, left and right"))
    np.testing.assert_array_equal(pooled_of(cut), pooled_of(kept))
    states, pooled = oracle.encode(sd, NUM_LAYERS, NUM_HEADS, fits.ids[None], [76])
    np.testing.assert_allclose(kept.tokens, states[0], atol=ATOL)
    np.testing.assert_allclose(pooled_of(kept), pooled[0], atol=ATOL)


@pytest.mark.parametrize("files", ["vocabulary and merges", "tokenizer.json", "all"])
def test_hub_folders_can_embed_a_store(files, tmp_path):
    folder = write_folder(tmp_path / "clip", content=nested(config(eos_token_id=END)))
    written = AutoTokenizer.from_pretrained(folder, tokenizer_type="clip")
    if files != "vocabulary and merges":
        written.save_pretrained(folder)
        assert (folder / "tokenizer.json").is_file()
    if files == "tokenizer.json":
        (folder / "vocab.json").unlink()
        (folder / "merges.txt").unlink()
    (tmp_path / "d.json").write_text(json.dumps({"walk": ["Left leg, jump " * 9]}))
    out = tmp_path / "store"
    embed_descriptions(out, tmp_path / "d.json", str(folder), k=1)
    pieces = [VOCABULARY[f"{piece}</w>"] for piece in ("left", "leg", ",", "jump")]
    ids = [END - 1, *(pieces * 9)[:18], END]
    states, pooled = oracle.encode(
        state_dict(), NUM_LAYERS, NUM_HEADS, np.array([ids]), [19]
    )
    store = open_embeddings(out)
    assert store.meta["cleaning"] == CLEANING
    # Token states are stored in half precision.
    np.testing.assert_allclose(store.tokens("walk"), states[0], atol=2e-3)
    np.testing.assert_allclose(store.pooled("walk"), pooled[0], atol=ATOL)


def test_rejects_tokenizer_without_merges(tmp_path):
    folder = write_folder(tmp_path / "clip")
    (folder / "merges.txt").unlink()
    with pytest.raises(InputError, match="merges.txt must exist"):
        _ = encoders.load(folder).tokenizer


@pytest.mark.slow
def test_store_holds_the_mean_of_the_pooled_vectors(tmp_path):
    encoder = encoders.load(write_folder(tmp_path / "clip"))
    texts = {
        "walk": ["the person walks forward", "the left leg and the right leg", "leg"],
        "jump over": ["jump with the left leg over the right leg, jump", "turns", "."],
    }
    settings = Settings(2, "masked_mean", each=True)
    build_embedding_store(tmp_path / "store", texts, encoder, settings)
    store = open_embeddings(tmp_path / "store")
    for phrase, descriptions in texts.items():
        vectors = []
        for index, text in enumerate(descriptions):
            ids = encoder.tokenizer([text])[0].ids
            vector = pooled_of(encoder.encode(ids[None]))[0]
            assert vector.shape == (PROJECTION,)
            single = store.pooled(phrase, index=index)
            np.testing.assert_allclose(single, vector, atol=ATOL)
            vectors.append(vector)
        joined = store.pooled(phrase)
        np.testing.assert_allclose(joined, np.mean(vectors[:2], 0), atol=ATOL)
        phrase_vector = pooled_of(embed_texts(encoder, [phrase]))
        np.testing.assert_allclose(
            store.pooled(phrase, "phrase"), phrase_vector, atol=ATOL
        )


def test_copy_of_the_folder_has_the_same_hash(tmp_path):
    folder = write_folder(tmp_path / "clip")
    shutil.copytree(folder, tmp_path / "copy")
    hashes = {encoders.load(f).weight_hash for f in (folder, tmp_path / "copy")}
    assert len(hashes) == 1
