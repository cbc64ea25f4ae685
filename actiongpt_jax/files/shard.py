"""Divides a job among several processes: `--shard i/n`."""

import dataclasses
import re

from actiongpt_jax.errors import InputError


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Shard:
    """The share of a job that one process does.

    Attributes:
        number: number of the share, from 1 to `count`.
        count: number of shares.
    """

    number: int
    count: int

    def __post_init__(self):
        """Raises InputError if the number is out of range."""
        if not 1 <= self.number <= self.count:
            raise InputError(_must_be(str(self)))

    @property
    def name(self) -> str:
        """Name of the share's file or folder."""
        return f"part-{self.number:05d}-of-{self.count:05d}"

    def __str__(self) -> str:
        """Returns the share as it is written on a command line."""
        return f"{self.number}/{self.count}"


def parse_shard(spec: str | None) -> Shard | None:
    """Reads the value of `--shard`.

    Args:
        spec: 'i/n' with i from 1 to n; None for a job that is not divided.

    Raises:
        InputError: if `spec` is anything else.
    """
    if spec is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", spec.strip(), re.ASCII)
    if match is None:
        raise InputError(_must_be(spec))
    return Shard(int(match[1]), int(match[2]))


def _must_be(got: str) -> str:
    return f"--shard must be i/n with i from 1 to n, such as 1/4, got {got!r}"
