"""What differs between the models in training: items, batches, losses."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from actiongpt_jax.config import Config, resolve
from actiongpt_jax.data.batch_plan import BatchPlan, Plan
from actiongpt_jax.data.batching import ItemBatches, SegmentBatches, model_batch
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.data.pair_batching import (
    PairBatches,
    action_lengths,
    pair_model_batch,
)
from actiongpt_jax.data.pair_plan import PairPlan
from actiongpt_jax.data.segments import pairs, segments
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.losses import teach as teach_losses
from actiongpt_jax.losses import temos as temos_losses
from actiongpt_jax.losses.terms import Term

Raw = Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Task:
    """How a model is trained; the loop is the same for all.

    Attributes:
        noun: what its items are called.
        items: (config, store, split) -> list, each with a `key`.
        plan: (items, batch size, seed, max_shapes, shuffle=...) -> Plan.
        batches: class of its batches.
        to_model: (raw batch, normalizer, heading) -> batch; pure.
        terms: (outputs, batch, config) -> {name: (sum, count)}; pure.
        weights: config -> {name: weight}.
    """

    noun: str
    items: Callable[[Config, MotionStore, str], list]
    plan: Callable[..., Plan]
    batches: type[ItemBatches]
    to_model: Callable[[Raw, Normalizer, str], dict[str, jax.Array]]
    terms: Callable[..., dict[str, Term]]
    weights: Callable[[Config], dict[str, float]]


def _segments(config: Config, store: MotionStore, split: str) -> list:
    data = config.data
    return segments(store, split, data.labels, data.min_frames, data.max_frames)


def _segment_plan(items: Sequence[Any], *sizes: Any, **options: Any) -> BatchPlan:
    return BatchPlan(np.array([i.end - i.start for i in items]), *sizes, **options)


def _pairs(config: Config, store: MotionStore, split: str) -> list:
    data = config.data
    compat = "reference" if resolve(config).data.pair_cut == "reference" else None
    return pairs(store, split, data.min_frames, data.max_frames, compat=compat)


def _pair_plan(items: Sequence[Any], *sizes: Any, **options: Any) -> PairPlan:
    return PairPlan(action_lengths(items), *sizes, **options)


TASKS = {
    "temos": Task(
        "segment",
        _segments,
        _segment_plan,
        SegmentBatches,
        model_batch,
        temos_losses.terms,
        temos_losses.weights,
    ),
    "teach": Task(
        "pair",
        _pairs,
        _pair_plan,
        PairBatches,
        pair_model_batch,
        teach_losses.terms,
        teach_losses.weights,
    ),
}
