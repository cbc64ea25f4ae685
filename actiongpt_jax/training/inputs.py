"""Opens the stores of a config and checks that they fit together."""

import dataclasses
import os
import pathlib

import jax

from actiongpt_jax.config_fields import Config
from actiongpt_jax.data.batches.item_batches import ItemBatches
from actiongpt_jax.data.motion_store import MotionStore, open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.models.family import family_of
from actiongpt_jax.text.embeddings.store import EmbeddingStore, open_embeddings
from actiongpt_jax.training.tasks import task_of

# The fields of a config that name files of a machine.
PATHS = (("data", "store"), ("text", "store"), ("data", "images"), ("losses", "body"))


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The data that a run reads.

    Attributes:
        train: training batches, in a new order every epoch.
        val: batches that hold every validation item once; None if there are no items.
    """

    train: ItemBatches
    val: ItemBatches | None

    @property
    def per_epoch(self) -> int:
        """Number of steps per epoch."""
        return self.train.plan.batches_per_epoch


def open_inputs(config: Config) -> Inputs:
    """Opens both stores, and records in the config how they were made.

    The stores' paths become absolute: a checkpoint names them, and motions may be
    generated from another working directory.

    Raises:
        InputError: if a store is missing or empty, the embeddings have another encoder
            or k than the config asks for, or they lack a phrase of the motions.
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
    store = open_store_at_rate(config.data.store, config)
    embeddings = open_embeddings(pathlib.Path(config.text.store))
    _fill_text(config, embeddings)
    config.data.store_hash = store.meta.get("inputs")
    config.text.store_hash = embeddings.texts_hash
    for section, name in PATHS:
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


def open_store_at_rate(path: str | os.PathLike, config: Config) -> MotionStore:
    """Opens a motion store, and checks that its frame rate is that of the model.

    Args:
        path: folder of the store.
        config: config of the model.

    Raises:
        FileNotFoundError: if there is no store.
        InputError: if the store is damaged or has another frame rate.
    """
    store, fps = open_store(path), config.data.framerate
    if store.fps != fps:
        raise InputError(
            f"motion store {path} must have {fps:g} frames per second as "
            f"config.data.framerate says, got {store.fps:g}; make the store with "
            f"`prepare --framerate {fps:g}`, or train a model of its rate with "
            f"--config.data.framerate={store.fps:g}"
        )
    return store


def training_items(config: Config, store: MotionStore) -> list:
    """Returns the items of a motion store that a run of `config` trains on."""
    items = task_of(config).items(store, config.data.train_split)
    return items[: config.data.limit]


def training_phrases(config: Config) -> frozenset[str]:
    """Returns the phrases that a run of `config` trains on.

    Raises:
        InputError: if the motion store is missing or has no such split.
    """
    store = open_store(pathlib.Path(config.data.store))
    return frozenset(task_of(config).phrases(training_items(config, store)))


def _fill_text(config: Config, embeddings: EmbeddingStore) -> None:
    """Checks the fields of `config.text` that are set, and fills in the others."""
    for field in ("encoder", "k", "aggregation", "width", "weight_hash"):
        requested, stored = config.text[field], getattr(embeddings, field)
        if field in ("k", "aggregation") and config.text.source == "phrase":
            continue
        if requested is not None and requested != stored:
            raise InputError(
                f"config.text.{field} is {requested!r} but the embeddings in "
                f"{config.text.store} have {stored!r}; leave the field unset, or make "
                "other embeddings with `python -m actiongpt_jax.embed`"
            )
        config.text[field] = stored
