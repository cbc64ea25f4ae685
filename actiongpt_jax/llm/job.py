"""A job of the command line `describe`: finds missing texts and asks for them."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence

from tqdm import tqdm

from actiongpt_jax.errors import InputError, JobIncompleteError
from actiongpt_jax.files.shard import Shard
from actiongpt_jax.llm.budget import Budget, Price, estimate_job
from actiongpt_jax.llm.cache import DescriptionCache, Replaced
from actiongpt_jax.llm.describer import Describer, Outcome, find_gaps
from actiongpt_jax.llm.faults import digest, judge
from actiongpt_jax.llm.pacing import Pace
from actiongpt_jax.llm.provider import Provider
from actiongpt_jax.llm.request import Request
from actiongpt_jax.text.description import Description, ask_setting
from actiongpt_jax.text.description_files import stream_descriptions

_SHOWN_FAILURES = 100
_BAR_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class Job:
    """The descriptions to ask for, and the cache that stores them.

    Attributes:
        request: model, prompt and parameters of the job.
        phrases: the phrases to describe.
        out: path of the cache.
        shard: the share of the phrases to describe; None means all of them.
        redo: faults; if not empty, texts with these faults are asked for again,
            instead of missing texts.
        writer: writer whose texts are asked for again; None for the request's model.
        limit: largest number of phrases with faulty texts to ask for again; None for
            all.
    """

    request: Request
    phrases: Sequence[str]
    out: str | os.PathLike
    shard: Shard | None = None
    redo: Sequence[str] = ()
    writer: str | None = None
    limit: int | None = None

    def open_cache(self, writable: bool = True) -> DescriptionCache:
        """Opens the cache and reports truncated lines; see `DescriptionCache`."""
        # Texts that are asked for again are found by reading the whole cache.
        cache = DescriptionCache(self.out, self.shard, writable, index=not self.redo)
        for note in [*cache.notes, *self._warnings(cache)]:
            print(note, file=sys.stderr)
        return cache

    def _warnings(self, cache: DescriptionCache) -> Iterator[str]:
        request, name = self.request, self.request.prompt.name
        mine = ask_setting(request.prompt.version, request.parameters)
        others = {
            setting
            for writer, prompt, setting in cache.settings
            if (writer, prompt) == (request.model, name) and setting != mine
        }
        if others and not self.redo:
            yield (
                f"warning: {self.out} has descriptions by {request.model!r} for the"
                f" prompt {name!r} that were asked for with {min(others)}, not with"
                f" {mine}; the two cannot be used together: choose another --out"
            )

    def plan(
        self, cache: DescriptionCache
    ) -> tuple[dict[str, tuple[int, ...]], dict[tuple[str, int], Replaced]]:
        """Finds the texts to ask for.

        Returns:
            phrase -> numbers of the texts to ask for; and (phrase, number) -> the
            faulty description that a new text replaces.

        Raises:
            InputError: if nothing matches, or a faulty text is in a file whose records
                would win over the new ones.
        """
        if not self.redo:
            return find_gaps(self.request, self.phrases, cache.keys), {}
        phrases = set(self.phrases)
        writer, name = self.writer or self.request.model, self.request.prompt.name
        records = (
            record
            for record in stream_descriptions(self.out)
            if not phrases or record.phrase in phrases
            if (record.writer, record.prompt) == (writer, name)
        )
        faulty: dict[tuple[str, int], Replaced] = {}
        num_records = num_greedy = 0
        for record, reasons in judge(records):
            num_records += 1
            reason = next((reason for reason in reasons if reason in self.redo), None)
            if reason is None or not _is_of(self.shard, record.phrase):
                continue
            if record.key in cache.later_keys:
                raise InputError(
                    f"description {record.index} of {record.phrase!r} is in another"
                    f" file of {cache.path}, whose records win over those of"
                    f" {cache.file.name}: use --redo without --shard, or with the"
                    " --shard of that file"
                )
            if reason == record.redo == "duplicate" and self._asked_so(record):
                num_greedy += 1
                continue
            faulty[record.phrase, record.index] = Replaced(
                record.key, record.writer, reason, digest(record.text)
            )
        if not num_records:
            raise InputError(
                f"{self.out} has no descriptions of these phrases by {writer!r} for the"
                f" prompt {name!r} to ask for again; see what it has with --report, and"
                " choose with --writer and --prompt"
            )
        if num_greedy:
            print(
                f"{num_greedy} duplicates were asked for again before and came back the"
                " same; they are not asked for with the same settings, but with"
                " another --temperature or --model",
                file=sys.stderr,
            )
        gaps: dict[str, tuple[int, ...]] = {}
        for phrase, index in faulty:
            if phrase in gaps or self.limit is None or len(gaps) < self.limit:
                gaps[phrase] = (*gaps.get(phrase, ()), index)
        return gaps, faulty

    def _asked_so(self, record: Description) -> bool:
        """Returns whether a record answers what this job would ask."""
        model = (record.call or {}).get("model", record.writer)
        asked = (model, record.prompt_version, record.parameters)
        request = self.request
        return asked == (request.model, request.prompt.version, request.parameters)


def of_shard(phrases: Sequence[str], shard: Shard | None) -> list[str]:
    """Returns the phrases of a shard, chosen by a hash of each phrase alone."""
    return [phrase for phrase in phrases if _is_of(shard, phrase)]


def _is_of(shard: Shard | None, phrase: str) -> bool:
    if shard is None:
        return True
    return zlib.crc32(phrase.encode()) % shard.count == shard.number - 1


def preview(job: Job, price: Price | None, asks: bool = True) -> Iterator[str]:
    """Yields lines that say what a run would do; calls no server, changes no file.

    Args:
        job: the job.
        price: price of the model; None if unknown.
        asks: False if a file answers instead of a server.
    """
    request = job.request
    with job.open_cache(writable=False) as cache:
        gaps, _ = job.plan(cache)
    missing = sum(map(len, gaps.values()))
    total = len(job.phrases) * request.k
    calls, tokens_in, tokens_out = estimate_job(request, gaps)
    if job.redo:
        yield f"descriptions to ask for again: {missing} of {len(gaps)} phrases"
    else:
        yield f"phrases: {len(job.phrases)}, descriptions of each: {request.k}"
        yield (
            f"descriptions: {total}, cached: {total - missing}, to ask for: {missing}"
        )
    if not asks:
        return
    more = ", more if the server ignores n" if request.at_once else ""
    yield f"requests: {calls} to {request.address}{more if request.k > 1 else ''}"
    yield f"tokens (estimated): {tokens_in} of prompts, {tokens_out} of answers"
    if price is None:
        yield f"cost: unknown, {request.model!r} is not in the price table (--prices)"
    else:
        cost = price.cost(tokens_in, tokens_out)
        yield f"cost (estimated): ${cost:.4f}, as a batch ${cost * price.batch:.4f}"
    if gaps:
        yield f"first prompt: {request.prompt.fill(next(iter(gaps)))}"


def run_job(
    job: Job, provider: Provider, cache: DescriptionCache, budget: Budget, pace: Pace
) -> None:
    """Asks for the missing texts, with a progress bar, and prints a summary.

    Args:
        job: the job.
        provider: the provider that answers; its connections are opened here.
        cache: the job's cache, opened for writing.
        budget: price and cost limit.
        pace: concurrency, rate and waiting times.

    Raises:
        InputError: for anything the user must change before the job can go on.
        JobIncompleteError: if texts are still missing.
    """
    gaps, replaced = job.plan(cache)
    missing = sum(map(len, gaps.values()))
    # The delay keeps an empty bar from appearing above an error that comes at once.
    with tqdm(total=missing, unit="text", desc="describe", delay=_BAR_SECONDS) as bar:

        def on_texts(count: int) -> None:
            if budget.price is not None:
                bar.set_postfix_str(f"${budget.spent:.4f}", refresh=False)
            bar.update(count)

        outcome = asyncio.run(
            _run(
                Describer(
                    job.request, provider, cache, budget, pace, on_texts, replaced
                ),
                gaps,
            )
        )
    if outcome.written or not isinstance(outcome.stop, InputError):
        print(_summary(job, cache, budget, outcome, missing))
    list_failures(outcome.failures)
    if outcome.num_repeated:
        print(
            f"warning: {outcome.num_repeated} of {outcome.written} new descriptions"
            " repeat another one of their phrase, or the one that they replace: the"
            " server seems to take the likeliest word always; `--redo duplicate` with a"
            " --temperature above 0 asks for them again",
            file=sys.stderr,
        )
    left = missing - outcome.written
    if isinstance(outcome.stop, JobIncompleteError):
        raise JobIncompleteError(f"{outcome.stop} ({left} descriptions are missing)")
    if outcome.stop is not None:
        raise outcome.stop
    if left:
        num, later = len(outcome.failures), outcome.num_temporary
        remedy = "nothing suggests that running again would help"
        if later:
            remedy = f"run the same command again to ask for those of {later} phrases"
        raise JobIncompleteError(
            f"{left} of {missing} descriptions, for {num} phrases, are missing for the"
            f" reasons above; {remedy}"
        )


def list_failures(failures: Mapping[str, str]) -> None:
    """Prints which phrases failed, and why."""
    for number, (phrase, why) in enumerate(failures.items()):
        if number == _SHOWN_FAILURES:
            more = len(failures) - _SHOWN_FAILURES
            print(f"and {more} more phrases failed", file=sys.stderr)
            break
        print(f"failed: {phrase!r}: {why}", file=sys.stderr)


async def _run(describer: Describer, gaps: Mapping[str, Sequence[int]]) -> Outcome:
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        print(
            "\nwaiting for the calls in progress; interrupt again to abandon them",
            file=sys.stderr,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        describer.stop(
            JobIncompleteError(
                "interrupted; the descriptions so far are in the cache: run again to"
                " continue"
            )
        )

    with contextlib.suppress(ValueError, RuntimeError):  # not in the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
    async with describer.connected():
        return await describer.run(gaps)


def _summary(
    job: Job, cache: DescriptionCache, budget: Budget, outcome: Outcome, missing: int
) -> str:
    parts = [f"{cache.file}: nothing to ask for"]
    if missing:
        parts = [
            f"{cache.file}: {outcome.written} of {missing} missing descriptions"
            " written",
            f"{outcome.calls} calls",
        ]
    if budget.input_tokens or budget.output_tokens:
        parts.append(f"{budget.input_tokens} + {budget.output_tokens} tokens")
    if budget.price is not None and missing:
        parts.append(f"${budget.spent:.4f}")
    if not job.redo:
        gaps = find_gaps(job.request, job.phrases, cache.keys)
        complete = len(job.phrases) - len(gaps)
        parts.append(f"{complete} of {len(job.phrases)} phrases have {job.request.k}")
    return ", ".join(parts)
