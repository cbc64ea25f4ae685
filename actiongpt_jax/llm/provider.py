"""Who writes descriptions: a small protocol, and the provider that reads a file.

`openai_provider` has the one that asks a server.
"""

import dataclasses
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from actiongpt_jax.errors import InputError
from actiongpt_jax.text.description import Description
from actiongpt_jax.text.descriptions import Descriptions

_THOUGHTS = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """One call: texts of one phrase that are wanted.

    Attributes:
        phrase: what is described.
        indices: numbers of the wanted texts among those of the phrase.
        seed: makes one call differ from another; None sends none.
    """

    phrase: str
    indices: tuple[int, ...]
    seed: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """One text of an answer.

    Attributes:
        text: on one line, not empty.
        finish_reason: why it ended.
        source: the record from which it was taken, if it was.
    """

    text: str
    finish_reason: str | None = None
    source: Description | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        choices: texts that are not empty, at most as many as were asked for.
        reason: why there are fewer, as far as known.
        model: as the server named it.
        fingerprint: of the server's set-up.
        usage: token counts, as the server gave them.
        call: id of the call, and n, seed and limit where it had them.
    """

    choices: Sequence[Choice]
    reason: str = ""
    model: str | None = None
    fingerprint: str | None = None
    usage: Mapping[str, Any] | None = None
    call: Mapping[str, Any] | None = None


@runtime_checkable
class Provider(Protocol):
    """Writes texts when asked."""

    @property
    def at_once(self) -> bool:
        """Whether one call may ask for several texts."""
        ...

    @property
    def tries(self) -> int:
        """How often it may be asked before a phrase is given up."""
        ...

    async def ask(self, question: Question) -> Answer:
        """Answers a question, with fewer texts than wanted if need be.

        Raises:
            TryAgainError: if the same question may be answered later.
            NoAnswerError: if this phrase cannot be answered.
            InputError: if no question can be, before the user changes something.
            JobIncompleteError: if none can be at present.
        """
        ...


class TryAgainError(Exception):
    """A call that failed, but need not fail again.

    Attributes:
        after: seconds the server asked to wait, None if it did not say.
        maybe_paid: whether the server may have written, and charged for, a text.
        unreachable: whether there was no server at all.
    """

    def __init__(
        self,
        reason: str,
        after: float | None = None,
        maybe_paid: bool = False,
        unreachable: bool = False,
    ):
        """Keeps what happened; see the attributes."""
        super().__init__(reason)
        self.after, self.maybe_paid = after, maybe_paid
        self.unreachable = unreachable


class NoAnswerError(Exception):
    """A phrase that cannot be answered; others can."""


class FileProvider:
    """Answers from descriptions that exist; needs no key and no network.

    Attributes:
        writer: whose texts these are.
        prompt: name of the prompt they answer.
        texts: phrase -> number -> text.
    """

    at_once, tries = True, 1

    def __init__(self, descriptions: Descriptions, writer: str | None = None):
        """Chooses a writer.

        Args:
            descriptions: of one prompt.
            writer: None takes the first in the file.

        Raises:
            InputError: if there is no such writer, or more than one prompt.
        """
        if len(descriptions.prompts) > 1:
            raise InputError(
                f"{descriptions.path} must hold descriptions of one prompt to answer"
                f" from, has {', '.join(descriptions.prompts)}; use it as it is"
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
                r.index: Choice(clean(r.text), r.finish_reason, r) for r in records
            }
            for phrase, records in chosen.items()
        }
        self._path = descriptions.path

    async def ask(self, question: Question) -> Answer:
        """Looks the texts up."""
        texts = self.texts.get(question.phrase, {})
        found = [texts[index] for index in question.indices if index in texts]
        if not found:
            has = f"has only {len(texts)} texts of it" if texts else "does not have it"
            raise NoAnswerError(f"{self._path} {has}")
        return Answer(found)


def clean(text: str) -> str:
    """Puts a text on one line: newlines become blanks, blanks do not repeat.

    Thoughts at its begin (`<think>...</think>`, as local reasoning models send) and
    control characters are left out.
    """
    text = _THOUGHTS.sub("", text).encode("utf-8", "replace").decode()
    plain = (" " if unicodedata.category(c) == "Cc" else c for c in text)
    return " ".join("".join(plain).split())
