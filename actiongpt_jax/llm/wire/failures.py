"""What servers say about calls that fail, and in which words."""

import dataclasses
import datetime
import re
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from actiongpt_jax.llm.request import show_address

_NO_MONEY = {"insufficient_quota", "billing_hard_limit_reached"}
_GONE = {"model_not_found", "model_deprecated", "model_retired"}
_GONE_WORDS = re.compile(
    r"model.{0,80}(not found|does not exist|not exist|deprecated|retired|shut ?down"
    r"|discontinued|no longer|not (an? )?valid|not (an? )?(known|recogni[sz]ed)"
    r"|is unknown|is invalid)"
    r"|(invalid|unknown|no such|not a valid|unrecogni[sz]ed|unable to access|access to)"
    r" (the )?(requested )?model\b(?! (parameter|param|input|output|argument)s?)",
    re.IGNORECASE | re.DOTALL,
)
_ONE_CHOICE = re.compile(
    r"\bn\b\W{0,3}(=|>|value|must|should|parameter|is not|is unsupported|:)"
    r"|['\"`]n['\"`]|\bn\b\W*$|(value|parameter|param|argument|field)\W+n\b"
    r"|(only (one|a single|1)|multiple|several|more than (one|1))\b.{0,40}"
    r"(choice|completion|candidate|response|generation)",
    re.IGNORECASE,
)
_MODERATED = re.compile(
    r"moderat|flagged|content[\W_]*(policy|filter|management)|safety|harmful|unsafe"
    r"|inappropriate|prohibited|violat|guardrail|data_inspection",
    re.IGNORECASE,
)
_BAD_KEY = re.compile(
    r"api.?key\b.{0,20}\b(invalid|incorrect|missing|not (valid|found|provided))"
    r"|(invalid|incorrect|missing|no|wrong) (\w+ )?api.?key",
    re.IGNORECASE,
)
# Go's, nginx's and Apache's answer to http on a port for https.
_NEEDS_HTTPS = re.compile(
    r"plain HTTP request was sent|HTTP request to an HTTPS server"
    r"|speaking plain HTTP to an SSL-enabled",
    re.IGNORECASE,
)
# What a code inside an answer with status 200 says about the status.
_STATUS_OF: Mapping[str, int] = {
    r"rate.?limit|too.?many|throttl": 429,
    r"quota|billing|payment|credit": 402,
    r"api.?key|authentic|unauthori": 401,
    r"moderat|forbidden|permission": 403,
    r"invalid.?request|bad.?request|context.?length|content|validation": 400,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """What a server said about a call that failed.

    Attributes:
        status: HTTP status; for an error inside an answer with status 200, its code.
        message: the server's message, without the key.
        codes: the error's code and type, in the server's words.
        parameter: name of the parameter that the server names as the cause.
        headers: headers of the response.
    """

    status: int
    message: str
    codes: tuple[str, ...] = ()
    parameter: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def said(self) -> str:
        """Status and message."""
        return f"{self.status}: {self.message}"

    @property
    def is_unpaid(self) -> bool:
        """Whether nothing is answered until somebody pays."""
        return self.status == 402 or bool(_NO_MONEY & set(self.codes))

    @property
    def is_moderation(self) -> bool:
        """Whether the content of one call was refused."""
        return _MODERATED.search(f"{self.codes} {self.message}") is not None

    @property
    def is_about_key(self) -> bool:
        """Whether the server does not know the key; Google says so with a 400."""
        told = self.status == 400 and _BAD_KEY.search(self.message) is not None
        return told or self.status in (401, 403)

    @property
    def needs_https(self) -> bool:
        """Whether the server is one for https."""
        return _NEEDS_HTTPS.search(self.message) is not None

    @property
    def is_about_model(self) -> bool:
        """Whether the model does not exist, or no longer exists."""
        if _GONE & set(self.codes):
            return True
        # A busy server may speak of its model too.
        if self.status not in (400, 403, 404, 410, 422, 500):
            return False
        if self.parameter not in ("", "model"):
            return False
        named = self.parameter == "model" and self.status != 500
        return named or _GONE_WORDS.search(self.message) is not None

    def is_about_n(self, body: Mapping[str, Any]) -> bool:
        """Returns whether the server cannot write several texts at once.

        Args:
            body: the body of the request that failed.
        """
        if body.get("n", 1) < 2 or self.status not in (400, 422, 500, 501):
            return False
        return self.parameter == "n" or _ONE_CHOICE.search(self.message) is not None

    def find_parameter(self, body: Mapping[str, Any]) -> str | None:
        """Returns the name of the parameter that the server complains about.

        Args:
            body: the body of the request that failed.
        """
        sent = set(body) - {"model", "messages", "input", "prompt", "instructions"}
        named = self.parameter.split(".")[-1].split("[")[0]
        if named in sent:
            return named
        words = re.findall(r"\w+", self.message)
        return next((word for word in words if word in sent and len(word) > 1), None)

    @property
    def wait(self) -> float | None:
        """Seconds that the server asks to wait; None if it does not say."""
        return _seconds(
            self.headers.get("retry-after-ms"), self.headers.get("retry-after")
        )


def find_failure(
    document: Mapping[str, Any], show: Callable[[Any], str]
) -> Failure | None:
    """Returns the failure that an answer with status 200 reports, None without one.

    Args:
        document: body of the response, which has no text.
        show: function that makes a message fit to be shown.
    """
    choices = document.get("choices")
    inner = choices[0] if isinstance(choices, list) and choices else None
    found = document.get("error") or (isinstance(inner, dict) and inner.get("error"))
    if not found and document.get("object") == "error":
        found = document
    if not found:
        return None
    found = found if isinstance(found, dict) else {"message": found}
    codes = tuple(str(found.get(n) or "") for n in ("code", "type", "status"))
    status = next((int(c) for c in codes if re.fullmatch("[45][0-9][0-9]", c)), 0)
    for words, likely in _STATUS_OF.items():
        if not status and re.search(words, " ".join(codes), re.IGNORECASE):
            status = likely
    parameter = str(found.get("param") or "")
    # Without a known code the cause may be a passing one.
    return Failure(status or 502, show(found.get("message") or found), codes, parameter)


def find_proxy(base_url: str) -> str | None:
    """Returns the address of the proxy that the environment sets for a server."""
    parts = urllib.parse.urlsplit(base_url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    try:
        return show_address(proxy if "://" in proxy else f"http://{proxy}")
    except ValueError:  # not an address; the client cannot be made either
        return "of the environment"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


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
