"""Generates what the local page asks for: one device, one order after the other."""

import collections
import concurrent.futures
import dataclasses
import pathlib
import secrets
import tempfile
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.inference.generate import WINDOW, generate_motion, generate_sequence
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import FPS, Request
from actiongpt_jax.inference.series import series_mode
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.viewing import export, plot, video, webpage
from actiongpt_jax.viewing.app.requests import MOST_ACTIONS, Action, Order

DOWNLOADS = ("glb", "bvh", "npz", "smplx.npz", "json", "html", "gif", "mp4", "png")
_KEPT = 64  # results; the oldest are forgotten
_WAITING = 100  # orders; more are sent away
# Shapes that are compiled: frames and tokens rounded up to these, motions to those.
_FRAMES, _TOKENS, _ROWS = 128, 128, (4, 16)
_LATER = (WINDOW,) * MOST_ACTIONS  # frames of later actions that lead over
T = TypeVar("T")


class BusyError(RuntimeError):
    """Too many orders wait already."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of an order.

    Attributes:
        motions: generated.
        titles: of each.
        descriptions: phrase to the texts that were read.
        notes: warnings, such as a phrase without descriptions.
    """

    motions: list[Motion]
    titles: list[str]
    descriptions: dict[str, list[str]]
    notes: list[str]


class Studio:
    """A trained model, its queue, and the last results."""

    def __init__(
        self,
        trained: Trained,
        embedder: PhraseEmbedder,
        descriptions: Mapping[str, Sequence[str]] | None = None,
    ):
        """Opens the queue.

        Args:
            trained: the model.
            embedder: of its text.
            descriptions: texts known for phrases, to show and to edit.
        """
        self._trained, self._embedder = trained, embedder
        self._known = dict(descriptions or {})
        self._series = series_mode(None, trained) == "past"
        self._tokens: dict[tuple[str, tuple[str, ...] | None], np.ndarray] = {}
        self._results: collections.OrderedDict[str, Result] = collections.OrderedDict()
        self._lock = threading.Lock()
        self._waiting = threading.BoundedSemaphore(_WAITING)
        self._worker = concurrent.futures.ThreadPoolExecutor(1, "device")

    def about(self) -> dict[str, Any]:
        """Returns what the page must know of the model."""
        return {
            "model": self._trained.config.model.name,
            "series": self._series,
            "reads_descriptions": self._trained.config.text.source == "descriptions",
            "phrases": sorted(self._known)[:2000],
        }

    def descriptions(self, phrase: str) -> list[str]:
        """Returns the texts known for a phrase; none for others."""
        return list(self._known.get(" ".join(phrase.split()), ()))

    def generate(self, order: Order) -> tuple[str, Result]:
        """Waits for the device, generates, and keeps the result.

        Returns:
            The result's name, and the result.

        Raises:
            InputError: if the model cannot do it; one sentence.
            BusyError: if too many wait.
        """
        result = self._queued(lambda: self._generate(order))
        name = secrets.token_urlsafe(9)
        with self._lock:
            self._results[name] = result
            while len(self._results) > _KEPT:
                self._results.popitem(last=False)
        return name, result

    def page(self, name: str) -> str | None:
        """Returns a result as a page, or None if there is none of that name."""
        result = self._found(name)
        if result is None:
            return None
        return webpage.page(result.motions, result.titles, result.descriptions)

    def download(self, name: str, number: int, ending: str) -> bytes | None:
        """Returns one motion of a result as a file, or None if there is none.

        Raises:
            BusyError: if too many wait.
        """
        result = self._found(name)
        if result is None or ending not in DOWNLOADS:
            return None
        if not 0 <= number < len(result.motions):
            return None
        return self._queued(lambda: _file(result, number, ending))

    def close(self) -> None:
        """Ends the queue once the order under way is done."""
        self._worker.shutdown(cancel_futures=True)

    def _found(self, name: str) -> Result | None:
        with self._lock:
            return self._results.get(name)

    def _queued(self, work: Callable[[], T]) -> T:
        if not self._waiting.acquire(blocking=False):
            raise BusyError(f"{_WAITING} orders are waiting already; try again later")
        try:
            return self._worker.submit(work).result()
        finally:
            self._waiting.release()

    def _generate(self, order: Order) -> Result:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            planned = [self._plan(action, order) for action in order.actions]
        notes = list(dict.fromkeys(str(warning.message) for warning in caught))
        if self._series:
            series = list(zip(*planned, strict=True))
            company = list(zip(*map(self._company, planned, (0, *_LATER)), strict=True))
            motions = generate_sequence(self._trained, [*series, *company])
            motions = motions[: len(series)]
        else:
            motions = []
            for own in planned:
                made = generate_motion(self._trained, [*own, *self._company(own)])
                motions += made[: len(own)]
        several = order.samples > 1
        titles = [
            f"sample {i % order.samples + 1}" if several else ""
            for i in range(len(motions))
        ]
        texts = {
            action.phrase: list(action.descriptions or self.descriptions(action.phrase))
            for action in order.actions
        }
        described = {phrase: found for phrase, found in texts.items() if found}
        return Result(motions, titles, described, notes)

    def _plan(self, action: Action, order: Order) -> list[Request]:
        frames = max(round(action.seconds * FPS), 1)
        tokens = self._read(action)
        return [
            Request(action.phrase, tokens, frames, (order.seed, sample), order.fact)
            for sample in range(order.samples)
        ]

    def _company(self, requests: list[Request], lead: int = 0) -> list[Request]:
        """Returns requests that make a batch one of few shapes; their result is unused.

        A motion does not depend on what it is batched with, but a shape that was not
        seen yet is compiled, which takes longer than generating.
        """
        if self._embedder.pooled:  # one vector per text, and clips of one length
            return []
        longest = max(len(request.tokens) for request in requests)
        width = requests[0].tokens.shape[1]
        tokens = np.zeros((_round_up(longest, _TOKENS), width), np.float32)
        frames = lead + _round_up(requests[0].num_frames - lead, _FRAMES)
        rows = next(rows for rows in _ROWS if rows > len(requests))
        return [Request("", tokens, frames)] * (rows - len(requests))

    def _read(self, action: Action) -> np.ndarray:
        known = self.descriptions(action.phrase)
        edited = action.descriptions
        if edited is None or list(edited) == known:
            return self._embedder.tokens(action.phrase)
        key = (action.phrase, edited)
        if key not in self._tokens:
            if len(self._tokens) >= _KEPT:
                self._tokens.clear()
            self._tokens[key] = self._embedder.describe(edited)
        return self._tokens[key]


def _round_up(value: int, step: int) -> int:
    return max(-(-value // step), 1) * step


def _file(result: Result, number: int, ending: str) -> bytes:
    motion, title = result.motions[number], result.titles[number]
    layout, _, suffix = ending.rpartition(".")
    with tempfile.TemporaryDirectory(prefix="actiongpt_jax_") as folder:
        path = pathlib.Path(folder, f"motion.{suffix}")
        if suffix == "html":
            webpage.write_page(path, [motion], [title], result.descriptions)
        elif suffix == "png":
            plot.strip([motion], path)
        elif suffix in ("gif", "mp4"):
            video.write_video(path, [motion], [title])
        else:
            export.export(path, motion, layout or "smplh")
        return path.read_bytes()
