"""The cost of calls: a price table, estimates, and a budget that is never exceeded."""

import asyncio
import dataclasses
import os
import pathlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from actiongpt_jax.errors import InputError, JobIncompleteError
from actiongpt_jax.files.reading import read_json
from actiongpt_jax.llm.request import Request, estimate_tokens

_MILLION = 1e6
_MOST_TOKENS = 1e9  # of one call; a larger count is an error of the server
# An answer without a limit is assumed to be no longer than this, or than 1.5 times the
# longest answer so far.
_UNLIMITED_TOKENS = 256
# Expected length of an answer without a limit: the paper's descriptions have about 128
# words.
TYPICAL_TOKENS = 170
# Tokens that a server adds around the messages of a chat.
_OVERHEAD_TOKENS = 16


@dataclasses.dataclass(frozen=True, slots=True)
class Price:
    """Price of a model in US dollars per million tokens.

    Attributes:
        input: price of prompt tokens.
        output: price of answer tokens, including hidden reasoning tokens.
        batch: fraction of these prices that a batch pays, 0 to 1.
    """

    input: float
    output: float
    batch: float = 0.5

    def cost(self, input_tokens: int | float, output_tokens: int | float) -> float:
        """Returns the cost of these tokens in dollars."""
        return (self.input * input_tokens + self.output * output_tokens) / _MILLION


# List prices of November 2026; `--prices FILE` adds to and overrides them.
PRICES: Mapping[str, Price] = MappingProxyType(
    {"gpt-5.6-luna": Price(0.20, 1.20), "gpt-6-luna": Price(0.10, 0.50)}
)


def read_prices(path: str | os.PathLike | None) -> dict[str, Price]:
    """Returns the built-in prices and those of a file.

    Args:
        path: JSON file, {model: {"input": $, "output": $ per million tokens, and
            optionally "batch": fraction of these}}; None for the built-in prices only.

    Raises:
        InputError: if the file does not exist or does not have this form.
    """
    prices = dict(PRICES)
    if path is None:
        return prices
    form = '{"model": {"input": 0.1, "output": 0.5}}, dollars per million tokens'
    if not pathlib.Path(path).is_file():
        raise InputError(f"--prices must be a JSON file, {form}; {path} is not a file")
    for model, row in read_json(path, f"write {form}").items():
        known = isinstance(row, dict) and {"input", "output"} <= set(row)
        if not known or not all(_is_price(row.get(name, 0.5)) for name in _FIELDS):
            raise InputError(
                f"{path}: the entry of {model!r} must have the form {form}, got"
                f" {str(row)[:60]}"
            )
        prices[model] = Price(**{n: float(row[n]) for n in _FIELDS if n in row})
    return prices


_FIELDS = ("input", "output", "batch")


def _is_price(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value < _MILLION


def find_price(prices: Mapping[str, Price], model: str) -> Price | None:
    """Returns the price of a model, found by its name or by the longest prefix."""
    names = [n for n in prices if model == n or model.startswith(f"{n}-")]
    return prices[max(names, key=len)] if names else None


class Budget:
    """Tracks the cost of calls; a call starts only if it cannot exceed the limit.

    Attributes:
        price: price of the model; None if unknown.
        limit: largest sum to spend, in dollars; None for no limit.
        spent: dollars spent so far; a call whose tokens the server did not report
            counts as its highest possible cost.
        input_tokens: prompt tokens, as counted by the server.
        output_tokens: answer tokens, as counted by the server.
    """

    def __init__(self, price: Price | None, limit: float | None = None):
        """Starts with nothing spent.

        Args:
            price: price of the model; None if unknown.
            limit: largest sum to spend, in dollars; None for no limit.

        Raises:
            InputError: if there is a limit but no price, or the limit is not positive.
        """
        if limit is not None and price is None:
            raise InputError(
                "--max-cost needs the price of the model, which is not in the built-in"
                ' table; give --prices FILE with {"MODEL": {"input": 0.1, "output":'
                " 0.5}}, dollars per million tokens"
            )
        if limit is not None and not limit > 0:
            raise InputError(f"--max-cost must be more than 0 dollars, got {limit}")
        self.price, self.limit = price, limit
        self.spent = self._reserved = 0.0
        self.input_tokens = self.output_tokens = 0
        self._longest = 0.0
        self._calls_in_progress = 0
        self._freed = asyncio.Event()

    def most(self, request: Request, phrase: str, n: int) -> float:
        """Returns the highest possible cost of a call for n texts, in dollars."""
        if self.price is None:
            return 0.0
        # No tokenizer makes more tokens than the text has bytes.
        prompt = request.prompt.fill(phrase) + (request.prompt.system or "")
        limit = request.answer_limit(phrase)
        if limit is None:
            limit = max(_UNLIMITED_TOKENS, 1.5 * self._longest)
        return self.price.cost(len(prompt.encode()) + _OVERHEAD_TOKENS, n * limit)

    async def reserve(self, dollars: float) -> None:
        """Waits until the budget has room for a call, and reserves its cost.

        Args:
            dollars: highest possible cost of the call.

        Raises:
            JobIncompleteError: if there is no room although no call is in progress.
        """
        while self.limit is not None and (
            self.spent + self._reserved + dollars > self.limit
        ):
            if self._calls_in_progress == 0:
                raise JobIncompleteError(
                    f"stopped at ${self.spent:.4f}: the next call may cost up to"
                    f" ${dollars:.4f}, beyond --max-cost {self.limit:g}; run again"
                    " with a higher limit to continue"
                )
            self._freed.clear()
            await self._freed.wait()
        self._reserved += dollars
        self._calls_in_progress += 1

    def settle(
        self, dollars: float, usage: Mapping[str, Any] | None, n: int, paid: bool = True
    ) -> None:
        """Replaces the reservation of a finished call by its actual cost.

        Args:
            dollars: the amount that was reserved.
            usage: token counts from the server; None, or no tokens, books the
                reserved amount.
            n: number of texts received.
            paid: False if nothing was charged.
        """
        self._calls_in_progress -= 1
        # Rounding must not leave an amount reserved when no call is in progress.
        self._reserved = self._reserved - dollars if self._calls_in_progress else 0.0
        self._freed.set()
        if not paid:
            return
        if usage is None or not any(count_usage(usage)):
            self.spent += dollars
            return
        output_tokens = self.book(usage)
        self._longest = max(self._longest, output_tokens / max(n, 1))

    def book(self, usage: Mapping[str, Any] | None, share: float = 1.0) -> int:
        """Adds the cost of a call that had no reservation.

        Args:
            usage: token counts from the server.
            share: fraction of the price that is paid.

        Returns:
            Number of tokens of the answer.
        """
        input_tokens, output_tokens = count_usage(usage or {})
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        if self.price is not None:
            self.spent += share * self.price.cost(input_tokens, output_tokens)
        return output_tokens


def count_usage(usage: Mapping[str, Any]) -> tuple[int, int]:
    """Returns (prompt tokens, answer tokens) from the usage of any endpoint."""
    pairs = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
    counts = [next((usage[n] for n in names if n in usage), 0) for names in pairs]
    first, second = (int(c) if _is_count(c) else 0 for c in counts)
    return first, second


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value < _MOST_TOKENS


def estimate_job(
    request: Request, gaps: Mapping[str, tuple[int, ...]]
) -> tuple[int, int, int]:
    """Estimates the number of calls and tokens of a job.

    Args:
        request: model, prompt and parameters of the job.
        gaps: phrase -> numbers of the texts that are missing.

    Returns:
        (calls, tokens of the prompts, tokens of the answers).
    """
    calls = tokens_in = tokens_out = 0
    for phrase, indices in gaps.items():
        of_phrase = 1 if request.at_once else len(indices)
        prompt_tokens = estimate_tokens(
            request.prompt.fill(phrase) + (request.prompt.system or "")
        )
        calls += of_phrase
        tokens_in += of_phrase * prompt_tokens
        tokens_out += len(indices) * (request.answer_limit(phrase) or TYPICAL_TOKENS)
    return calls, tokens_in, tokens_out
