"""Fixtures: small encoder folders with random weights and a word-piece vocabulary."""

import json

import numpy as np
import pytest

from actiongpt_jax.files.safetensors import write_tensors
from tests.oracles.bert import LAYERS

WORDS = (
    "walk forward jump over it the person kicks with left right leg and turns".split()
)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]
VOCABULARY = SPECIAL + WORDS + [c for c in LETTERS] + [f"##{c}" for c in LETTERS]
WIDTH, FF_SIZE, NUM_LAYERS, NUM_HEADS, POSITIONS = 16, 24, 2, 2, 40


def config(kind: str) -> dict:
    sizes = {"vocab_size": len(VOCABULARY), "max_position_embeddings": POSITIONS}
    if kind == "bert":
        return {
            "model_type": "bert",
            "hidden_size": WIDTH,
            "num_hidden_layers": NUM_LAYERS,
            "num_attention_heads": NUM_HEADS,
            "intermediate_size": FF_SIZE,
            "type_vocab_size": 2,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-12,
            **sizes,
        }
    return {
        "model_type": "distilbert",
        "dim": WIDTH,
        "n_layers": NUM_LAYERS,
        "n_heads": NUM_HEADS,
        "hidden_dim": FF_SIZE,
        "activation": "gelu",
        **sizes,
    }


def state_dict(kind: str, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.normal(0, 0.3, shape).astype(np.float32)

    sd = {
        "embeddings.word_embeddings.weight": draw(len(VOCABULARY), WIDTH),
        "embeddings.position_embeddings.weight": draw(POSITIONS, WIDTH),
        "embeddings.LayerNorm.weight": 1 + draw(WIDTH),
        "embeddings.LayerNorm.bias": draw(WIDTH),
    }
    if kind == "bert":
        sd["embeddings.token_type_embeddings.weight"] = draw(2, WIDTH)
    for i in range(NUM_LAYERS):
        start, q, k, v, out, norm1, first, second, norm2 = LAYERS[kind]
        start = start.format(i)
        shapes = {name: (WIDTH, WIDTH) for name in (q, k, v, out)}
        shapes |= {first: (FF_SIZE, WIDTH), second: (WIDTH, FF_SIZE)}
        for name, shape in shapes.items():
            sd[f"{start}{name}.weight"] = draw(*shape)
            sd[f"{start}{name}.bias"] = draw(shape[0])
        for name in (norm1, norm2):
            sd[f"{start}{name}.weight"] = 1 + draw(WIDTH)
            sd[f"{start}{name}.bias"] = draw(WIDTH)
    return sd


def write_folder(folder, kind="bert", sd=None, **changes):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config(kind) | changes))
    sd = state_dict(kind) if sd is None else sd
    write_tensors(folder / "model.safetensors", {n: [t] for n, t in sd.items()})
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    return folder


@pytest.fixture
def make_folder(tmp_path):
    """Returns `make(kind, sd=None, **config changes)` -> a new encoder folder."""
    made = []

    def make(kind="bert", sd=None, **changes):
        made.append(kind)
        return write_folder(tmp_path / f"{kind}_{len(made)}", kind, sd, **changes)

    return make


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("encoder") / "bert")


@pytest.fixture
def make_state_dict():
    return state_dict
