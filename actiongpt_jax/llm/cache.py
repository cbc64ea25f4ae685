"""The cache of descriptions: one writer, and a record on disk before it counts.

A cache is a JSONL file, or a folder in which every shard writes a file of its own.
Only lines are added. The lock is the kernel's on the open file, so that it goes with
the process that held it, however that ended.
"""

import fcntl
import io
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

from actiongpt_jax.errors import InputError
from actiongpt_jax.text.description_record import Description, from_json, to_json

# In a folder the last file by name wins, so the one of runs without --shard is last.
_PART, _WHOLE = "part-{:05d}-of-{:05d}.jsonl", "whole.jsonl"
# Every line begins so; a tail that does not is no torn record of ours.
_START = b'{"phrase": '
_TAIL_BLOCK = 1 << 16


class DescriptionCache:
    """An opened cache; a context manager that gives the lock back.

    Attributes:
        path: the file or folder.
        file: where this process writes.
        keys: of all records with a text, of all shards.
        notes: sentences about torn lines.
        settings: (writer, prompt, how it was asked) of what a model wrote.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        shard: tuple[int, int] | None = None,
        writable: bool = True,
    ):
        """Reads the keys; with `writable`, locks the file and mends its end.

        Args:
            path: `*.jsonl`, or a folder (one that is there, or with `shard`).
            shard: (number from 1, of how many).
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
        self._stream: io.FileIO | None = None
        others = sorted(self.file.parent.glob("*.jsonl")) if self._is_folder else []
        for file in others:
            if file != self.file:
                keys = self._read(file, mend=None)
                self.keys |= keys
                if file > self.file:
                    self.later_keys |= keys
        if writable:
            self._stream = _open_locked(self.file)
        try:
            if self.file.exists():
                self.keys |= self._read(self.file, mend=self._stream)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "DescriptionCache":
        """Returns the cache."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the cache."""
        self.close()

    @property
    def _is_folder(self) -> bool:
        return self.file != self.path

    def append(self, records: Iterable[Description]) -> None:
        """Writes records; they are on disk, or not at all, when this returns.

        Raises:
            OSError: if the disk is full; what was there before stays whole.
        """
        if self._stream is None:
            raise InputError(f"{self.path} was opened for reading; open it to write")
        records = list(records)
        size = self._stream.seek(0, os.SEEK_END)
        try:
            rest = memoryview("".join(map(to_json, records)).encode())
            while rest:
                rest = rest[self._stream.write(rest) :]
            os.fsync(self._stream.fileno())
        except OSError as error:
            self._stream.truncate(size)
            error.filename = str(self.file)
            raise
        self.keys |= {record.key for record in records if record.text.strip()}

    def close(self) -> None:
        """Gives the lock back; a file in which nothing was written is removed."""
        if self._stream is None:
            return
        if self._stream.seek(0, os.SEEK_END) == 0:
            self.file.unlink(missing_ok=True)
        self._stream.close()
        self._stream = None

    def _read(self, file: pathlib.Path, mend: io.FileIO | None) -> set[str]:
        keys: dict[str, bool] = {}
        for record in _records(file):
            keys[record.key] = bool(record.text.strip())
            # A text that was asked again keeps the place of one asked otherwise.
            if record.parameters is not None and record.redo is None:
                asked = ask_setting(record.prompt_version, record.parameters)
                self.settings.add((record.writer, record.prompt, asked))
        own = file == self.file
        start, tail = _tail(file)
        if tail and own:
            whole = _is_whole(tail)
            if not whole and not _is_torn(tail):
                raise InputError(
                    f"{file} must hold one JSON record a line, but its last line is"
                    f" none: {tail[:40]!r}; choose another --out"
                )
            if mend is not None:
                if whole:
                    mend.seek(0, os.SEEK_END)
                    mend.write(b"\n")
                else:
                    mend.truncate(start)
                os.fsync(mend.fileno())
            if not whole:
                cut = "was cut off" if mend is not None else "will be cut off"
                self.notes.append(
                    f"{file}: the last line was torn ({len(tail)} bytes without an"
                    f" end) and {cut}; its description is asked again"
                )
        return {key for key, has_text in keys.items() if has_text}


def ask_setting(version: str | None, parameters: Mapping[str, Any]) -> str:
    """Returns what must be equal of texts that are used together."""
    return json.dumps([version, parameters], sort_keys=True)


def _own_file(path: pathlib.Path, shard: tuple[int, int] | None) -> pathlib.Path:
    if shard is not None:
        number, count = shard
        if not 1 <= number <= count:
            raise InputError(
                f"--shard must be i/n with i from 1 to n, got {number}/{count}"
            )
        if path.is_file() or path.suffix in (".json", ".jsonl"):
            raise InputError(
                f"with --shard the cache must be a folder, in which each shard writes"
                f" a file of its own, got the file {path}; choose another --out"
            )
        return path / _PART.format(number, count)
    if path.is_dir():
        return path / _WHOLE
    if path.suffix != ".jsonl":
        raise InputError(
            f"the cache must be a *.jsonl file or a folder, got {path}; for"
            " {phrase: [texts]} json use --from-file to read and --export to write"
        )
    return path


def _open_locked(file: pathlib.Path) -> io.FileIO:
    file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        stream = file.open("ab", buffering=0)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.close()
            raise InputError(
                f"another process is writing to {file}; wait until it ends, or give"
                " each its own --shard i/n"
            ) from error
        # Whoever held the lock before may have removed the file, being empty.
        if file.exists() and os.path.samestat(os.fstat(stream.fileno()), file.stat()):
            return stream
        stream.close()


def _records(file: pathlib.Path) -> Iterator[Description]:
    """Reads a file line by line; its last line only if it is a whole record."""
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{file}:{number}"
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                if not line.endswith(b"\n"):
                    return
                raise InputError(
                    f"{where} must be one JSON record as `describe` writes it, got"
                    f" {line[:40]!r}; mend the line, or choose another --out"
                ) from error
            yield from_json(record, where)


def _tail(file: pathlib.Path) -> tuple[int, bytes]:
    """Returns where the last line begins, and it if it has no line end."""
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        tail = b""
        while len(tail) < size and b"\n" not in tail:
            start = max(0, size - len(tail) - _TAIL_BLOCK)
            stream.seek(start)
            tail = stream.read(size - len(tail) - start) + tail
    tail = tail[tail.rfind(b"\n") + 1 :]
    return size - len(tail), tail


def _is_whole(tail: bytes) -> bool:
    try:
        return isinstance(json.loads(tail), dict)
    except (ValueError, RecursionError):
        return False


def _is_torn(tail: bytes) -> bool:
    # A machine that lost power may leave zeros where the line was to be.
    return tail.startswith(_START) or _START.startswith(tail) or not tail.strip(b"\0")
