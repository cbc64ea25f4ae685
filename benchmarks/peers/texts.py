"""The frozen text models of the published systems, full-size, with random weights.

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
    """Writes a Hugging Face text model with random weights to a folder."""
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
    """Embeds k descriptions per text in every step, as input of a motion model."""

    def __init__(self, folder: str | os.PathLike, clip: bool, k: int):
        """Loads the text model, frozen and in evaluation mode."""
        logging.disable_progress_bar()
        kind = CLIPTextModelWithProjection if clip else DistilBertModel
        self.model = kind.from_pretrained(folder).eval().requires_grad_(False)
        self.clip = clip
        self.k = k

    def __call__(self, ids, mask):
        """Embeds the descriptions and averages over the k of each text.

        Args:
            ids: (B k, N) word pieces; a text's k descriptions are consecutive rows.
            mask: (B k, N) 1 for real word pieces, 0 for padding.

        Returns:
            For CLIP (B, D) vectors. Otherwise (B, N, E) states, averaged over all k
            including their padding, and the (B, N) mask of places where at least one
            description has a word piece.
        """
        if self.clip:
            # CLIP is causal: the end of a text does not attend to the padding after it.
            vectors = self.model(ids).text_embeds.float()
            return vectors.unflatten(0, (-1, self.k)).mean(1)
        states = self.model(ids, attention_mask=mask).last_hidden_state.float()
        masks = mask.bool().unflatten(0, (-1, self.k))
        return states.unflatten(0, (-1, self.k)).sum(1) / self.k, masks.any(1)
