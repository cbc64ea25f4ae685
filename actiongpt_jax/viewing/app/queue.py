"""Runs the generation requests of the local page one after the other on one device."""

import dataclasses
import functools
import pathlib
import secrets
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from actiongpt_jax.choices import WINDOW
from actiongpt_jax.config_fields import lookup
from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError, JobIncompleteError
from actiongpt_jax.inference.generate import generate_motion, generate_sequence
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import Request, warn_of_unseen_lengths
from actiongpt_jax.inference.series import series_mode
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.inference.writer import Writer
from actiongpt_jax.shapes import round_up
from actiongpt_jax.viewing import export, plot, video, webpage
from actiongpt_jax.viewing.app.requests import ActionRequest, GenerationRequest
from actiongpt_jax.viewing.app.worker import Worker

DOWNLOADS = ("glb", "bvh", "npz", "smplx.npz", "json", "html", "gif", "mp4", "png")
_KEPT = 64  # results and embedded edited texts that are kept; the oldest are dropped
# Frames and tokens are padded to multiples of these numbers, and batches to one of
# these sizes, so that few shapes are compiled.
_FRAMES, _TOKENS, _ROWS = 128, 128, (4, 16)
# Lengths in seconds and numbers of samples whose shapes are compiled in advance: all
# that the page offers, the most usual first.
_WARM = [
    (seconds, samples) for seconds in (3.0, 8.0, 12.0, 16.0, 20.0) for samples in (1, 4)
]
# First words of phrases whose motions are easy to recognise, and how many to offer.
_RECOGNISED, _EXAMPLES = ("wave", "jump", "kick", "walk", "squat", "raise"), 8


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
        writer: Writer | None = None,
    ):
        """Starts the worker thread of the queue.

        Args:
            trained: the trained model that generates.
            embedder: embeds phrases the way the model reads them.
            descriptions: phrase -> known descriptions, to display and to edit.
            writer: language model that describes other phrases when the page asks for
                it; None describes none.
        """
        self._writer = writer
        self._trained, self._embedder = trained, embedder
        self._known = dict(descriptions or {})
        self._series = series_mode(None, trained) == "past"
        # A model of windows knows a single length.
        window = lookup(trained.config, "data.num_frames", None)
        self._seconds = window / trained.framerate if window else 3.0
        self._embed_edited = functools.lru_cache(_KEPT)(embedder.describe)
        self._results: dict[str, Result] = {}  # only the worker modifies it
        self._opening: tuple[str, Result] | None = None
        self._compiled: set[tuple[int, ...]] = set()
        self._compiling = False
        self._worker = Worker()

    def warm_up(self) -> None:
        """Generates the motion with which the page opens, which compiles its shape.

        The other shapes are compiled later, while nobody waits.
        """
        phrase = self._examples()[0]
        request = GenerationRequest((ActionRequest(phrase, self._seconds),))
        self._opening = self._worker.run(lambda: self._generate(request))
        for seconds, samples in _WARM:
            actions = (ActionRequest(phrase, seconds),) * (2 if self._series else 1)
            other = GenerationRequest(actions, samples)
            self._worker.run_when_idle(functools.partial(self._compile, other))
        try:
            self._embedder.describe([phrase])
        except (InputError, OSError) as error:
            print(
                f"note: only texts with stored embeddings can be used: {error}",
                file=sys.stderr,
            )

    def about(self) -> dict[str, Any]:
        """Returns the facts about the model that the page needs."""
        opening = None
        if self._opening:
            name, result = self._opening
            opening = {"result": name, **_summary(result)}
        return {
            "model": self._trained.config.model.name,
            "series": self._series,
            "reads_descriptions": self._trained.config.text.source != "phrase",
            "phrases": sorted(self._known)[:2000],
            "examples": self._examples(),
            "opening": opening,
            "seconds": self._seconds,
            "writer": self._writer.name if self._writer else None,
        }

    def status(self) -> dict[str, Any]:
        """Returns how many orders wait, and whether the current one is compiled."""
        return {"waiting": self._worker.waiting, "compiling": self._compiling}

    def _examples(self) -> list[str]:
        """Returns a few phrases to try, those easy to recognise first."""
        known = sorted(self._known)
        chosen = [
            next((phrase for phrase in known if phrase.startswith(word)), None)
            for word in _RECOGNISED
        ]
        step = max(1, len(known) // _EXAMPLES)
        every = [phrase for phrase in (*chosen, *known[::step]) if phrase]
        return list(dict.fromkeys(every))[:_EXAMPLES] or ["walk", "jump"]

    def descriptions(self, phrase: str) -> list[str]:
        """Returns the known descriptions of a phrase, or an empty list."""
        return list(self._known.get(" ".join(phrase.split()), ()))

    def generate(
        self, request: GenerationRequest, wanted: Callable[[], bool] | None = None
    ) -> dict[str, Any]:
        """Waits for the device, generates the motions and stores the result.

        Args:
            request: what to generate.
            wanted: asked before the generation; if it returns False, nothing is done.

        Returns:
            The name under which the result is stored, a summary of its motions, and
            the notes about them.

        Raises:
            InputError: if the model cannot fulfil the request.
            BusyError: if too many requests are waiting.
            ConnectionAbortedError: if the result was no longer wanted.
        """
        return self._worker.run(lambda: self._fulfil(request), wanted)

    def _fulfil(self, request: GenerationRequest) -> dict[str, Any]:
        name, result = self._generate(request)
        self._results[name] = result
        if len(self._results) > _KEPT:
            del self._results[next(iter(self._results))]
        return {"result": name, **_summary(result)}

    def _find(self, name: str) -> Result | None:
        if self._opening and name == self._opening[0]:
            return self._opening[1]
        return self._results.get(name)

    def page(self, name: str) -> str | None:
        """Returns a result as an HTML page, or None if no result has that name."""
        result = self._find(name)
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
        result = self._find(name)
        if result is None or ending not in DOWNLOADS:
            return None
        if not 0 <= number < len(result.motions):
            return None
        return self._worker.run(lambda: _file(result, number, ending))

    def close(self, seconds: float | None = None) -> bool:
        """Stops the queue; see `Worker.close`."""
        return self._worker.close(seconds)

    def _describe(self, request: GenerationRequest) -> None:
        if self._writer is None:
            raise InputError(
                "no language model is set; start the app with --describe-with MODEL"
            )
        actions = (one for one in request.actions if one.descriptions is None)
        try:
            self._embedder.describe_unknown(action.phrase for action in actions)
        except JobIncompleteError as error:
            raise InputError(str(error)) from error
        self._known |= self._writer.described

    def _generate(self, request: GenerationRequest) -> tuple[str, Result]:
        if request.describe:
            self._describe(request)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            actions = [self._samples(action, request) for action in request.actions]
            lengths = [samples[0].num_frames for samples in actions]
            warn_of_unseen_lengths(self._trained.config, lengths)
        batches = self._pad(actions)
        self._compiling = not self._compiled.issuperset(_shapes(batches))
        try:
            motions = self._motions(batches, request.samples)
        finally:
            self._compiling = False
        texts = {
            action.phrase: self.descriptions(action.phrase)
            if action.descriptions is None
            else list(action.descriptions)
            for action in request.actions
        }
        numbers = [i % request.samples + 1 for i in range(len(motions))]
        result = Result(
            motions,
            [f"sample {n}" if request.samples > 1 else "" for n in numbers],
            {phrase: known for phrase, known in texts.items() if known},
            list(dict.fromkeys(str(warning.message) for warning in caught)),
        )
        return secrets.token_urlsafe(9), result

    def _motions(self, batches: list[list[Request]], samples: int) -> list[Motion]:
        """Generates the motions of padded batches, one batch per action."""
        if self._series:
            series = list(zip(*batches, strict=True))
            motions = generate_sequence(self._trained, series)[:samples]
        else:
            motions = []
            for batch in batches:
                motions += generate_motion(self._trained, batch)[:samples]
        self._compiled.update(_shapes(batches))
        return motions

    def _compile(self, request: GenerationRequest) -> None:
        """Generates and discards a request, unless its shapes are compiled already."""
        batches = self._pad([self._samples(one, request) for one in request.actions])
        if not self._compiled.issuperset(_shapes(batches)):
            self._motions(batches, request.samples)

    def _pad(self, actions: list[list[Request]]) -> list[list[Request]]:
        """Adds requests to each action's samples, so that few shapes occur."""
        # Every action of a series after the first starts with the transition's frames.
        leads = [0] + [WINDOW if self._series else 0] * (len(actions) - 1)
        return [
            [*samples, *self._padding_requests(samples, lead)]
            for samples, lead in zip(actions, leads, strict=True)
        ]

    def _samples(
        self, action: ActionRequest, request: GenerationRequest
    ) -> list[Request]:
        edited = action.descriptions
        if edited is None or list(edited) == self.descriptions(action.phrase):
            tokens = self._embedder.tokens(action.phrase)
        else:
            # An empty list: the model reads the phrase itself.
            tokens = self._embed_edited(edited or (action.phrase,))
        frames = max(round(action.seconds * self._trained.framerate), 1)
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


def _shapes(batches: list[list[Request]]) -> set[tuple[int, ...]]:
    """Returns what decides whether a program is compiled for each action."""
    return {
        (
            min(place, 1),  # later actions of a series read the past
            len(batch),
            max(request.num_frames for request in batch),
            max(len(request.tokens) for request in batch),
        )
        for place, batch in enumerate(batches)
    }


def _summary(result: Result) -> dict[str, Any]:
    motions = [
        {"text": list(motion.text), "title": title, "frames": len(motion.rotations)}
        for motion, title in zip(result.motions, result.titles, strict=True)
    ]
    return {"motions": motions, "downloads": DOWNLOADS, "notes": result.notes}


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
