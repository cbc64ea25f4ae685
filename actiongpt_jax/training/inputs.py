"""Opens the stores of a config and checks that they belong together."""

import dataclasses
import pathlib

import jax

from actiongpt_jax.config import Config
from actiongpt_jax.data.motion_store import MotionStore, open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.text.embeddings.store import EmbeddingStore, open_embeddings
from actiongpt_jax.training.tasks import TASKS, Batches

_PATHS = (("data", "store"), ("text", "store"), ("data", "images"), ("losses", "body"))
# What the published models read, where it is not DistilBERT.
_ENCODERS = {"motionclip": "openai/clip-vit-base-patch32"}


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What a run reads.

    Attributes:
        train: batches in a new order every epoch.
        val: every validation item once, or None without any.
        train_items: in the order that a batch's `item` refers to.
    """

    train: Batches
    val: Batches | None
    train_items: list

    @property
    def per_epoch(self) -> int:
        """Steps of one epoch."""
        return self.train.plan.batches_per_epoch


def open_inputs(config: Config) -> Inputs:
    """Opens both stores and fills `config.text` with what the embeddings are.

    The stores' paths become absolute: checkpoints name them to whoever generates,
    from whatever folder.

    Raises:
        InputError: for a store that is missing, empty, of another encoder or k
            than the config asks for, or without one of the motion's phrases.
    """
    if not config.data.store or not config.text.store:
        missing = "config.data.store" if not config.data.store else "config.text.store"
        encoder = _ENCODERS.get(config.model.name, "distilbert-base-uncased")
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
    task = TASKS[config.model.name]
    train_items = training_items(config, store)
    if not train_items:
        raise InputError(
            f"motion store {config.data.store} has no {task.noun} of "
            f"{task.sizes(config)} in split {config.data.train_split!r} with "
            f"config.data.labels={config.data.labels!r}"
        )
    val_items = task.items(config, store, config.data.val_split)
    train = _batches(config, store, embeddings, train_items, shuffle=True)
    val = None
    if val_items:
        val = _batches(config, store, embeddings, val_items, shuffle=False)
    return Inputs(train, val, train_items)


def training_items(config: Config, store: MotionStore) -> list:
    """Returns what of a store a run of `config` trains on."""
    items = TASKS[config.model.name].items(config, store, config.data.train_split)
    return items[: config.data.limit]


def training_phrases(config: Config) -> frozenset[str]:
    """Returns the phrases that a run of `config` trains on.

    Raises:
        InputError: for a motion store that is missing or has not that split.
    """
    store = open_store(pathlib.Path(config.data.store))
    items = training_items(config, store)
    return frozenset(TASKS[config.model.name].phrases(items))


def _batches(
    config: Config,
    store: MotionStore,
    embeddings: EmbeddingStore,
    items: list,
    shuffle: bool,
) -> Batches:
    task = TASKS[config.model.name]
    plan = task.plan(
        config,
        items,
        config.train.batch_size,
        config.train.seed,
        # Validation is rare: fewer programs to compile count more than padding.
        config.data.max_shapes if shuffle else min(2, -(-config.data.max_shapes // 2)),
        shuffle=shuffle,
    )
    return task.batches(
        config,
        store,
        items,
        embeddings,
        plan,
        shuffle=shuffle,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )


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


# Fields that a continued run must share with its checkpoint. Of the others, these
# may change, but then the end is not that of an uninterrupted run.
_FIXED_TEXT = ("source", "encoder", "k", "aggregation", "width", "weight_hash")
_EXACT = {
    "data": (
        *("store", "labels", "min_frames", "max_frames", "limit", "train_split"),
        *("window_text", "num_frames", "clip_frames", "images", "turn"),
    ),
    "losses": None,
    "text": ("store",),
    "train": ("batch_size", "seed", "dtype", "learning_rate"),
}


def check_same_run(
    config: Config, saved: Config, workdir: str | pathlib.Path
) -> list[str]:
    """Checks that a checkpoint can be continued with a config.

    Returns:
        What else differs and keeps the run from ending as if uninterrupted.

    Raises:
        InputError: if model, features or text differ.
    """
    # Of converted weights it is not known what embedded their texts.
    converted = saved.text.weight_hash is None
    text = ("width",) if converted else _FIXED_TEXT
    for section, field in [
        *(("model", field) for field in config.model),
        ("data", "heading"),
        ("data", "pair_cut"),
        ("data", "align"),
        ("data", "translation"),
        *(("text", field) for field in text),
        # They are part of the optimizer's state.
        ("train", "optimizer"),
        ("train", "schedule"),
        ("train", "warmup_steps"),
        ("train", "grad_clip"),
    ]:
        now = config[section].get(field)
        # A field younger than the checkpoint was what it now is by default.
        then = saved[section].get(field, now)
        if now != then:
            raise InputError(
                f"workdir {workdir} was trained with {section}.{field}={then!r} and "
                f"cannot continue with {now!r}; use another --workdir"
            )
    exact = _EXACT
    if config.train.schedule != "constant":
        exact = {**_EXACT, "train": (*_EXACT["train"], "num_steps", "num_epochs")}
    return [
        f"{section}.{field} was {saved[section].get(field)!r}, is {now!r}"
        for section, fields in exact.items()
        for field in fields or config[section]
        if (now := config[section].get(field)) != saved[section].get(field, now)
    ]
