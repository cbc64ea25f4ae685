"""Providers of descriptions: their protocol, and the provider that reads a file.

The provider that asks a server is in `openai_provider`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from actiongpt_jax.errors import InputError
from actiongpt_jax.text.answers import clean
from actiongpt_jax.text.description import Description
from actiongpt_jax.text.descriptions import Descriptions


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """The content of one call: which texts of one phrase are asked for.

    Attributes:
        phrase: the phrase to describe.
        indices: numbers of the texts among those of the phrase.
        seed: seed that makes one call differ from another; None sends no seed.
    """

    phrase: str
    indices: tuple[int, ...]
    seed: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """One text of an answer.

    Attributes:
        text: the text, on one line and not empty.
        finish_reason: why the text ended, in the server's words.
        source: the record from which a file provider took the text, else None.
    """

    text: str
    finish_reason: str | None = None
    source: Description | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question.

    Attributes:
        choices: texts that are not empty, at most as many as were asked for.
        reason: why there are fewer, as far as known.
        model: name of the model in the server's answer.
        fingerprint: fingerprint of the server's configuration.
        usage: token counts from the server.
        call: id of the call, and its n, seed and token limit if they were sent.
    """

    choices: Sequence[Choice]
    reason: str = ""
    model: str | None = None
    fingerprint: str | None = None
    usage: Mapping[str, Any] | None = None
    call: Mapping[str, Any] | None = None


@runtime_checkable
class Provider(Protocol):
    """Answers questions with texts."""

    @property
    def at_once(self) -> bool:
        """Whether one call may ask for several texts."""
        ...

    @property
    def tries(self) -> int:
        """Number of failed calls after which a phrase is given up."""
        ...

    async def ask(self, question: Question) -> Answer:
        """Answers a question, possibly with fewer texts than were asked for.

        Raises:
            TryAgainError: if the same question may be answered later.
            NoAnswerError: if this phrase cannot be answered.
            InputError: if no question can be answered until the user changes something.
            JobIncompleteError: if no question can be answered at present.
        """
        ...


class TryAgainError(Exception):
    """A call that failed but may succeed later.

    Attributes:
        after: seconds that the server asked to wait, None if it did not say.
        maybe_paid: whether the server may have written, and charged for, a text.
        unreachable: whether no server answered at all.
        limited: whether the call only came too early, so that it is not a try.
    """

    def __init__(
        self,
        reason: str,
        after: float | None = None,
        maybe_paid: bool = False,
        unreachable: bool = False,
        limited: bool = False,
    ):
        """Stores the reason and the attributes of the class."""
        super().__init__(reason)
        self.after, self.maybe_paid = after, maybe_paid
        self.unreachable, self.limited = unreachable, limited


class NoAnswerError(Exception):
    """A phrase cannot be answered, although others can."""


class FileProvider:
    """Answers from existing descriptions; needs no key and no network.

    Attributes:
        writer: name of the writer of the texts.
        prompt: name of the prompt that the texts answer.
        texts: phrase -> number of the text -> the text as a `Choice`.
    """

    at_once, tries = True, 1

    def __init__(self, descriptions: Descriptions, writer: str | None = None):
        """Selects the descriptions of one writer.

        Args:
            descriptions: descriptions for a single prompt.
            writer: name of the writer; None takes the first in the file.

        Raises:
            InputError: if there is no such writer, or more than one prompt.
        """
        if len(descriptions.prompts) > 1:
            raise InputError(
                f"{descriptions.path} must hold descriptions for one prompt only, but"
                f" has {', '.join(descriptions.prompts)}; use a file with one prompt"
            )
        prompt = descriptions.prompts[0]
        writers = descriptions.writers(prompt)
        if writer is not None and writer not in writers:
            raise InputError(
                f"{descriptions.path} has no descriptions by {writer!r}, only by"
                f" {', '.join(map(repr, writers))}; choose with --writer"
            )
        chosen = descriptions.select(prompt, writer, k=0)
        self.prompt = prompt
        self.writer = writer or descriptions.writers(prompt)[0]
        self.texts = {
            phrase: {
                r.index: Choice(text, r.finish_reason, r)
                for r in records
                if (text := clean(r.text))
            }
            for phrase, records in chosen.items()
        }
        self._path = descriptions.path

    async def ask(self, question: Question) -> Answer:
        """Looks up the texts of a question."""
        texts = self.texts.get(question.phrase, {})
        choices = [texts[index] for index in question.indices if index in texts]
        if not choices:
            has = (
                f"has only {len(texts)} texts for this phrase"
                if texts
                else "does not have this phrase"
            )
            raise NoAnswerError(f"{self._path} {has}")
        return Answer(choices)
