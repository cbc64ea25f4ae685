"""Generates the motions of many prompts into a folder, and goes on after a kill."""

import hashlib
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from actiongpt_jax.choices import WINDOW, Align
from actiongpt_jax.data.batches.prefetch import prefetch
from actiongpt_jax.data.motion import Motion
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.data.prompts import Prompt, read_prompts, split_prompts
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import locked, remove_unfinished
from actiongpt_jax.inference import feet
from actiongpt_jax.inference.generate import check_lengths, generate_sequence
from actiongpt_jax.inference.motion_folder import INDEX, MotionFolder
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import (
    Request,
    plan_series,
    seed_of,
    warn_of_unseen_lengths,
)
from actiongpt_jax.inference.series import (
    series_frames,
    series_mode,
    series_prompts,
    usual_frames,
)
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.inference.writer import Writer
from actiongpt_jax.nn.parameters import parameter_hash
from actiongpt_jax.text.descriptions import DescriptionSource
from actiongpt_jax.training.inputs import open_store_at_rate

_BATCH = 16


def generate_many(
    model: Trained,
    *,
    prompts: str | None,
    split: str | None,
    data: str | None,
    limit: int | None,
    captured: bool,
    out: str,
    embeddings: str | None,
    descriptions: DescriptionSource | None,
    writer: Writer | None,
    **options: Any,
) -> str:
    """Generates the motions of a file of prompts, or of a split of a motion store.

    Args:
        model: the model.
        prompts: file of prompts; None takes the labelled stretches of `split`.
        split: 'train', 'val' or 'test'.
        data: motion store of the split; None takes the one used in training.
        limit: number of stretches to take; None takes all.
        captured: whether to write the captured motion of every stretch too.
        out: folder to write to.
        embeddings: embedding store; see `PhraseEmbedder`.
        descriptions: descriptions of phrases; see `PhraseEmbedder`.
        writer: language model that describes other phrases; None describes none.
        options: how to generate; see `generate_files`.

    Returns:
        A sentence about what was made.

    Raises:
        InputError, JobIncompleteError: as in `generate_files`, and for a file or a
            split without prompts.
    """
    store = None
    if prompts is not None:
        listed = read_prompts(prompts)
    else:
        path = data or model.config.data.store
        if not path:
            raise InputError("--split needs a motion store; give it with --data")
        store = open_store_at_rate(path, model.config)
        listed = split_prompts(model.config, store, split or "val", limit)
    embedder = PhraseEmbedder(model.config, embeddings, descriptions, writer)
    kept = store if captured else None
    count = generate_files(model, listed, out, embedder, captured=kept, **options)
    index = pathlib.Path(out, INDEX)
    return f"{index}: {count} new motions of {len(listed)} prompts"


class _Item(NamedTuple):
    """A prompt with what is known before its texts are embedded."""

    prompt: Prompt
    texts: tuple[str, ...]
    frames: tuple[int, ...]
    mode: str


class _File(NamedTuple):
    """A motion to generate: its prompt, requests and fields of the index."""

    prompt: Prompt
    requests: tuple[Request, ...]
    row: dict[str, Any]


def generate_files(
    model: Trained,
    prompts: Sequence[Prompt],
    out: str | pathlib.Path,
    embedder: PhraseEmbedder,
    *,
    captured: MotionStore | None = None,
    series: str | None = None,
    samples: int = 1,
    fact: float = 1.0,
    seed: int = 0,
    align: Align = "full",
    window: int = WINDOW,
    diverse: str | None = None,
    clean_feet: bool = False,
    layout: str = "smplh",
) -> int:
    """Generates the motions of prompts, those of similar lengths in one batch.

    Called again with the same arguments, it goes on where it was ended. A motion that
    is in the index already, with the same texts, weights and settings, is left alone;
    the file of another text is never replaced.

    Args:
        model: the model.
        prompts: the prompts.
        out: folder of the npz files and of `index.jsonl`.
        embedder: embeds the model's texts.
        captured: motion store of the prompts, whose captured motions are written too;
            None writes none.
        series: how the texts of one prompt are combined; see `generate_motions`. None
            takes 'past' for a model that reads past frames, else 'independent'.
        samples: number of motions of a prompt that states none.
        fact: factor on the latent's deviation from its mean.
        seed: seed of a prompt that states none.
        align: how actions are joined; see `generate_motions`.
        window: length of the slerp transition between actions, in frames.
        diverse: source of variation between samples.
        clean_feet: whether to plant feet that slide; see `feet.clean_feet`.
        layout: columns of the poses; see `save_motion`.

    Returns:
        The number of motions that were generated.

    Raises:
        InputError: before anything is generated, if an action is too short or a model
            cannot combine texts so; or if another process writes to the folder.
        JobIncompleteError: if a writer could not describe all phrases.
    """
    out = pathlib.Path(out)
    items = [
        item for prompt in prompts for item in _plan(model, embedder, prompt, series)
    ]
    warn_of_unseen_lengths(model.config, (n for item in items for n in item.frames))
    nothing = np.zeros((0, 1), np.float32)
    for item in items:
        requests = [
            Request(text, nothing, n)
            for text, n in zip(item.texts, item.frames, strict=True)
        ]
        check_lengths(model, requests, window, item.mode == "past")
    embedder.describe_unknown(text for item in items for text in item.texts)
    # Motions with the same number of actions and similar lengths share a batch.
    items.sort(key=lambda item: (item.mode, len(item.frames), item.frames))
    settings = {
        "model": parameter_hash(model.variables),
        **{"align": align, "window": window, "layout": layout},
        "clean_feet": clean_feet,
    }

    def files() -> Iterator[_File]:
        for item in items:
            prompt = item.prompt
            own_seed = seed if prompt.seed is None else prompt.seed
            if prompt.start is not None:
                own_seed = seed_of(seed, prompt.where)
            planned = plan_series(
                embedder,
                item.texts,
                item.frames,
                prompt.samples or samples,
                diverse,
                fact,
                own_seed,
            )
            for number, requests in enumerate(planned):
                row = {
                    "text": item.texts,
                    "frames": item.frames,
                    "sample": number,
                    "seed": own_seed,
                    "fact": requests[0].fact,
                    "series": item.mode,
                    "prompt": prompt.where,
                }
                key = _key(settings, prompt.name, item.mode, requests)
                yield _File(prompt, requests, {**row, "key": key})

    def generate(batch: list[_File]) -> tuple[list[_File], list[Motion]]:
        return batch, generate_sequence(
            model,
            [file.requests for file in batch],
            align=align,
            window=window,
            read_past=batch[0].row["series"] == "past",
            batch_size=_BATCH,
        )

    total = sum(item.prompt.samples or samples for item in items)
    out.mkdir(parents=True, exist_ok=True)
    busy = f"{out} is being written by another process; wait for it, or choose another"
    with (
        locked(out / INDEX, f"{busy} --out"),
        tqdm(total=total, unit="motion", leave=False) as bar,
    ):
        remove_unfinished(out)
        folder = MotionFolder(out, layout)
        if captured is not None:
            for prompt in prompts:
                folder.save_captured(captured, prompt)
        generated = 0
        # The model works on a batch while the texts of the next one are embedded and
        # the motions of the one before are written.
        batches = _batches(files(), folder, bar)
        for batch, motions in prefetch(generate, batches, depth=1):
            for file, motion in zip(batch, motions, strict=True):
                motion = feet.clean_feet(motion) if clean_feet else motion
                folder.save(motion, file.prompt, file.row)
                bar.update()
            generated += len(batch)
    return generated


def _plan(
    model: Trained, embedder: PhraseEmbedder, prompt: Prompt, series: str | None
) -> Iterator[_Item]:
    """Yields the motions to generate of a prompt, without their samples."""
    mode = series_mode(series, model)
    if series is None and mode == "off" and len(prompt.texts) > 1:
        mode = "independent"
    if prompt.seconds is None:
        frames = usual_frames(model, embedder, prompt.texts)
    else:
        frames = series_frames(prompt.seconds, prompt.texts, mode, model.framerate)
    for texts, lengths in series_prompts(prompt.texts, frames, mode):
        yield _Item(prompt, tuple(texts), tuple(lengths), mode)


def _batches(
    files: Iterator[_File], folder: MotionFolder, bar: tqdm
) -> Iterator[list[_File]]:
    """Yields the motions that are not in the index, in batches of one kind."""
    batch: list[_File] = []
    seen: set[str] = set()
    for file in files:
        if file.row["key"] in folder.done or file.row["key"] in seen:
            bar.update()
            continue
        seen.add(file.row["key"])
        kind = file.row["series"], len(file.requests)
        if batch and (
            len(batch) == _BATCH
            or (batch[0].row["series"], len(batch[0].requests)) != kind
        ):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def _key(
    settings: dict[str, Any], name: str, mode: str, requests: Sequence[Request]
) -> str:
    """Returns a hash of everything that a motion and the name of its file depend on."""
    parts = [
        (r.text, r.num_frames, r.seed, r.fact, hashlib.sha256(r.tokens.tobytes()))
        for r in requests
    ]
    hashed = [(*part[:4], part[4].hexdigest()) for part in parts]
    content = json.dumps([settings, name, mode, hashed])
    return hashlib.sha256(content.encode()).hexdigest()[:32]
