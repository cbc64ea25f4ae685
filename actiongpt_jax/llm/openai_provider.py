"""Descriptions from a server that speaks OpenAI's protocol."""

import asyncio
import datetime
import json
import os
from typing import Any

import openai

from actiongpt_jax.errors import InputError
from actiongpt_jax.llm.api_key import Secret
from actiongpt_jax.llm.openai_errors import ApiErrors, Refused
from actiongpt_jax.llm.provider import (
    Answer,
    Choice,
    Question,
    TryAgainError,
    clean,
)
from actiongpt_jax.llm.request import PATHS, Request, show_address

KEY = "OPENAI_API_KEY"
_CONNECT_SECONDS = 10.0


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

    def connect(self, max_retries: int = 0) -> openai.AsyncOpenAI:
        """Returns a new client; close it in the event loop in which it was used."""
        return openai.AsyncOpenAI(
            api_key=self._secret.reveal(),
            base_url=self._request.base_url,
            timeout=openai.Timeout(self._timeout, connect=_CONNECT_SECONDS),
            max_retries=max_retries,
        )

    def scrub(self, text: str) -> str:
        """Removes the key from a text."""
        return self._secret.scrub(text)

    async def __aenter__(self) -> "OpenAIProvider":
        """Opens the client."""
        self._client = self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes the client's connections."""
        await self._client.close()

    async def ask(self, question: Question) -> Answer:
        """Makes one call; see `llm.provider.Provider`."""
        n = len(question.indices) if self.at_once else 1
        seed = question.seed if self._takes_seed else None
        body = self._request.body(question.phrase, n, seed)
        for old, new in self._renamed.items():
            body[new] = body.pop(old)
        try:
            async with asyncio.timeout(self._timeout):
                text = await self._client.post(
                    PATHS[self._request.endpoint], cast_to=str, body=body
                )
        except TimeoutError:
            raise TryAgainError(
                f"no answer within {self._timeout:g} s", maybe_paid=True
            ) from None
        except openai.APIError as error:
            refused = self.errors.translate(error, body)
            if not self._adapt(refused, body, question):
                # The original error would show the request with its headers.
                raise refused.error from None
            return Answer([], reason=str(refused.error))
        return self.read(_parse(text, self._secret), n, seed, body)

    def read(
        self, document: dict[str, Any], n: int, seed: int | None, sent: dict[str, Any]
    ) -> Answer:
        """Reads the answer to a call for n texts.

        Args:
            document: body of the response.
            n: number of texts that were asked for.
            seed: the seed that was sent; None if none was.
            sent: body of the request.

        Raises:
            TryAgainError: if the response does not have the form of an answer.
        """
        scrub = self._secret.scrub
        choices = _choices(document, self._request.endpoint)[:n]
        prose = self._secret.scrub_prose
        texts = [(prose(clean(text)), reason) for text, reason in choices]
        usage = document.get("usage")
        limit = self._request.limit_name
        limit = self._renamed.get(limit, limit)
        details = {
            "id": scrub(str(document.get("id", ""))) or None,
            "n": n if n > 1 else None,
            "seed": seed,
            limit: sent.get(limit),
        }
        return Answer(
            choices=[Choice(text, reason) for text, reason in texts if text],
            reason=_why_fewer(n, texts),
            model=scrub(str(document.get("model") or self._request.model)),
            fingerprint=scrub(str(document.get("system_fingerprint") or "")) or None,
            usage=usage if isinstance(usage, dict) else None,
            call={name: value for name, value in details.items() if value is not None},
        )

    def _adapt(
        self, refused: Refused, body: dict[str, Any], question: Question
    ) -> bool:
        """Stops sending a refused parameter unless the user set it.

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
        else:
            return False
        return True


def read_key() -> str:
    """Returns the key from the environment variable.

    Raises:
        InputError: if it is missing or cannot be sent in an HTTP header.
    """
    key = os.environ.get(KEY, "").strip()
    if not key:
        raise InputError(
            f"the environment variable {KEY} must hold the key of the server, but is"
            f" not set: run `export {KEY}=...` (with any word for a local server that"
            " needs no key), or use --from-file FILE, which needs no key"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InputError(
            f"the environment variable {KEY} must hold one word of ASCII characters,"
            " but has spaces, line ends or other characters in it; copy the key again"
        )
    return key


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
    async with provider.connect() as client:
        try:
            async with asyncio.timeout(timeout):
                model = await client.models.retrieve(request.model)
        except TimeoutError:
            raise InputError(
                f"{where} did not answer within {timeout:g} s; check --base-url, or"
                " raise --timeout"
            ) from None
        except openai.NotFoundError as error:
            names = await _list_models(client)
            raise provider.errors.absent_model(error, names) from None
        except openai.APIError as error:
            raise provider.errors.final(error) from None
    if isinstance(model, str) or not getattr(model, "id", None):
        raise InputError(
            f"{where} must answer in OpenAI's protocol, but does not; correct"
            " --base-url, which usually ends in /v1"
        )
    date = getattr(model, "shutdown_date", None)
    if isinstance(date, int | float):  # seconds since 1970, like the protocol's times
        date = datetime.datetime.fromtimestamp(date, datetime.UTC).date()
    until = f"shuts down on {date}" if date else "no shutdown announced"
    return f"{where} has the model {model.id}: {until}"


async def _list_models(client: openai.AsyncOpenAI) -> list[str]:
    try:
        return [model.id for model in (await client.models.list()).data]
    except (openai.APIError, AttributeError, TypeError):
        return []


def _parse(text: str, secret: Secret) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise TryAgainError(
            f"the answer is not JSON: {secret.scrub(text[:60])!r}", maybe_paid=True
        )
    return document


def _choices(document: dict[str, Any], endpoint: str) -> list[tuple[str, str | None]]:
    """Returns (text, finish reason) of every choice."""
    try:
        if endpoint == "responses":
            return [_of_response(document)]
        choices = []
        for choice in document["choices"]:
            reason = choice.get("finish_reason")
            text = choice.get("text")
            if endpoint == "chat":
                message = choice["message"]
                text = message.get("content")
                if not text and message.get("refusal"):
                    text, reason = message["refusal"], "refusal"
            choices.append((_as_text(text), None if reason is None else str(reason)))
        return choices
    except (AttributeError, KeyError, TypeError):
        raise TryAgainError(
            f"the answer has no {'output' if endpoint == 'responses' else 'choices'}",
            maybe_paid=True,
        ) from None


def _of_response(document: dict[str, Any]) -> tuple[str, str | None]:
    parts = [
        part
        for item in document["output"]
        if item.get("type") == "message"
        for part in item["content"]
    ]
    reason = (document.get("incomplete_details") or {}).get("reason")
    reason = reason or document.get("status")
    text = "".join(p["text"] for p in parts if p.get("type") == "output_text")
    refusal = "".join(p.get("refusal") or "" for p in parts)
    if refusal and not text:
        return refusal, "refusal"
    return text, None if reason is None else str(reason)


def _as_text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    if content is not None and not isinstance(content, str):
        raise TypeError(f"content must be str, got {type(content).__name__}")
    return content or ""


def _why_fewer(n: int, texts: list[tuple[str, str | None]]) -> str:
    empty = [reason for text, reason in texts if not text]
    if not empty:
        return f"the answer has {len(texts)} of {n} texts"
    if {"length", "max_output_tokens"} & set(empty):
        return (
            "the answer has an empty text that used up its tokens (for a reasoning"
            " model, raise --max-tokens or add --param reasoning_effort=none)"
        )
    return "the answer has an empty text"
