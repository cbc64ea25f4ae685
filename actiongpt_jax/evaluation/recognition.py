"""Measures how often the nearest text names the category of a motion.

Source: MotionCLIP (arXiv:2203.08063), section 4.3: action recognition on BABEL-60.
"""

from collections.abc import Container, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from actiongpt_jax.config_fields import lookup
from actiongpt_jax.data.batches.segments import segments
from actiongpt_jax.data.batches.windows import clips, middle_windows
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.latents import encode_motions, encode_texts
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import Request
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.metrics.intervals import ratios
from actiongpt_jax.metrics.retrieval import is_recognised, similarities

TOP = (1, 5)
_ROWS = 32  # number of motions that are encoded at once


class Stretch(NamedTuple):
    """Frames [start, end) of a sequence of the store, and their categories."""

    sequence: int
    start: int
    end: int
    categories: frozenset[str]


def list_stretches(
    trained: Trained, store: MotionStore, split: str, categories: Sequence[str]
) -> list[Stretch]:
    """Lists the motions of a split that have one of some categories.

    For a model of windows they are the middle windows of clips, with the categories of
    all labels in them, as published; for other models the labelled actions.

    Args:
        trained: the model, whose config says which motions it reads.
        store: the motion store.
        split: 'train', 'val' or 'test'.
        categories: the names of the categories.

    Returns:
        The motions, the shortest first.

    Raises:
        InputError: if the store has no such split, or no such motion.
    """
    data = trained.config.data
    found = []
    if window := lookup(trained.config, "data.num_frames", None):
        items = clips(
            store,
            split,
            data.labels,
            window,
            data.clip_frames,
            window_text=data.window_text,
        )
        for clip, (start, _) in zip(items, middle_windows(items), strict=True):
            end = start + window
            rows = store.labels_by_sequence[clip.sequence]
            timed = [row for row in rows if row.kind == "frame"]
            names = {
                name
                for row in timed or rows
                if row.start < end and start < row.end
                for name in row.categories
            }
            found.append(Stretch(clip.sequence, start, end, frozenset(names)))
    else:
        limits = data.min_frames, data.max_frames
        for item in segments(store, split, data.labels, *limits):
            names = {
                name
                for row in store.labels_by_sequence[item.sequence]
                if (row.start, row.end, row.phrase)
                == (item.start, item.end, item.phrase)
                for name in row.categories
            }
            found.append(Stretch(item.sequence, item.start, item.end, frozenset(names)))
    chosen = [row for row in found if not row.categories.isdisjoint(categories)]
    if not chosen:
        raise InputError(
            "--categories must name categories of the split's motions, got "
            f"{categories[0]!r} and {len(categories) - 1} others, which none of the "
            f"{len(found)} motions of split {split!r} in {store.path} has; if the "
            "store was made before categories were kept, make it again"
        )
    return sorted(chosen, key=lambda stretch: stretch.end - stretch.start)


def recognise(
    trained: Trained,
    embedder: PhraseEmbedder,
    store: MotionStore,
    stretches: Sequence[Stretch],
    categories: Sequence[str],
    described: Container[str] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """Compares every motion with the texts of all categories.

    A motion is recognised if any of its categories is among the k whose latents have
    the largest cosines with that of the motion.

    Args:
        trained: a model with a motion encoder.
        embedder: embeds the model's texts.
        store: motion store of the stretches.
        stretches: the motions, each with one of the categories at least.
        categories: the names to choose from.
        described: categories whose descriptions the embedder has been given and the
            model reads; it reads the names of the others as they stand, as published.
        seed: seed of the bootstrap.

    Returns:
        motions and categories, their numbers; named, the number of categories
        whose names were read; top1 and top5, the shares of recognised motions, [value,
        low, high] with a 95 % interval over motions; by_category, {category: {motions,
        top1, top5}}; top1_by_category and top5_by_category, the means of its shares.
    """
    # Encode the names of the categories, and the motions.
    phrases_only = trained.config.text.source == "phrase"
    read = [
        embedder.tokens(name)
        if phrases_only or name in described
        else embedder.describe([name])
        for name in categories
    ]
    requests = [Request(*pair, 1) for pair in zip(categories, read, strict=True)]
    texts, latents = encode_texts(trained, requests), []
    for begin in tqdm(range(0, len(stretches), _ROWS), leave=False, desc="recognise"):
        motions = [store.motion(*row[:3]) for row in stretches[begin : begin + _ROWS]]
        latents.append(encode_motions(trained, motions))

    # Count the motions whose categories are among the nearest.
    scores = similarities(np.concatenate(latents), texts)
    valid = np.array(
        [[name in row.categories for name in categories] for row in stretches]
    )
    hits = np.stack([is_recognised(scores, valid, k) for k in TOP], 1)
    shares = ratios(hits, np.ones_like(hits), seed=seed).tolist()
    by_category = {
        name: {
            "motions": int(rows.sum()),
            **{f"top{k}": float(hits[rows, i].mean()) for i, k in enumerate(TOP)},
        }
        for name, rows in zip(categories, valid.T, strict=True)
        if rows.any()
    }
    return {
        "motions": len(stretches),
        "categories": len(categories),
        "named": sum(name not in described for name in categories),
        **{f"top{k}": share for k, share in zip(TOP, shares, strict=True)},
        **{
            f"top{k}_by_category": float(
                np.mean([row[f"top{k}"] for row in by_category.values()])
            )
            for k in TOP
        },
        "by_category": by_category,
    }
