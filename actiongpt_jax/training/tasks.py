"""What differs between the models in training: items, batches, losses, figures."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from actiongpt_jax.config import Config, resolve
from actiongpt_jax.data.batches.pair_batches import (
    PairBatches,
    action_lengths,
    pair_model_batch,
)
from actiongpt_jax.data.batches.pair_plan import PairPlan
from actiongpt_jax.data.batches.plan import BatchPlan, Plan
from actiongpt_jax.data.batches.segment_batches import (
    ItemBatches,
    SegmentBatches,
    fit_features,
    model_batch,
)
from actiongpt_jax.data.batches.segments import pairs, segments
from actiongpt_jax.data.batches.segments import phrases as segment_phrases
from actiongpt_jax.data.batches.window_batches import (
    WindowBatches,
    pose_batch,
    read_images,
)
from actiongpt_jax.data.batches.windows import clips
from actiongpt_jax.data.batches.windows import phrases as window_phrases
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.features import pose6d
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.geometry import body
from actiongpt_jax.losses import evaluator as retrieval_losses
from actiongpt_jax.losses import motionclip as motionclip_losses
from actiongpt_jax.losses import teach as teach_losses
from actiongpt_jax.losses import temos as temos_losses
from actiongpt_jax.losses.terms import Term
from actiongpt_jax.metrics.retrieval import top1_terms
from actiongpt_jax.metrics.validation import ape_ave_terms, joint_error_terms
from actiongpt_jax.text.embeddings.store import EmbeddingStore

Raw = Mapping[str, jax.Array]
Batches = ItemBatches | WindowBatches
# (outputs, batch) -> {name: (sum, count)}; pure.
Terms = Callable[[Any, dict[str, jax.Array]], dict[str, Term]]
# Adds terms to an evaluation: (outputs, batch, normalizer) -> {name: (sum, count)}.
Evaluator = Callable[[Any, dict[str, jax.Array], Normalizer], dict[str, Term]]


@dataclasses.dataclass(frozen=True)
class Task:
    """How a model is trained; the loop is the same for all.

    Attributes:
        noun: what its items are called.
        items: (config, store, split) -> list, each with a `key`.
        phrases: items -> their distinct phrases, sorted.
        sizes: config -> words for the lengths that items have.
        plan: (config, items, batch size, seed, max_shapes, shuffle=...) -> Plan.
        batches: (config, store, items, embeddings, plan, shuffle=...,
            process_index=..., process_count=...) -> its batches.
        fit: (batches of the training split, config) -> Normalizer.
        to_model: (raw batch, normalizer, config) -> batch; pure.
        terms: (config, name of the device axis or None) -> Terms.
        weights: config -> {name: weight}.
        evaluator: what each validation adds to the terms.
    """

    noun: str
    items: Callable[[Config, MotionStore, str], list]
    phrases: Callable[[list], list[str]]
    sizes: Callable[[Config], str]
    plan: Callable[..., Plan]
    batches: Callable[..., Batches]
    fit: Callable[[Any, Config], Normalizer]
    to_model: Callable[[Raw, Normalizer, Config], dict[str, jax.Array]]
    terms: Callable[[Config, str | None], Terms]
    weights: Callable[[Config], dict[str, float]]
    evaluator: Evaluator


def _frames(config: Config) -> str:
    return f"{config.data.min_frames} to {config.data.max_frames} frames"


def _fit(batches: ItemBatches, config: Config) -> Normalizer:
    return fit_features(batches, config.data.heading)


def _item_batches(
    kind: type[ItemBatches],
    config: Config,
    store: MotionStore,
    items: list,
    embeddings: EmbeddingStore,
    plan: Plan,
    *,
    shuffle: bool,
    **process: int,
) -> ItemBatches:
    del shuffle  # the plan's
    return kind(
        store,
        items,
        embeddings,
        plan,
        source=config.text.source,
        num_tokens=config.text.num_tokens,
        **process,
    )


def _segments(config: Config, store: MotionStore, split: str) -> list:
    data = config.data
    return segments(store, split, data.labels, data.min_frames, data.max_frames)


def _segment_plan(
    config: Config, items: Sequence[Any], *sizes: Any, **options: Any
) -> BatchPlan:
    del config
    return BatchPlan(np.array([i.end - i.start for i in items]), *sizes, **options)


def _segment_batch(raw: Raw, normalizer: Normalizer, config: Config):
    return model_batch(raw, normalizer, config.data.heading)


def _segment_terms(config: Config, axis_name: str | None) -> Terms:
    del axis_name  # nothing in them spans items
    return functools.partial(temos_losses.terms, config=config)


def _pairs(config: Config, store: MotionStore, split: str) -> list:
    data = config.data
    compat = "reference" if resolve(config).data.pair_cut == "reference" else None
    return pairs(store, split, data.min_frames, data.max_frames, compat=compat)


def _pair_plan(
    config: Config, items: Sequence[Any], *sizes: Any, **options: Any
) -> PairPlan:
    del config
    return PairPlan(action_lengths(items), *sizes, **options)


def _pair_batch(raw: Raw, normalizer: Normalizer, config: Config):
    return pair_model_batch(raw, normalizer, config.data.heading)


def _pair_terms(config: Config, axis_name: str | None) -> Terms:
    del axis_name
    return functools.partial(teach_losses.terms, config=config)


def _clips(config: Config, store: MotionStore, split: str) -> list:
    data = resolve(config).data
    return clips(
        store,
        split,
        data.labels,
        data.num_frames,
        data.clip_frames,
        compat="reference" if data.window_text == "reference" else None,
    )


def _window_sizes(config: Config) -> str:
    data = config.data
    return f"{data.num_frames} labelled frames out of {data.clip_frames}"


def _window_plan(
    config: Config, items: Sequence[Any], *sizes: Any, **options: Any
) -> BatchPlan:
    lengths = np.full(len(items), config.data.num_frames)
    return BatchPlan(lengths, *sizes, **options)


def _window_batches(
    config: Config,
    store: MotionStore,
    items: list,
    embeddings: EmbeddingStore,
    plan: BatchPlan,
    *,
    shuffle: bool,
    **process: int,
) -> WindowBatches:
    images = config.data.images
    return WindowBatches(
        store,
        items,
        embeddings,
        plan,
        # Validation looks at the same windows every time.
        config.train.seed if shuffle else None,
        source=config.text.source,
        images=read_images(images, items) if images else None,
        turn=config.data.turn == "random",
        **process,
    )


def _no_normalizer(batches: WindowBatches, config: Config) -> Normalizer:
    """Poses are not normalised."""
    del batches, config
    width = pose6d.NFEATS
    return Normalizer(np.zeros(width, np.float32), np.ones(width, np.float32))


def _window_batch(raw: Raw, normalizer: Normalizer, config: Config):
    del normalizer
    data = resolve(config).data
    return pose_batch(
        raw,
        align=None if data.align == "none" else data.align,
        compat="reference" if data.translation == "reference" else None,
    )


def _window_terms(config: Config, axis_name: str | None) -> Terms:
    path = config.losses.body
    return functools.partial(
        motionclip_losses.terms,
        config=config,
        body=body.load(path) if path else None,
        axis_name=axis_name,
    )


class _NamedBatches(SegmentBatches):
    """Segments that tell which of them have equal texts."""

    def __init__(self, store: MotionStore, items: list, *rest: Any, **options: Any):
        super().__init__(store, items, *rest, **options)
        number = {phrase: i for i, phrase in enumerate(segment_phrases(items))}
        self._text_id = np.array([number[item.phrase] for item in items], np.int32)

    def _load(self, items: np.ndarray, shape: int) -> dict[str, np.ndarray]:
        ids = np.where(items < 0, -1, self._text_id[items]).astype(np.int32)
        return {**super()._load(items, shape), "text_id": ids}


def _named_batch(raw: Raw, normalizer: Normalizer, config: Config):
    return {**_segment_batch(raw, normalizer, config), "text_id": raw["text_id"]}


def _retrieval_terms(config: Config, axis_name: str | None) -> Terms:
    return functools.partial(retrieval_losses.terms, config=config, axis_name=axis_name)


TASKS = {
    "temos": Task(
        noun="segment",
        items=_segments,
        phrases=segment_phrases,
        sizes=_frames,
        plan=_segment_plan,
        batches=functools.partial(_item_batches, SegmentBatches),
        fit=_fit,
        to_model=_segment_batch,
        terms=_segment_terms,
        weights=temos_losses.weights,
        evaluator=ape_ave_terms,
    ),
    "teach": Task(
        noun="pair",
        items=_pairs,
        phrases=segment_phrases,
        sizes=_frames,
        plan=_pair_plan,
        batches=functools.partial(_item_batches, PairBatches),
        fit=_fit,
        to_model=_pair_batch,
        terms=_pair_terms,
        weights=teach_losses.weights,
        evaluator=ape_ave_terms,
    ),
    "motionclip": Task(
        noun="clip",
        items=_clips,
        phrases=window_phrases,
        sizes=_window_sizes,
        plan=_window_plan,
        batches=_window_batches,
        fit=_no_normalizer,
        to_model=_window_batch,
        terms=_window_terms,
        weights=motionclip_losses.weights,
        evaluator=joint_error_terms,
    ),
    "evaluator": Task(
        noun="segment",
        items=_segments,
        phrases=segment_phrases,
        sizes=_frames,
        plan=_segment_plan,
        batches=functools.partial(_item_batches, _NamedBatches),
        fit=_fit,
        to_model=_named_batch,
        terms=_retrieval_terms,
        weights=retrieval_losses.weights,
        evaluator=top1_terms,
    ),
}
