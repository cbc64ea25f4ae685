"""Writes a small CLIP folder with random weights and byte pairs for a few words."""

import json

import numpy as np
from safetensors.numpy import save_file

WORDS = "walk forward jump over the person kicks with left right leg and turns".split()
WIDTH, FF_SIZE, NUM_LAYERS, NUM_HEADS, POSITIONS, PROJECTION = 16, 24, 2, 2, 20, 6


def byte_pairs():
    """Returns (vocabulary, merges) that make each of `WORDS` one piece."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)] + [",", "."]
    pieces = letters + [f"{letter}</w>" for letter in letters]
    merges = []
    for word in WORDS:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        joined = parts[0]
        for part in parts[1:]:
            if f"{joined} {part}" not in merges:
                merges.append(f"{joined} {part}")
                pieces.append(joined + part)
            joined += part
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    return {piece: i for i, piece in enumerate(pieces)}, merges


VOCABULARY, MERGES = byte_pairs()
END = VOCABULARY["<|endoftext|>"]


def config(**changes) -> dict:
    return {
        "model_type": "clip_text_model",
        "architectures": ["CLIPTextModelWithProjection"],
        "vocab_size": len(VOCABULARY),
        "hidden_size": WIDTH,
        "intermediate_size": FF_SIZE,
        "num_hidden_layers": NUM_LAYERS,
        "num_attention_heads": NUM_HEADS,
        "max_position_embeddings": POSITIONS,
        "projection_dim": PROJECTION,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
        "eos_token_id": 2,
        **changes,
    }


def state_dict(seed=0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.normal(0, 0.3, shape).astype(np.float32)

    sd = {
        "text_model.embeddings.token_embedding.weight": draw(len(VOCABULARY), WIDTH),
        "text_model.embeddings.position_embedding.weight": draw(POSITIONS, WIDTH),
        "text_projection.weight": draw(PROJECTION, WIDTH),
    }
    norms = ["text_model.final_layer_norm"]
    for i in range(NUM_LAYERS):
        start = f"text_model.encoder.layers.{i}."
        norms += [f"{start}layer_norm1", f"{start}layer_norm2"]
        linears = {f"self_attn.{p}_proj": (WIDTH, WIDTH) for p in ("q", "k", "v")}
        linears |= {"self_attn.out_proj": (WIDTH, WIDTH)}
        linears |= {"mlp.fc1": (FF_SIZE, WIDTH), "mlp.fc2": (WIDTH, FF_SIZE)}
        for name, shape in linears.items():
            sd[f"{start}{name}.weight"] = draw(*shape)
            sd[f"{start}{name}.bias"] = draw(shape[0])
    for name in norms:
        sd[f"{name}.weight"] = 1 + draw(WIDTH)
        sd[f"{name}.bias"] = draw(WIDTH)
    return sd


def write_folder(folder, sd=None, content=None):
    folder.mkdir(exist_ok=True)
    sd = state_dict() if sd is None else sd
    (folder / "config.json").write_text(json.dumps(content or config()))
    save_file(sd, folder / "model.safetensors")
    (folder / "vocab.json").write_text(json.dumps(VOCABULARY))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n")
    return folder
