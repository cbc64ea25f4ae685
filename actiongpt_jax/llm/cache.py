"""The cache of descriptions: one writer, and a record on disk before it counts.

A cache is a JSONL file, or a folder in which every shard writes a file of its own.
Only lines are added.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterable

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import locked
from actiongpt_jax.files.jsonl import Truncated, append_lines, read_lines, repair_end
from actiongpt_jax.files.shard import Shard
from actiongpt_jax.text.description import (
    Description,
    ask_setting,
    from_json,
    to_json,
)

# In a folder the last file by name wins, so the one of runs without --shard is last.
_WHOLE = "whole.jsonl"
# Every line begins so; a file whose last line does not was not written by us.
_START = b'{"phrase": '


class DescriptionCache:
    """An opened cache; a context manager that gives the lock back.

    Attributes:
        path: the file or folder.
        file: where this process writes.
        keys: of all records with a text, of all shards.
        later_keys: those in files whose records win over the ones of `file`.
        notes: sentences about truncated lines.
        settings: (writer, prompt, how it was asked) of what a model wrote.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        shard: Shard | None = None,
        writable: bool = True,
    ):
        """Reads the keys; with `writable`, locks the file and repairs its end.

        Args:
            path: `*.jsonl`, or a folder (one that is there, or with `shard`).
            shard: which share of the phrases this process describes.
            writable: False reads only, and leaves the disk as it is.

        Raises:
            InputError: if another process writes to it, or if it is no cache; what
                is there is left as it was.
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
            if file != self.file:
                keys = self._read(file)
                self.keys |= keys
                if file > self.file:
                    self.later_keys |= keys
        with contextlib.ExitStack() as stack:
            if writable:
                refusal = (
                    f"another process is writing to {self.file}; wait until it ends, or"
                    " give each its own --shard i/n"
                )
                stack.enter_context(locked(self.file, refusal))
            if self.file.exists():
                self.keys |= self._read(self.file)
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
        """Writes records; they are on disk, or not at all, when this returns.

        Raises:
            OSError: if the disk is full; what was there before stays whole.
        """
        if not self._writable:
            raise InputError(f"{self.path} was opened for reading; open it to write")
        records = list(records)
        append_lines(self.file, map(to_json, records))
        self.keys |= {record.key for record in records if record.text.strip()}

    def close(self) -> None:
        """Gives the lock back."""
        self._writable = False
        self._lock.close()

    def _read(self, file: pathlib.Path) -> set[str]:
        keys: dict[str, bool] = {}
        truncated: list[Truncated] = []
        remedy = "repair the line, or choose another --out"
        for line in read_lines(file, remedy, truncated.append):
            record = from_json(line.value, line.where)
            keys[record.key] = bool(record.text.strip())
            # Redone records are left out: other settings were chosen for them.
            if record.parameters is not None and record.redo is None:
                asked = ask_setting(record.prompt_version, record.parameters)
                self.settings.add((record.writer, record.prompt, asked))
        if truncated and file == self.file:
            self._note(truncated[0])
        return {key for key, has_text in keys.items() if has_text}

    def _note(self, truncated: Truncated) -> None:
        """Makes a note of a truncated line; refuses one that is not ours."""
        content = truncated.content
        ours = content.startswith(_START) or _START.startswith(content)
        # A machine that lost power may leave zeros where the line was to be.
        if not ours and content.strip(b"\0"):
            raise InputError(
                f"{truncated.where} must be one JSON record as `describe` writes it,"
                f" got {content[:40]!r}; choose another --out"
            )
        cut = "was cut off" if self._writable else "will be cut off"
        self.notes.append(
            f"{self.file}: the last line was truncated ({len(content)} bytes without a"
            f" line end) and {cut}; its description is asked again"
        )


def _own_file(path: pathlib.Path, shard: Shard | None) -> pathlib.Path:
    if shard is not None:
        if path.is_file() or path.suffix in (".json", ".jsonl"):
            raise InputError(
                f"with --shard the cache must be a folder, in which each shard writes"
                f" a file of its own, got the file {path}; choose another --out"
            )
        return path / f"{shard.name}.jsonl"
    if path.is_dir():
        return path / _WHOLE
    if path.suffix != ".jsonl":
        raise InputError(
            f"the cache must be a *.jsonl file or a folder, got {path}; for"
            " {phrase: [texts]} json use --from-file to read and --export to write"
        )
    return path
