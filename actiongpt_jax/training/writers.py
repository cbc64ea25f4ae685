"""Where a run's figures go: metrics.jsonl always, TensorBoard if it is installed."""

import importlib.util
import json
import os
import pathlib


class MetricWriter:
    """Appends one JSON line per record to `workdir/metrics.jsonl`."""

    def __init__(self, workdir: pathlib.Path, step: int):
        """Opens the file and drops records after `step`.

        Args:
            workdir: folder of the run.
            step: that the run continues from. A killed run has written records of
                steps that will now be done again.
        """
        self._path = workdir / "metrics.jsonl"
        if self._path.exists():
            _trim(self._path, step)
        self._file = self._path.open("a")
        self._board = None
        if importlib.util.find_spec("tensorboardX"):
            from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]

            self._board = SummaryWriter(
                str(workdir / "tensorboard"), purge_step=step + 1
            )

    def write(self, step: int, figures: dict[str, float]) -> None:
        """Writes one record; floats keep every bit (repr)."""
        self._file.write(json.dumps({"step": step, **figures}) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Closes all files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def _trim(path: pathlib.Path, step: int) -> None:
    kept = []
    for line in path.read_text().splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            break  # The torn last line of a killed run.
        if record["step"] <= step:
            kept.append(line)
    new = path.with_suffix(".new")
    new.write_text("".join(line + "\n" for line in kept))
    os.replace(new, path)
