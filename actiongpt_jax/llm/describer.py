"""Asks for the descriptions that a cache lacks and writes each answer to disk."""

import asyncio
import contextlib
import dataclasses
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

from actiongpt_jax.errors import InputError, JobIncompleteError
from actiongpt_jax.llm.budget import Budget
from actiongpt_jax.llm.cache import DescriptionCache, Replaced, make_record
from actiongpt_jax.llm.faults import digest
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
        num_temporary: number of these phrases that may succeed if asked again.
        num_repeated: number of the added descriptions that repeat an earlier one of
            their phrase, or the one that they replace.
        stop: the error that ended the job early; None if it ran to its end.
    """

    written: int = 0
    calls: int = 0
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    num_temporary: int = 0
    num_repeated: int = 0
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
    that a kill loses no more than `concurrency` calls; it begins the next one when its
    texts are on disk. When the job must stop, calls
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
        replaced: Mapping[tuple[str, int], Replaced] | None = None,
    ):
        """Stores the parts of the job.

        Args:
            request: model, prompt and parameters of the job.
            provider: the provider that answers.
            cache: the cache, opened for writing.
            budget: price and cost limit.
            pace: concurrency, rate and waiting times.
            on_texts: called with the number of new texts after each write.
            replaced: (phrase, number) -> the description that a new text replaces.
        """
        self._request, self._provider, self._cache = request, provider, cache
        self._budget, self._pace, self._on_texts = budget, pace, on_texts
        self._replaced = replaced or {}
        self.outcome = Outcome()
        self._stopped = asyncio.Event()
        self._unwritten: list[Description] = []
        self._writing = asyncio.Lock()
        self._not_written: Exception | None = None
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
        replaced = (self._replaced.get((phrase, index)) for index in missing)
        known = {old.digest for old in replaced if old is not None}
        while missing and not self._stopped.is_set():
            question = self._question(phrase, missing, answers)
            try:
                answer = await self._call(question)
            except TryAgainError as error:
                if error.limited:
                    continue
                failed += 1
                if error.unreachable:
                    self._check_reachable(str(error), failed)
                if failed >= self._provider.tries:
                    self.outcome.num_temporary += 1
                    return f"{error}, after {failed} tries"
                await self._pacer.back_off(failed)
                continue
            if answer is None:
                break
            self._reached = True
            await self._keep(question, answer, missing, known)
            failed, answers = 0, answers + 1
            # Without a call, the server refused a parameter that is now left out.
            if answer.call is not None:
                empty = 0 if answer.choices else empty + 1
            if empty >= _EMPTY_ANSWERS:
                return answer.reason
        return ""

    def _question(self, phrase: str, missing: list[int], answers: int) -> Question:
        """Returns the next question: all missing texts at first, then one by one."""
        replaced = [self._replaced.get((phrase, index)) for index in missing]
        duplicate = any(r is not None and r.reason == "duplicate" for r in replaced)
        if answers == 0 and not duplicate:
            return Question(phrase, tuple(missing))
        # The seed must differ between texts and tries, or a server would repeat
        # itself; a resumed run computes the same seeds.
        hashed = [self._request.key(phrase, missing[0]), str(answers)]
        hashed += [r.digest for r in replaced if r is not None]
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
            started = await self._pacer.turn()
            if self._stopped.is_set():
                return None
            self.outcome.calls += 1
            answer = await self._provider.ask(question)
            self._pacer.answered()
            usage, count = answer.usage, len(answer.choices)
            paid = bool(answer.call)
            return answer
        except TryAgainError as error:
            paid = error.maybe_paid
            if error.limited and not self._pacer.limited(error.after, started):
                raise JobIncompleteError(
                    f"the server asks again and again to wait ({error}); set --rpm to"
                    " the calls per minute that it allows, and run again later"
                ) from None
            raise
        finally:
            self._budget.settle(most, usage, count, paid)

    async def _keep(
        self, question: Question, answer: Answer, missing: list[int], known: set[str]
    ) -> None:
        """Stores the texts of an answer; they count when they are on disk."""
        records = [
            make_record(
                self._request,
                question.phrase,
                index,
                answer,
                number,
                self._replaced.get((question.phrase, index)),
            )
            for number, index in enumerate(missing[: len(answer.choices)])
        ]
        if not records:
            return
        await self._write(records)
        del missing[: len(records)]
        self.outcome.written += len(records)
        for record in records:
            same = digest(record.text)
            self.outcome.num_repeated += same in known
            known.add(same)
        self._on_texts(len(records))

    async def _write(self, records: Sequence[Description]) -> None:
        """Writes records to disk; those that arrive during a write share the next."""
        self._unwritten += records
        async with self._writing:
            if self._not_written is not None:
                raise self._not_written
            group, self._unwritten = self._unwritten, []
            if not group:  # the task that wrote before this one took them
                return
            try:
                await asyncio.to_thread(self._cache.append, group)
            except (OSError, InputError) as error:
                self._not_written = error
                raise

    def _check_reachable(self, reason: str, failed: int) -> None:
        if not self._reached and failed >= _TRIES_TO_REACH:
            raise InputError(f"{reason}; start the server, or correct --base-url")
        if self._reached and failed >= self._provider.tries:
            raise JobIncompleteError(
                f"{reason} any more; run again when the server is back"
            )
