"""What two programs are given to do: one model's training step and generation."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

# Word pieces of a description as CLIP reads it at most.
CLIP_TOKENS = 77


@dataclasses.dataclass(frozen=True)
class Workload:
    """One model's work; its batch, weights and text model lie in a folder.

    Attributes:
        model: temos, teach or motionclip.
        folder: of the files both sides read.
        dtype: of the products when timed; all checks are in float32.
        tf32: whether a GPU may round the factors of float32 products to TF32.
        batch: items.
        frames: of a motion, for TEACH of first actions.
        frames_1: of second actions.
        tokens: word pieces of a description.
        k: descriptions of a text.
        text: width, layers, heads and vocabulary of the text model.
        overrides: of the model's config.
        padded: give items lengths of their own, not all the same.
        inner: steps of which the time is taken together.
        seed: of everything random.
    """

    model: str
    folder: pathlib.Path
    dtype: str = "float32"
    tf32: bool = False
    batch: int = 16
    frames: int = 100
    frames_1: int = 105
    tokens: int = 128
    k: int = 4
    text: tuple[int, int, int, int] = (768, 6, 12, 30522)
    overrides: tuple[str, ...] = ()
    padded: bool = False
    inner: int = 1
    seed: int = 0

    @property
    def clip(self) -> bool:
        """Whether the model reads CLIP's vectors."""
        return self.model == "motionclip"

    @property
    def parts(self) -> tuple[str, ...]:
        """What ends the names of a batch's arrays, action by action."""
        return ("_0", "_1") if self.model == "teach" else ("",)

    def file(self, name: str) -> pathlib.Path:
        """Returns the path of a file of arrays."""
        return self.folder / f"{name}.npz"

    @property
    def text_folder(self) -> pathlib.Path:
        """Where the text model lies."""
        return self.folder / "text"


@dataclasses.dataclass(frozen=True)
class Runner:
    """What a process is to time.

    Attributes:
        run: starts one step.
        wait: waits until all of that is done, given what `run` returned.
        facts: what is to be reported, known before.
        closing: returns more of that, called after the last step; `device_mib` is the
            peak of the device's memory, or None where that is not known.
    """

    run: Callable[[], Any]
    wait: Callable[[Any], Any]
    facts: dict[str, Any]
    closing: Callable[[], dict[str, Any]]
