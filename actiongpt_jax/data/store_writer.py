"""Writing a motion store: one recording at a time, resumable, seen only whole."""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from actiongpt_jax.data.motion_store import (
    COLUMNS,
    FORMAT,
    Label,
    MotionStore,
    open_store,
)
from actiongpt_jax.data.motion_store import Sequence as SequenceRow
from actiongpt_jax.errors import InputError

_HEADER_BYTES = 128  # of every array file, so that it can be rewritten at the end


class StoreWriter:
    """Builds a store in `.NAME.partial` beside its path and renames it at the end.

    A journal holds one line per finished recording, written after its frames. A
    run that was killed is continued by the next one: a torn last line, frames
    beyond the last whole line, and everything from the first recording on whose
    key has changed are dropped. A block that fails, also by a full disk, leaves
    no store, and its partial folder for the next run.

        with StoreWriter(path, plan) as writer:
            for name in plan:
                if name not in writer.done:
                    writer.add(sequence, arrays, labels)
            writer.commit(make_report)

    Attributes:
        done: names of the recordings that an earlier run added or skipped, then
            also of those of this run.
        dropped: how many recordings of an earlier run were thrown away.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        plan: dict[str, str],
        settings: dict[str, Any] | None = None,
        *,
        fps: float = 30.0,
        hands: bool = True,
    ):
        """Names the store; nothing is written before the block is entered.

        Args:
            path: folder of the store; must not exist, or be empty.
            plan: name of every recording, in order -> a key that changes when
                what would be stored of it changes.
            settings: kept in `meta.json`; json values only.
            fps: frames per second of all recordings.
            hands: whether the store has hands.
        """
        self.path = pathlib.Path(os.path.abspath(path))
        self.partial = self.path.parent / f".{self.path.name}.partial"
        self.done: set[str] = set()
        self.dropped = 0
        self._plan = plan
        self._head = {"format": FORMAT, "fps": fps, "hands": hands}
        self._head |= {"settings": settings or {}, "inputs": digest(plan)}
        self._columns = {
            name: shape for name, shape in COLUMNS.items() if hands or name != "hands"
        }
        self._num_frames = 0
        self._num_sequences = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "StoreWriter":
        """Locks and opens the partial folder, continuing what lies in it."""
        if self.path.exists() and not (
            self.path.is_dir() and not any(self.path.iterdir())
        ):
            raise InputError(
                f"{self.path} must not exist yet, got one made from other input or "
                "settings; remove it or choose another --out"
            )
        self.partial.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            self._lock(stack)
            self._recover()
            self._files = {
                name: stack.enter_context(_append(self.partial / f"{name}.npy"))
                for name in self._columns
            }
            self._journal = stack.enter_context(_append(self.partial / "journal.jsonl"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception) -> None:
        """Closes the files; what is not committed stays for the next run."""
        self._stack.close()

    def add(
        self,
        sequence: SequenceRow,
        arrays: dict[str, np.ndarray],
        labels: Sequence[Label] = (),
        notes: Sequence[str] = (),
    ) -> None:
        """Appends one recording.

        Args:
            sequence: its row; `start` is filled in here.
            arrays: rotations (T, 22, 3), translation (T, 3), hands (T, 2, 3).
            labels: its labels; `sequence` is filled in here.
            notes: sentences for the report.
        """
        checksum = 0
        for name, shape in self._columns.items():
            block = np.ascontiguousarray(arrays[name], np.float32)
            if block.shape != (sequence.length, *shape):
                raise ValueError(
                    f"{name} of {sequence.name} must be {(sequence.length, *shape)}, "
                    f"got {block.shape}"
                )
            data = block.tobytes()
            checksum = zlib.crc32(data, checksum)
            self._write(self._files[name], data)
        row = dataclasses.replace(sequence, start=self._num_frames)
        rows = [dataclasses.replace(n, sequence=self._num_sequences) for n in labels]
        self._log(
            {
                "name": sequence.name,
                "sequence": dataclasses.asdict(row),
                "labels": [dataclasses.asdict(label) for label in rows],
                "notes": list(notes),
                "crc": checksum,
            }
        )
        self._num_frames += sequence.length
        self._num_sequences += 1

    def skip(self, name: str, source: str, reason: str) -> None:
        """Notes for the report that a recording is left out."""
        self._log({"name": name, "skipped": {"source": source, "reason": reason}})

    def commit(
        self,
        make_report: Callable[[MotionStore, list, list], dict[str, Any]],
        extra_files: dict[str, pathlib.Path] | None = None,
    ) -> dict[str, Any]:
        """Completes the store and makes it visible.

        Args:
            make_report: gets the finished store, all notes and all skipped
                recordings ({name, source, reason}), and returns what
                `report.json` shall hold.
            extra_files: name in the store -> file to copy there.

        Returns:
            The report.

        Raises:
            InputError: if nothing was added; names the first reasons.
        """
        notes, skipped = self._write_tables()
        if not self._num_sequences:
            shutil.rmtree(self.partial)
            reasons = " | ".join(row["reason"] for row in skipped[:3])
            raise InputError(
                f"at least one recording must be readable, got none of "
                f"{len(skipped)}, so no store was made; first reasons: {reasons}"
            )
        for name, shape in self._columns.items():
            file = self._files[name]
            file.seek(0)
            self._write(file, _header((self._num_frames, *shape)))
            os.fsync(file.fileno())
        for name, source in (extra_files or {}).items():
            with _naming(self.partial / name):
                shutil.copyfile(source, self.partial / name)
        self._write_whole("meta.json", self._head)
        report = make_report(open_store(self.partial), notes, skipped)
        self._write_whole("report.json", report)
        os.rename(self.partial, self.path)
        _sync_folder(self.path.parent)
        for name in ("journal.jsonl", "lock"):
            (self.path / name).unlink()
        return report

    def _lock(self, stack: contextlib.ExitStack) -> None:
        lock = stack.enter_context(open(self.partial / "lock", "wb"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{self.path} must be written by one process, got another one at work "
                "on it; wait for it or choose another --out"
            ) from error

    def _recover(self) -> None:
        journal = self.partial / "journal.jsonl"
        # What decides every line of the journal; the settings are only noted.
        head = {key: self._head[key] for key in ("format", "fps", "hands")}
        size = self._replay(journal, head) if journal.exists() else 0
        if not size:
            for path in self.partial.iterdir():
                if path.name != "lock":
                    path.unlink()
            with _naming(journal):
                journal.write_text(json.dumps(head) + "\n", "utf-8")
        else:
            os.truncate(journal, size)
        for name, shape in self._columns.items():
            path = self.partial / f"{name}.npy"
            path.touch()
            with _naming(path):
                end = _HEADER_BYTES + self._num_frames * _frame_bytes(shape)
                os.truncate(path, end)

    def _replay(self, journal: pathlib.Path, head: dict[str, Any]) -> int:
        """Reads a journal; returns how many of its bytes are good."""
        with open(journal, "rb") as file, contextlib.ExitStack() as stack:
            line = file.readline()
            paths = [self.partial / f"{name}.npy" for name in self._columns]
            if _parse(line) != head or not all(path.exists() for path in paths):
                self.dropped = sum(1 for _ in file)
                return 0
            blocks = [stack.enter_context(open(path, "rb")) for path in paths]
            for block in blocks:
                block.seek(_HEADER_BYTES)
            size = len(line)
            for name, key in self._plan.items():
                line = file.readline()
                entry = _parse(line)
                if entry is None or (entry["name"], entry["key"]) != (name, key):
                    break
                if "sequence" in entry and not self._take(entry, blocks):
                    break
                self.done.add(name)
                size += len(line)
            else:
                line = b""
            self.dropped = int(line.endswith(b"\n")) + sum(1 for _ in file)
        return size

    def _take(self, entry: dict[str, Any], blocks: list[Any]) -> bool:
        """Counts a recording whose frames are as they were written."""
        length, checksum = entry["sequence"]["length"], 0
        for block, shape in zip(blocks, self._columns.values(), strict=True):
            data = block.read(length * _frame_bytes(shape))
            checksum = zlib.crc32(data, checksum)
        if checksum != entry["crc"]:
            return False
        self._num_frames += length
        self._num_sequences += 1
        return True

    def _write_tables(self) -> tuple[list[str], list[dict[str, str]]]:
        notes, skipped = [], []
        with contextlib.ExitStack() as stack:
            tables = {}
            for name in ("sequences", "labels"):
                path = self.partial / f"{name}.jsonl"
                stack.enter_context(_naming(path))
                tables[name] = stack.enter_context(open(path, "w", encoding="utf-8"))
            lines = stack.enter_context(open(self.partial / "journal.jsonl", "rb"))
            next(lines)
            for line in lines:
                entry = json.loads(line)
                if "skipped" in entry:
                    skipped.append({"name": entry["name"], **entry["skipped"]})
                    continue
                notes += entry["notes"]
                tables["sequences"].write(json.dumps(entry["sequence"]) + "\n")
                for label in entry["labels"]:
                    tables["labels"].write(json.dumps(label) + "\n")
            for table in tables.values():
                table.flush()
                os.fsync(table.fileno())
        return notes, skipped

    def _log(self, entry: dict[str, Any]) -> None:
        entry["key"] = self._plan[entry["name"]]
        line = json.dumps(entry, allow_nan=False) + "\n"
        self._write(self._journal, line.encode())
        self.done.add(entry["name"])

    def _write(self, file, data: bytes) -> None:
        view = memoryview(data)
        with _naming(pathlib.Path(file.name)):
            while view:
                view = view[file.write(view) :]

    def _write_whole(self, name: str, value: Any) -> None:
        path = self.partial / name
        with _naming(path), open(path, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.flush()
            os.fsync(file.fileno())


def _append(path: pathlib.Path):
    file = open(path, "r+b", buffering=0)
    file.seek(0, os.SEEK_END)
    return file


def digest(value: Any) -> str:
    """Hashes json values: sha256 in hexadecimal."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _sync_folder(path: pathlib.Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _frame_bytes(shape: tuple[int, ...]) -> int:
    return 4 * int(np.prod(shape))


def _header(shape: tuple[int, ...]) -> bytes:
    """The npy format's version 1.0 header, padded to a fixed size."""
    text = repr({"descr": "<f4", "fortran_order": False, "shape": shape})
    size = _HEADER_BYTES - 10
    return (
        b"\x93NUMPY\x01\x00"
        + struct.pack("<H", size)
        + text.ljust(size - 1).encode()
        + b"\n"
    )


def _parse(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        return json.loads(line)
    except ValueError:
        return None


@contextlib.contextmanager
def _naming(path: pathlib.Path) -> Iterator[None]:
    """Puts the file's name into system errors that come without one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
