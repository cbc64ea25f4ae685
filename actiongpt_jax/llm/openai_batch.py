"""Descriptions through OpenAI's Batch API: half the price, within 24 hours."""

import asyncio
import collections
import dataclasses
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import openai

from actiongpt_jax.errors import JobIncompleteError
from actiongpt_jax.files.atomic import naming
from actiongpt_jax.llm.batch_state import BatchState, Part, RequestRow
from actiongpt_jax.llm.budget import Budget
from actiongpt_jax.llm.cache import DescriptionCache, make_record
from actiongpt_jax.llm.openai_provider import OpenAIProvider, RefusedInsideError
from actiongpt_jax.llm.provider import TryAgainError
from actiongpt_jax.llm.request import Request
from actiongpt_jax.llm.wire.replies import as_dict, parse
from actiongpt_jax.text.description import Description

_RETRIES = 2
_FINAL = {"completed", "expired", "cancelled", "failed"}
_SHOWN_ERRORS = 5
# Answers that are written to the cache together; they are on disk already.
_LINES_AT_ONCE = 500


class Batches:
    """The batches of one cache.

    Each method calls the server and returns when that is done. Every response is
    written to disk before the next call.
    """

    def __init__(
        self,
        cache: DescriptionCache,
        timeout: float = 120.0,
    ):
        """Reads the state that is stored next to a cache.

        Args:
            cache: the cache, opened for writing; reading suffices for `status`.
            timeout: time limit of one call, in seconds.
        """
        self._cache, self._timeout = cache, timeout
        self.state = BatchState(cache.file)

    def submit(self, request: Request, gaps: Mapping[str, tuple[int, ...]]) -> None:
        """Submits the missing texts that no batch in progress asks for already.

        A submission that a kill interrupted is completed or given up first.

        Args:
            request: model, prompt and parameters of the job.
            gaps: phrase -> numbers of the missing texts.

        Raises:
            InputError: for anything the user must change.
            JobIncompleteError: if the server fails.
        """

        async def send(client: openai.AsyncOpenAI) -> None:
            await self._reconcile(client)
            pending = self.state.pending()
            left = {}
            for phrase, indices in gaps.items():
                rest = [i for i in indices if request.key(phrase, i) not in pending]
                if rest:
                    left[phrase] = tuple(rest)
            if not left:
                print("nothing to submit: all texts are in the cache or in a batch")
            parts = self.state.add(request, left)
            self.state.save()
            await self._send(client, parts)

        self._run(request, send)

    def status(self) -> None:
        """Asks the server for the progress of the batches and prints it."""

        async def ask(client: openai.AsyncOpenAI, parts: list[Part]) -> None:
            for part in parts:
                await self._ask(client, part)

        self._run_parts(ask)

    def collect(self, budget: Budget) -> dict[str, str]:
        """Writes the answers of ended batches into the cache.

        Requests that expired without an answer are submitted again.

        Args:
            budget: the budget that books the tokens.

        Returns:
            Phrase -> why one of its texts is missing.

        Raises:
            JobIncompleteError: if a batch was written but not submitted, or the
                server fails.
        """
        failures: dict[str, str] = {}

        async def fetch(client: openai.AsyncOpenAI, parts: list[Part]) -> None:
            again = []
            for part in parts:
                batch = await self._ask(client, part)
                if batch.status not in _FINAL:
                    continue
                failed, left = await self._take(client, part, batch, budget)
                part.done = True
                if batch.status == "expired" and left:
                    again += self.state.add(part.to_request(), left)
                else:
                    failures.update(failed)
                # The same write ends the old part and begins the new ones.
                self.state.save()
            await self._send(client, again)

        self._run_parts(fetch)
        return failures

    @property
    def num_in_progress(self) -> int:
        """Number of batches that are still in progress."""
        return sum(not part.done for part in self.state.parts)

    def _run_parts(
        self, act: Callable[[openai.AsyncOpenAI, list[Part]], Awaitable[None]]
    ) -> None:
        """Calls `act` with the parts in progress, once for each server."""
        parts = [part for part in self.state.parts if not part.done]
        unsent = sum(part.batch_id is None for part in parts)
        if unsent:
            raise JobIncompleteError(
                f"{unsent} batches are written but not submitted: run submit again"
            )
        if not parts:
            print(f"no batch is in progress in {self.state.folder}")
        for url in dict.fromkeys(part.request["base_url"] for part in parts):
            there = [part for part in parts if part.request["base_url"] == url]
            self._run(there[0].to_request(), lambda client, p=there: act(client, p))

    def _run(
        self,
        request: Request,
        act: Callable[[openai.AsyncOpenAI], Awaitable[None]],
    ) -> None:
        provider = OpenAIProvider(request, self._timeout)

        async def guarded() -> None:
            async with provider.connect(_RETRIES) as client:
                try:
                    await act(client)
                except openai.APIError as error:
                    # The original error would show the request with its headers.
                    raise provider.errors.final(error) from None

        asyncio.run(guarded())

    async def _reconcile(self, client: openai.AsyncOpenAI) -> None:
        """Completes or gives up submissions that stopped before the id was stored."""
        for part in self.state.parts:
            if part.done or part.batch_id is not None:
                continue
            batch = None
            if part.input_file_id is not None:
                batch = await _find(client, part.input_file_id)
            if batch is None:
                # It may have been for another server or model, so it is written again.
                part.done, part.status = True, "given up"
            else:
                part.batch_id, part.status = batch.id, batch.status
        self.state.save()

    async def _send(self, client: openai.AsyncOpenAI, parts: list[Part]) -> None:
        for part in parts:
            path = self.state.folder / part.name
            file = await client.files.create(file=path, purpose="batch")
            part.input_file_id, part.status = file.id, "uploaded"
            self.state.save()
            path_there: Any = part.to_request().batch_path
            batch = await client.batches.create(
                completion_window="24h", endpoint=path_there, input_file_id=file.id
            )
            part.batch_id, part.status = batch.id, batch.status
            self.state.save()
            print(f"{part.name}: {part.requests} requests submitted as {batch.id}")

    async def _ask(self, client: openai.AsyncOpenAI, part: Part):
        batch = await client.batches.retrieve(str(part.batch_id))
        part.status = batch.status
        counts = batch.request_counts
        done, failed = (counts.completed, counts.failed) if counts else (0, 0)
        print(
            f"{part.name} ({batch.id}): {batch.status}, {done} of {part.requests}"
            f" requests done, {failed} failed"
        )
        show = OpenAIProvider(part.to_request()).errors.show
        for error in ((batch.errors and batch.errors.data) or [])[:_SHOWN_ERRORS]:
            print(f"{part.name}: the server says: {show(error.message)}")
        return batch

    async def _take(
        self, client: openai.AsyncOpenAI, part: Part, batch: Any, budget: Budget
    ) -> tuple[dict[str, str], dict[str, tuple[int, ...]]]:
        """Stores one batch's answers; returns phrase -> reason and -> missing texts."""
        request = part.to_request()
        reader = OpenAIProvider(request, self._timeout)
        rows = {row.custom_id: row for row in self.state.rows(part)}
        why = collections.defaultdict(lambda: f"the batch {batch.status} without it")
        for kind, file_id in (
            ("output", batch.output_file_id),
            ("errors", batch.error_file_id),
        ):
            if not file_id:
                continue
            path = self.state.folder / f"{part.name}.{kind}"
            async with client.files.with_streaming_response.content(file_id) as body:
                with naming(path):
                    await body.stream_to_file(path)
            with path.open(encoding="utf-8", errors="replace") as lines:
                while group := [*itertools.islice(lines, _LINES_AT_ONCE)]:
                    taken = (
                        self._take_line(line, rows, reader, request, budget, why)
                        for line in group
                    )
                    self._cache.append([*itertools.chain(*taken)])
        left: dict[str, tuple[int, ...]] = {}
        for row in rows.values():
            rest = tuple(i for i in row.indices if not self._has(request, row, i))
            if rest:
                left[row.phrase] = (*left.get(row.phrase, ()), *rest)
        reasons = {row.phrase: why[row.custom_id] for row in rows.values()}
        return {phrase: reasons[phrase] for phrase in left}, left

    def _take_line(
        self,
        line: str,
        rows: Mapping[str, RequestRow],
        reader: OpenAIProvider,
        request: Request,
        budget: Budget,
        why: dict[str, str],
    ) -> list[Description]:
        """Returns the new records of one line of a batch's answers."""
        result = parse(line) or {}
        row = rows.get(str(result.get("custom_id")))
        if row is None:
            return []
        response = as_dict(result.get("response"))
        document = as_dict(response.get("body"))
        error = result.get("error") or document.get("error")
        if error or response.get("status_code") != 200:
            message = error.get("message") if isinstance(error, dict) else error
            why[row.custom_id] = reader.errors.show(
                f"{response.get('status_code')}: {message}"
            )
            return []
        sent = request.body(row.phrase, len(row.indices))
        try:
            answer = reader.read(document, len(row.indices), None, sent)
        except (TryAgainError, RefusedInsideError) as failed:
            why[row.custom_id] = str(failed)
            return []
        budget.book(answer.usage, budget.price.batch if budget.price else 1.0)
        call = dict(answer.call or {}) | {"batch": reader.errors.show(result.get("id"))}
        answer = dataclasses.replace(answer, call=call)
        why[row.custom_id] = answer.reason
        # A run that was killed may have stored some of them already.
        return [
            make_record(request, row.phrase, index, answer, number)
            for number, index in enumerate(row.indices[: len(answer.choices)])
            if not self._has(request, row, index)
        ]

    def _has(self, request: Request, row: RequestRow, index: int) -> bool:
        return request.key(row.phrase, index) in self._cache.keys


async def _find(client: openai.AsyncOpenAI, input_file_id: str) -> Any:
    """Finds the batch of an uploaded file whose id a kill kept from being stored."""
    async for batch in client.batches.list(limit=100):
        if batch.input_file_id == input_file_id:
            return batch
    return None
