"""The cache of descriptions: one process writes, and every record is on disk at once.

A cache is a JSONL file, or a folder in which every shard writes its own file. Existing
lines are never changed; new lines are appended.
"""

import contextlib
import dataclasses
import datetime
import os
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import locked
from actiongpt_jax.files.jsonl import (
    append_lines,
    read_lines,
    repair_end,
    truncated_end,
)
from actiongpt_jax.files.shard import Shard
from actiongpt_jax.llm.provider import Answer
from actiongpt_jax.llm.request import Request
from actiongpt_jax.text.description import (
    Description,
    ask_setting,
    from_json,
    to_json,
)
from actiongpt_jax.text.prompts import TEMPLATES

# In a folder the records of the last file by name win, so the file of runs without
# --shard has a name that sorts last.
_WHOLE = "whole.jsonl"
# Every line starts like this; a file whose last line does not is not a cache.
_START = b'{"phrase": '


class Replaced(NamedTuple):
    """A description that is asked for again.

    Attributes:
        key: key of its record, which the new record gets.
        writer: its writer, whose description the new one counts as.
        reason: the fault for which it is replaced.
        digest: digest of its text; see `llm.faults.digest`.
    """

    key: str
    writer: str
    reason: str
    digest: str


class DescriptionCache:
    """An open cache; as a context manager it releases its lock at the end.

    Attributes:
        path: the file or folder of the cache.
        file: the file to which this process writes.
        keys: keys of all records that have a text, in all shards.
        later_keys: keys in files whose records win over those in `file`.
        notes: sentences about truncated lines, to be shown to the user.
        settings: (writer, prompt, settings of the request) of every record that a
            model wrote.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        shard: Shard | None = None,
        writable: bool = True,
        index: bool = True,
    ):
        """Reads the keys; with `writable`, locks the file and repairs its end.

        Args:
            path: a `*.jsonl` file, or a folder (an existing one, or with `shard`).
            shard: the share of the phrases that this process describes.
            writable: False only reads and changes nothing on disk.
            index: False reads neither `keys` nor `settings`, which takes as long as
                reading all records.

        Raises:
            InputError: if another process writes to the cache, or if the file is not
                a cache; the file is then left unchanged.
        """
        self.path = pathlib.Path(path)
        self.file = _own_file(self.path, shard)
        self.notes: list[str] = []
        self.keys: set[str] = set()
        self.later_keys: set[str] = set()
        self.settings: set[tuple[str, str, str]] = set()
        self._writable = writable
        others = self.file.parent.glob("[!.]*.jsonl") if self.file != self.path else ()
        for file in sorted(others):
            if file != self.file and (index or file > self.file):
                keys = self._read(file)
                self.keys |= keys
                if file > self.file:
                    self.later_keys |= keys
        with contextlib.ExitStack() as stack:
            if writable:
                refusal = (
                    f"another process is writing to {self.file}; wait until it ends, or"
                    " give each process its own --shard i/n"
                )
                stack.enter_context(locked(self.file, refusal))
            if os.path.lexists(self.file):
                if index:
                    self.keys |= self._read(self.file)
                self._note(truncated_end(self.file))
                if writable:
                    repair_end(self.file)
            self._lock = stack.pop_all()

    def __enter__(self) -> "DescriptionCache":
        """Returns the cache."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes the cache."""
        self.close()

    def append(self, records: Iterable[Description]) -> None:
        """Appends records; when this returns they are on disk.

        Raises:
            OSError: if the disk is full; the records already in the file stay whole.
        """
        if not self._writable:
            raise InputError(
                f"{self.path} was opened for reading only; open it with writable=True"
            )
        records = list(records)
        append_lines(self.file, map(to_json, records))
        self.keys |= {record.key for record in records if record.text.strip()}

    def close(self) -> None:
        """Releases the lock."""
        self._writable = False
        self._lock.close()

    def _read(self, file: pathlib.Path) -> set[str]:
        keys: dict[str, bool] = {}
        asked: dict[tuple[str, ...], Description] = {}
        remedy = "repair the line, or choose another --out"
        for line in read_lines(file, remedy, lambda truncated: None):
            record = from_json(line.value, line.where)
            keys[record.key] = bool(record.text.strip())
            # Redone records are skipped: they were asked with other settings on
            # purpose.
            if record.parameters is not None and record.redo is None:
                how = f"{record.prompt_version} {record.parameters}"
                asked[record.writer, record.prompt, how] = record
        for (writer, prompt, _), record in asked.items():
            setting = ask_setting(record.prompt_version, record.parameters)
            self.settings.add((writer, prompt, setting))
        return {key for key, has_text in keys.items() if has_text}

    def _note(self, content: bytes) -> None:
        """Notes a truncated line; raises InputError if `describe` did not write it."""
        if not content.strip():
            return
        ours = content.startswith(_START) or _START.startswith(content)
        # A power failure may leave zero bytes where the line should be.
        if not ours and content.strip(b"\0"):
            raise InputError(
                f"the last line of {self.file} must be a JSON record written by"
                f" `describe`, got {content[:40]!r}; choose another --out"
            )
        cut = "was removed" if self._writable else "will be removed"
        self.notes.append(
            f"{self.file}: the last line was truncated ({len(content)} bytes without a"
            f" line end) and {cut}; its description is asked for again"
        )


def _own_file(path: pathlib.Path, shard: Shard | None) -> pathlib.Path:
    if shard is not None:
        if path.is_file() or path.suffix in (".json", ".jsonl"):
            raise InputError(
                f"with --shard the cache must be a folder, in which each shard writes"
                f" its own file, got the file {path}; choose another --out"
            )
        return path / f"{shard.name}.jsonl"
    if path.is_dir():
        return path / _WHOLE
    if path.suffix != ".jsonl":
        raise InputError(
            f"the cache must be a *.jsonl file or a folder, got {path}; use"
            " --from-file to read {phrase: [texts]} json and --export to write it"
        )
    return path


def make_record(
    request: Request,
    phrase: str,
    index: int,
    answer: Answer,
    number: int,
    old: Replaced | None = None,
) -> Description:
    """Makes the record of one text of an answer.

    Args:
        request: the request that was sent.
        phrase: the phrase that is described.
        index: number of the text among those of the phrase.
        answer: the answer that arrived.
        number: index of the text among the answer's choices.
        old: the description that the new one replaces.
    """
    choice, name = answer.choices[number], request.prompt.name
    key = request.key(phrase, index)
    if choice.source is not None:
        return dataclasses.replace(
            choice.source,
            index=index,
            text=choice.text,
            writer=request.model,
            prompt=name,
            key=key,
        )
    record = Description(
        phrase=phrase,
        index=index,
        text=choice.text,
        prompt=name,
        writer=request.model,
        prompt_version=request.prompt.version,
        model=answer.model,
        endpoint=request.address,
        parameters=dict(request.parameters),
        finish_reason=choice.finish_reason,
        usage=answer.usage,
        time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        fingerprint=answer.fingerprint,
        template=None if name in TEMPLATES else request.prompt.template,
        system=request.prompt.system,
        call=answer.call,
        key=key,
    )
    if old is None:
        return record
    call = record.call
    if old.writer != request.model:
        call = {**(call or {}), "model": request.model}
    return dataclasses.replace(
        record, key=old.key, writer=old.writer, redo=old.reason, call=call
    )
