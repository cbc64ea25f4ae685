"""A folder of generated motions with an index, `index.jsonl`, of its files.

The index has one line per file that is whole. A line is added when its file is on the
disk, so that a motion in the index is never generated again.
"""

import collections
import json
import pathlib
import warnings
from typing import Any

import numpy as np

from actiongpt_jax.data.motion import Motion, file_stem, is_free, save_motion
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.data.prompts import Prompt
from actiongpt_jax.files.atomic import write_text
from actiongpt_jax.files.jsonl import append_lines, keep_whole_lines, read_lines

INDEX = "index.jsonl"


class MotionFolder:
    """The files of a folder, and names for new ones.

    Attributes:
        done: key -> file, for the files of the index that are there.
    """

    def __init__(self, path: pathlib.Path, layout: str):
        """Reads the index, and removes files from it that are no longer there.

        Args:
            path: the folder, which is locked against other processes.
            layout: columns of the poses; see `save_motion`.
        """
        self._path, self._layout = path, layout
        self._index = path / INDEX
        self._index.touch()
        if note := keep_whole_lines(self._index, _is_row):
            warnings.warn(note, stacklevel=3)
        remedy = "delete it to generate everything again"
        rows = [line.value for line in read_lines(self._index, remedy)]
        # The user may have deleted or moved files.
        whole = [row for row in rows if (path / row["file"]).is_file()]
        if len(whole) < len(rows):
            write_text(self._index, map(_to_line, whole))
        self.done = {row["key"]: row["file"] for row in whole}
        self._names = {row["file"] for row in whole}
        self._numbers: collections.Counter[str] = collections.Counter()
        self._captured: dict[str, str] = {}  # where of a prompt -> file

    def save(self, motion: Motion, prompt: Prompt, fields: dict[str, Any]) -> None:
        """Writes a generated motion, and adds it to the index.

        Args:
            motion: the motion.
            prompt: the prompt that it was generated from.
            fields: fields of its line in the index, among them its `key`.
        """
        stem = prompt.name or file_stem(motion.caption)
        name = self._free_name(stem, motion.text)
        row = {"file": name, "kind": "generated", **fields}
        if captured := self._captured.get(prompt.where):
            row["captured"] = captured
        if prompt.part is not None:
            row["part"] = prompt.part
        self._write(row, motion)

    def save_captured(self, store: MotionStore, prompt: Prompt) -> None:
        """Writes the captured motion of a prompt, unless the index has it."""
        key = f"captured {store.meta.get('inputs')} {self._layout} {prompt.where}"
        if key in self.done:
            self._captured[prompt.where] = self.done[key]
            return
        rows = slice(prompt.start, (prompt.start or 0) + prompt.frames)
        motion = Motion(
            np.array(store.rotations[rows]),
            np.array(store.translation[rows]),
            store.fps,
            prompt.texts,
            (prompt.frames,),
        )
        name = self._free_name(f"{file_stem(motion.caption)}_captured", motion.text)
        row = {
            **{"file": name, "kind": "captured", "text": prompt.texts},
            **{"frames": [prompt.frames], "prompt": prompt.where, "key": key},
        }
        self._write(row, motion)
        self._captured[prompt.where] = name

    def _free_name(self, stem: str, text: tuple[str, ...]) -> str:
        while True:
            name = f"{stem}_{self._numbers[stem]}.npz"
            self._numbers[stem] += 1
            if name not in self._names and is_free(self._path / name, text):
                self._names.add(name)
                return name

    def _write(self, row: dict[str, Any], motion: Motion) -> None:
        save_motion(self._path / row["file"], motion, self._layout)
        append_lines(self._index, [_to_line(row)])


def _is_row(row: Any) -> bool:
    names = ("file", "kind", "key", "prompt")
    return (
        isinstance(row, dict)
        and all(isinstance(row.get(name), str) for name in names)
        and pathlib.PurePath(row["file"]).name == row["file"]
    )


def _to_line(row: dict[str, Any]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"
