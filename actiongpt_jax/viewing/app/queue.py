"""Runs the generation requests of the local page one after the other on one device."""

import concurrent.futures
import dataclasses
import functools
import http
import pathlib
import secrets
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from actiongpt_jax.choices import WINDOW
from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.generate import generate_motion, generate_sequence
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import FPS, Request, warn_of_unseen_lengths
from actiongpt_jax.inference.series import series_mode
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.shapes import round_up
from actiongpt_jax.viewing import export, plot, video, webpage
from actiongpt_jax.viewing.app.requests import ActionRequest, GenerationRequest

DOWNLOADS = ("glb", "bvh", "npz", "smplx.npz", "json", "html", "gif", "mp4", "png")
_KEPT = 64  # results and embedded edited texts that are kept; the oldest are dropped
MAX_WAITING = 100  # waiting requests; further ones are refused
# Frames and tokens are padded to multiples of these numbers, and batches to one of
# these sizes, so that few shapes are compiled.
_FRAMES, _TOKENS, _ROWS = 128, 128, (4, 16)
T = TypeVar("T")


class BusyError(RuntimeError):
    """Raised when too many requests are already waiting."""

    status = http.HTTPStatus.SERVICE_UNAVAILABLE  # of the HTTP response


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of one generation request.

    Attributes:
        motions: the generated motions.
        titles: one title per motion.
        descriptions: phrase -> texts that the model read.
        notes: warnings, for example about a phrase without descriptions.
    """

    motions: list[Motion]
    titles: list[str]
    descriptions: dict[str, list[str]]
    notes: list[str]


class GenerationQueue:
    """Holds a trained model, the requests that wait for it, and the latest results."""

    def __init__(
        self,
        trained: Trained,
        embedder: PhraseEmbedder,
        descriptions: Mapping[str, Sequence[str]] | None = None,
    ):
        """Starts the worker thread of the queue.

        Args:
            trained: the trained model that generates.
            embedder: embeds phrases the way the model reads them.
            descriptions: phrase -> known descriptions, to display and to edit.
        """
        self._trained, self._embedder = trained, embedder
        self._known = dict(descriptions or {})
        self._series = series_mode(None, trained) == "past"
        self._embed_edited = functools.lru_cache(_KEPT)(embedder.describe)
        self._results: dict[str, Result] = {}  # only the worker modifies it
        self._places = threading.BoundedSemaphore(MAX_WAITING)
        self._worker = concurrent.futures.ThreadPoolExecutor(1, "device")

    def warm_up(self) -> None:
        """Compiles the shapes of most requests in advance, so that no user waits."""
        action = ActionRequest(next(iter(self._known), "walk"), 3.0)
        self.generate(GenerationRequest((action, action)))
        try:
            self._embedder.describe([action.phrase])
        except (InputError, OSError) as error:
            print(
                f"note: only texts with stored embeddings can be used: {error}",
                file=sys.stderr,
            )

    def about(self) -> dict[str, Any]:
        """Returns the facts about the model that the page needs."""
        return {
            "model": self._trained.config.model.name,
            "series": self._series,
            "reads_descriptions": self._trained.config.text.source == "descriptions",
            "phrases": sorted(self._known)[:2000],
        }

    def descriptions(self, phrase: str) -> list[str]:
        """Returns the known descriptions of a phrase, or an empty list."""
        return list(self._known.get(" ".join(phrase.split()), ()))

    def generate(self, request: GenerationRequest) -> tuple[str, Result]:
        """Waits for the device, generates the motions and stores the result.

        Returns:
            The name under which the result is stored, and the result.

        Raises:
            InputError: if the model cannot fulfil the request.
            BusyError: if too many requests are waiting.
        """
        return self._run(lambda: self._generate(request))

    def page(self, name: str) -> str | None:
        """Returns a result as an HTML page, or None if no result has that name."""
        result = self._results.get(name)
        if result is None:
            return None
        return webpage.page(result.motions, result.titles, result.descriptions)

    def download(self, name: str, number: int, ending: str) -> bytes | None:
        """Returns one motion of a result as a file, or None if it does not exist.

        Args:
            name: the result's name.
            number: index of the motion in the result.
            ending: format of the file, one of `DOWNLOADS`.

        Raises:
            BusyError: if too many requests are waiting.
        """
        result = self._results.get(name)
        if result is None or ending not in DOWNLOADS:
            return None
        if not 0 <= number < len(result.motions):
            return None
        return self._run(lambda: _file(result, number, ending))

    def close(self) -> None:
        """Stops the queue after the current request."""
        self._worker.shutdown(cancel_futures=True)

    def _run(self, work: Callable[[], T]) -> T:
        """Runs a function on the worker thread, in order, and returns its result."""
        if not self._places.acquire(blocking=False):
            raise BusyError(
                f"{MAX_WAITING} requests are already waiting; try again later"
            )
        try:
            return self._worker.submit(work).result()
        finally:
            self._places.release()

    def _generate(self, request: GenerationRequest) -> tuple[str, Result]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            actions = [self._samples(action, request) for action in request.actions]
            lengths = [samples[0].num_frames for samples in actions]
            warn_of_unseen_lengths(self._trained.config, lengths)
        if self._series:
            # Every action after the first starts with the frames of the transition.
            leads = [0] + [WINDOW] * (len(actions) - 1)
            padding = map(self._padding_requests, actions, leads)
            series = [*zip(*actions, strict=True), *zip(*padding, strict=True)]
            motions = generate_sequence(self._trained, series)[: request.samples]
        else:
            motions = []
            for samples in actions:
                batch = [*samples, *self._padding_requests(samples)]
                motions += generate_motion(self._trained, batch)[: request.samples]
        texts = {
            action.phrase: list(action.descriptions or self.descriptions(action.phrase))
            for action in request.actions
        }
        numbers = [i % request.samples + 1 for i in range(len(motions))]
        result = Result(
            motions,
            [f"sample {n}" if request.samples > 1 else "" for n in numbers],
            {phrase: known for phrase, known in texts.items() if known},
            list(dict.fromkeys(str(warning.message) for warning in caught)),
        )
        name = secrets.token_urlsafe(9)
        self._results[name] = result
        if len(self._results) > _KEPT:
            del self._results[next(iter(self._results))]
        return name, result

    def _samples(
        self, action: ActionRequest, request: GenerationRequest
    ) -> list[Request]:
        edited = action.descriptions
        if edited is None or list(edited) == self.descriptions(action.phrase):
            tokens = self._embedder.tokens(action.phrase)
        else:
            tokens = self._embed_edited(edited)
        frames = max(round(action.seconds * FPS), 1)
        return [
            Request(action.phrase, tokens, frames, (request.seed, i), request.fact)
            for i in range(request.samples)
        ]

    def _padding_requests(
        self, requests: list[Request], lead: int = 0
    ) -> list[Request]:
        """Returns dummy requests that pad a batch to one of a few shapes.

        Their motions are discarded. A motion does not depend on the rest of its batch,
        but a new shape must be compiled, which takes longer than generating.

        Args:
            requests: the user's requests, all with the same number of frames.
            lead: number of transition frames at the start, in addition to the rest.
        """
        if self._embedder.pooled:  # MotionCLIP: one vector per text, one clip length
            return []
        longest = max(len(request.tokens) for request in requests)
        width = requests[0].tokens.shape[1]
        tokens = np.zeros((round_up(longest, _TOKENS), width), np.float32)
        frames = lead + round_up(max(requests[0].num_frames - lead, 1), _FRAMES)
        rows = next(rows for rows in _ROWS if rows > len(requests))
        return [Request("", tokens, frames)] * (rows - len(requests))


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
