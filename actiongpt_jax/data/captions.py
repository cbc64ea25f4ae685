"""Reads the captions of HumanML3D, KIT-ML and BABEL for recordings of AMASS.

Sources: the JSON of https://github.com/Mathux/AMASS-Annotation-Unifier; the files of
https://github.com/EricGuo5513/HumanML3D (Guo et al. 2022), whose
`raw_pose_processing.ipynb` says which frames they mean.
"""

import dataclasses
import math
import os
import pathlib
import re
import sys
from collections.abc import Iterator

from actiongpt_jax.data.clips import Clip
from actiongpt_jax.data.motion_store import SPLITS
from actiongpt_jax.data.table import END, Row, make_row, read_delimited
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.reading import check_fields, read_json, read_text

_REMEDY = "repair or download the file again"
_INDEX = ("source_path", "start_frame", "end_frame", "new_name")
_FPS = 20  # HumanML3D's frames per second, if the rate of a file is a multiple of it
# Seconds that HumanML3D cuts off the start of recordings before it counts frames.
_CUT_SECONDS = {
    "Eyes_Japan_Dataset": 3.0,
    "MPI_HDM05": 3.0,
    "TotalCapture": 1.0,
    "MPI_Limits": 1.0,
    "Transitions_mocap": 0.5,
}


def read_captions(
    path: str | os.PathLike, splits: str | os.PathLike | None = None
) -> list[Row]:
    """Reads the JSON of AMASS-Annotation-Unifier.

    Args:
        path: {id: {path, duration, annotations: [{seg_id, text, start, end}]}}, or the
            merged form {path: {duration, annotations}}. Times are seconds at the rate
            that the motion file states. BABEL's labels of whole recordings (`_seq_` in
            their seg_id) are rows without times.
        splits: folder with train.txt, val.txt and test.txt, each with an id in every
            line; other ids are left out. None if the rows state no split.

    Returns:
        A row for every annotation. The subject is the folder of the motion file.

    Raises:
        InputError: if a file is damaged or a field is missing or invalid; the message
            names the id and the annotation.
    """
    listed = None if splits is None else read_splits(splits)
    rows: list[Row] = []
    unmoved = 0
    content = read_json(path, _REMEDY)
    for name, entry in content.items():
        if listed is not None and name not in listed:
            continue
        where = f"{path}: id {name}"
        check_fields(entry, {"annotations": list}, where, _REMEDY)
        if "path" in entry:
            check_fields(entry, {"path": str}, where, _REMEDY)
        file = entry.get("path", name)
        if _is_humanact12(file):
            unmoved += 1
            continue
        duration = entry.get("duration")
        if duration is not None:
            check_fields(entry, {"duration": float}, where, _REMEDY)
        split = "" if listed is None else listed[name]
        row = _clip_row(where, name, file, split, Clip())
        row = dataclasses.replace(row, duration=duration)
        rows.append(row)
        for number, annotation in enumerate(entry["annotations"]):
            place = f"{where}, annotations[{number}]"
            kinds = {"text": str, "start": float, "end": float}
            check_fields(annotation, kinds, place, _REMEDY)
            start, end = annotation["start"], annotation["end"]
            if max(abs(start), abs(end)) >= END:
                raise InputError(
                    f"{place}: start and end must be numbers of seconds, got {start:g} "
                    f"and {end:g}; {_REMEDY}"
                )
            if "_seq_" in str(annotation.get("seg_id")):
                start = end = None
            rows.append(_with_text(row, place, annotation["text"], start, end))
    _say_left_out(unmoved)
    if listed is not None:
        missing = len(listed.keys() - content.keys())
        if missing:
            print(
                f"{missing} of {len(listed)} ids in {splits} are not in {path} and are "
                "left out",
                file=sys.stderr,
            )
    return _some(rows, path)


def read_humanml3d(folder: str | os.PathLike) -> list[Row]:
    """Reads HumanML3D's own files.

    The published preparation takes every int(rate / 20)-th frame of a recording and
    cuts the first seconds of some sets off before it counts the frames of `index.csv`.
    Clips whose names begin with M are mirrored and have captions of their own.

    Args:
        folder: a checkout of HumanML3D's repository with `index.csv`; the folder
            `texts`, train.txt, val.txt and test.txt lie in it or in its HumanML3D.

    Returns:
        A row for every caption of every clip in the lists; a clip without captions has
        a row without text.

    Raises:
        InputError: if a file is missing or damaged; the message names the line.
    """
    root = pathlib.Path(folder)
    inner = root / "HumanML3D" if (root / "HumanML3D").is_dir() else root
    texts = inner / "texts"
    for path, remedy in (
        (root / "index.csv", "give a checkout of HumanML3D's repository"),
        (texts, "unpack texts.zip of HumanML3D's repository there"),
    ):
        if not path.exists():
            raise InputError(f"{path} must exist, but is missing; {remedy}")
    listed = read_splits(inner)
    rows: list[Row] = []
    unmoved = 0
    for where, entry in read_delimited(root / "index.csv", _INDEX, _REMEDY):
        file = entry["source_path"].replace("\\", "/").split("pose_data/")[-1]
        begin, end = (_frame(where, key, entry[key]) for key in _INDEX[1:3])
        cut = _CUT_SECONDS.get(file.split("/")[0], 0.0)
        begin, end = cut + begin / _FPS, cut + end / _FPS if end >= 0 else END
        stem = entry["new_name"].removesuffix(".npy")
        for name in (stem, f"M{stem}"):
            if name not in listed:
                continue
            if _is_humanact12(file):
                unmoved += 1
                continue
            clip = Clip(mirrored=name != stem, counted_fps=_FPS)
            row = _clip_row(where, name, file, listed[name], clip)
            rows.append(row)
            for place, text, start, stop in _captions(texts / f"{name}.txt"):
                first = begin + start
                last = min(begin + stop, end) if stop else end
                rows.append(_with_text(row, place, text, first, last))
    _say_left_out(unmoved)
    return _some(rows, root / "index.csv")


def read_splits(folder: str | os.PathLike) -> dict[str, str]:
    """Reads the lists of ids train.txt, val.txt and test.txt, those that exist.

    Returns:
        id -> 'train', 'val' or 'test'.

    Raises:
        InputError: if no list exists, or an id is in two of them.
    """
    found: dict[str, str] = {}
    paths = [pathlib.Path(folder, f"{split}.txt") for split in SPLITS]
    if not any(path.exists() for path in paths):
        raise InputError(
            f"{folder} must hold train.txt, val.txt or test.txt with an id in every "
            "line, but has none; give the folder of the lists"
        )
    for path in paths:
        lines = read_text(path, _REMEDY).split("\n") if path.exists() else []
        for name in filter(None, map(str.strip, lines)):
            if found.setdefault(name, path.stem) != path.stem:
                raise InputError(
                    f"{path}: {name} must be in one split, but it is also in "
                    f"{found[name]}.txt; remove one of them"
                )
    return found


def _captions(path: pathlib.Path) -> Iterator[tuple[str, str, float, float]]:
    """Yields (where, text, from, to) of a file of texts; 0, 0 for the whole clip.

    A line is `caption#tokens#from#to`; tokens are letters only, so that a further `#`
    belongs to the caption.
    """
    lines = read_text(path, _REMEDY).split("\n") if path.exists() else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        parts = line.rsplit("#", 3)
        try:
            text, _, *times = parts
            # HumanML3D's loaders read NaN as 0; some times are in reverse order.
            start, end = sorted(0.0 if math.isnan(t) else t for t in map(float, times))
        except ValueError as error:
            raise InputError(
                f"{where} must be caption#tokens#from#to with times in seconds, got "
                f"{line[:60]!r}; {_REMEDY}"
            ) from error
        if not (0 <= start and end < END):
            raise InputError(
                f"{where}: from and to must be seconds of the clip, got {start:g} and "
                f"{end:g}; {_REMEDY}"
            )
        # Equal times would leave no frame; the whole clip is meant.
        yield (where, text, start, end) if start < end else (where, text, 0.0, 0.0)


def _clip_row(where: str, name: str, file: str, split: str, clip: Clip) -> Row:
    """Returns a row without text, for a file without its ending."""
    stem = file.removesuffix(".npz").removesuffix(".npy")
    parent = pathlib.PurePosixPath(stem).parent.as_posix()
    entry = {"file": f"{stem}.npz", "split": split, "subject": parent}
    return dataclasses.replace(make_row(where, entry), name=name, clip=clip)


def _with_text(
    row: Row, where: str, text: str, start: float | None, end: float | None
) -> Row:
    text = " ".join(text.split())
    return dataclasses.replace(row, where=where, text=text, start=start, end=end)


def _frame(where: str, column: str, value: str) -> int:
    if not re.fullmatch(r"\s*-?\d{1,9}\s*", value):
        raise InputError(
            f"{where}: {column} must be the number of a frame, got {value[:40]!r}; "
            f"{_REMEDY}"
        )
    return int(value)


def _is_humanact12(file: str) -> bool:
    return file.startswith("humanact12/")


def _say_left_out(count: int) -> None:
    if count:
        print(
            f"{count} clips of HumanAct12 are left out: AMASS has no motion for them",
            file=sys.stderr,
        )


def _some(rows: list[Row], path: str | os.PathLike) -> list[Row]:
    if not any(row.text for row in rows):
        raise InputError(
            f"{path} must have captions of AMASS's recordings, for ids in the lists if "
            "there are any, but has none; check that the files belong together"
        )
    return rows
