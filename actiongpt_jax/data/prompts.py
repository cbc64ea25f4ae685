"""Reads a file of prompts: the texts to generate motions of, and how."""

import dataclasses
import os
import pathlib
import re
from typing import Any

from actiongpt_jax.config_fields import Config, lookup
from actiongpt_jax.data.batches.segments import middle_window, segments
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.data.phrases import check_plain, read_phrases
from actiongpt_jax.data.table import read_delimited
from actiongpt_jax.errors import InputError, list_names
from actiongpt_jax.files.jsonl import read_lines
from actiongpt_jax.files.reading import parse_json

COLUMNS = ("text", "seconds", "samples", "seed", "name")
_REMEDY = "correct the file"
_MOST_SAMPLES, _MOST_SEED = 1000, 2**32 - 1
_NAME = re.compile(r"\w[\w .-]{0,79}")


@dataclasses.dataclass(frozen=True)
class Prompt:
    """The texts of one motion to generate, or of several samples.

    Attributes:
        where: file and line, or key of a labelled stretch, for error sentences.
        texts: the phrases, one after the other.
        seconds: duration of each phrase; None for the usual ones.
        samples: number of motions; None for that of the command.
        seed: seed of the random numbers; None for that of the command.
        name: first part of the names of the files; '' derives it from the texts.
        start: first frame of the captured motion in the arrays of its motion store;
            None if there is no captured motion.
        frames: number of frames of the captured motion.
        part: start and end of the captured motion in its labelled stretch, seconds;
            None if it is the whole stretch.
    """

    where: str
    texts: tuple[str, ...]
    seconds: tuple[float, ...] | None = None
    samples: int | None = None
    seed: int | None = None
    name: str = ""
    start: int | None = None
    frames: int = 0
    part: tuple[float, float] | None = None


def read_prompts(path: str | os.PathLike) -> list[Prompt]:
    """Reads a file of prompts.

    Args:
        path: a text file with one phrase per line; or a .csv, .tsv or .jsonl
            file with the column text and any others of `COLUMNS`. A text that is a
            list, such as `["walk", "sit down"]`, is a series; its seconds may be a
            list too.

    Returns:
        The prompts, in the order of the file.

    Raises:
        FileNotFoundError: if there is no file.
        InputError: if the file is of another kind or damaged or has no prompt, a column
            is unknown, or a value is invalid; the message names the line.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no prompts at {path}; give a text file with one phrase per line, or a "
            "table with the column text"
        )
    ending = path.suffix.lower()
    if ending in (".csv", ".tsv"):
        rows = read_delimited(path, ("text",), _REMEDY)
        prompts = [_prompt(where, entry) for where, entry in rows]
    elif ending == ".jsonl":
        lines = read_lines(path, _REMEDY)
        prompts = [_prompt(line.where, line.value) for line in lines]
    elif ending in (".txt", ""):
        return [Prompt(f"{path}: {text!r}", (text,)) for text in read_phrases(path)]
    else:
        raise InputError(
            f"{path} must be a .txt file with one phrase per line, or a .csv, .tsv or "
            ".jsonl table with the column text; save it as one of them"
        )
    if not prompts:
        raise InputError(f"{path} must hold at least one prompt, but it has none")
    return prompts


def split_prompts(
    config: Config, store: MotionStore, split: str, limit: int | None = None
) -> list[Prompt]:
    """Lists a prompt for every labelled stretch of a split.

    For a model of windows, the captured motion is the middle window of the stretch.

    Args:
        config: config of the trained model.
        store: motion store, at the model's frame rate.
        split: 'train', 'val' or 'test'.
        limit: number of stretches to take, evenly spaced; None takes all.

    Returns:
        The prompts, in the order of the store.

    Raises:
        InputError: if the split has no stretch.
    """
    fields = config.data
    window = lookup(config, "data.num_frames", None)
    least = window or fields.min_frames
    items = segments(store, split, fields.labels, least, fields.max_frames)
    if not items:
        raise InputError(
            f"motion store {store.path} has no labelled stretch of at least {least} "
            f"frames in split {split!r}; give another --split or --data"
        )
    if limit is not None and limit < len(items):
        items = [items[i * len(items) // limit] for i in range(limit)]
    prompts = []
    for stretch in items:
        item = middle_window(stretch, window) if window else stretch
        frames, start = item.end - item.start, store.sequences[item.sequence].start
        first = item.start - stretch.start
        part = (first / store.fps, (first + frames) / store.fps) if window else None
        prompts.append(
            Prompt(
                item.key,
                (item.phrase,),
                (frames / store.fps,),
                start=start + item.start,
                frames=frames,
                part=part,
            )
        )
    return prompts


def _prompt(where: str, entry: Any) -> Prompt:
    if not isinstance(entry, dict):
        raise InputError(f"{where} must be an object with a text; {_REMEDY}")
    if unknown := sorted(map(str, entry.keys() - set(COLUMNS))):
        raise InputError(
            f"{where}: the columns must be among {', '.join(COLUMNS)}, got "
            f"{list_names(unknown)}; {_REMEDY}"
        )
    values = {name: _value(where, name, entry.get(name)) for name in COLUMNS}
    texts = values["text"] if isinstance(values["text"], list) else [values["text"]]
    if not texts or not all(isinstance(t, str) and t.strip() for t in texts):
        raise InputError(
            f"{where}: text must be a phrase, or a list of them; {_REMEDY}"
        )
    seconds = values["seconds"]
    if seconds is not None:
        listed = seconds if isinstance(seconds, list) else [seconds] * len(texts)
        seconds = tuple(_number(where, "seconds", x, 1e-3, 600.0) for x in listed)
        if len(seconds) != len(texts):
            raise InputError(
                f"{where}: seconds must be one number, or one for each of the "
                f"{len(texts)} texts, got {len(seconds)}; {_REMEDY}"
            )
    samples, seed = (
        None
        if values[name] is None
        else int(_number(where, name, values[name], *range))
        for name, range in (("samples", (1, _MOST_SAMPLES)), ("seed", (0, _MOST_SEED)))
    )
    name = "" if values["name"] is None else str(values["name"])
    if name and not _NAME.fullmatch(name):
        raise InputError(
            f"{where}: name must have at most 80 letters, digits and the characters "
            f"_-. or blanks, got {name[:80]!r}; {_REMEDY}"
        )
    texts = tuple(" ".join(text.split()) for text in texts)
    for text in texts:
        check_plain(text, where)
    return Prompt(where, texts, seconds, samples, seed, name)


def _value(where: str, name: str, value: Any) -> Any:
    """Returns a value of a table; a text that is a JSON list is read as one."""
    if not isinstance(value, str):
        return value
    value = value.strip()
    if name in ("text", "seconds") and value.startswith("["):
        return parse_json(value, f"{where}: {name}", _REMEDY)
    return value or None


def _number(where: str, name: str, value: Any, low: float, high: float) -> float:
    whole = name != "seconds"
    try:
        number = float(value) if isinstance(value, str | int | float) else None
    except ValueError:
        number = None
    right = number is not None and low <= number <= high
    if isinstance(value, bool) or not right or (whole and number != int(number or 0)):
        kind = "a whole number" if whole else "a number"
        raise InputError(
            f"{where}: {name} must be {kind} from {low:g} to {high:.10g}, got "
            f"{str(value)[:40]!r}; {_REMEDY}"
        )
    assert number is not None
    return number
