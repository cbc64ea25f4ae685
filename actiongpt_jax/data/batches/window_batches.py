"""Batches of windows with one pooled text vector each, for training MotionCLIP.

A raw batch (`WindowBatches.load`, numpy, this process's rows) has

| key | shape | |
|---|---|---|
| rotations | (B, T, 24, 3) float32 | axis-angle, radians; both hands last |
| translation | (B, T, 3) float32 | metres |
| lengths | (B,) int32 | T; 0 = filler row |
| text | (B, P) float32 | pooled vector of the text; the mean if there are k texts |
| image | (B, P) float32 | embedding of the clip's picture; only if images are given |
| turn | (B,) float32 | radians about the vertical; only if windows are turned |
| index | (B,) int32 | row in the global batch |
| item | (B,) int32 | row in the list of clips; -1 = filler row |

and `pose_batch` turns a raw batch into poses and masks, on the device.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from actiongpt_jax.data.batches.item_batches import ItemBatches
from actiongpt_jax.data.batches.plan import BatchPlan
from actiongpt_jax.data.batches.segment_batches import mask_of
from actiongpt_jax.data.batches.windows import (
    Clip,
    draw_turns,
    draw_windows,
    middle_windows,
    phrases,
)
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.errors import InputError
from actiongpt_jax.features import pose6d
from actiongpt_jax.features.pose6d import Align
from actiongpt_jax.files.safetensors import open_tensors
from actiongpt_jax.geometry.kinematics import turn_motion
from actiongpt_jax.geometry.rotations import axis_angle_to_matrix
from actiongpt_jax.text.embeddings.store import EmbeddingStore


class WindowBatches(ItemBatches[Clip]):
    """Raw batches of windows, as in the table at the top of this module.

    The class also has the attributes of `ItemBatches`.

    Attributes:
        text_width: P, width of the pooled vectors.
    """

    def __init__(
        self,
        store: MotionStore,
        clips: Sequence[Clip],
        embeddings: EmbeddingStore,
        plan: BatchPlan,
        *,
        seed: int | None,
        images: Sequence[np.ndarray] | None = None,
        turn: bool = False,
        **options: Any,
    ):
        """Opens the stores and checks that every phrase has a pooled vector.

        Args:
            store: motion store of the clips.
            clips: the items, in the order of the plan.
            embeddings: embedding store with the phrases' pooled vectors.
            plan: plan made from the window's length, repeated for each clip.
            seed: seed of the windows, which are drawn again in each epoch; None takes
                the middle window of each clip.
            images: (P,) embedding of each clip's picture; see `read_images`.
            turn: whether to turn each drawn window about the vertical by a random
                angle, another one in each epoch, because the direction that somebody
                faced in the studio carries no information.
            options: source, process_index and process_count; see `ItemBatches`.

        Raises:
            InputError: if the plan does not match the clips, the batch size is not a
                multiple of the process count, a phrase has no pooled vector, or the
                images have another width than the texts.
        """
        if len(clips) != plan.lengths.size or len(set(plan.lengths.tolist())) != 1:
            raise InputError(
                f"the plan must have the window's length for each of the {len(clips)} "
                f"clips, got {plan.lengths.size} items of "
                f"{len(set(plan.lengths.tolist()))} lengths; pass [num_frames] * "
                "len(clips)"
            )
        super().__init__(store, clips, embeddings, plan, **options)
        widths = {len(self._text(phrase)) for phrase in phrases(clips)}
        (self.text_width,) = widths  # one store, one text encoder
        if images is not None and any(len(v) != self.text_width for v in images):
            width = next(len(v) for v in images if len(v) != self.text_width)
            raise InputError(
                f"image embeddings must have the text's width {self.text_width}, got "
                f"{width}; embed pictures and texts with the same CLIP model"
            )
        self._images = images
        self._seed, self._turn = seed, turn and seed is not None
        self._drawn = (0, *self._draw(0))

    def _load(self, items: np.ndarray, shape: int, epoch: int) -> dict[str, np.ndarray]:
        # A single assignment, so that another thread never sees half an update.
        cached = self._drawn
        if cached[0] != epoch:
            self._drawn = cached = (epoch, *self._draw(epoch))
        _, windows, turns = cached
        window_starts = np.array([windows[item][0] for item in items])
        raw = self.read_motion(
            self._sequence_starts[items] + window_starts,
            np.where(items < 0, 0, self.plan.lengths[items]),
            shape,
            hands=True,
        )
        raw["text"] = np.zeros((items.size, self.text_width), np.float32)
        if self._images is not None:
            raw["image"] = np.zeros_like(raw["text"])
        if self._turn:
            raw["turn"] = turns[items]
        for row, item in enumerate(items):
            if item >= 0:
                raw["text"][row] = self._text(windows[item][1])
                if self._images is not None:
                    raw["image"][row] = self._images[item]
        return raw

    def _text(self, phrase: str) -> np.ndarray:
        return self._embeddings.pooled(phrase, self._source)

    def _draw(self, epoch: int) -> tuple[list[tuple[int, str]], np.ndarray]:
        """Returns the window and the turn of every clip."""
        if self._seed is None:
            return middle_windows(self.items), np.zeros(len(self.items), np.float32)
        return (
            draw_windows(self.items, self._seed, epoch),
            draw_turns(len(self.items), self._seed, epoch),
        )


def pose_batch(
    raw: Mapping[str, jax.Array], align: Align = "none", displacement: str = "pelvis"
) -> dict[str, jax.Array]:
    """Turns a raw batch into the input of models and losses; pure, for use under jit.

    Args:
        raw: at least rotations, translation, lengths and text. A `turn` in it is
            applied before `align`.
        align: which rotation of the first frame to remove, 'none', 'yaw' or 'full';
            see `features.pose6d.encode`.
        displacement: how to encode the translation, 'pelvis' or 'reference'; see
            `features.pose6d.encode`.

    Returns:
        poses (B, T, 150) float32, 0 where padded; frame_mask (B, T) bool; text
        (B, P); image (B, P) if `raw` has it.
    """
    rotations, translation = axis_angle_to_matrix(raw["rotations"]), raw["translation"]
    if "turn" in raw:
        turn = axis_angle_to_matrix(raw["turn"][:, None] * jnp.array([0.0, 0.0, 1.0]))
        rotations, translation = turn_motion(turn, rotations, translation)
    poses = pose6d.encode(
        rotations, translation, align=align, displacement=displacement
    )
    frame_mask = mask_of(raw["lengths"], poses.shape[1])
    batch = {
        "poses": jnp.where(frame_mask[..., None], poses, 0.0),
        "frame_mask": frame_mask,
        "text": raw["text"],
    }
    return batch | {name: raw[name] for name in ("image",) if name in raw}


def read_images(path: str | os.PathLike, clips: Sequence[Clip]) -> list[np.ndarray]:
    """Memory-maps the embeddings of the clips' pictures.

    Args:
        path: safetensors file with one vector per clip, named by the clip's key.
        clips: the clips to read.

    Returns:
        One (P,) array per clip, in the order of the clips.

    Raises:
        FileNotFoundError: if the file does not exist.
        InputError: if it is damaged, lacks a clip, or has wrong shapes or types.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no image embeddings at {path}; give a safetensors file with one CLIP "
            "image vector per clip of the motion store, or no path"
        )
    tensors, _ = open_tensors(path)
    missing = [clip.key for clip in clips if clip.key not in tensors]
    if missing:
        raise InputError(
            f"{path} must hold a vector for each of the {len(clips)} clips, but lacks "
            f"{len(missing)}, the first being {missing[0]!r}; embed a picture of each "
            "clip of this motion store"
        )
    for clip in clips:
        vector = tensors[clip.key]
        floats = vector.ndim == 1 and np.issubdtype(vector.dtype, np.floating)
        if not floats or not np.isfinite(vector).all():
            raise InputError(
                f"{path}: {clip.key} must be one vector of finite floats, got "
                f"{vector.dtype} {vector.shape}; write one (width,) tensor per clip"
            )
    return [tensors[clip.key] for clip in clips]
