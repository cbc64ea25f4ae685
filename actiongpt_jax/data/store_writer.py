"""Writes a motion store by recordings; resumable, and visible only when complete."""

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

from actiongpt_jax.choices import FRAMERATE
from actiongpt_jax.data.motion_store import (
    COLUMNS,
    FORMAT,
    Label,
    MotionStore,
    make_row,
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
from actiongpt_jax.files.reading import check_fields

_HEADER_BYTES = (
    128  # of each npy file; the final header, written at the end, has this size too
)


class StoreWriter:
    """Builds a store in `.NAME.partial` next to its path and renames it at the end.

    A journal holds one line per finished recording, written after its frames. The next
    run continues a killed one. It drops a truncated last line of the journal, frames
    that no complete line covers, and all recordings from the first whose key has
    changed. If the `with` block fails, for example because the disk is full, there is
    no store, but the partial folder stays for the next run.

        with StoreWriter(path, plan) as writer:
            for name in plan:
                if name not in writer.done:
                    writer.add(sequence, arrays, labels)
            writer.commit(make_report)

    Attributes:
        done: names of the recordings added or skipped so far, in this run or an
            earlier one that it continues.
        dropped: number of recordings of an earlier run that were discarded.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        plan: dict[str, str],
        settings: dict[str, Any] | None = None,
        *,
        fps: float = FRAMERATE,
    ):
        """Prepares a writer; nothing is written before the `with` block is entered.

        Args:
            path: folder of the store; it must not exist yet or must be empty.
            plan: name of every recording, in order -> a key that changes when the
                data to store for it changes.
            settings: JSON values to record in `meta.json`.
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
        """Locks and opens the partial folder; continues a run that was interrupted."""
        if self.path.exists() and not (
            self.path.is_dir() and not any(self.path.iterdir())
        ):
            raise InputError(
                f"{self.path} must be empty or missing, but it holds other files or a "
                "store made from other input or settings; remove it or choose another "
                "--out"
            )
        refusal = (
            f"{self.path} must be written by one process, but another process is"
            " writing it; wait for that process or choose another --out"
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
        """Closes the files; uncommitted recordings stay for the next run."""
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
            sequence: row of the recording; `start` is filled in here.
            arrays: rotations (T, 22, 3), translation (T, 3), hands (T, 2, 3).
            labels: labels of the recording; `sequence` is filled in here.
            notes: sentences about the recording for the report.
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
        """Records that a recording is left out, for the report."""
        self._log({"name": name, "skipped": {"source": source, "reason": reason}})

    def commit(
        self,
        make_report: Callable[[MotionStore, list, list], dict[str, Any]],
        extra_files: dict[str, pathlib.Path] | None = None,
    ) -> dict[str, Any]:
        """Completes the store and makes it visible.

        Args:
            make_report: function of the finished store, all notes and all skipped
                recordings ({name, source, reason}) that returns the content of
                `report.json`.
            extra_files: name in the store -> file to copy into it.

        Returns:
            The report.

        Raises:
            InputError: if no recording was added; the message gives the first reasons.
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
            with naming(file.name):
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
        """Brings the partial folder to the state after its last intact recording."""
        self.partial.mkdir(exist_ok=True)
        size = self._replay() if os.path.lexists(self._journal_path) else 0
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
        """Reads the journal; returns the number of its bytes that are valid."""
        repair_end(self._journal_path)
        lines = self._read_whole_journal()
        paths = self._arrays.values()
        head = next(lines, None)
        whole = head is not None and all(path.is_file() for path in paths)
        # The head defines the format of the lines; the settings do not affect it.
        if head is None or head.value != self._head or not whole:
            self.dropped += sum(1 for _ in lines)
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
                    self.dropped += 1
                    break
                self.done.add(entry["name"])
                size = line.end
        self.dropped += sum(1 for _ in lines)
        return size

    def _read_whole_journal(self) -> Iterator[Line]:
        """Yields the lines before the first damaged one, which counts as dropped."""
        try:
            for number, line in enumerate(self._read_journal()):
                if number:  # the first line is the head
                    _check_entry(line)
                yield line
        except InputError:
            self.dropped += 1

    def _read_journal(self) -> Iterator[Line]:
        return read_lines(self._journal_path, f"remove {self.partial} to start over")

    def _take(self, entry: dict[str, Any], blocks: list[Any]) -> bool:
        """Counts a recording and returns True if its frames match its checksum."""
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


def _check_entry(line: Line) -> None:
    """Raises InputError for a line of the journal with fields of other types."""
    entry, where = line.value, line.where
    check_fields(entry, {"name": str, "key": str}, where, "")
    if "sequence" not in entry:
        facts = {"source": str, "reason": str}
        check_fields(entry.get("skipped"), facts, where, "")
        return
    check_fields(entry, {"notes": list, "labels": list, "crc": int}, where, "")
    make_row(SequenceRow, entry["sequence"], where, "")
    for label in entry["labels"]:
        make_row(Label, label, where, "")


def _append(path: pathlib.Path):
    file = open(path, "r+b", buffering=0)
    file.seek(0, os.SEEK_END)
    return file


def digest(value: Any) -> str:
    """Returns the sha256 of a JSON value, in hexadecimal."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _frame_bytes(shape: tuple[int, ...]) -> int:
    return 4 * int(np.prod(shape))


def _header(shape: tuple[int, ...]) -> bytes:
    """Returns an npy header; numpy pads it to one size for any number of frames."""
    head = io.BytesIO()
    fields = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, fields)
    return head.getvalue()
