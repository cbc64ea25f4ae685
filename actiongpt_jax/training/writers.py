"""Writes a run's figures: to metrics.jsonl, and to TensorBoard if it is installed."""

import importlib.util
import json
import os.path
import pathlib
import time
import warnings

from actiongpt_jax.files.atomic import naming, write_text
from actiongpt_jax.files.jsonl import append_lines, keep_whole_lines, read_lines


class MetricWriter:
    """Appends one JSON line per record to `workdir/metrics.jsonl`."""

    def __init__(self, workdir: pathlib.Path, step: int):
        """Opens the file and drops records after `step`.

        Args:
            workdir: folder of the run.
            step: step that the run continues from, 0 for a new run. A killed run may
                have written records of later steps, which are now done again.
        """
        self._path = workdir / "metrics.jsonl"
        if os.path.lexists(self._path):  # a link to nothing is refused
            # From step 0 the run repeats its first validation too.
            _trim(self._path, step if step else -1)
        append_lines(self._path, [])
        self._board = None
        if importlib.util.find_spec("tensorboard"):
            self._board = _Board(workdir / "tensorboard", step)

    def write(self, step: int, figures: dict[str, float]) -> None:
        """Writes one record; floats are written exactly, as by `repr`."""
        append_lines(self._path, [json.dumps({"step": step, **figures}) + "\n"])
        if self._board is not None:
            self._board.write(step, figures)

    def close(self) -> None:
        """Closes the files of TensorBoard."""
        if self._board is not None:
            self._board.close()


class _Board:
    """Writes event files for TensorBoard; needs its package, but not TensorFlow."""

    def __init__(self, folder: pathlib.Path, step: int):
        from tensorboard.compat.proto import event_pb2, summary_pb2  # pyright: ignore
        from tensorboard.summary.writer import event_file_writer  # pyright: ignore

        self._events, self._summaries = event_pb2, summary_pb2
        self._folder = folder
        with naming(folder):
            self._writer = event_file_writer.EventFileWriter(str(folder))
        # Makes TensorBoard hide the later steps that a killed run wrote.
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._add(step + 1 if step else 0, session_log=start)

    def write(self, step: int, figures: dict[str, float]) -> None:
        value = self._summaries.Summary.Value
        values = [value(tag=name, simple_value=x) for name, x in figures.items()]
        self._add(step, summary=self._summaries.Summary(value=values))

    def close(self) -> None:
        with naming(self._folder):
            self._writer.close()

    def _add(self, step: int, **content) -> None:
        event = self._events.Event(step=step, wall_time=time.time(), **content)
        with naming(self._folder):
            self._writer.add_event(event)


def _trim(path: pathlib.Path, step: int) -> None:
    note = keep_whole_lines(
        path, lambda row: isinstance(row, dict) and type(row.get("step")) is int
    )
    if note is not None:
        warnings.warn(note, stacklevel=2)
    records = (line.value for line in read_lines(path, "move it away"))
    kept = [record for record in records if record["step"] <= step]
    write_text(path, (json.dumps(record) + "\n" for record in kept))
