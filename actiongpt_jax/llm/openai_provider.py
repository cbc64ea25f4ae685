"""Descriptions from a server that speaks OpenAI's protocol."""

import asyncio
import datetime
from typing import Any

import openai

from actiongpt_jax.errors import InputError
from actiongpt_jax.llm.api_key import Secret, read_key
from actiongpt_jax.llm.openai_errors import ApiErrors, Refused
from actiongpt_jax.llm.provider import Answer, Choice, Question, TryAgainError
from actiongpt_jax.llm.request import PATHS, Request, show_address
from actiongpt_jax.llm.wire.failures import find_failure
from actiongpt_jax.llm.wire.replies import Reply, parse, read_replies
from actiongpt_jax.text.answers import clean

_CONNECT_SECONDS = 10.0


class RefusedInsideError(Exception):
    """An answer with status 200 that reports an error instead of texts.

    Attributes:
        refused: the meaning of the error.
    """

    def __init__(self, refused: Refused):
        """Stores the meaning."""
        super().__init__(str(refused.error))
        self.refused = refused


class OpenAIProvider:
    """Asks a server; a failed call is not tried again here.

    Attributes:
        errors: translates errors of the openai package.
        at_once: whether the server accepts `n`.
        tries: number of failed calls after which a phrase is given up.
    """

    tries = 8

    def __init__(self, request: Request, timeout: float = 120.0):
        """Reads the key from the environment.

        Args:
            request: model, prompt, parameters and address of the server.
            timeout: time limit of one call, in seconds.

        Raises:
            InputError: if the key is missing or cannot be sent, or the time limit is
                not positive.
        """
        if not timeout > 0:
            raise InputError(f"--timeout must be more than 0 seconds, got {timeout}")
        self._secret = Secret(read_key())
        self.errors = ApiErrors(request, self._secret)
        self._request, self._timeout = request, timeout
        self.at_once = self._takes_seed = request.at_once
        self._renamed: dict[str, str] = {}
        # Phrase -> the parameter that its next call leaves out on trial.
        self._without: dict[str, str] = {}
        self._may_try_without = True
        self._answered = False

    def connect(self, max_retries: int = 0) -> openai.AsyncOpenAI:
        """Returns a new client; close it in the event loop in which it was used.

        Raises:
            InputError: if a variable of the environment makes that impossible.
        """
        try:
            return openai.AsyncOpenAI(
                api_key=self._secret.reveal(),
                base_url=self._request.base_url,
                timeout=openai.Timeout(self._timeout, connect=_CONNECT_SECONDS),
                max_retries=max_retries,
            )
        # No call is made here: what fails is the use of proxies and certificates that
        # the environment names. The HTTP package has an error class of its own.
        except Exception as error:
            raise self.errors.setup(error) from error

    async def __aenter__(self) -> "OpenAIProvider":
        """Opens the client."""
        self._client = self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes the client's connections."""
        await self._client.close()

    async def ask(self, question: Question) -> Answer:
        """Makes one call; see `llm.provider.Provider`."""
        without = self._without.pop(question.phrase, None)
        n = len(question.indices) if self.at_once and without != "n" else 1
        seed = question.seed if self._takes_seed and without is None else None
        body = self._request.body(question.phrase, n, seed) | {"stream": False}
        for old, new in self._renamed.items():
            body[new] = body.pop(old)
        try:
            async with asyncio.timeout(self._timeout):
                text = await self._client.post(
                    PATHS[self._request.endpoint], cast_to=str, body=body
                )
            document = parse(text)
            if document is None:
                raise self.errors.not_json(text)
            answer = self.read(document, n, seed, body)
        except TimeoutError:
            raise TryAgainError(
                f"no answer within {self._timeout:g} s", maybe_paid=True
            ) from None
        except openai.APIError as error:
            refused = self.errors.translate(error, body, self._answered)
            # The original error would show the request with its headers.
            return self._refused(refused, body, question, without)
        except RefusedInsideError as error:
            return self._refused(error.refused, body, question, without)
        self._answered = True
        # The call that left the parameter out was answered, so that was the cause.
        if without == "n":
            self.at_once = False
        elif without == "seed":
            self._takes_seed = False
        return answer

    def read(
        self, document: dict[str, Any], n: int, seed: int | None, sent: dict[str, Any]
    ) -> Answer:
        """Reads the answer to a call for n texts.

        Only its texts must have a known form; what else it holds is made fit to be
        stored, or left out.

        Args:
            document: body of the response.
            n: number of texts that were asked for.
            seed: the seed that was sent; None if none was.
            sent: body of the request.

        Raises:
            TryAgainError: if the response does not have the form of an answer.
            RefusedInsideError: if the response reports an error instead.
        """
        secret = self._secret
        replies = read_replies(document, self._request.endpoint)[:n]
        if not any(reply.text for reply in replies):
            failure = find_failure(document, self.errors.show)
            if failure is not None:
                refused = self.errors.judge(failure, sent, self._answered)
                raise RefusedInsideError(refused)
            if not replies:
                name = PATHS[self._request.endpoint]
                raise TryAgainError(
                    f"the answer has no {'output' if 'resp' in name else 'choices'}",
                    maybe_paid=True,
                )
        texts = [secret.scrub_prose(clean(reply.text)) for reply in replies]
        usage = document.get("usage")
        limit = self._request.limit_name
        limit = self._renamed.get(limit, limit)
        details = {
            "id": _name(document.get("id")),
            "n": n if n > 1 else None,
            "seed": seed,
            limit: sent.get(limit),
        }
        stored = secret.storable(
            {
                "model": _name(document.get("model")) or self._request.model,
                "fingerprint": _name(document.get("system_fingerprint")),
                "usage": usage if isinstance(usage, dict) else None,
                "call": {n: v for n, v in details.items() if v is not None},
            }
        )
        return Answer(
            choices=[
                Choice(text, secret.storable(reply.reason))
                for text, reply in zip(texts, replies, strict=True)
                if text
            ],
            reason=_why_fewer(n, texts, replies),
            **stored,
        )

    def _refused(
        self,
        refused: Refused,
        body: dict[str, Any],
        question: Question,
        trial: str | None,
    ) -> Answer:
        """Returns an answer without texts if another call may do, else raises."""
        if refused.parameter == "" and trial is not None:
            # It was not the parameter; the other phrases need not try that.
            self._may_try_without = False
        if not self._adapt(refused, body, question):
            raise refused.error from None
        return Answer([], reason=str(refused.error))

    def _sent_seed(self, body: dict[str, Any]) -> bool:
        return "seed" in body and "seed" not in self._request.parameters

    def _adapt(
        self, refused: Refused, body: dict[str, Any], question: Question
    ) -> bool:
        """Stops sending a refused parameter unless the user set it.

        If the message names no parameter, the next call for the phrase goes without
        those that the user did not set.

        Returns:
            Whether the call can be repeated without that parameter.
        """
        name = refused.parameter
        if name == "n" and "n" in body:
            self.at_once = False
        elif name == "seed" and self._takes_seed and question.seed is not None:
            self._takes_seed = False
        elif name == "max_tokens" and "max_completion_tokens" in refused.message:
            self._renamed[name] = "max_completion_tokens"
        elif name == "" and self._may_try_without and "n" in body:
            self._without[question.phrase] = "n"
        elif name == "" and self._may_try_without and self._sent_seed(body):
            self._without[question.phrase] = "seed"
        else:
            return False
        return True


async def check_model(request: Request, timeout: float = 30.0) -> str:
    """Asks the server whether it has a model.

    Args:
        request: the request; its model and address are checked.
        timeout: time limit of the call, in seconds.

    Returns:
        A sentence that says that the model exists, and its shutdown date if known.

    Raises:
        InputError: if the model does not exist or the server does not answer.
    """
    provider = OpenAIProvider(request, timeout)
    where = show_address(request.base_url)
    model, names, refusal = None, None, ""
    async with provider.connect() as client:
        try:
            async with asyncio.timeout(timeout):
                # Many servers do not have the first of these addresses.
                try:
                    model = await client.models.retrieve(request.model)
                except openai.APIStatusError as error:
                    if error.status_code in (401, 402, 407, 429):
                        raise
                    refusal = provider.errors.message_of(error)
                if not getattr(model, "id", None):
                    names = await _list_models(client)
        except TimeoutError:
            raise InputError(
                f"{where} did not answer within {timeout:g} s; check --base-url, or"
                " raise --timeout"
            ) from None
        except openai.APIError as error:
            raise provider.errors.final(error) from None
    if names is not None and request.model not in names:
        if names:
            raise provider.errors.absent_model(refusal, names)
        raise InputError(
            f"{where} has no list of models (the server says: {refusal or 'nothing'});"
            " correct --base-url, which usually ends in /v1, or ask without --check if"
            " the server has no such list"
        )
    date = getattr(model, "shutdown_date", None)
    if (
        isinstance(date, int | float) and 0 < date < 1e11
    ):  # seconds since 1970, like the protocol's times
        date = datetime.datetime.fromtimestamp(date, datetime.UTC).date()
    until = (
        f"shuts down on {provider.errors.show(date)}"
        if date
        else "no shutdown announced"
    )
    return f"{where} has the model {request.model}: {until}"


async def _list_models(client: openai.AsyncOpenAI) -> list[str]:
    """Returns the names of the server's models; none if it has no list of them."""
    try:
        document = parse(await client.get("/models", cast_to=str)) or {}
    except openai.APIStatusError as error:
        if error.status_code in (401, 403) or error.status_code in range(502, 600):
            raise
        return []
    rows = document.get("data")
    rows = rows if isinstance(rows, list) else []
    names = (row.get("id") for row in rows if isinstance(row, dict))
    return [name for name in names if isinstance(name, str)]


def _name(value: Any) -> str | None:
    """Returns a value as the text by which something is called; None if it has none."""
    return str(value) if isinstance(value, str | int | float) and value else None


def _why_fewer(n: int, texts: list[str], replies: list[Reply]) -> str:
    empty = [r for r, text in zip(replies, texts, strict=True) if not text]
    if not empty:
        return f"the answer has {len(texts)} of {n} texts"
    thoughts = any(reply.thoughts or reply.text.strip() for reply in empty)
    limits = {"length", "max_output_tokens", "max_tokens"}
    if thoughts or limits & {reply.reason for reply in empty}:
        what = "thoughts without" if thoughts else "an empty"
        return (
            f"the answer has {what} text and used up its tokens (for a reasoning"
            " model, raise --max-tokens or add --param reasoning_effort=none)"
        )
    return "the answer has an empty text"
