"""Opens the stores of a config and checks that they belong together."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax

from actiongpt_jax.config_fields import Config
from actiongpt_jax.data.batches.item_batches import ItemBatches
from actiongpt_jax.data.motion_store import MotionStore, open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.models.family import family_of
from actiongpt_jax.text.embeddings.store import EmbeddingStore, open_embeddings
from actiongpt_jax.training.tasks import task_of

_PATHS = (("data", "store"), ("text", "store"), ("data", "images"), ("losses", "body"))


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What a run reads.

    Attributes:
        train: batches in a new order every epoch.
        val: every validation item once, or None without any.
    """

    train: ItemBatches
    val: ItemBatches | None

    @property
    def per_epoch(self) -> int:
        """Steps of one epoch."""
        return self.train.plan.batches_per_epoch


def open_inputs(config: Config) -> Inputs:
    """Opens both stores and fills `config.text` with what the embeddings are.

    The stores' paths become absolute: a checkpoint names them, and motions may be
    generated from another working directory.

    Raises:
        InputError: for a store that is missing, empty, of another encoder or k
            than the config asks for, or without one of the motion's phrases.
    """
    if not config.data.store or not config.text.store:
        missing = "config.data.store" if not config.data.store else "config.text.store"
        encoder = family_of(config).text_encoder
        raise InputError(
            f"{missing} is not set; make a motion store with `python -m "
            "actiongpt_jax.prepare babel --amass DIR --babel DIR --out STORE` and "
            "embeddings with `python -m actiongpt_jax.embed --descriptions FILE "
            f"--encoder {encoder} --k 4 --out EMBEDDINGS`, then give both "
            "as --config.data.store=STORE --config.text.store=EMBEDDINGS, or train on "
            f"built-in data with --config {config.model.name}:demo"
        )
    store = open_store(pathlib.Path(config.data.store))
    embeddings = open_embeddings(pathlib.Path(config.text.store))
    _fill_text(config, embeddings)
    for section, name in _PATHS:
        if path := config[section].get(name):
            config[section][name] = str(pathlib.Path(path).absolute())
    task = task_of(config)
    train_items = training_items(config, store)
    if not train_items:
        raise InputError(
            f"motion store {config.data.store} has no {task.noun} of "
            f"{task.sizes()} in split {config.data.train_split!r} with "
            f"config.data.labels={config.data.labels!r}"
        )
    val_items = task.items(store, config.data.val_split)
    process = {
        "process_index": jax.process_index(),
        "process_count": jax.process_count(),
    }
    train = task.batches(store, train_items, embeddings, shuffle=True, **process)
    val = None
    if val_items:
        val = task.batches(store, val_items, embeddings, shuffle=False, **process)
    return Inputs(train, val)


def training_items(config: Config, store: MotionStore) -> list:
    """Returns the items of a motion store that a run of `config` trains on."""
    items = task_of(config).items(store, config.data.train_split)
    return items[: config.data.limit]


def training_phrases(config: Config) -> frozenset[str]:
    """Returns the phrases that a run of `config` trains on.

    Raises:
        InputError: for a motion store that is missing or lacks the split.
    """
    store = open_store(pathlib.Path(config.data.store))
    return frozenset(task_of(config).phrases(training_items(config, store)))


def _fill_text(config: Config, embeddings: EmbeddingStore) -> None:
    if config.text.source not in ("descriptions", "phrase"):
        raise InputError(
            "config.text.source must be 'descriptions' or 'phrase', got "
            f"{config.text.source!r}"
        )
    for field in ("encoder", "k", "aggregation", "width", "weight_hash"):
        wanted, held = config.text[field], getattr(embeddings, field)
        if field in ("k", "aggregation") and config.text.source == "phrase":
            continue
        if wanted is not None and wanted != held:
            raise InputError(
                f"config.text.{field} is {wanted!r} but the embeddings in "
                f"{config.text.store} have {held!r}; leave the field unset, or make "
                "others with `python -m actiongpt_jax.embed`"
            )
        config.text[field] = held


def check_workdir(workdir: pathlib.Path) -> None:
    """Checks that a run can have this folder.

    Raises:
        InputError: if it, or what it lies in, is a file.
    """
    for path in (workdir, *workdir.parents):
        if path.exists():
            if not path.is_dir():
                raise InputError(
                    f"--workdir must be a folder to make or to continue in, but {path} "
                    "is a file"
                )
            return


# Fields that a continued run must share with its checkpoint, besides all of the
# model's. Those of `train` are part of the optimizer's state.
_FIXED = {
    "data": ("heading", "pair_cut", "align", "translation"),
    "text": ("source", "encoder", "k", "aggregation", "width", "weight_hash"),
    "train": ("optimizer", "schedule", "warmup_steps", "grad_clip"),
}
# Fields that may change, but then the run does not end as if uninterrupted.
_EXACT = {
    "data": (
        "store",
        "labels",
        "min_frames",
        "max_frames",
        "limit",
        "train_split",
        "window_text",
        "num_frames",
        "clip_frames",
        "images",
        "turn",
    ),
    "text": ("store",),
    "train": ("batch_size", "seed", "dtype", "learning_rate"),
}
# The learning rate of a schedule depends on the length of the run.
_EXACT_OF_SCHEDULES = ("num_steps", "num_epochs")


def check_same_run(
    config: Config, saved: Config, workdir: str | pathlib.Path
) -> list[str]:
    """Checks that a checkpoint can be continued with a config.

    Returns:
        Sentences about other fields that differ, which keep the run from ending as
        if it were uninterrupted.

    Raises:
        InputError: if model, features or text differ.
    """
    fixed = {**_FIXED, "model": tuple(config.model)}
    if saved.text.weight_hash is None:
        # Converted checkpoints do not record their text encoder: only its width can
        # be checked.
        fixed["text"] = ("width",)
    for section, field, then, now in _changes(fixed, saved, config):
        raise InputError(
            f"workdir {workdir} was trained with {section}.{field}={then!r} and "
            f"cannot continue with {now!r}; use another --workdir"
        )
    exact = {**_EXACT, "losses": tuple(config.losses)}
    if config.train.schedule != "constant":
        exact["train"] += _EXACT_OF_SCHEDULES
    return [
        f"{section}.{field} was {then!r}, is {now!r}"
        for section, field, then, now in _changes(exact, saved, config)
    ]


def _changes(
    fields: Mapping[str, Sequence[str]], saved: Config, config: Config
) -> Iterator[tuple[str, str, Any, Any]]:
    """Yields (section, field, value then, value now) of the fields that differ."""
    for section, names in fields.items():
        for name in names:
            now = config[section].get(name)
            # The checkpoint may predate the field: it then had today's value.
            then = saved[section].get(name, now)
            if then != now:
                yield section, name, then, now
