"""Layers that the three models share.

Source: ACTOR, arXiv:2104.05670; TEMOS, arXiv:2204.14109.
"""
# pyright: reportMissingImports=false

import math

import torch
from torch import nn


class Positions(nn.Module):
    """Adds fixed sinusoids to (T, B, D), then applies dropout."""

    def __init__(self, width: int, dropout: float, longest: int = 5000):
        """Computes the table of sinusoids."""
        super().__init__()
        places = torch.arange(longest, dtype=torch.float32)[:, None]
        rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        table = torch.zeros(longest, 1, width)
        table[:, 0, 0::2] = torch.sin(places * rates)
        table[:, 0, 1::2] = torch.cos(places * rates)
        self.register_buffer("pe", table)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        """Maps (T, B, D) to the same shape."""
        return self.dropout(x + self.pe[: len(x)])


def encoder(sizes) -> nn.TransformerEncoder:
    """Returns a stack of self-attention layers, sequence first."""
    layer = nn.TransformerEncoderLayer(
        sizes.latent_dim, sizes.num_heads, sizes.ff_size, sizes.dropout, "gelu"
    )
    # Has no effect with the sequence axis first; given to silence a warning.
    return nn.TransformerEncoder(layer, sizes.num_layers, enable_nested_tensor=False)


def decoder(sizes) -> nn.TransformerDecoder:
    """Returns a stack of decoder layers with cross-attention, sequence first."""
    layer = nn.TransformerDecoderLayer(
        sizes.latent_dim, sizes.num_heads, sizes.ff_size, sizes.dropout, "gelu"
    )
    return nn.TransformerDecoder(layer, sizes.num_layers)


def mask_of(lengths: list[int], device):
    """Returns (B, max(lengths)) bool, True = real."""
    counts = torch.tensor(lengths, device=device)
    return torch.arange(max(lengths), device=device) < counts[:, None]


def padding(mask, extra: int):
    """Returns torch's key padding mask, with `extra` real tokens in front."""
    front = torch.ones(len(mask), extra, dtype=torch.bool, device=mask.device)
    return ~torch.cat([front, mask], 1)


def decode(positions, stack, final, latent, lengths: list[int]):
    """Decodes (B, D) latents to (B, max(lengths), F), with zeros in the padding."""
    mask = mask_of(lengths, latent.device)
    queries = latent.new_zeros(mask.shape[1], *latent.shape)
    hidden = stack(positions(queries), latent[None], tgt_key_padding_mask=~mask)
    features = final(hidden)
    features[~mask.T] = 0
    return features.permute(1, 0, 2)


class MotionEncoder(nn.Module):
    """Pools motions into the parameters of a Gaussian."""

    def __init__(self, sizes):
        """Builds the layers from the fields of a model's config."""
        super().__init__()
        self.skel_embedding = nn.Linear(sizes.nfeats, sizes.latent_dim)
        self.mu_token = nn.Parameter(torch.randn(sizes.latent_dim))
        self.logvar_token = nn.Parameter(torch.randn(sizes.latent_dim))
        self.sequence_pos_encoding = Positions(sizes.latent_dim, sizes.dropout)
        self.seqTransEncoder = encoder(sizes)

    def forward(self, features, lengths: list[int] | None = None):
        """Maps (B, T, F) to mu and logvar (B, D); None treats all frames as real."""
        if lengths is None:
            lengths = [features.shape[1]] * len(features)
        x = self.skel_embedding(features).permute(1, 0, 2)
        return pool_gaussian(self, x, mask_of(lengths, x.device))


class MotionDecoder(nn.Module):
    """Decodes latents into motions, all frames at once."""

    def __init__(self, sizes):
        """Builds the layers from the fields of a model's config."""
        super().__init__()
        self.sequence_pos_encoding = Positions(sizes.latent_dim, sizes.dropout)
        self.seqTransDecoder = decoder(sizes)
        self.final_layer = nn.Linear(sizes.latent_dim, sizes.nfeats)

    def forward(self, latent, lengths: list[int]):
        """Maps (B, D) to (B, max(lengths), F), with zeros in the padding."""
        return decode(
            self.sequence_pos_encoding,
            self.seqTransDecoder,
            self.final_layer,
            latent,
            lengths,
        )


def pool_gaussian(module, x, mask):
    """Encodes (N, B, D) after two learned tokens; returns mu and logvar (B, D)."""
    heads = [
        token.expand(1, x.shape[1], -1)
        for token in (module.mu_token, module.logvar_token)
    ]
    x = module.sequence_pos_encoding(torch.cat([*heads, x]))
    encoded = module.seqTransEncoder(x, src_key_padding_mask=padding(mask, 2))
    return encoded[0], encoded[1]
