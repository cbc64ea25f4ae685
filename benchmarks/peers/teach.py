"""TEACH's training pass and generation of one action in stock torch.

Source: TEACH, arXiv:2209.04066, section 3.
"""
# pyright: reportMissingImports=false

import torch
from torch import nn
from torch.nn import functional

from .layers import MotionDecoder, MotionEncoder, encoder, padding
from .temos import TextEncoder, gaussian, sample, seven_terms


class PastTextEncoder(TextEncoder):
    """A text encoder that also reads the last frames of the previous motion."""

    def __init__(self, sizes, text_width: int):
        """Builds the layers from a model's config and the width of text states."""
        super().__init__(sizes, text_width)
        # Misspelt as in the published code.
        self.seperation_token = nn.Parameter(torch.randn(sizes.latent_dim))
        self.skel_embedding = nn.Linear(sizes.nfeats, sizes.latent_dim)
        # Created but never called, as in the published code.
        self.motionTransEncoder = encoder(sizes)

    def forward(self, tokens, mask, past=None):
        """Maps (B, N, E) states, and (B, P, F) past frames, to mu and logvar."""
        text = self.sequence_pos_encoding(self.projection(tokens).permute(1, 0, 2))
        wide = (1, len(tokens), -1)
        parts = [self.mu_token.expand(wide), self.logvar_token.expand(wide)]
        if past is not None:
            embedded = self.skel_embedding(past).permute(1, 0, 2)
            parts.append(self.seqTransEncoder(self.sequence_pos_encoding(embedded)))
        parts += [self.seperation_token.expand(wide), text]
        x = torch.cat(parts)
        hidden = padding(mask, len(x) - mask.shape[1])
        encoded = self.seqTransEncoder(x, src_key_padding_mask=hidden)
        return encoded[0], encoded[1]


class Teach(nn.Module):
    """The two encoders and the decoder, applied to pairs of actions."""

    noise_names = ("text_0", "text_1", "motion_0", "motion_1")

    def __init__(self, sizes, text_width: int):
        """Builds the parts from a model's config and the width of the text's states."""
        super().__init__()
        self.textencoder = PastTextEncoder(sizes, text_width)
        self.motionencoder = MotionEncoder(sizes)
        self.motiondecoder = MotionDecoder(sizes)
        self.hist_frames = sizes.hist_frames

    def forward(self, batch, noise=None):
        """Runs both branches over both actions.

        Args:
            batch: for i in 0, 1: features_i (B, T_i, F), lengths_i (list), tokens_i,
                token_mask_i.
            noise: name -> (B, D) standard normal noise; None draws it.
        """
        outputs, past = {}, None
        for i in (0, 1):
            lengths = batch[f"lengths_{i}"]
            tokens, mask = batch[f"tokens_{i}"], batch[f"token_mask_{i}"]
            text = gaussian(*self.textencoder(tokens, mask, past))
            latent = sample(text, noise and noise[f"text_{i}"])
            features = self.motiondecoder(latent, lengths)
            # Past frames come from the generated motion and carry its gradient.
            past = torch.stack(
                [
                    x[n - self.hist_frames : n]
                    for x, n in zip(features, lengths, strict=True)
                ]
            )
            outputs |= {f"text_{i}": text, f"z_text_{i}": latent}
            outputs |= {f"features_text_{i}": features}
        for i in (0, 1):
            # No lengths: the published code attends to padded frames too.
            motion = gaussian(*self.motionencoder(batch[f"features_{i}"]))
            latent = sample(motion, noise and noise[f"motion_{i}"])
            features = self.motiondecoder(latent, batch[f"lengths_{i}"])
            outputs |= {f"motion_{i}": motion, f"z_motion_{i}": latent}
            outputs |= {f"features_motion_{i}": features}
        return outputs

    def terms(self, outputs, batch):
        """Returns every unweighted term of the loss."""
        result = {}
        for i in (0, 1):
            lengths, target = batch[f"lengths_{i}"], batch[f"features_{i}"]

            def reconstruction(features, target=target, lengths=lengths):
                # Averaged per motion first, so that all motions have the same weight.
                rows = zip(features, target, lengths, strict=True)
                losses = [functional.smooth_l1_loss(x[:n], y[:n]) for x, y, n in rows]
                return torch.stack(losses).mean()

            def latent_loss(first, second):
                rows = zip(first, second, strict=True)
                losses = [functional.smooth_l1_loss(x, y) for x, y in rows]
                return torch.stack(losses).mean()

            action = {
                name.removesuffix(f"_{i}"): value
                for name, value in outputs.items()
                if name.endswith(f"_{i}")
            }
            terms = seven_terms(action, reconstruction, latent_loss)
            result |= {f"{name}_{i}": value for name, value in terms.items()}
        return result

    def generate(self, batch, noise=None):
        """Generates (B, T, F) motions from the texts of the first actions."""
        text = gaussian(*self.textencoder(batch["tokens_0"], batch["token_mask_0"]))
        return self.motiondecoder(sample(text, noise), batch["lengths_0"])
