"""From stores to what a model of two actions in succession is trained on.

A raw batch (`PairBatches.load`, numpy, this process's rows) has, for i in 0, 1,

| key | shape | |
|---|---|---|
| rotations | (B, T_0 + T_1, 22, 3) float32 | axis-angle, radians; the actions adjoin |
| translation | (B, T_0 + T_1, 3) float32 | metres |
| lengths | (B, 2) int32 | real frames of both actions; 0 = filler row |
| frame_mask_i | (B, T_i) bool | True = real frame of that action |
| tokens_i | (B, N, E) float16 | aggregated text tokens |
| token_lengths_i | (B,) int32 | real tokens |
| index | (B,) int32 | row in the global batch |
| item | (B,) int32 | row in the list of pairs; -1 = filler row |

and `pair_model_batch` turns it, on the device, into features and masks.
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
    """Returns (n, 2) frames: first action, and second with the transition before it."""
    lengths = [(p.lengths[0], p.lengths[1] + p.lengths[2]) for p in pairs]
    return np.array(lengths, np.int64).reshape(-1, 2)


class PairBatches(TokenBatches[Pair]):
    """Batches of pairs; see the table above.

    Attributes and arguments: those of `TokenBatches`; items are pairs, their plan a
    `PairPlan` of `action_lengths`.
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
                [self.items[item].phrases[i] if item >= 0 else None for item in items]
            )
        return raw


def pair_model_batch(
    raw: Mapping[str, jax.Array], normalizer: Normalizer, heading: str = "yaw"
) -> dict[str, jax.Array]:
    """Turns a raw batch into what models and losses read; pure, for use under jit.

    A pair is turned to face one way once, as its first frame says: the second action
    goes on in the first one's frame.

    Args:
        raw: of `PairBatches`.
        normalizer: of the 135 features.
        heading: 'yaw' or 'reference', see `features.rot_velocity.encode`.

    Returns:
        For i in 0, 1: features_i (B, T_i, 135) float32, normalised, 0 where padded;
        frame_mask_i (B, T_i) bool; tokens_i (B, N, E) float32; token_mask_i (B, N)
        bool.
    """
    features = encode_features(raw["rotations"], raw["translation"], heading)
    features = normalizer.normalize(features)
    found, start = {}, jnp.zeros_like(raw["lengths"][:, 0])
    for i in (0, 1):
        mask = raw[f"frame_mask_{i}"]
        rows = jnp.minimum(
            start[:, None] + jnp.arange(mask.shape[1]), features.shape[1] - 1
        )
        action = jnp.take_along_axis(features, rows[..., None], axis=1)
        tokens = raw[f"tokens_{i}"]
        found |= {
            f"features_{i}": jnp.where(mask[..., None], action, 0.0),
            f"frame_mask_{i}": mask,
            f"tokens_{i}": tokens.astype(jnp.float32),
            f"token_mask_{i}": mask_of(raw[f"token_lengths_{i}"], tokens.shape[1]),
        }
        start = start + raw["lengths"][:, i]
    return found
