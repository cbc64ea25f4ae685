"""CLIP's text encoder in float64 numpy, from tensors with Hugging Face names."""

import numpy as np

from tests.oracles.transformer import gelu, layer_norm, softmax

ACTIVATIONS = {
    "quick_gelu": lambda x: x / (1 + np.exp(-1.702 * x)),
    "gelu": gelu,
    "relu": lambda x: np.maximum(x, 0),
}


def encode(sd, num_layers, num_heads, ids, ends, activation="quick_gelu", mask=None):
    """Returns hidden states, and the projected states at positions `ends`."""
    sd = {name: np.asarray(tensor, np.float64) for name, tensor in sd.items()}

    def norm(x, name):
        return layer_norm(x, sd[f"{name}.weight"], sd[f"{name}.bias"])

    def linear(x, name):
        return x @ sd[f"{name}.weight"].T + sd[f"{name}.bias"]

    batch, length = ids.shape
    visible = np.tri(length, dtype=bool)[None, None]
    if mask is not None:
        visible = visible & mask[:, None, None]
    x = sd["text_model.embeddings.token_embedding.weight"][ids]
    x = x + sd["text_model.embeddings.position_embedding.weight"][:length]
    for i in range(num_layers):
        name = f"text_model.encoder.layers.{i}."
        normed = norm(x, name + "layer_norm1")
        q, k, v = (
            linear(normed, f"{name}self_attn.{part}_proj")
            .reshape(batch, length, num_heads, -1)
            .transpose(0, 2, 1, 3)
            for part in "qkv"
        )
        logits = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
        attended = softmax(np.where(visible, logits, -np.inf)) @ v
        attended = attended.transpose(0, 2, 1, 3).reshape(x.shape)
        x = x + linear(attended, name + "self_attn.out_proj")
        hidden = linear(norm(x, name + "layer_norm2"), name + "mlp.fc1")
        x = x + linear(ACTIVATIONS[activation](hidden), name + "mlp.fc2")
    states = norm(x, "text_model.final_layer_norm")
    last = states[np.arange(batch), ends]
    return states, last @ sd["text_projection.weight"].T
