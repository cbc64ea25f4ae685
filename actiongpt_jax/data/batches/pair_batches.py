"""Batches of pairs of successive actions, for training TEACH.

A raw batch (`PairBatches.load`, numpy, this process's rows) has, for i in 0, 1,

| key | shape | |
|---|---|---|
| rotations | (B, T_0 + T_1, 22, 3) float32 | axis-angle, radians; see below |
| translation | (B, T_0 + T_1, 3) float32 | metres |
| lengths | (B, 2) int32 | number of real frames of each action; 0 = filler row |
| frame_mask_i | (B, T_i) bool | True = real frame of that action |
| tokens_i | (B, N, E) float16 | aggregated text tokens |
| token_lengths_i | (B,) int32 | number of real tokens |
| index | (B,) int32 | row in the global batch |
| item | (B,) int32 | row in the list of pairs; -1 = filler row |

The frames of the second action follow those of the first without padding between them.
`pair_model_batch` turns a raw batch into features and masks, on the device.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from actiongpt_jax.data.batches.segment_batches import (
    TokenBatches,
    encode_features,
    mask_of,
)
from actiongpt_jax.data.batches.segments import Pair
from actiongpt_jax.features.normalizer import Normalizer


def action_lengths(pairs: Sequence[Pair]) -> np.ndarray:
    """Returns (n, 2) numbers of frames: first action, and transition plus second."""
    lengths = [(p.lengths[0], p.lengths[1] + p.lengths[2]) for p in pairs]
    return np.array(lengths, np.int64).reshape(-1, 2)


class PairBatches(TokenBatches[Pair]):
    """Raw batches of pairs, as in the table at the top of this module.

    Attributes and arguments: those of `TokenBatches`; the items are pairs and the plan
    is a `PairPlan` of their `action_lengths`.
    """

    def _load(
        self, items: np.ndarray, shape: tuple[int, int], epoch: int
    ) -> dict[str, np.ndarray]:
        lengths = np.where(items[:, None] < 0, 0, self.plan.lengths[items])
        raw = self.load_motion(items, sum(shape))
        raw["lengths"] = lengths.astype(np.int32)
        for i, frames in enumerate(shape):
            raw[f"frame_mask_{i}"] = np.arange(frames) < lengths[:, i, None]
            raw[f"tokens_{i}"], raw[f"token_lengths_{i}"] = self.load_text(
                [self.items[item].phrases[i] if item >= 0 else None for item in items],
                items,
                epoch,
                action=i,
            )
        return raw


def pair_model_batch(
    raw: Mapping[str, jax.Array], normalizer: Normalizer, heading: str = "yaw"
) -> dict[str, jax.Array]:
    """Turns a raw batch into the input of models and losses; pure, for use under jit.

    The heading of the pair's first frame is removed from the whole pair, so the second
    action continues in the coordinates of the first.

    Args:
        raw: raw batch of `PairBatches`.
        normalizer: normalizer of the 135 features.
        heading: how to measure the heading, 'yaw' or 'reference'; see
            `features.rot_velocity.encode`.

    Returns:
        For i in 0, 1: features_i (B, T_i, 135) float32, normalised, 0 where padded;
        frame_mask_i (B, T_i) bool; tokens_i (B, N, E) float32; token_mask_i (B, N)
        bool.
    """
    features = encode_features(raw["rotations"], raw["translation"], heading)
    features = normalizer.normalize(features)
    batch, start = {}, jnp.zeros_like(raw["lengths"][:, 0])
    for i in (0, 1):
        mask = raw[f"frame_mask_{i}"]
        rows = jnp.minimum(
            start[:, None] + jnp.arange(mask.shape[1]), features.shape[1] - 1
        )
        action = jnp.take_along_axis(features, rows[..., None], axis=1)
        tokens = raw[f"tokens_{i}"]
        batch |= {
            f"features_{i}": jnp.where(mask[..., None], action, 0.0),
            f"frame_mask_{i}": mask,
            f"tokens_{i}": tokens.astype(jnp.float32),
            f"token_mask_{i}": mask_of(raw[f"token_lengths_{i}"], tokens.shape[1]),
        }
        start = start + raw["lengths"][:, i]
    return batch
