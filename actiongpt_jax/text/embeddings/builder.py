"""Writes an embedding store shard by shard, so that a kill loses at most one shard."""

import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import (
    locked,
    publish,
    remove_unfinished,
    write_json,
    write_text,
)
from actiongpt_jax.files.reading import parse_json, parsing, read_text
from actiongpt_jax.files.safetensors import open_tensors
from actiongpt_jax.files.shard import Shard
from actiongpt_jax.text import aggregate
from actiongpt_jax.text.descriptions import DescriptionSource, read_descriptions
from actiongpt_jax.text.embeddings.index import (
    FORMAT,
    INDEX,
    META,
    PARTIAL,
    VERSION,
    check_siblings,
    read_meta,
    shard_name,
)
from actiongpt_jax.text.embeddings.shard import (
    Settings,
    num_texts,
    used_texts,
    write_shard,
)
from actiongpt_jax.text.encoders.loader import PretrainedEncoder

# The texts of a shard are encoded together. This is enough to sort them by length, and
# at width 768 and length 128 it takes less than a gigabyte of memory.
_TEXTS_PER_SHARD = 2048
_PLAN = "plan.json"


def build_embedding_store(
    out: str | os.PathLike,
    texts: Mapping[str, Sequence[str]],
    encoder: PretrainedEncoder,
    settings: Settings,
    *,
    part: Shard | None = None,
    batch_size: int | None = None,
    texts_per_shard: int = _TEXTS_PER_SHARD,
    on_texts: Callable[[int], object] | None = None,
) -> dict[str, Any]:
    """Embeds phrases and their descriptions into a new store.

    Finished shards are kept in `<out>.partial`, and the next call with the same input
    reuses them; `out` appears only when it is complete.

    Args:
        out: the folder to make. If it holds this very store already, nothing is done.
        texts: phrase -> its descriptions, either none or at least k.
        encoder: the encoder, from `encoders.load`.
        settings: settings of the store.
        part: write only this part of a store, in its own folder within `out`; the
            calls for all parts must get the same `texts`. None writes a whole store.
        batch_size: number of texts encoded at once; None asks
            `encode.default_batch_size`.
        texts_per_shard: approximate number of texts per shard.
        on_texts: called with the number of texts that are done, including reused ones.

    Returns:
        The content of meta.json.

    Raises:
        InputError: if `out` holds something else or another process is writing it, or
            if there are no phrases.
    """
    out = pathlib.Path(out)
    if not texts:
        raise InputError("an embedding store needs at least one phrase, got none")
    plan = _plan(texts, encoder, settings, texts_per_shard)
    if part is not None:
        whole_hash = plan["texts_hash"]
        texts = share_of(texts, part)
        plan = _plan(texts, encoder, settings, texts_per_shard)
        plan |= {"whole_hash": whole_hash, "part": [part.number, part.count]}
        check_siblings(out, part, plan)
        out = out / part.name
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        meta = _finished(out, plan, texts, settings, on_texts)
        (out / _PLAN).unlink(missing_ok=True)  # of a process killed after the rename
        return meta
    partial = out.with_name(out.name + PARTIAL)
    refusal = (
        f"{partial} is being written by another process; wait for it, or choose another"
        " --out"
    )
    with locked(out, refusal):
        partial.mkdir(exist_ok=True)
        _resume(partial, plan)
        totals = _Totals()
        shards = list(_shards(texts, settings, texts_per_shard))
        for number, phrases in enumerate(shards):
            path = partial / shard_name(number)
            if not path.exists():
                of_shard = {phrase: texts[phrase] for phrase in phrases}
                write_shard(path, of_shard, encoder, settings, batch_size, on_texts)
            elif on_texts is not None:
                on_texts(sum(num_texts(texts[phrase], settings) for phrase in phrases))
            totals.add(number, phrases, path)
        meta = _meta(plan, encoder, settings, totals)
        write_text(partial / INDEX, totals.index)
        write_json(partial / META, meta)
        publish(partial, out)
        # The plan is removed after the rename: after a kill, the next run removes it.
        (out / _PLAN).unlink()
    return meta


def share_of(
    texts: Mapping[str, Sequence[str]], part: Shard | None
) -> Mapping[str, Sequence[str]]:
    """Returns the texts of a part: every n-th phrase, or all if `part` is None.

    Raises:
        InputError: if there are fewer phrases than parts.
    """
    if part is None:
        return texts
    if part.count > len(texts):
        raise InputError(
            f"the n of --shard i/n must be at most the number of phrases, {len(texts)},"
            f" got {part.count}"
        )
    return dict(itertools.islice(texts.items(), part.number - 1, None, part.count))


def count_texts(texts: Mapping[str, Sequence[str]], settings: Settings) -> int:
    """Returns how many texts `build_embedding_store` encodes."""
    return sum(num_texts(of_phrase, settings) for of_phrase in texts.values())


def summary(meta: Mapping[str, Any]) -> str:
    """Returns two lines about a store: its content, and how many texts were cut."""
    first = f"; first: {meta['first_truncated']!r}" if meta["truncated"] else ""
    return (
        f"{meta['phrases']} phrases, {meta['texts']} texts, {meta['tokens']} token"
        f" rows of {meta['width']}, k = {meta['k']}\n"
        f"truncated: {meta['truncated']} of {meta['texts']} texts at {meta['limit']}"
        f" word pieces, {meta['cut']} pieces cut{first}"
    )


def _plan(texts, encoder: PretrainedEncoder, settings: Settings, texts_per_shard: int):
    digest = hashlib.sha256()
    for phrase, descriptions in texts.items():
        used = list(used_texts(descriptions, settings))
        digest.update(json.dumps([phrase, used]).encode())
    return {
        "weight_hash": encoder.weight_hash,
        "texts_hash": digest.hexdigest()[:32],
        "texts_per_shard": texts_per_shard,
        **encoder.variant,
        **dataclasses.asdict(settings),
    }


def _finished(out, plan, texts, settings, on_texts) -> dict[str, Any]:
    if (out / META).is_file():
        meta = read_meta(out / META)
        if all(meta.get(field) == value for field, value in plan.items()):
            if on_texts is not None:
                on_texts(count_texts(texts, settings))
            return meta
    raise InputError(
        f"{out} must not exist yet, but its content differs from what this command"
        " would write; delete it or choose another --out"
    )


def _resume(partial: pathlib.Path, plan: Mapping[str, Any]) -> None:
    remove_unfinished(partial)
    path, content = partial / _PLAN, json.dumps(plan)
    if not path.is_file() or read_text(path) != content:
        # Shards of other texts or settings cannot be reused.
        for old in partial.glob("shard-*"):
            old.unlink()
        write_text(path, content)


def _shards(texts, settings: Settings, texts_per_shard: int) -> Iterator[list[str]]:
    shard: list[str] = []
    size = 0
    for phrase, descriptions in texts.items():
        shard.append(phrase)
        size += num_texts(descriptions, settings)
        if size >= texts_per_shard:
            yield shard
            shard, size = [], 0
    if shard:
        yield shard


class _Totals:
    """The index and the counts, collected from the metadata of the shards."""

    def __init__(self):
        self.index: list[str] = []
        self.counts = {"phrases": 0, "texts": 0, "truncated": 0, "cut": 0, "tokens": 0}
        self.first_truncated: str | None = None

    def add(self, number: int, phrases: Sequence[str], path: pathlib.Path) -> None:
        tensors, metadata = open_tensors(path)
        with parsing(path, "a shard of this store", "remove it and run again"):
            index = parse_json(metadata["index"], path, "remove it and run again")
            for phrase, place in zip(phrases, index, strict=True):
                self.index.append(json.dumps([phrase, number, *place]) + "\n")
            for name in ("texts", "truncated", "cut"):
                self.counts[name] += int(metadata[name])
        self.counts["phrases"] += len(phrases)
        self.counts["tokens"] += sum(
            len(tensor) for name, tensor in tensors.items() if name.endswith(".tokens")
        )
        if self.first_truncated is None:
            self.first_truncated = parse_json(
                metadata["first_truncated"], path, "remove it and run again"
            )


def _meta(plan, encoder: PretrainedEncoder, settings: Settings, totals: _Totals):
    return {
        "format": FORMAT,
        "version": VERSION,
        "encoder": encoder.name,
        "width": encoder.width,
        "limit": encoder.limit,
        **plan,
        **totals.counts,
        "first_truncated": totals.first_truncated,
    }


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The texts and settings of a store.

    Attributes:
        texts: phrase -> its descriptions; an empty list stores the phrase alone.
        settings: settings of the store.
        truncated: `file:line` of truncated last lines, which were skipped.
    """

    texts: dict[str, list[str]]
    settings: Settings
    truncated: list[str]


def gather(
    descriptions: DescriptionSource | None,
    phrases: Iterable[str] = (),
    *,
    k: int,
    how: str = aggregate.DEFAULT,
    each: bool = False,
    prompt: str | None = None,
    writer: str | None = None,
) -> Inputs:
    """Selects the descriptions to embed and adds phrases without descriptions.

    Args:
        descriptions: file or folder of descriptions, or texts, {phrase: [texts]}; None
            for `phrases` alone.
        phrases: further phrases; spaces around them and empty phrases are ignored.
        k: number of descriptions joined per phrase.
        how: how the descriptions are joined, one of `choices.AGGREGATIONS`.
        each: whether to store every single description too.
        prompt: name of the prompt; None takes the only prompt in the file, or 'detail'
            if there are several.
        writer: name of the writer; None takes the first in the file.

    Raises:
        InputError: if a described phrase has fewer than k descriptions, or if there are
            no phrases.
    """
    texts: dict[str, list[str]] = {}
    settings = Settings(0, how)
    truncated: list[str] = []
    if descriptions is not None:
        read = read_descriptions(descriptions)
        truncated = read.truncated
        chosen = read.select(prompt, writer, k)
        texts = {phrase: [r.text for r in rs] for phrase, rs in chosen.items()}
        settings = Settings.of(chosen, k, how, each=each)
    for phrase in map(str.strip, phrases):
        if phrase:
            texts.setdefault(phrase, [])
    if not texts:
        raise InputError("an embedding store needs at least one phrase, got none")
    return Inputs(texts, settings, truncated)
