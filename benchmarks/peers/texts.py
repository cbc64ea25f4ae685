"""The frozen text models of the published systems, of full size, with random weights.

Source: DistilBERT, arXiv:1910.01108; CLIP ViT-B/32, arXiv:2103.00020.
"""
# pyright: reportMissingImports=false

import dataclasses
import os

import torch
from transformers import (
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    DistilBertConfig,
    DistilBertModel,
    logging,
)


@dataclasses.dataclass(frozen=True)
class TextSizes:
    """Sizes of a text model."""

    width: int
    num_layers: int
    num_heads: int
    vocabulary: int


def write(folder: str | os.PathLike, clip: bool, sizes: TextSizes, seed: int) -> None:
    """Writes a model of Hugging Face with random weights to a folder."""
    logging.disable_progress_bar()
    torch.manual_seed(seed)
    if clip:
        config = CLIPTextConfig(
            hidden_size=sizes.width,
            projection_dim=sizes.width,
            intermediate_size=4 * sizes.width,
            num_hidden_layers=sizes.num_layers,
            num_attention_heads=sizes.num_heads,
            vocab_size=sizes.vocabulary,
            bos_token_id=sizes.vocabulary - 2,
            eos_token_id=sizes.vocabulary - 1,
            pad_token_id=0,
        )
        model = CLIPTextModelWithProjection(config)
    else:
        config = DistilBertConfig(
            dim=sizes.width,
            hidden_dim=4 * sizes.width,
            n_layers=sizes.num_layers,
            n_heads=sizes.num_heads,
            vocab_size=sizes.vocabulary,
        )
        model = DistilBertModel(config)
    model.save_pretrained(folder)


class Descriptions:
    """Turns k descriptions of each text into what a model reads, in every step."""

    def __init__(self, folder: str | os.PathLike, clip: bool, k: int):
        """Loads the model; it is frozen, and never in training mode."""
        logging.disable_progress_bar()
        kind = CLIPTextModelWithProjection if clip else DistilBertModel
        self.model = kind.from_pretrained(folder).eval().requires_grad_(False)
        self.clip = clip
        self.k = k

    def __call__(self, ids, mask):
        """Embeds and averages.

        Args:
            ids: (B k, N) word pieces, a text's k descriptions one after the other.
            mask: (B k, N) 1 = real.

        Returns:
            Of CLIP (B, D); else states (B, N, E), the mean over k with what the model
            says of padding, and mask (B, N), real where any description is.
        """
        if self.clip:
            # Causal, so that padding behind a text cannot be seen from its end.
            vectors = self.model(ids).text_embeds.float()
            return vectors.unflatten(0, (-1, self.k)).mean(1)
        states = self.model(ids, attention_mask=mask).last_hidden_state.float()
        masks = mask.bool().unflatten(0, (-1, self.k))
        return states.unflatten(0, (-1, self.k)).sum(1) / self.k, masks.any(1)
