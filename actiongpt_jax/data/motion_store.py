"""The motion store: a folder with flat memory-mapped arrays and two tables.

A store of N frames holds `rotations.npy` (N, 22, 3), `translation.npy` (N, 3),
optionally `hands.npy` (N, 2, 3), all float32; `sequences.jsonl` and
`labels.jsonl` with one row per sequence and per label; `meta.json` and
`report.json`. Only the two tables are held in memory.
"""

import dataclasses
import functools
import os
import pathlib
from typing import Any, TypeVar

import numpy as np

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.arrays import read_npy
from actiongpt_jax.files.jsonl import read_lines
from actiongpt_jax.files.reading import check_fields, parsing, read_json

FORMAT = 1
# Array file -> shape of one frame.
COLUMNS = {"rotations": (22, 3), "translation": (3,), "hands": (2, 3)}
SPLITS = ("train", "val", "test")
_REMEDY = "make the store again"


@dataclasses.dataclass(frozen=True)
class Sequence:
    """One recording in the store.

    Attributes:
        name: name of the recording, unique in the store (BABEL's id).
        start: first frame in the flat arrays.
        length: number of frames.
        split: 'train', 'val' or 'test'.
        source: path of the source file, relative to the folder given to `prepare`.
        sha256: hash of the source file, hexadecimal.
        fps_source: frames per second of the source file.
        fps: frames per second in the store.
        duration: duration of the source in seconds, its frames / fps_source.
        gender: gender of the body model that the source was fitted with.
        betas: shape parameters of that body model.
    """

    name: str
    start: int
    length: int
    split: str
    source: str
    sha256: str
    fps_source: float
    fps: float
    duration: float
    gender: str = "neutral"
    betas: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Label:
    """A phrase and the frames of a sequence that it describes.

    Attributes:
        sequence: row of the sequence in the store's table.
        start: first frame, within the sequence.
        end: one past the last frame.
        phrase: what happens in these frames.
        kind: 'frame' for a labelled stretch, 'sequence' for the whole recording.
        categories: categories of the action, such as BABEL's `act_cat`.
    """

    sequence: int
    start: int
    end: int
    phrase: str
    kind: str
    categories: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class MotionStore:
    """An opened store; its arrays are memory maps, read from the files on access.

    Attributes:
        path: folder of the store.
        rotations: (N, 22, 3) float32 axis-angle, radians, parent-relative.
        translation: (N, 3) float32 metres, z-up.
        hands: (N, 2, 3) float32 axis-angle of SMPL-H joints 22 and 37, or None.
        sequences: one row per recording.
        labels: one row per label, in the order of the source.
        meta: content of `meta.json`: frame rate, settings and a hash of the inputs.
    """

    path: pathlib.Path
    rotations: np.ndarray
    translation: np.ndarray
    hands: np.ndarray | None
    sequences: list[Sequence]
    labels: list[Label]
    meta: dict[str, Any]

    @property
    def fps(self) -> float:
        """Frames per second of every sequence."""
        return self.meta["fps"]

    @functools.cached_property
    def labels_by_sequence(self) -> list[list[Label]]:
        """The labels of each sequence, in the order of the source."""
        rows: list[list[Label]] = [[] for _ in self.sequences]
        for label in self.labels:
            rows[label.sequence].append(label)
        return rows

    def frames(self, sequence: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads the frames of one sequence.

        Args:
            sequence: row of the sequence in the table.

        Returns:
            Memory-mapped rotations (T, 22, 3) and translation (T, 3).
        """
        row = self.sequences[sequence]
        frames = slice(row.start, row.start + row.length)
        return self.rotations[frames], self.translation[frames]

    def motion(self, sequence: int, start: int = 0, end: int | None = None) -> Motion:
        """Reads a part of one sequence.

        Args:
            sequence: row of the sequence in the table.
            start: first frame within the sequence.
            end: one past the last frame; None reads to the end of the sequence.

        Returns:
            The motion as it was captured, in memory, without text.
        """
        row = self.sequences[sequence]
        first = row.start + start
        frames = slice(first, row.start + (row.length if end is None else end))
        return Motion(
            np.array(self.rotations[frames]),
            np.array(self.translation[frames]),
            self.fps,
            hands=None if self.hands is None else np.array(self.hands[frames]),
        )

    def report(self) -> dict[str, Any]:
        """Reads the report that was written when the store was made."""
        return read_json(self.path / "report.json", _REMEDY)


def open_store(path: str | os.PathLike) -> MotionStore:
    """Opens a motion store without reading its frames.

    Raises:
        FileNotFoundError: if there is no store; the message names the command that
            makes one.
        InputError: if a file of the store is missing, damaged or inconsistent with
            the others.
    """
    path = pathlib.Path(path)
    if not (path / "meta.json").is_file():
        raise FileNotFoundError(
            f"{path} must be a motion store but has no meta.json; make one with "
            "`python -m actiongpt_jax.prepare babel --amass DIR --babel DIR "
            f"--out {path}` or `python -m actiongpt_jax.prepare synthetic "
            f"--out {path}`"
        )
    meta = read_json(path / "meta.json", _REMEDY)
    if meta.get("format") != FORMAT:
        raise InputError(
            f"{path / 'meta.json'}: format must be {FORMAT}, got "
            f"{meta.get('format')!r}; {_REMEDY}"
        )
    check_fields(meta, {"fps": float}, str(path / "meta.json"), _REMEDY)
    sequences = _read_rows(path / "sequences.jsonl", Sequence)
    labels = _read_rows(path / "labels.jsonl", Label)
    _check_frames(path, sequences, labels)
    num_frames = sum(row.length for row in sequences)
    arrays = {
        name: _map_array(path / f"{name}.npy", (num_frames, *shape))
        for name, shape in COLUMNS.items()
        if name != "hands" or meta.get("hands")
    }
    return MotionStore(
        path=path,
        rotations=arrays["rotations"],
        translation=arrays["translation"],
        hands=arrays.get("hands"),
        sequences=sequences,
        labels=labels,
        meta=meta,
    )


Row = TypeVar("Row", Sequence, Label)


def make_row(kind: type[Row], value: Any, where: str, remedy: str) -> Row:
    """Makes a row of a table from a JSON value.

    Args:
        kind: type of the row.
        value: the JSON value.
        where: name of the file and the line, for errors.
        remedy: what the user can do about a damaged file.

    Raises:
        InputError: if a field is missing, unknown or of another type.
    """
    fields = dataclasses.fields(kind)
    required = {f.name: f.type for f in fields if f.default is dataclasses.MISSING}
    row = check_fields(value, required, where, remedy)
    with parsing(where, f"a {kind.__name__.lower()} row", remedy):
        if "betas" in row:
            row = {**row, "betas": tuple(map(float, row["betas"]))}
        if "categories" in row:
            categories = row["categories"]
            named = isinstance(categories, list)
            if not (named and all(isinstance(name, str) for name in categories)):
                raise TypeError(f"categories must be texts, got {categories!r}")
            row = {**row, "categories": tuple(categories)}
        return kind(**row)


def _read_rows(path: pathlib.Path, kind: type[Row]) -> list[Row]:
    lines = read_lines(path, _REMEDY)
    return [make_row(kind, line.value, line.where, _REMEDY) for line in lines]


def _check_frames(path: pathlib.Path, sequences: list[Sequence], labels: list[Label]):
    """Checks that rows refer to frames and sequences that the store has."""
    start = 0
    for row in sequences:
        if row.start != start or row.length < 1:
            raise InputError(
                f"{path / 'sequences.jsonl'}: {row.name!r} must have 1 frame or more"
                f" and start at {start}, got {row.length} from {row.start}; {_REMEDY}"
            )
        start += row.length
    for number, row in enumerate(labels, start=1):
        known = 0 <= row.sequence < len(sequences)
        if not known or not 0 <= row.start < row.end <= sequences[row.sequence].length:
            raise InputError(
                f"{path / 'labels.jsonl'}:{number} must be about frames of a sequence,"
                f" got {row.start} to {row.end} of sequence {row.sequence}; {_REMEDY}"
            )


def _map_array(path: pathlib.Path, shape: tuple[int, ...]) -> np.ndarray:
    array = read_npy(path, _REMEDY)
    if array.shape != shape or array.dtype != np.float32:
        raise InputError(
            f"{path} must hold float32 {shape} to match sequences.jsonl, got "
            f"{array.dtype} {array.shape}; {_REMEDY}"
        )
    return array
