"""BERT and DistilBERT in float64 numpy, from tensors with Hugging Face names."""

import numpy as np
from scipy.special import erf

LAYERS = {
    "bert": (
        "encoder.layer.{}.",
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    ),
    "distilbert": (
        "transformer.layer.{}.",
        "attention.q_lin",
        "attention.k_lin",
        "attention.v_lin",
        "attention.out_lin",
        "sa_layer_norm",
        "ffn.lin1",
        "ffn.lin2",
        "output_layer_norm",
    ),
}


def encode(sd, kind, num_layers, num_heads, ids, mask):
    sd = {name: tensor.astype(np.float64) for name, tensor in sd.items()}

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        return x * sd[f"{name}.weight"] + sd[f"{name}.bias"]

    def linear(x, name):
        return x @ sd[f"{name}.weight"].T + sd[f"{name}.bias"]

    batch, length = ids.shape
    x = sd["embeddings.word_embeddings.weight"][ids]
    x = x + sd["embeddings.position_embeddings.weight"][:length]
    if kind == "bert":
        x = x + sd["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, "embeddings.LayerNorm")
    for i in range(num_layers):
        start, *names = LAYERS[kind]
        q, k, v, out, norm1, first, second, norm2 = (start.format(i) + n for n in names)

        def heads(y):
            return y.reshape(batch, length, num_heads, -1).transpose(0, 2, 1, 3)

        query, key, value = (heads(linear(x, name)) for name in (q, k, v))
        logits = query @ key.transpose(0, 1, 3, 2) / np.sqrt(query.shape[-1])
        logits = np.where(mask[:, None, None], logits, -np.inf)
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        joined = (weights @ value).transpose(0, 2, 1, 3).reshape(x.shape)
        x = norm(x + linear(joined, out), norm1)
        h = linear(x, first)
        x = norm(x + linear(h * 0.5 * (1 + erf(h / np.sqrt(2))), second), norm2)
    return x
