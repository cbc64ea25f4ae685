"""Motions that anyone has made for the texts of a split: a folder of files.

A file belongs to the labelled stretch (or pair of actions) of the store whose key it
has, by an index or by its name; see `match_files`.
"""

import dataclasses
import hashlib
import math
import os
import pathlib
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from actiongpt_jax.config_fields import Config, base_config
from actiongpt_jax.data.amass import resample
from actiongpt_jax.data.mocap.reader import is_mocap
from actiongpt_jax.data.motion import load_motion
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.cases import Arrays, Case, Source
from actiongpt_jax.evaluation.options import Options
from actiongpt_jax.evaluation.session import Session, store_path
from actiongpt_jax.files.jsonl import read_lines
from actiongpt_jax.files.reading import check_fields, sha256

INDEX = "index.jsonl"
_REMEDY = "correct the file"

# Key of a case -> its files, one per sample.
Files = Mapping[str, Sequence[pathlib.Path]]


def listing_config(fps: float) -> Config:
    """Returns a config by which every labelled stretch of a split is a case.

    Args:
        fps: frames per second of the motion store. Stretches are as long as those on
            which a model is trained by default, in seconds.
    """
    config = base_config()
    data, scale = config.data, fps / config.data.framerate
    data.framerate, data.labels = fps, "frame+sequence"
    data.min_frames = round(data.min_frames * scale)
    data.max_frames = round(data.max_frames * scale)
    return config


def match_files(folder: str | os.PathLike, cases: Sequence[Case]) -> Files:
    """Finds the files that were made for the cases of an evaluation.

    If the folder has an `index.jsonl`, each of its lines names a `file` of the folder
    and, as its `prompt`, the key of a case, as in a folder of `generate --split`. Lines
    without a prompt, and those of the `kind` 'captured', are ignored. Without an index,
    a file's path below the folder, without its suffix, is the key of a case, or that
    and `_NUMBER` for one of several samples.

    Args:
        folder: folder of .npz, .bvh or .amc files.
        cases: the cases to look for.

    Returns:
        The files of each case that has some, in the order of `cases`: those of the
        index in its order, others by their number.

    Raises:
        InputError: if the folder does not exist, a line of the index is damaged, or no
            file belongs to a case.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(f"--motions must be a folder of motion files, got {folder}")
    index = folder / INDEX
    named = _by_index(index) if index.exists() else _by_name(folder, cases)
    files = {case.key: named[case.key] for case in cases if case.key in named}
    if not files:
        found = f"keys such as {min(named)!r}" if named else "no motion files"
        raise InputError(
            f"{folder} must hold motions of the split, but has {found}; name each file "
            f"after its stretch in the motion store, such as {cases[0].key}.npz, or "
            f"list them in {index}, a line each: "
            f'{{"file": ..., "prompt": {cases[0].key!r}}}'
        )
    return files


def _by_index(path: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    named: dict[str, list[pathlib.Path]] = {}
    for line in read_lines(path, _REMEDY):
        row = check_fields(line.value, {"file": str}, line.where, _REMEDY)
        if row.get("prompt") is not None and row.get("kind") != "captured":
            row = check_fields(row, {"prompt": str}, line.where, _REMEDY)
            named.setdefault(row["prompt"], []).append(path.parent / row["file"])
    return named


def _by_name(
    folder: pathlib.Path, cases: Sequence[Case]
) -> dict[str, list[pathlib.Path]]:
    keys = {case.key for case in cases}
    numbered: dict[str, list[tuple[int, pathlib.Path]]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() != ".npz" and not is_mocap(path):
            continue
        key, number = path.relative_to(folder).with_suffix("").as_posix(), 0
        sample = re.fullmatch(r"(.+)_(\d{1,9})", key)
        if key not in keys and sample and sample[1] in keys:
            key, number = sample[1], int(sample[2])
        numbered.setdefault(key, []).append((number, path))
    return {key: [path for _, path in sorted(rows)] for key, rows in numbered.items()}


def cut_to_parts(
    folder: str | os.PathLike, cases: Sequence[Case], fps: float
) -> list[Case]:
    """Cuts the cases of motions that show only a part of a labelled stretch.

    Lines of the folder's index say so by `part`, the start and the end in the stretch
    in seconds, as `generate --split` writes for a model of windows.

    Args:
        folder: folder of motion files, with or without an `index.jsonl`.
        cases: the cases.
        fps: frames per second of the motion store.

    Returns:
        The cases in their order; others than those of such lines are unchanged.

    Raises:
        InputError: if a part is not within its stretch, if its case is a pair of
            actions, or if two files of a case show different parts.
    """
    index = pathlib.Path(folder) / INDEX
    by_key = {case.key: case for case in cases}
    parts: dict[str, tuple[int, int]] = {}
    for line in read_lines(index, _REMEDY) if index.exists() else ():
        row = line.value
        case = by_key.get(row.get("prompt"))
        if case is None or row.get("part") is None or row.get("kind") == "captured":
            continue
        part = _frames_of(row["part"], fps)
        if part is None or part[1] > case.frames or len(case.lengths) > 1:
            raise InputError(
                f"{line.where}: part must be the start and the end, in seconds, within "
                f"a single action of {case.frames / fps:g} s, got {row['part']!r}; "
                f"{_REMEDY}"
            )
        if parts.setdefault(case.key, part) != part:
            raise InputError(
                f"{line.where}: all files of {case.key!r} must show the same part, got "
                f"{row['part']!r} and another one; {_REMEDY}"
            )
    return [
        _cut(case, parts[case.key]) if case.key in parts else case for case in cases
    ]


def _cut(case: Case, part: tuple[int, int]) -> Case:
    start, end = part
    return dataclasses.replace(case, start=case.start + start, lengths=(end - start,))


def _frames_of(part: Any, fps: float) -> tuple[int, int] | None:
    """Returns the first frame of a part in seconds, and the one after its last."""
    if not isinstance(part, list) or len(part) != 2:
        return None
    for value in part:
        if type(value) not in (int, float) or not 0 <= value < math.inf:
            return None
    start, end = (round(value * fps) for value in part)
    return (start, end) if start < end else None


def choose_samples(files: Files, samples: int | None) -> Files:
    """Takes the same number of samples of every case.

    Args:
        files: the files of each case.
        samples: the number to take, the first ones; None takes all.

    Raises:
        InputError: if a case has fewer than the others, or than asked for.
    """
    fewest = min(files, key=lambda key: len(files[key]))
    least, most = len(files[fewest]), max(map(len, files.values()))
    if (samples or most) > least:
        raise InputError(
            f"every motion must have {samples or most} samples, as asked for or as "
            f"others have, but {fewest!r} has {least}; give --samples {least} to "
            "compare the first ones"
        )
    return {key: paths[:samples] for key, paths in files.items()}


def content_hash(files: Files) -> str:
    """Returns a hash of the keys and of the contents of their files."""
    digest = hashlib.sha256()
    for key, paths in files.items():
        for path in paths:
            digest.update(f"{key}\0{sha256(path, _REMEDY)}\0".encode())
    return digest.hexdigest()[:32]


def from_files(files: Files, fps: float) -> Source:
    """Returns the source of motions that reads them from files.

    A motion of another frame rate is resampled, with a warning. One that is longer
    than its case is cut at the end.

    Args:
        files: the files of each case, the same number for all.
        fps: frames per second of the motion store.
    """

    def read(path: pathlib.Path, case: Case) -> Arrays:
        motion = load_motion(path)
        arrays = motion.rotations, motion.translation
        # The frame time of a .bvh file is rounded.
        if not math.isclose(motion.fps, fps, rel_tol=1e-3):
            warnings.warn(
                f"motions of {motion.fps:g} frames per second are resampled to {fps:g}",
                stacklevel=2,
            )
            arrays = resample(*arrays, motion.fps, fps)
        rotations, translation = arrays
        return rotations[: case.frames], translation[: case.frames]

    def source(cases: Sequence[Case]) -> list[list[Arrays]]:
        return [[read(path, case) for path in files[case.key]] for case in cases]

    return source


class FileSession(Session):
    """An evaluation of motion files that anyone has made."""

    def __init__(self, options: Options):
        """Finds the files of the cases.

        Raises:
            InputError: if no file belongs to a case of the split, or for bad input.
        """
        folder = pathlib.Path(options.motions or "")
        # Without a model, `--series` only says whether files show pairs of actions.
        paired = options.series not in (None, "off")
        store = open_store(store_path(options, None))
        config = listing_config(store.fps)
        super().__init__(options, config, store, paired)
        listed = self.list_cases(options.split)
        files = match_files(folder, listed)
        whole, listed = set(listed), cut_to_parts(folder, listed, store.fps)
        files = choose_samples(files, options.samples)
        self.samples = len(next(iter(files.values())))
        self.cases = self._draw([case for case in listed if case.key in files])
        self.files = {case.key: files[case.key] for case in self.cases}
        if len(files) < len(listed):
            self.notes.append(
                f"note: {len(files)} of {len(listed)} motions of split {options.split} "
                f"have a file in {folder}; the others are left out"
            )
        self.header = {
            "split": options.split,
            "limit": options.limit,
            "samples": self.samples,
            "protocol": options.protocol,
            "seed": options.seed,
            "data": str(self.store.path),
            "series": "past" if paired else "off",
            "model": folder.resolve().name,
            "step": None,
            "files": content_hash(self.files),
            **self._measured_with(),
        }
        if cut := [repr(case) for case in self.cases if case not in whole]:
            self.header["parts"] = hashlib.sha256("".join(cut).encode()).hexdigest()
        self._name_files(folder, options.split)

    def source(self) -> Source:
        """Returns the function that reads the files."""
        return from_files(self.files, self.store.fps)

    def notes_on_lengths(self) -> list[str]:
        """Says, after the measurement, how many motions are shorter than captured."""
        captured = {case.key: case.frames for case in self.cases}
        rows = self.journal("files")
        short = sum(row["frames"] < captured[row["key"]] for row in rows)
        if not short:
            return []
        return [
            f"note: {short} motions are shorter than the captured ones, and are "
            "compared over the frames that both have"
        ]
