"""Training tasks: the items, batches, losses and figures of each kind of model."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import numpy as np

from actiongpt_jax.config_fields import Config
from actiongpt_jax.data.batches.item_batches import ItemBatches
from actiongpt_jax.data.batches.pair_batches import (
    PairBatches,
    action_lengths,
    pair_model_batch,
)
from actiongpt_jax.data.batches.pair_plan import PairPlan
from actiongpt_jax.data.batches.plan import BatchPlan, Plan
from actiongpt_jax.data.batches.segment_batches import (
    NamedSegmentBatches,
    SegmentBatches,
    TokenBatches,
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
from actiongpt_jax.errors import InputError
from actiongpt_jax.features import pose6d
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.geometry import body
from actiongpt_jax.losses import evaluator as evaluator_losses
from actiongpt_jax.losses import motionclip as motionclip_losses
from actiongpt_jax.losses import teach as teach_losses
from actiongpt_jax.losses import temos as temos_losses
from actiongpt_jax.losses.terms import Term
from actiongpt_jax.metrics.retrieval import top1_terms
from actiongpt_jax.metrics.validation import ape_ave_terms, joint_error_terms
from actiongpt_jax.models.family import family_of
from actiongpt_jax.text.embeddings.store import EmbeddingStore

Raw = Mapping[str, jax.Array]
Batch = dict[str, jax.Array]
# (outputs, batch) -> {name: (sum, count)}; pure.
Terms = Callable[[Any, Batch], dict[str, Term]]
# (outputs, batch, normalizer) -> {name: (sum, count)} to add to a validation; pure.
ValidationTerms = Callable[[Any, Batch, Normalizer], dict[str, Term]]


@dataclasses.dataclass(frozen=True)
class Task:
    """Describes how one kind of model is trained; the loop is the same for all kinds.

    The defaults are for models that read one phrase and one motion per item.

    Attributes:
        config: the config of the run.
    """

    config: Config

    noun: ClassVar[str] = "segment"
    # items -> their distinct phrases, sorted.
    phrases: ClassVar[Callable[[list], list[str]]] = staticmethod(segment_phrases)
    # The terms that each validation adds to those of the loss.
    validation: ClassVar[ValidationTerms] = staticmethod(ape_ave_terms)
    # Validation figures that are printed: those whose names contain one of these.
    shown: ClassVar[tuple[str, ...]] = (
        "recons_text2rfeats",
        "ape_root",
        "ape_global",
        "ave_global",
    )
    batches_type: ClassVar[type[TokenBatches]] = SegmentBatches

    def items(self, store: MotionStore, split: str) -> list:
        """Lists the items of a split, each with a `key`."""
        data = self.config.data
        return segments(store, split, data.labels, data.min_frames, data.max_frames)

    def sizes(self) -> str:
        """Returns the allowed lengths of items in words, for errors."""
        return f"{self.config.data.min_frames} to {self.config.data.max_frames} frames"

    def plan(self, items: list, shuffle: bool) -> Plan:
        """Plans the batches of items, in a new order every epoch if `shuffle`."""
        lengths = np.array([item.end - item.start for item in items])
        return BatchPlan(lengths, **self._plan_options(shuffle))

    def batches(
        self,
        store: MotionStore,
        items: list,
        embeddings: EmbeddingStore,
        shuffle: bool,
        **process: int,
    ) -> ItemBatches:
        """Opens the batches of items.

        Args:
            store: motion store of the items.
            items: items listed by `Task.items`, or a part of them.
            embeddings: embedding store of their phrases.
            shuffle: True for training, False for validation.
            **process: process_index and process_count; see `ItemBatches`.

        Raises:
            InputError: if the embedding store lacks a phrase.
        """
        return self.batches_type(
            store,
            items,
            embeddings,
            self.plan(items, shuffle),
            source=self.config.text.source,
            draw=self.config.text.draw,
            # Validation reads the same texts every time.
            seed=self.config.train.seed if shuffle else None,
            num_tokens=self.config.text.num_tokens,
            **process,
        )

    def fit(self, batches: Any) -> Normalizer:
        """Fits the normalizer of the features to the training split."""
        return fit_features(batches, self.config.data.heading)

    def to_model(self, raw: Raw, normalizer: Normalizer) -> Batch:
        """Turns a raw batch into the arrays that model and losses read; pure."""
        return model_batch(raw, normalizer, self.config.data.heading)

    def terms(self, axis_name: str | None) -> Terms:
        """Returns the terms of the loss; contrastive terms gather over the axis."""
        raise NotImplementedError

    def weights(self) -> dict[str, float]:
        """Returns the weight of every term."""
        raise NotImplementedError

    def _plan_options(self, shuffle: bool) -> dict[str, Any]:
        shapes = self.config.data.max_shapes
        return {
            "batch_size": self.config.train.batch_size,
            "seed": self.config.train.seed,
            # Validation is rare: compiling few programs matters more than padding.
            "max_shapes": shapes if shuffle else min(2, -(-shapes // 2)),
            "shuffle": shuffle,
        }


class TemosTask(Task):
    """TEMOS: one phrase and one motion per item."""

    def terms(self, axis_name: str | None) -> Terms:
        """Returns TEMOS's seven terms."""
        return functools.partial(temos_losses.terms, config=self.config)

    def weights(self) -> dict[str, float]:
        """Returns the weights of the terms."""
        return temos_losses.weights(self.config)


class TeachTask(Task):
    """TEACH: pairs of consecutive actions."""

    noun = "pair"
    batches_type = PairBatches

    def items(self, store: MotionStore, split: str) -> list:
        """Lists the pairs of a split."""
        data = self.config.data
        limits = data.min_frames, data.max_frames
        return pairs(store, split, *limits, cut=data.pair_cut)

    def plan(self, items: list, shuffle: bool) -> Plan:
        """Plans batches by the lengths of the two actions of each pair."""
        return PairPlan(action_lengths(items), **self._plan_options(shuffle))

    def to_model(self, raw: Raw, normalizer: Normalizer) -> Batch:
        """Turns a raw batch of pairs into the arrays of model and losses; pure."""
        return pair_model_batch(raw, normalizer, self.config.data.heading)

    def terms(self, axis_name: str | None) -> Terms:
        """Returns TEMOS's seven terms for both actions."""
        return functools.partial(teach_losses.terms, config=self.config)

    def weights(self) -> dict[str, float]:
        """Returns the weights of the terms."""
        return teach_losses.weights(self.config)


class MotionClipTask(Task):
    """MotionCLIP: windows of equal length, each with one text vector."""

    noun = "clip"
    phrases = staticmethod(window_phrases)
    validation = staticmethod(joint_error_terms)
    shown = ("joint_error", "text_cosine")

    def items(self, store: MotionStore, split: str) -> list:
        """Lists the clips of a split."""
        data = self.config.data
        return clips(
            store,
            split,
            data.labels,
            data.num_frames,
            data.clip_frames,
            window_text=data.window_text,
        )

    def sizes(self) -> str:
        """Returns the lengths of windows and clips in words, for errors."""
        data = self.config.data
        return f"{data.num_frames} labelled frames out of {data.clip_frames}"

    def batches(
        self,
        store: MotionStore,
        items: list,
        embeddings: EmbeddingStore,
        shuffle: bool,
        **process: int,
    ) -> ItemBatches:
        """Opens the batches of windows; see `Task.batches`."""
        config = self.config
        lengths = np.full(len(items), config.data.num_frames)
        images = config.data.images
        return WindowBatches(
            store,
            items,
            embeddings,
            BatchPlan(lengths, **self._plan_options(shuffle)),
            # Validation reads the same windows every time.
            seed=config.train.seed if shuffle else None,
            source=config.text.source,
            images=read_images(images, items) if images else None,
            turn=config.data.turn == "random",
            **process,
        )

    def fit(self, batches: Any) -> Normalizer:
        """Returns the normalizer that changes nothing: poses are not normalised."""
        width = pose6d.NFEATS
        return Normalizer(np.zeros(width, np.float32), np.ones(width, np.float32))

    def to_model(self, raw: Raw, normalizer: Normalizer) -> Batch:
        """Turns a raw batch of windows into the arrays of model and losses; pure."""
        data = self.config.data
        return pose_batch(raw, data.align, data.translation)

    def terms(self, axis_name: str | None) -> Terms:
        """Returns MotionCLIP's terms."""
        path = self.config.losses.body
        return functools.partial(
            motionclip_losses.terms,
            config=self.config,
            body=body.load(path) if path else None,
            axis_name=axis_name,
        )

    def weights(self) -> dict[str, float]:
        """Returns the weights of those terms that have a weight."""
        return motionclip_losses.weights(self.config)


class EvaluatorTask(Task):
    """The evaluator: a phrase, a motion, and which phrases of a batch are equal."""

    validation = staticmethod(top1_terms)
    shown = ("contrastive", "top1")
    batches_type = NamedSegmentBatches

    def terms(self, axis_name: str | None) -> Terms:
        """Returns the contrastive term."""
        return functools.partial(
            evaluator_losses.terms, config=self.config, axis_name=axis_name
        )

    def weights(self) -> dict[str, float]:
        """Returns the weight of the term."""
        return evaluator_losses.WEIGHTS


TASKS: dict[str, type[Task]] = {
    "temos": TemosTask,
    "teach": TeachTask,
    "motionclip": MotionClipTask,
    "evaluator": EvaluatorTask,
}


def task_of(config: Config) -> Task:
    """Returns the task of a config's model.

    Raises:
        InputError: if the model is unknown, or `config.model.nfeats` is not the width
            of its features.
    """
    nfeats = family_of(config).nfeats
    if config.model.nfeats != nfeats:
        raise InputError(
            f"config.model.nfeats must be {nfeats}, the width of the model's features, "
            f"got {config.model.nfeats}"
        )
    return TASKS[config.model.name](config)
