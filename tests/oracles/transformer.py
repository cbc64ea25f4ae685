"""Post-norm transformer layers in float64 numpy, written from their definition."""

import numpy as np
import scipy.special


def softmax(logits):
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def attention(q, k, v, mask, num_heads):
    """Returns (B, Q, D) for q (B, Q, D), k and v (B, K, D), mask (B, K) True = real."""
    depth = q.shape[-1] // num_heads
    out = np.empty_like(q)
    for head in range(num_heads):
        part = slice(head * depth, (head + 1) * depth)
        logits = q[..., part] @ k[..., part].transpose(0, 2, 1) / np.sqrt(depth)
        logits = np.where(mask[:, None], logits, -np.inf)
        out[..., part] = softmax(logits) @ v[..., part]
    return out


def gelu(x):
    return x * scipy.special.ndtr(x)


def layer_norm(x, scale, bias, eps=1e-5):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps) * scale + bias


def _norm(params, x):
    return layer_norm(x, params["scale"], params["bias"])


def self_attention(params, x, mask, num_heads):
    q, k, v = np.split(x @ params["in_kernel"] + params["in_bias"], 3, axis=-1)
    out = attention(q, k, v, mask, num_heads)
    return out @ params["out"]["kernel"] + params["out"]["bias"]


def feed_forward(params, x):
    inner = x @ params["linear1"]["kernel"] + params["linear1"]["bias"]
    return (
        gelu(inner) @ params["linear2"]["kernel_out_in"].T + params["linear2"]["bias"]
    )


def encoder_layer(params, x, mask, num_heads):
    attended = self_attention(params["self_attn"], x, mask, num_heads)
    x = _norm(params["norm1"], x + attended)
    return _norm(params["norm2"], x + feed_forward(params["ff"], x))


def cross_attention(params, unused, x, memory, num_heads):
    """Attends from x (B, Q, D) to memory (B, K, D) through all three projections."""
    width = x.shape[-1]
    q = x @ unused["kernel"][:, :width] + unused["bias"][:width]
    k = memory @ unused["kernel"][:, width:] + unused["bias"][width:]
    v = memory @ params["value_kernel"] + params["value_bias"]
    out = attention(q, k, v, np.ones(memory.shape[:2], bool), num_heads)
    return out @ params["out_kernel"] + params["out_bias"]


def decoder_layer(params, unused, x, memory, mask, num_heads):
    attended = self_attention(params["self_attn"], x, mask, num_heads)
    x = _norm(params["norm1"], x + attended)
    attended = cross_attention(
        params["cross_attn"], unused["cross_attn"], x, memory, num_heads
    )
    x = _norm(params["norm2"], x + attended)
    return _norm(params["norm3"], x + feed_forward(params["ff"], x))
