"""TEMOS's training pass and generation in stock torch.

Source: TEMOS, arXiv:2204.14109, section 3.
"""
# pyright: reportMissingImports=false

import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional

from .layers import MotionDecoder, MotionEncoder, Positions, encoder, pool_gaussian


class TextEncoder(nn.Module):
    """Pools the states of a frozen text model into the parameters of a Gaussian."""

    def __init__(self, sizes, text_width: int):
        """Builds the layers from a model's config and the width of text states."""
        super().__init__()
        self.projection = nn.Sequential(
            nn.ReLU(), nn.Linear(text_width, sizes.latent_dim)
        )
        self.mu_token = nn.Parameter(torch.randn(sizes.latent_dim))
        self.logvar_token = nn.Parameter(torch.randn(sizes.latent_dim))
        self.sequence_pos_encoding = Positions(sizes.latent_dim, sizes.dropout)
        self.seqTransEncoder = encoder(sizes)

    def forward(self, tokens, mask):
        """Maps (B, N, E) states under a (B, N) mask to mu and logvar (B, D)."""
        return pool_gaussian(self, self.projection(tokens).permute(1, 0, 2), mask)


class Temos(nn.Module):
    """The two encoders and the decoder."""

    noise_names = ("text", "motion")

    def __init__(self, sizes, text_width: int):
        """Builds the parts from a model's config and the width of the text's states."""
        super().__init__()
        self.textencoder = TextEncoder(sizes, text_width)
        self.motionencoder = MotionEncoder(sizes)
        self.motiondecoder = MotionDecoder(sizes)

    def forward(self, batch, noise=None):
        """Runs both branches.

        Args:
            batch: features (B, T, F), lengths (list), tokens, token_mask.
            noise: 'text' and 'motion' -> (B, D) standard normal noise; None draws it.
        """
        lengths = batch["lengths"]
        text = gaussian(*self.textencoder(batch["tokens"], batch["token_mask"]))
        z_text = sample(text, noise and noise["text"])
        features_text = self.motiondecoder(z_text, lengths)
        motion = gaussian(*self.motionencoder(batch["features"], lengths))
        z_motion = sample(motion, noise and noise["motion"])
        return {
            "text": text,
            "motion": motion,
            "z_text": z_text,
            "z_motion": z_motion,
            "features_text": features_text,
            "features_motion": self.motiondecoder(z_motion, lengths),
        }

    def terms(self, outputs, batch):
        """Returns every unweighted term of the loss; padded frames count as real."""
        return seven_terms(
            outputs,
            lambda result: functional.smooth_l1_loss(result, batch["features"]),
            functional.smooth_l1_loss,
        )

    def generate(self, batch, noise=None):
        """Generates (B, T, F) motions from texts."""
        text = gaussian(*self.textencoder(batch["tokens"], batch["token_mask"]))
        return self.motiondecoder(sample(text, noise), batch["lengths"])


def gaussian(mu, logvar) -> Normal:
    """Returns a Gaussian whose standard deviation is exp(logvar) ** 0.5."""
    return Normal(mu.float(), logvar.float().exp().pow(0.5))


def sample(distribution: Normal, noise=None):
    """Draws a sample, or shifts the mean by `noise` standard deviations."""
    if noise is None:
        return distribution.rsample()
    return distribution.mean + distribution.stddev * noise


def seven_terms(outputs, reconstruction, latent_loss):
    """Returns the seven unweighted loss terms of one action."""
    text, motion = outputs["text"], outputs["motion"]
    standard = Normal(torch.zeros_like(text.mean), torch.ones_like(text.mean))
    return {
        "recons_rfeats2rfeats": reconstruction(outputs["features_motion"]),
        "recons_text2rfeats": reconstruction(outputs["features_text"]),
        "kl_text2motion": kl_divergence(text, motion).mean(),
        "kl_motion2text": kl_divergence(motion, text).mean(),
        "kl_text": kl_divergence(text, standard).mean(),
        "kl_motion": kl_divergence(motion, standard).mean(),
        "latent_manifold": latent_loss(outputs["z_text"], outputs["z_motion"]),
    }
