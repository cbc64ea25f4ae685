"""Translates errors of a server into sentences that say what to change."""

import dataclasses
import datetime
import os
import re
import ssl
from collections.abc import Sequence
from typing import Any

import openai

from actiongpt_jax.errors import InputError, JobIncompleteError
from actiongpt_jax.llm.api_key import Secret
from actiongpt_jax.llm.provider import NoAnswerError, TryAgainError
from actiongpt_jax.llm.request import Request, show_address
from actiongpt_jax.llm.wire.failures import Failure, chain, find_proxy
from actiongpt_jax.text.answers import one_line

# A longer wait means that a quota of hours is used up, not that the server is busy for
# a moment; openai's client does not wait that long either.
MAX_WAIT_SECONDS = 120.0
# Characters of the server's message that are shown.
_SHOWN_CHARACTERS = 300
_RETRIED = {408, 409, 425, 429}
# Completion models, which OpenAI shut down on 2024-01-04 and 2026-09-28.
_COMPLETIONS_ONLY = re.compile(r"davinci|curie|babbage|\bada\b|turbo-instruct")
# How an answer begins that no later try would change -> what it is, and a remedy.
_NOT_JSON = {
    ("<",): (
        "a web page: correct --base-url, which usually ends in /v1, or sign in to the"
        " network in a browser"
    ),
    ("data:", "event:", ":"): (
        "a stream although none was asked for: use a server that answers as a whole"
    ),
}
_NO_SERVER = {"ConnectError", "ConnectTimeout", "UnsupportedProtocol", "ProxyError"}
_SHOWN_MODELS = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """The meaning of a failed call.

    Attributes:
        error: the error to raise.
        parameter: name of the parameter that the server refuses; '' if it may be one
            that the message does not name, None for any other cause.
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
        if proxy := find_proxy(request.base_url):
            self._where += f" (through the proxy {proxy}, which NO_PROXY can exclude)"

    def translate(
        self, error: openai.APIError, body: dict[str, Any], answered: bool = False
    ) -> Refused:
        """Returns the meaning of a failed call.

        Args:
            error: the error that the openai package raised.
            body: the body of the request that failed.
            answered: whether the server has answered another call.
        """
        message = self.message_of(error)
        if isinstance(error, openai.APITimeoutError) or not isinstance(
            error, openai.APIStatusError
        ):
            return Refused(self._unanswered(error), message=message)
        failure = Failure(
            error.status_code,
            message,
            (str(error.code or ""), str(error.type or "")),
            str(error.param or ""),
            error.response.headers,
        )
        return self.judge(failure, body, answered)

    def judge(
        self, failure: Failure, body: dict[str, Any], answered: bool = False
    ) -> Refused:
        """Returns the meaning of a failure; see `translate`."""
        status, message = failure.status, failure.message
        said = failure.said
        error: Exception | None = None
        if failure.is_unpaid:
            # A quota is renewed in time; a bill waits until somebody pays it.
            kind = InputError if status == 402 else JobIncompleteError
            error = kind(
                f"{self._where} does not answer until it is paid ({message}); the"
                " descriptions so far are in the cache: run again after paying"
            )
        elif failure.is_about_n(body):
            return Refused(NoAnswerError(f"refused ({said})"), "n", message)
        elif status == 407:
            error = InputError(f"{self._where} asks for a password ({said})")
        elif failure.needs_https:
            error = InputError(
                f"{self._where} speaks https ({said}); write https:// in --base-url"
            )
        elif failure.is_about_model:
            error = self.absent_model(message)
        elif status in _RETRIED or (status >= 500 and status != 501):
            return Refused(self._later(failure), message=message)
        elif status == 403 and (answered or failure.is_moderation):
            return Refused(NoAnswerError(f"refused ({said})"), message=message)
        elif failure.is_about_key:
            error = InputError(
                f"{self._where} refused the key in OPENAI_API_KEY ({said}); set another"
                " key, or set --base-url to the server of the key"
            )
        elif status in (404, 405, 501):
            error = InputError(
                f"{self._request.address} does not exist on the server ({said});"
                " correct --base-url, which usually ends in /v1, or choose an"
                " --endpoint that the server has"
            )
        if error is not None:
            return Refused(error)
        name = failure.find_parameter(body) if status in (400, 422) else None
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
        # The cause may be a parameter that the message does not name.
        name = None if failure.is_moderation else ""
        return Refused(NoAnswerError(f"refused ({said})"), name, message)

    def not_json(self, text: str) -> Exception:
        """Returns the error for an answer that is not JSON."""
        start = self._secret.scrub(one_line(text[:60]))
        for signs, what in _NOT_JSON.items():
            if text.lstrip().startswith(signs):
                return InputError(
                    f"{self._where} must answer in JSON, but sends {what}; the answer"
                    f" begins with {start!r}"
                )
        return TryAgainError(f"the answer is not JSON: {start!r}", maybe_paid=True)

    def final(self, error: openai.APIError) -> Exception:
        """Returns the error to raise for a failed call that is not tried again."""
        translated = self.translate(error, {}).error
        if isinstance(translated, TryAgainError | NoAnswerError):
            if isinstance(translated, NoAnswerError):
                return InputError(f"{self._where} failed: {translated}")
            if translated.unreachable:
                return self.unreachable()
            return JobIncompleteError(
                f"{self._where} failed: {translated}; run again later"
            )
        return translated

    def setup(self, error: Exception) -> InputError:
        """Returns the error for a client that cannot be made.

        Args:
            error: the error of the HTTP package, about a proxy or certificates.
        """
        if isinstance(error, OSError):
            names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
            files = {name: os.environ[name] for name in names if os.environ.get(name)}
            absent = {n: path for n, path in files.items() if not os.path.exists(path)}
            named = ", ".join(f"{n}={path}" for n, path in (absent or files).items())
            return InputError(
                f"the certificates of the environment cannot be read ({named}:"
                f" {error.strerror or error}); correct or unset that variable"
            )
        socks = "; `pip install socksio` adds it" if "SOCKS" in str(error) else ""
        names = [n for n in os.environ if n.lower().endswith("_proxy")]
        return InputError(
            f"the proxy of the environment cannot be used ({error}{socks}); correct or"
            f" unset {', '.join(sorted(names)) or 'it'}"
        )

    def unreachable(self) -> InputError:
        """Returns the error for an address at which no server answers."""
        return InputError(
            f"no server answers at {self._where}; start the server, or correct"
            " --base-url"
        )

    def absent_model(self, message: str, names: Sequence[str] = ()) -> InputError:
        """Returns the error for a model that does not exist, or no longer exists.

        Args:
            message: the server's message; '' if it sent only the names.
            names: the models that the server has, if known.
        """
        said = f" (the server says: {message})" if message else ""
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
            f"{self._where} has no model {self._request.model!r}{said}; {use}"
        )

    def _unanswered(self, error: openai.APIError) -> Exception:
        cause = error.__cause__
        for link in chain(error):
            if isinstance(link, ssl.SSLCertVerificationError):
                return InputError(
                    f"the certificate of {self._where} is not trusted"
                    f" ({link.verify_message}); set SSL_CERT_FILE to a file with its"
                    " authority's certificate"
                )
            if isinstance(link, ssl.SSLError):
                return InputError(
                    f"{self._where} does not speak https ({link.reason or link});"
                    " write http:// in --base-url"
                )
        if type(cause).__name__ in _NO_SERVER:
            return TryAgainError(
                f"no server answers at {self._where}", unreachable=True
            )
        if isinstance(error, openai.APITimeoutError):
            return TryAgainError("no answer in time", maybe_paid=True)
        return TryAgainError("the connection broke", maybe_paid=True)

    def _later(self, failure: Failure) -> Exception:
        after, said = failure.wait, failure.said
        if after is not None and after > MAX_WAIT_SECONDS:
            back = datetime.datetime.now().astimezone() + datetime.timedelta(
                seconds=min(after, 1e8)
            )
            return JobIncompleteError(
                f"{self._where} asks to come back in {_duration(after)} ({said}); the"
                " descriptions so far are in the cache: run the same command again"
                f" after {back:%Y-%m-%d %H:%M:%S %Z}"
            )
        if failure.headers.get("x-should-retry") == "false":
            return NoAnswerError(said)
        limited = failure.status == 429 or after is not None
        return TryAgainError(said, after=after, limited=limited)

    def message_of(self, error: openai.APIError) -> str:
        """Returns the server's message, fit to be shown."""
        body: Any = error.body
        if isinstance(body, list) and body:  # Google's errors are lists of one
            body = body[0]
        for name in ("error", "message", "detail"):
            body = isinstance(body, dict) and body.get(name) or body
        return self.show(isinstance(body, dict | list | str) and body or error.message)

    def show(self, message: Any) -> str:
        """Makes a server's message fit to be shown."""
        return self._secret.scrub(one_line(str(message)))[:_SHOWN_CHARACTERS]


def _duration(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.0f} s"
    if seconds < 36000:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
