"""Reads and checks BABEL's JSON files, which label AMASS recordings.

Source: BABEL (Punnakkal et al. 2021, arXiv:2106.09696), format of version 1.0.
"""

import dataclasses
import os
import pathlib
import sys

from actiongpt_jax.choices import FRAMERATE
from actiongpt_jax.data.clips import Clip
from actiongpt_jax.data.motion_store import SPLITS, Label
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.reading import read_json

_REMEDY = "repair or download the file again"
_LIMIT_SECONDS = 1e6  # no recording is as long; also rejects NaN and infinity


@dataclasses.dataclass(frozen=True)
class Annotation:
    """BABEL's entry for one recording.

    Attributes:
        name: BABEL's id of the recording.
        split: 'train', 'val' or 'test'.
        feat_p: path of the AMASS file in BABEL's notation.
        duration: seconds, or None if BABEL does not state it.
        labels: (phrase, start, end), times in seconds; start and end are None for
            a label of the whole recording.
        categories: the categories of each label; () if no label has any.
        notes: a sentence for each label that is left out because its phrase or a time
            is withheld (null), or because it ends before it starts.
        clip: how the labelled part is cut out; None stores the whole recording.
    """

    name: str
    split: str
    feat_p: str
    duration: float | None
    labels: tuple[tuple[str, float | None, float | None], ...]
    categories: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    clip: Clip | None = None

    def scaled(self, scale: float) -> "Annotation":
        """Returns the annotation with all times multiplied by a factor."""
        labels = tuple(
            (phrase, *(time if time is None else time * scale for time in times))
            for phrase, *times in self.labels
        )
        duration = None if self.duration is None else self.duration * scale
        return dataclasses.replace(self, labels=labels, duration=duration)


def read_babel(
    folder: str | os.PathLike, spelling: dict[str, str] | None = None
) -> list[Annotation]:
    """Reads those of train.json, val.json and test.json that exist in a folder.

    Other files (`extra_*.json`) are not read. A label that is withheld (null) is left
    out, and test.json as a whole if it has no other labels, as in BABEL's own release.
    Phrases are BABEL's `proc_label`.

    Args:
        folder: folder with the JSON files.
        spelling: misspelt word -> correct word, applied to each word of a phrase.

    Returns:
        All annotations, split after split, in the order of the files.

    Raises:
        InputError: if no file exists, or a file is malformed JSON or has another
            schema; the message names the file, the id and the label.
    """
    folder = pathlib.Path(folder)
    files = [folder / f"{split}.json" for split in SPLITS]
    files = [path for path in files if path.is_file()]
    if not files:
        raise InputError(
            f"{folder} must hold train.json, val.json or test.json, but has none; "
            "give the folder of BABEL's release (babel_v1.0_release)"
        )
    annotations: dict[str, Annotation] = {}
    for path in files:
        for name, entry in read_json(path, _REMEDY).items():
            if name in annotations:
                raise InputError(
                    f"{path}: id {name} must occur in one split, but it also occurs "
                    f"in {annotations[name].split}.json; remove one of them"
                )
            annotations[name] = _annotation(path, name, entry, spelling or {})
    test = [entry for entry in annotations.values() if entry.split == "test"]
    if test and not any(annotation.labels for annotation in test):
        print(
            f"{folder / 'test.json'} is left out: the labels of its {len(test)} "
            "recordings are withheld",
            file=sys.stderr,
        )
        for annotation in test:
            del annotations[annotation.name]
    return list(annotations.values())


def read_spelling(path: str | os.PathLike) -> dict[str, str]:
    """Reads a JSON object {misspelt word: correct word}.

    Raises:
        InputError: if the file is malformed JSON or holds anything else.
    """
    table = read_json(path, _REMEDY)
    for word, right in table.items():
        where = f"{path}: the spelling of {word}"
        _require(isinstance(right, str), where, "text", right)
    return table


def label_frames(
    annotation: Annotation, num_frames: int, fps: float = FRAMERATE
) -> tuple[list[Label], list[str]]:
    """Converts the labels of a recording from seconds to frames.

    Args:
        annotation: BABEL's entry for the recording.
        num_frames: number of frames of the recording; labels are clipped to it.
        fps: frames per second of the recording.

    Returns:
        The labels in the order of the annotation (field `sequence` is 0), and a
        sentence for each label that is left out: those of the annotation, and those of
        which no frame remains.
    """
    labels, notes = [], list(annotation.notes)
    categories = annotation.categories or ((),) * len(annotation.labels)
    for (phrase, start_t, end_t), names in zip(
        annotation.labels, categories, strict=True
    ):
        if start_t is None or end_t is None:
            labels.append(Label(0, 0, num_frames, phrase, "sequence", names))
            continue
        start, end = max(int(start_t * fps), 0), min(int(end_t * fps), num_frames)
        if start < end:
            labels.append(Label(0, start, end, phrase, "frame", names))
        else:
            notes.append(
                f"id {annotation.name}: label {phrase!r} from {start_t:g} to "
                f"{end_t:g} s has no frame within the recording's "
                f"{num_frames / fps:.2f} s and is left out"
            )
    return labels, notes


def _annotation(path, name, entry, spelling) -> Annotation:
    where = f"{path}: id {name}"
    _require(isinstance(entry, dict), where, "an object", entry)
    feat_p = entry.get("feat_p")
    valid = isinstance(feat_p, str) and feat_p.endswith(".npz")
    valid = valid and not {"..", "/"} & set(pathlib.PurePosixPath(feat_p).parts)
    _require(valid, f"{where}, feat_p", "a relative path of an npz file", feat_p)
    duration = entry.get("dur")
    valid = duration is None or _is_number(duration)
    _require(valid, f"{where}, dur", "a number of seconds", duration)
    labels, categories, notes = [], [], []
    for field in ("frame_ann", "seq_ann"):
        block = entry.get(field)
        if block is None:
            continue
        block_where = f"{where}, {field}"
        _require(isinstance(block, dict), block_where, "an object", block)
        rows = [] if block.get("labels") is None else block["labels"]
        _require(isinstance(rows, list), f"{block_where}.labels", "a list", rows)
        for index, row in enumerate(rows):
            place = f"{field}.labels[{index}]"
            label, fault = _label(
                f"{where}, {place}", row, field == "frame_ann", spelling
            )
            if fault:
                notes.append(f"id {name}: {place} {fault} and is left out")
            elif label and label[0]:
                labels.append(label)
                categories.append(_categories(f"{where}, {place}", row))
    return Annotation(
        name=name,
        split=path.stem,
        feat_p=feat_p,
        duration=None if duration is None else float(duration),
        labels=tuple(labels),
        categories=tuple(categories) if any(categories) else (),
        notes=tuple(notes),
    )


def _label(where, row, timed, spelling):
    """Returns (phrase, start, end), and what is wrong with a label to leave out."""
    fields = ("proc_label", "start_t", "end_t") if timed else ("proc_label",)
    if row is None:
        return None, "is withheld (null)"
    _require(isinstance(row, dict), where, "an object", row)
    values: list = [row.get(field) for field in fields]
    for field, value in zip(fields, values, strict=True):
        valid = isinstance(value, str) if field == "proc_label" else _is_number(value)
        what = "text" if field == "proc_label" else "a number of seconds"
        _require(value is None or valid, f"{where}.{field}", what, value)
    missing = [f for f, value in zip(fields, values, strict=True) if value is None]
    if missing:
        return None, f"has no {' and no '.join(missing)} (null)"
    phrase = " ".join(spelling.get(word, word) for word in values[0].split())
    if not timed:
        return (phrase, None, None), None
    start, end = float(values[1]), float(values[2])
    if end < start:
        return None, f"ends before it starts ({start:g} to {end:g} s)"
    return (phrase, start, end), None


def _categories(where, row) -> tuple[str, ...]:
    names = row.get("act_cat")
    names = [] if names is None else names
    valid = isinstance(names, list) and all(isinstance(name, str) for name in names)
    _require(valid, f"{where}.act_cat", "a list of texts", names)
    return tuple(" ".join(name.split()) for name in names)


def _is_number(value) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) < _LIMIT_SECONDS


def _require(condition: bool, where: str, what: str, got) -> None:
    if not condition:
        raise InputError(f"{where} must be {what}, got {str(got)[:60]!r}; {_REMEDY}")
