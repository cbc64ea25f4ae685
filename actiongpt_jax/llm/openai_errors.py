"""Translates errors of a server into sentences that say what to change."""

import dataclasses
import datetime
import re
from collections.abc import Sequence
from typing import Any

import openai

from actiongpt_jax.errors import InputError, JobIncompleteError
from actiongpt_jax.llm.api_key import Secret
from actiongpt_jax.llm.provider import NoAnswerError, TryAgainError
from actiongpt_jax.llm.request import Request, show_address

# A longer wait means that a quota of hours is used up, not that the server is busy for
# a moment; openai's client does not wait that long either.
MAX_WAIT_SECONDS = 120.0
# Characters of the server's message that are shown.
_SHOWN_CHARACTERS = 300
_RETRIED = {408, 409, 425, 429}
_NO_MONEY = {"insufficient_quota", "billing_hard_limit_reached"}
_GONE = {"model_not_found", "model_deprecated", "model_retired"}
_GONE_WORDS = re.compile(
    r"model.{0,80}(not found|does not exist|not exist|deprecated|retired|shut ?down"
    r"|discontinued|no longer)",
    re.IGNORECASE | re.DOTALL,
)
# Completion models, which OpenAI shut down on 2024-01-04 and 2026-09-28.
_COMPLETIONS_ONLY = re.compile(r"davinci|curie|babbage|\bada\b|turbo-instruct")
_NO_SERVER = {"ConnectError", "ConnectTimeout", "UnsupportedProtocol"}
_SHOWN_MODELS = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """The meaning of a failed call.

    Attributes:
        error: the error to raise.
        parameter: name of the parameter that the server refuses; None for any other
            cause.
        message: the server's message.
    """

    error: Exception
    parameter: str | None = None
    message: str = ""


class ApiErrors:
    """Translates errors of the openai package into this library's, without the key."""

    def __init__(self, request: Request, secret: Secret):
        """Stores the request and the key.

        Args:
            request: the request; messages name its model and address.
            secret: the key, which is removed from messages.
        """
        self._request, self._secret = request, secret
        self._where = show_address(request.base_url)

    def translate(self, error: openai.APIError, body: dict[str, Any]) -> Refused:
        """Returns the meaning of a failed call.

        Args:
            error: the error that the openai package raised.
            body: the body of the request that failed.
        """
        message = self._message_of(error)
        if isinstance(error, openai.APITimeoutError) or not isinstance(
            error, openai.APIStatusError
        ):
            return Refused(self._unanswered(error), message=message)
        status, code = error.status_code, str(error.code or "")
        if status == 402 or code in _NO_MONEY or error.type in _NO_MONEY:
            return Refused(
                JobIncompleteError(
                    f"{self._where} does not answer until it is paid ({message});"
                    " the descriptions so far are in the cache: run again after paying"
                )
            )
        if status in _RETRIED or status >= 500:
            return Refused(self._later(error, message), message=message)
        if status in (401, 403):
            return Refused(
                InputError(
                    f"{self._where} refused the key in OPENAI_API_KEY ({status}:"
                    f" {message}); set another key, or set --base-url to the server of"
                    " the key"
                )
            )
        if code in _GONE or (status in (400, 404, 410) and _GONE_WORDS.search(message)):
            return Refused(self.absent_model(error))
        if status in (404, 405):
            return Refused(
                InputError(
                    f"{self._request.address} does not exist on the server ({status}:"
                    f" {message}); correct --base-url, which usually ends in /v1, or"
                    " choose an --endpoint that the server has"
                )
            )
        name = None
        if status in (400, 422):
            name = self._parameter(error, message, body)
        if name is not None:
            return Refused(
                InputError(
                    f"the model {self._request.model!r} at {self._where} does not"
                    f" accept {name!r} with this value (the server says: {message});"
                    " leave it out or change it"
                ),
                name,
                message,
            )
        return Refused(NoAnswerError(f"refused ({status}: {message})"), message=message)

    def final(self, error: openai.APIError) -> Exception:
        """Returns the error to raise for a failed call that is not tried again."""
        translated = self.translate(error, {}).error
        if isinstance(translated, TryAgainError | NoAnswerError):
            if isinstance(translated, TryAgainError) and translated.unreachable:
                return self.unreachable()
            return JobIncompleteError(
                f"{self._where} failed: {translated}; run again later"
            )
        return translated

    def unreachable(self) -> InputError:
        """Returns the error for an address at which no server answers."""
        return InputError(
            f"no server answers at {self._where}; start the server, or correct"
            " --base-url"
        )

    def absent_model(
        self, error: openai.APIError, names: Sequence[str] = ()
    ) -> InputError:
        """Returns the error for a model that does not exist, or no longer exists.

        Args:
            error: the error that the openai package raised.
            names: the models that the server has, if known.
        """
        use = "use another --model"
        if names:
            use += f"; the server has {', '.join(names[:_SHOWN_MODELS])}"
            use += ", ..." if len(names) > _SHOWN_MODELS else ""
        if _COMPLETIONS_ONLY.search(self._request.model):
            use += (
                "; OpenAI has shut down its completion models: use --endpoint chat"
                " --model gpt-6-luna, or a local server for --endpoint completions"
            )
        elif not names:
            use += (
                " (for example gpt-6-luna at OpenAI); --check tells whether it exists"
            )
        return InputError(
            f"{self._where} has no model {self._request.model!r} (the server says:"
            f" {self._message_of(error)}); {use}"
        )

    def _unanswered(self, error: openai.APIError) -> TryAgainError:
        cause = error.__cause__
        if type(cause).__name__ in _NO_SERVER:
            return TryAgainError(
                f"no server answers at {self._where}", unreachable=True
            )
        if isinstance(error, openai.APITimeoutError):
            return TryAgainError("no answer in time", maybe_paid=True)
        return TryAgainError("the connection broke", maybe_paid=True)

    def _later(self, error: openai.APIStatusError, message: str) -> Exception:
        headers = error.response.headers
        after = _seconds(headers.get("retry-after-ms"), headers.get("retry-after"))
        if after is not None and after > MAX_WAIT_SECONDS:
            back = datetime.datetime.now().astimezone() + datetime.timedelta(
                seconds=min(after, 1e8)
            )
            return JobIncompleteError(
                f"{self._where} asks to come back in {_duration(after)}"
                f" ({error.status_code}: {message}); the descriptions so far are in the"
                " cache: run the same command again after"
                f" {back:%Y-%m-%d %H:%M:%S %Z}"
            )
        if headers.get("x-should-retry") == "false":
            return NoAnswerError(f"{error.status_code}: {message}")
        return TryAgainError(f"{error.status_code}: {message}", after=after)

    def _parameter(
        self, error: openai.APIStatusError, message: str, body: dict[str, Any]
    ) -> str | None:
        """Finds the name of the parameter that the server complains about."""
        sent = set(body) - {"model", "messages", "input", "prompt", "instructions"}
        named = (error.param or "").split(".")[-1].split("[")[0]
        if named in sent:
            return named
        words = re.findall(r"\w+", message)
        return next(
            (word for word in words if word in sent and len(word) > 1), None
        ) or (
            "n"
            if "n" in sent and re.search(r"['\"`]n['\"`]|\bn\b *$", message)
            else None
        )

    def _message_of(self, error: openai.APIError) -> str:
        body = error.body
        message = body.get("message") if isinstance(body, dict) else None
        message = message or (body if isinstance(body, dict | list) else None)
        text = " ".join(str(message or error.message).split())
        return self._secret.scrub(text)[:_SHOWN_CHARACTERS]


def _seconds(milliseconds: str | None, seconds: str | None) -> float | None:
    for value, scale in ((milliseconds, 1e-3), (seconds, 1.0)):
        try:
            if value is not None and float(value) >= 0:
                return float(value) * scale
        except ValueError:
            continue
    if seconds is None:
        return None
    try:
        when = datetime.datetime.strptime(seconds, "%a, %d %b %Y %H:%M:%S %Z")
    except ValueError:
        return None
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    return max(0.0, (when - now).total_seconds())


def _duration(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.0f} s"
    if seconds < 36000:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
