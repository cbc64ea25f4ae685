"""MotionCLIP's training pass and generation in stock torch.

Two parts are left out, which makes this peer faster: the image embeddings, and the 6890
vertices of a licensed body model, which the positions of 22 joints replace.

Source: MotionCLIP, arXiv:2203.08063, section 3.
"""
# pyright: reportMissingImports=false

import torch
from torch import nn
from torch.nn import functional

from .layers import Positions, decode, encoder, mask_of, padding
from .layers import decoder as decoder_stack


class Encoder(nn.Module):
    """Pools motions into latents through one learned token."""

    def __init__(self, sizes):
        """Builds the layers from the fields of a model's config."""
        super().__init__()
        self.muQuery = nn.Parameter(torch.randn(1, sizes.latent_dim))
        self.skelEmbedding = nn.Linear(sizes.nfeats, sizes.latent_dim)
        self.sequence_pos_encoder = Positions(sizes.latent_dim, sizes.dropout)
        self.seqTransEncoder = encoder(sizes)

    def forward(self, poses, lengths: list[int]):
        """Maps (B, T, F) to (B, D)."""
        mask = mask_of(lengths, poses.device)
        x = self.skelEmbedding(poses.permute(1, 0, 2))
        x = torch.cat([self.muQuery.expand(1, len(poses), -1), x])
        x = self.sequence_pos_encoder(x)
        return self.seqTransEncoder(x, src_key_padding_mask=padding(mask, 1))[0]


class Decoder(nn.Module):
    """Decodes latents into motions."""

    def __init__(self, sizes):
        """Builds the layers from the fields of a model's config."""
        super().__init__()
        # Biases of action classes, never used, as in the published code.
        self.actionBiases = nn.Parameter(torch.randn(1, sizes.latent_dim))
        self.sequence_pos_encoder = Positions(sizes.latent_dim, sizes.dropout)
        self.seqTransDecoder = decoder_stack(sizes)
        self.finallayer = nn.Linear(sizes.latent_dim, sizes.nfeats)

    def forward(self, latent, lengths: list[int]):
        """Maps (B, D) to (B, max(lengths), F)."""
        positions, stack = self.sequence_pos_encoder, self.seqTransDecoder
        return decode(positions, stack, self.finallayer, latent, lengths)


class MotionClip(nn.Module):
    """The autoencoder of motions."""

    noise_names = ()

    def __init__(self, sizes, text_width: int):
        """Builds the layers; texts must be as wide as the latent."""
        super().__init__()
        if text_width != sizes.latent_dim:
            raise ValueError(f"texts must be {sizes.latent_dim} wide, got {text_width}")
        self.encoder = Encoder(sizes)
        self.decoder = Decoder(sizes)

    def forward(self, batch, noise=None):
        """Encodes and decodes.

        Args:
            batch: poses (B, T, F), lengths (list), text (B, D).
            noise: ignored.
        """
        latent = self.encoder(batch["poses"], batch["lengths"])
        poses = self.decoder(latent, batch["lengths"])
        return {"latent": latent, "poses": poses, "text": batch["text"]}

    def terms(self, outputs, batch):
        """Returns every unweighted loss term of the published `paper-model`."""
        mask = mask_of(batch["lengths"], batch["poses"].device)
        result, real = outputs["poses"].float(), batch["poses"]
        body = batch["offsets"], batch["parents"]
        points, real_points = joints(result, *body), joints(real, *body)
        latent = outputs["latent"].float()
        units = [x / x.norm(dim=-1, keepdim=True) for x in (outputs["text"], latent)]
        return {
            "rc": squared_error(result, real, mask),
            "rcxyz": squared_error(points, real_points, mask),
            "vel": squared_error(result.diff(dim=1), real.diff(dim=1), mask[:, 1:]),
            "text_cosine": (1 - functional.cosine_similarity(*units)).mean(),
        }

    def generate(self, batch, noise=None):
        """Decodes text vectors into (B, T, F) motions."""
        return self.decoder(batch["text"], batch["lengths"])


def squared_error(a, b, mask):
    """Returns the mean over all real frames.

    The published code selects these frames by the mask, for which a GPU must tell the
    host their number, and torch.compile cuts the program.
    """
    frames = functional.mse_loss(a, b, reduction="none").flatten(2).mean(-1)
    return (frames * mask).sum() / mask.sum()


def joints(poses, offsets, parents: list[int]):
    """Returns (B, T, J, 3) joint positions of poses with a fixed root."""
    count = len(parents)
    rows = poses[..., : count * 6].unflatten(-1, (count, 2, 3))
    first = functional.normalize(rows[..., 0, :], dim=-1)
    across = (first * rows[..., 1, :]).sum(-1, keepdim=True)
    second = functional.normalize(rows[..., 1, :] - across * first, dim=-1)
    third = torch.linalg.cross(first, second)
    turns = torch.stack([first, second, third], -2)
    placed, turned = [offsets[0].expand_as(turns[..., 0, :, 0])], [turns[..., 0, :, :]]
    for j in range(1, count):
        above = turned[parents[j]]
        placed.append(placed[parents[j]] + above @ offsets[j])
        turned.append(above @ turns[..., j, :, :])
    return torch.stack(placed, -2)
