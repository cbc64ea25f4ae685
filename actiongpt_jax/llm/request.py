"""The request to a language model, and its form for each endpoint."""

import dataclasses
import json
import urllib.parse
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from actiongpt_jax.errors import InputError, check_choice
from actiongpt_jax.text.description import make_key
from actiongpt_jax.text.prompts import Prompt

OPENAI = "https://api.openai.com/v1"
PATHS: Mapping[str, str] = MappingProxyType(
    {
        "chat": "/chat/completions",
        "responses": "/responses",
        "completions": "/completions",
    }
)
# The endpoint `responses` of the protocol has neither n nor seed.
_ONE_BY_ONE = {"responses"}
# Fields that the request itself sets; a parameter of the same name would break it.
_RESERVED = {"model", "messages", "input", "prompt", "instructions", "n", "stream"}


@dataclasses.dataclass(frozen=True)
class Request:
    """The part of a request that is the same for every phrase of a job.

    Attributes:
        model: name of the model on the server.
        prompt: the prompt function.
        k: number of descriptions per phrase.
        endpoint: one of `PATHS`.
        base_url: address of the server up to the version (`.../v1`).
        parameters: sampling parameters that the user set. `max_tokens` limits an
            answer, `total_tokens` the prompt and the answer together; each endpoint
            gets them under its own name.
    """

    model: str
    prompt: Prompt
    k: int = 4
    endpoint: str = "chat"
    base_url: str = OPENAI
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        """Checks the values that no server checks.

        Raises:
            InputError: if a value is wrong; the message names its flag.
        """
        if self.k < 1:
            raise InputError(f"--k must be 1 or more, got {self.k}")
        check_choice("--endpoint", self.endpoint, PATHS)
        if reserved := _RESERVED & set(self.parameters):
            raise InputError(
                f"the parameter {sorted(reserved)[0]!r} is set by the request itself;"
                " leave it out"
            )
        if self.model.encode(errors="replace").decode() != self.model:
            raise InputError(
                "--model must be valid text, but has bytes that are not UTF-8:"
                f" {self.model!a}"
            )
        try:
            json.dumps(dict(self.parameters), allow_nan=False)
        except ValueError as error:
            raise InputError(
                "a parameter of a request must be a finite number or another JSON"
                f" value, got {dict(self.parameters)}"
            ) from error
        for name in ("max_tokens", "total_tokens"):
            if (limit := self.parameters.get(name)) is not None and limit < 1:
                raise InputError(
                    f"--{name.replace('_', '-')} must be 1 or more, got {limit}"
                )
        try:
            parts = urllib.parse.urlsplit(self.base_url)
            valid = parts.scheme in ("http", "https") and parts.hostname
            # A password would end up in records and error messages.
            valid = valid and "@" not in parts.netloc
            _ = parts.port
        except ValueError:
            valid = False
        if not valid:
            raise InputError(
                "--base-url must be an address such as http://localhost:8000/v1,"
                " without user name and password, got"
                f" {self.base_url.rpartition('@')[2]!r}"
            )

    @property
    def address(self) -> str:
        """Address of the endpoint, without user name, password and query."""
        return show_address(self.base_url) + PATHS[self.endpoint]

    @property
    def batch_path(self) -> str:
        """Path of the endpoint in a file of batched requests."""
        return f"/v1{PATHS[self.endpoint]}"

    @property
    def at_once(self) -> bool:
        """Whether the endpoint has the parameters `n` and `seed`."""
        return self.endpoint not in _ONE_BY_ONE

    def key(self, phrase: str, index: int) -> str:
        """Returns the key that identifies a description by what was asked.

        The server's address is not part of it, so that a local server can move to
        another port or machine and still use the same cache.
        """
        name, version = self.prompt.name, self.prompt.version
        how = (self.endpoint, self.model, name, version, self.parameters)
        return make_key(*how, phrase, index)

    def body(self, phrase: str, n: int = 1, seed: int | None = None) -> dict[str, Any]:
        """Returns the JSON body of a call to the endpoint.

        Args:
            phrase: the phrase to describe.
            n: number of texts; sent only if more than one.
            seed: seed to send instead of the user's; None keeps the user's.
        """
        prompt, system = self.prompt.fill(phrase), self.prompt.system
        body: dict[str, Any] = {"model": self.model}
        if self.endpoint == "chat":
            before = [{"role": "system", "content": system}] if system else []
            body["messages"] = [*before, {"role": "user", "content": prompt}]
        elif self.endpoint == "responses":
            body["input"] = prompt
            if system:
                body["instructions"] = system
        else:
            body["prompt"] = f"{system}\n\n{prompt}" if system else prompt
        for name, value in self.parameters.items():
            if name == "total_tokens":
                name, value = "max_tokens", self._rest(value, prompt)
            body[self.limit_name if name == "max_tokens" else name] = value
        if n > 1:
            body["n"] = n
        if seed is not None:
            body["seed"] = seed
        return body

    @property
    def limit_name(self) -> str:
        """Name of the endpoint's parameter that limits the tokens of an answer."""
        if self.endpoint == "responses":
            return "max_output_tokens"
        if self.endpoint == "chat" and _is_openai(self.base_url):
            # OpenAI's newer models refuse `max_tokens`; other servers know only that.
            return "max_completion_tokens"
        return "max_tokens"

    def answer_limit(self, phrase: str) -> int | None:
        """Returns the token limit of one answer, None if there is no limit."""
        if (total := self.parameters.get("total_tokens")) is not None:
            return self._rest(total, self.prompt.fill(phrase))
        return self.parameters.get("max_tokens")

    def _rest(self, total: int, prompt: str) -> int:
        return max(1, total - estimate_tokens(prompt + (self.prompt.system or "")))


def estimate_tokens(text: str) -> int:
    """Estimates the number of tokens of a text as one per four bytes (English)."""
    return -(-len(text.encode()) // 4)


def show_address(base_url: str) -> str:
    """Returns an address without user name, password and query, which may be secret."""
    parts = urllib.parse.urlsplit(base_url)
    host = parts.netloc.rpartition("@")[2]
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", "")).rstrip("/")


def _is_openai(base_url: str) -> bool:
    host = urllib.parse.urlsplit(base_url).hostname or ""
    return host == "openai.com" or host.endswith(".openai.com")
