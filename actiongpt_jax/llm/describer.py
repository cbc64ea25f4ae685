"""Asks for the descriptions that a cache lacks and writes each answer to disk."""

import asyncio
import contextlib
import dataclasses
import datetime
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

from actiongpt_jax.errors import InputError, JobIncompleteError
from actiongpt_jax.llm.budget import Budget
from actiongpt_jax.llm.cache import DescriptionCache
from actiongpt_jax.llm.pacing import Pace, Pacer
from actiongpt_jax.llm.provider import (
    Answer,
    NoAnswerError,
    Provider,
    Question,
    TryAgainError,
)
from actiongpt_jax.llm.request import Request
from actiongpt_jax.text.description import Description
from actiongpt_jax.text.prompts import TEMPLATES

_SEEDS = 2**31
# Empty answers are charged too, so a phrase is given up after this many in a row.
_EMPTY_ANSWERS = 3
# If this many phrases in a row got no text, the cause is not one of the phrases.
_HOPELESS = 20
# Tries before concluding that there is no server, as long as none has ever answered.
_TRIES_TO_REACH = 3


@dataclasses.dataclass
class Outcome:
    """The result of a job.

    Attributes:
        written: number of descriptions that were added to the cache.
        calls: number of calls that were made, including failed ones.
        failures: phrase -> why it still lacks texts.
        stop: the error that ended the job early; None if it ran to its end.
    """

    written: int = 0
    calls: int = 0
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    stop: Exception | None = None


def find_gaps(
    request: Request, phrases: Iterable[str], keys: set[str]
) -> dict[str, tuple[int, ...]]:
    """Returns phrase -> numbers of its missing texts, for phrases that lack any."""
    gaps = {}
    for phrase in phrases:
        missing = tuple(
            i for i in range(request.k) if request.key(phrase, i) not in keys
        )
        if missing:
            gaps[phrase] = missing
    return gaps


class Describer:
    """Runs one job: takes the gaps of a cache and writes the missing records.

    Workers take one phrase after another; each has at most one call in progress, so
    that a kill loses no more than `concurrency` calls. When the job must stop, calls
    in progress are awaited and their answers are stored.
    """

    def __init__(
        self,
        request: Request,
        provider: Provider,
        cache: DescriptionCache,
        budget: Budget,
        pace: Pace,
        on_texts: Callable[[int], object] = lambda count: None,
        replaced: Mapping[tuple[str, int], Description] | None = None,
    ):
        """Stores the parts of the job.

        Args:
            request: model, prompt and parameters of the job.
            provider: the provider that answers.
            cache: the cache, opened for writing.
            budget: price and cost limit.
            pace: concurrency, rate and waiting times.
            on_texts: called with the number of new texts after each write.
            replaced: (phrase, number) -> the record that a new text replaces; its
                field `redo` says why.
        """
        self._request, self._provider, self._cache = request, provider, cache
        self._budget, self._pace, self._on_texts = budget, pace, on_texts
        self._replaced = replaced or {}
        self.outcome = Outcome()
        self._stopped = asyncio.Event()
        self._pacer = Pacer(pace, self._stopped)
        self._reached = False
        self._failed_in_a_row = 0

    def stop(self, error: Exception) -> None:
        """Ends the job as soon as the calls in progress are done."""
        if self.outcome.stop is None:
            self.outcome.stop = error
        self._stopped.set()

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Keeps the provider's connections open, if it has any."""
        if isinstance(self._provider, contextlib.AbstractAsyncContextManager):
            async with self._provider:
                yield
        else:
            yield

    async def run(self, gaps: Mapping[str, Sequence[int]]) -> Outcome:
        """Asks for the missing texts.

        Args:
            gaps: phrase -> numbers of the texts to ask for.

        Returns:
            The result of the job.
        """
        phrases = iter(gaps.items())
        count = min(self._pace.concurrency, len(gaps))
        async with asyncio.TaskGroup() as workers:
            for _ in range(count):
                workers.create_task(self._work(phrases))
        return self.outcome

    async def _work(self, phrases: Iterable[tuple[str, Sequence[int]]]) -> None:
        for phrase, indices in phrases:
            if self._stopped.is_set():
                return
            before = self.outcome.written
            try:
                why = await self._describe(phrase, list(indices))
            except NoAnswerError as error:
                why = str(error)
            except (ValueError, RuntimeError, OSError) as error:
                # InputError, JobIncompleteError or a full disk: the job ends, but the
                # answers that other workers are waiting for are stored first.
                self.stop(error)
                return
            if why:
                self.outcome.failures[phrase] = why
            if not why or self.outcome.written > before:
                self._failed_in_a_row = 0
                continue
            self._failed_in_a_row += 1
            # A file provider fails immediately for every missing phrase; list them all
            # instead of stopping early.
            if self._failed_in_a_row >= _HOPELESS and self._provider.tries > 1:
                self.stop(
                    JobIncompleteError(
                        f"{self._failed_in_a_row} phrases failed in a row, the last"
                        f" ({phrase!r}) because: {why}"
                    )
                )

    async def _describe(self, phrase: str, missing: list[int]) -> str:
        """Asks for one phrase's texts; returns why some are missing, or ''."""
        failed = empty = answers = 0
        while missing and not self._stopped.is_set():
            question = self._question(phrase, missing, answers)
            try:
                answer = await self._call(question)
            except TryAgainError as error:
                failed += 1
                if error.unreachable:
                    self._check_reachable(str(error), failed)
                if failed >= self._provider.tries:
                    return f"{error}, after {failed} tries"
                await self._pacer.back_off(error.after, failed)
                continue
            if answer is None:
                break
            self._reached = True
            self._keep(question, answer, missing)
            failed, answers = 0, answers + 1
            empty = 0 if answer.choices else empty + 1
            if empty >= _EMPTY_ANSWERS:
                return answer.reason
        return ""

    def _question(self, phrase: str, missing: list[int], answers: int) -> Question:
        """Returns the next question: all missing texts at first, then one by one."""
        replaced = [self._replaced.get((phrase, index)) for index in missing]
        duplicate = any(r is not None and r.redo == "duplicate" for r in replaced)
        if answers == 0 and not duplicate:
            return Question(phrase, tuple(missing))
        # The seed must differ between texts and tries, or a server would repeat
        # itself; a resumed run computes the same seeds.
        hashed = [self._request.key(phrase, missing[0]), str(answers)]
        hashed += [r.text for r in replaced if r is not None]
        digest = hashlib.sha256("\n".join(hashed).encode()).digest()
        return Question(
            phrase, (missing[0],), int.from_bytes(digest[:4], "big") % _SEEDS
        )

    async def _call(self, question: Question) -> Answer | None:
        """Makes one call in its turn; returns None if the job was stopped before."""
        n = len(question.indices) if self._provider.at_once else 1
        most = self._budget.most(self._request, question.phrase, n)
        await self._budget.reserve(most)
        usage, count, paid = None, 0, False
        try:
            await self._pacer.turn()
            if self._stopped.is_set():
                return None
            self.outcome.calls += 1
            answer = await self._provider.ask(question)
            usage, count = answer.usage, len(answer.choices)
            paid = bool(answer.call)
            return answer
        except TryAgainError as error:
            paid = error.maybe_paid
            raise
        finally:
            self._budget.settle(most, usage, count, paid)

    def _keep(self, question: Question, answer: Answer, missing: list[int]) -> None:
        indices = missing[: len(answer.choices)]
        records = [
            make_record(
                self._request,
                question.phrase,
                index,
                answer,
                number,
                self._replaced.get((question.phrase, index)),
            )
            for number, index in enumerate(indices)
        ]
        if records:
            # There is no `await` between the answer and the write, so a stop cannot
            # come between them.
            self._cache.append(records)
            del missing[: len(records)]
            self.outcome.written += len(records)
            self._on_texts(len(records))

    def _check_reachable(self, reason: str, failed: int) -> None:
        if not self._reached and failed >= _TRIES_TO_REACH:
            raise InputError(f"{reason}; start the server, or correct --base-url")
        if self._reached and failed >= self._provider.tries:
            raise JobIncompleteError(
                f"{reason} any more; run again when the server is back"
            )


def make_record(
    request: Request,
    phrase: str,
    index: int,
    answer: Answer,
    number: int,
    old: Description | None = None,
) -> Description:
    """Makes the record of one text of an answer.

    Args:
        request: the request that was sent.
        phrase: the phrase that is described.
        index: number of the text among those of the phrase.
        answer: the answer that arrived.
        number: index of the text among the answer's choices.
        old: the record that the new one replaces; its field `redo` says why.
    """
    choice, name = answer.choices[number], request.prompt.name
    key = request.key(phrase, index)
    if choice.source is not None:
        return dataclasses.replace(
            choice.source,
            index=index,
            text=choice.text,
            writer=request.model,
            prompt=name,
            key=key,
        )
    record = Description(
        phrase=phrase,
        index=index,
        text=choice.text,
        prompt=name,
        writer=request.model,
        prompt_version=request.prompt.version,
        model=answer.model,
        endpoint=request.address,
        parameters=dict(request.parameters),
        finish_reason=choice.finish_reason,
        usage=answer.usage,
        time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        fingerprint=answer.fingerprint,
        template=None if name in TEMPLATES else request.prompt.template,
        system=request.prompt.system,
        call=answer.call,
        key=key,
    )
    if old is None:
        return record
    return dataclasses.replace(record, key=old.key, writer=old.writer, redo=old.redo)
