"""Asks for the descriptions a cache lacks, and keeps each before it counts."""

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
# An empty answer is paid for: it is not asked for again for ever.
_EMPTY_ANSWERS = 3
# Not one text after so many phrases in a row: something is wrong with all of them.
_HOPELESS = 20
# Tries before it is believed that no server is there, as long as none ever answered.
_TRIES_TO_REACH = 3


@dataclasses.dataclass
class Outcome:
    """What a job did.

    Attributes:
        written: descriptions that are in the cache now and were not before.
        calls: that were made, failed ones too.
        failures: phrase -> why it has gaps.
        stop: why the job ended early, None if it did not.
    """

    written: int = 0
    calls: int = 0
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    stop: Exception | None = None


def find_gaps(
    request: Request, phrases: Iterable[str], keys: set[str]
) -> dict[str, tuple[int, ...]]:
    """Returns phrase -> numbers of the texts it lacks, without those that are whole."""
    gaps = {}
    for phrase in phrases:
        missing = tuple(
            i for i in range(request.k) if request.key(phrase, i) not in keys
        )
        if missing:
            gaps[phrase] = missing
    return gaps


class Describer:
    """One job: gaps in, records out.

    Workers take phrase after phrase; each has one call under way at most, so that
    no more than `concurrency` calls can be lost to a kill. When the job must stop,
    calls under way are awaited and kept.
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
        """Takes what the job needs.

        Args:
            request: what is asked.
            provider: who answers.
            cache: opened to write.
            budget: what it may cost.
            pace: how fast.
            on_texts: told how many texts were kept, whenever some are.
            replaced: (phrase, number) -> record that a text takes the place of; its
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
        """Ends the job as soon as the calls under way are done."""
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
        """Fills gaps: phrase -> numbers of the texts to ask for."""
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
                # InputError, JobIncompleteError, a full disk: the job ends, but what
                # the other workers have asked for is kept first.
                self.stop(error)
                return
            if why:
                self.outcome.failures[phrase] = why
            if not why or self.outcome.written > before:
                self._failed_in_a_row = 0
                continue
            self._failed_in_a_row += 1
            # What a file lacks it lacks at once, and all of it is to be listed.
            if self._failed_in_a_row >= _HOPELESS and self._provider.tries > 1:
                self.stop(
                    JobIncompleteError(
                        f"{self._failed_in_a_row} phrases failed in a row, the last"
                        f" ({phrase!r}) because: {why}"
                    )
                )

    async def _describe(self, phrase: str, missing: list[int]) -> str:
        """Fills one phrase's gaps; returns why some are left, or nothing."""
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
        """Asks for all that is missing, and then, if not all came, one by one."""
        replaced = [self._replaced.get((phrase, index)) for index in missing]
        duplicate = any(r is not None and r.redo == "duplicate" for r in replaced)
        if answers == 0 and not duplicate:
            return Question(phrase, tuple(missing))
        # The seed must differ between texts and tries, or a server would repeat
        # itself; of a run that is resumed it is the same.
        told = [self._request.key(phrase, missing[0]), str(answers)]
        told += [r.text for r in replaced if r is not None]
        digest = hashlib.sha256("\n".join(told).encode()).digest()
        return Question(
            phrase, (missing[0],), int.from_bytes(digest[:4], "big") % _SEEDS
        )

    async def _call(self, question: Question) -> Answer | None:
        """Makes one call in its turn; None if the job was stopped before."""
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
            # No `await` stands between the answer and the disk.
            self._cache.append(records)
            del missing[: len(records)]
            self.outcome.written += len(records)
            self._on_texts(len(records))

    def _check_reachable(self, said: str, failed: int) -> None:
        if not self._reached and failed >= _TRIES_TO_REACH:
            raise InputError(f"{said}; start it, or correct --base-url")
        if self._reached and failed >= self._provider.tries:
            raise JobIncompleteError(f"{said} any more; run again when it does")


def make_record(
    request: Request,
    phrase: str,
    index: int,
    answer: Answer,
    number: int,
    old: Description | None = None,
) -> Description:
    """Makes a record of one text of an answer.

    Args:
        request: what was asked.
        phrase: about what.
        index: number among the texts of the phrase.
        answer: that came.
        number: which of its choices.
        old: record whose place it takes, with `redo` saying why.
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
