"""The workload of two compared programs: one model's training step and generation."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

# Largest number of word pieces that CLIP reads.
CLIP_TOKENS = 77
# Overrides that make any model tiny, for quick checks of a benchmark.
SMALL_MODEL = (
    "--config.model.latent_dim=32",
    "--config.model.num_layers=1",
    "--config.model.ff_size=64",
)


@dataclasses.dataclass(frozen=True)
class Workload:
    """The work of one model; its batch, weights and text model lie in a folder.

    Attributes:
        model: 'temos', 'teach' or 'motionclip'.
        folder: folder of the files that both sides read.
        dtype: precision of matrix products when timed: 'float32', 'tf32' (float32 with
            factors that a GPU rounds) or 'bfloat16'; the checks always use float32.
        batch: number of items in a batch.
        frames: frames per motion, for TEACH of the first actions.
        frames_1: frames of TEACH's second actions.
        tokens: word pieces per description.
        k: descriptions per text.
        text: width, layers, heads and vocabulary of the text model.
        overrides: overrides of the model's config.
        padded: whether items have different lengths, with padding.
        inner: number of steps per timing.
        backend: backend of torch.compile; 'eager' traces the step but generates no
            code, which takes minutes on a CPU.
        seed: seed of all random values.
    """

    model: str
    folder: pathlib.Path
    dtype: str = "float32"
    batch: int = 16
    frames: int = 100
    frames_1: int = 105
    tokens: int = 128
    k: int = 4
    text: tuple[int, int, int, int] = (768, 6, 12, 30522)
    overrides: tuple[str, ...] = ()
    padded: bool = False
    inner: int = 1
    backend: str = "inductor"
    seed: int = 0

    @property
    def clip(self) -> bool:
        """Whether the text model is CLIP, with one vector per text."""
        return self.model == "motionclip"

    @property
    def parts(self) -> tuple[str, ...]:
        """Suffixes of the names of a batch's arrays, one per action."""
        return ("_0", "_1") if self.model == "teach" else ("",)

    def file(self, name: str) -> pathlib.Path:
        """Returns the path of the file of arrays with a name."""
        return self.folder / f"{name}.npz"

    @property
    def text_folder(self) -> pathlib.Path:
        """Folder of the text model."""
        return self.folder / "text"


@dataclasses.dataclass(frozen=True)
class Runner:
    """The functions that a process times.

    Attributes:
        run: starts one step and returns its result.
        wait: waits until a result of `run` is computed.
        facts: facts to report that are known before timing.
        closing: called after the last step, returns further facts to report;
            `device_mib` is the peak of the device's memory, or None if unknown.
    """

    run: Callable[[], Any]
    wait: Callable[[Any], Any]
    facts: dict[str, Any]
    closing: Callable[[], dict[str, Any]]
