"""Writing a motion store: one recording at a time, resumable, seen only whole."""

import contextlib
import dataclasses
import hashlib
import io
import itertools
import json
import os
import pathlib
import shutil
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
from actiongpt_jax.files.atomic import (
    locked,
    naming,
    publish,
    replaced,
    write_json,
    write_text,
)
from actiongpt_jax.files.jsonl import Line, append_lines, read_lines, repair_end

_HEADER_BYTES = 128  # of every array file, so that it can be rewritten at the end


class StoreWriter:
    """Builds a store in `.NAME.partial` next to its path and renames it at the end.

    A journal holds one line per finished recording, written after its frames. A
    run that was killed is continued by the next one: a truncated last line, frames
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
    ):
        """Names the store; nothing is written before the block is entered.

        Args:
            path: folder of the store; must not exist, or be empty.
            plan: name of every recording, in order -> a key that changes when
                what would be stored of it changes.
            settings: kept in `meta.json`; json values only.
            fps: frames per second of all recordings.
        """
        self.path = pathlib.Path(os.path.abspath(path))
        self.partial = self.path.parent / f".{self.path.name}.partial"
        self.done: set[str] = set()
        self.dropped = 0
        self._plan = plan
        self._head = {"format": FORMAT, "fps": fps, "hands": True}
        self._meta = {"settings": settings or {}, "inputs": digest(plan)}
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
        refusal = (
            f"{self.path} must be written by one process, got another one at work on"
            " it; wait for it or choose another --out"
        )
        with contextlib.ExitStack() as stack:
            stack.enter_context(locked(self.path, refusal))
            self._recover()
            self._files = {
                name: stack.enter_context(_append(path))
                for name, path in self._arrays.items()
            }
            self._journal = stack.enter_context(_append(self._journal_path))
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
        for name, shape in COLUMNS.items():
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
        for name, shape in COLUMNS.items():
            file = self._files[name]
            file.seek(0)
            self._write(file, _header((self._num_frames, *shape)))
            os.fsync(file.fileno())
        for name, source in (extra_files or {}).items():
            with replaced(self.partial / name) as new:
                shutil.copyfile(source, new)
        write_json(self.partial / "meta.json", self._head | self._meta)
        report = make_report(open_store(self.partial), notes, skipped)
        write_json(self.partial / "report.json", report)
        publish(self.partial, self.path)
        (self.path / self._journal_path.name).unlink()
        return report

    @property
    def _journal_path(self) -> pathlib.Path:
        return self.partial / "journal.jsonl"

    @property
    def _arrays(self) -> dict[str, pathlib.Path]:
        return {name: self.partial / f"{name}.npy" for name in COLUMNS}

    def _recover(self) -> None:
        self.partial.mkdir(exist_ok=True)
        size = self._replay() if self._journal_path.exists() else 0
        kept = {self._journal_path, *self._arrays.values()} if size else ()
        for path in self.partial.iterdir():
            if path not in kept:
                path.unlink()
        if size:
            os.truncate(self._journal_path, size)
        else:
            append_lines(self._journal_path, [json.dumps(self._head) + "\n"])
        for name, path in self._arrays.items():
            path.touch()
            with naming(path):
                end = _HEADER_BYTES + self._num_frames * _frame_bytes(COLUMNS[name])
                os.truncate(path, end)

    def _replay(self) -> int:
        """Reads the journal; returns how many of its bytes are good."""
        repair_end(self._journal_path)
        lines = self._read_journal()
        paths = self._arrays.values()
        head = next(lines, None)
        whole = head is not None and all(path.exists() for path in paths)
        # The head decides what every line means; the settings are only noted.
        if head is None or head.value != self._head or not whole:
            self.dropped = sum(1 for _ in lines)
            return 0
        size = head.end
        with contextlib.ExitStack() as stack:
            blocks = [stack.enter_context(open(path, "rb")) for path in paths]
            for block in blocks:
                block.seek(_HEADER_BYTES)
            for planned, line in zip(self._plan.items(), lines, strict=False):
                entry = line.value
                known = (entry["name"], entry["key"]) == planned
                if not known or ("sequence" in entry and not self._take(entry, blocks)):
                    self.dropped = 1
                    break
                self.done.add(entry["name"])
                size = line.end
        self.dropped += sum(1 for _ in lines)
        return size

    def _read_journal(self) -> Iterator[Line]:
        return read_lines(self._journal_path, f"remove {self.partial} to start over")

    def _take(self, entry: dict[str, Any], blocks: list[Any]) -> bool:
        """Counts a recording whose frames are as they were written."""
        length, checksum = entry["sequence"]["length"], 0
        for block, shape in zip(blocks, COLUMNS.values(), strict=True):
            data = block.read(length * _frame_bytes(shape))
            checksum = zlib.crc32(data, checksum)
        if checksum != entry["crc"]:
            return False
        self._num_frames += length
        self._num_sequences += 1
        return True

    def _write_tables(self) -> tuple[list[str], list[dict[str, str]]]:
        notes, skipped, sequences, labels = [], [], [], []
        for line in itertools.islice(self._read_journal(), 1, None):
            entry = line.value
            if "skipped" in entry:
                skipped.append({"name": entry["name"], **entry["skipped"]})
                continue
            notes += entry["notes"]
            sequences.append(json.dumps(entry["sequence"]) + "\n")
            labels += [json.dumps(label) + "\n" for label in entry["labels"]]
        write_text(self.partial / "sequences.jsonl", sequences)
        write_text(self.partial / "labels.jsonl", labels)
        return notes, skipped

    def _log(self, entry: dict[str, Any]) -> None:
        entry["key"] = self._plan[entry["name"]]
        line = json.dumps(entry, allow_nan=False) + "\n"
        self._write(self._journal, line.encode())
        self.done.add(entry["name"])

    def _write(self, file, data: bytes) -> None:
        view = memoryview(data)
        with naming(file.name):
            while view:
                view = view[file.write(view) :]


def _append(path: pathlib.Path):
    file = open(path, "r+b", buffering=0)
    file.seek(0, os.SEEK_END)
    return file


def digest(value: Any) -> str:
    """Hashes json values: sha256 in hexadecimal."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _frame_bytes(shape: tuple[int, ...]) -> int:
    return 4 * int(np.prod(shape))


def _header(shape: tuple[int, ...]) -> bytes:
    """The npy format's header; numpy leaves room in it for any number of frames."""
    head = io.BytesIO()
    fields = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, fields)
    return head.getvalue()
