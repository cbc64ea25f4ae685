"""The pace of calls: concurrency, calls per minute, and waits after failures."""

import asyncio
import dataclasses
import random
import time

from actiongpt_jax.errors import InputError

# So many waits for a rate limit without one answer between them: the limit is not one
# of calls per minute.
_MOST_LIMITS = 14
# So often in a row a server is believed that says how long to wait.
_TRUSTED = 3
# Calls that waited together start again within this many seconds.
_SPREAD = 4.0


@dataclasses.dataclass(frozen=True, slots=True)
class Pace:
    """Limits on the pace of calls.

    Attributes:
        concurrency: largest number of calls in progress at the same time.
        rpm: largest number of calls started per minute; None for no limit.
        first_wait: seconds before a failed call is tried again; doubled each time.
        longest_wait: longest wait after a failed call, in seconds.
        longest_limit: longest wait for a rate limit whose end the server does not
            tell, in seconds; limits are per minute.
    """

    concurrency: int = 16
    rpm: float | None = None
    first_wait: float = 0.5
    longest_wait: float = 8.0
    longest_limit: float = 90.0

    def __post_init__(self):
        """Checks the limits.

        Raises:
            InputError: if a limit is not positive; the message names the flag.
        """
        if self.concurrency < 1:
            raise InputError(f"--concurrency must be 1 or more, got {self.concurrency}")
        if self.rpm is not None and not self.rpm > 0:
            raise InputError(f"--rpm must be more than 0, got {self.rpm:g}")


class Pacer:
    """Makes calls wait as a `Pace` demands; every wait ends when the job ends."""

    def __init__(self, pace: Pace, stopped: asyncio.Event):
        """Starts without a wait.

        Args:
            pace: the limits to keep.
            stopped: event that is set when the job ends.
        """
        self._pace, self._stopped = pace, stopped
        self._slot = self._not_before = self._spread = 0.0
        self._limits, self._limited_at = 0, -1.0

    async def turn(self) -> float:
        """Waits until the next call may start, and returns the time of its start."""
        if self._pace.rpm is not None:
            slot = max(time.monotonic(), self._slot)
            self._slot = slot + 60 / self._pace.rpm
            await self._sleep(slot - time.monotonic())
        while (wait := self._not_before - time.monotonic()) > 0:
            if self._stopped.is_set():
                break
            # Together, the calls would meet the limit again.
            await self._sleep(wait + random.uniform(0, self._spread))
        return time.monotonic()

    async def back_off(self, failed: int) -> None:
        """Waits after a failed call; `failed` is the number of failures in a row."""
        wait = self._pace.first_wait * 2 ** (failed - 1)
        await self._sleep(min(wait, self._pace.longest_wait) * random.uniform(0.75, 1))

    def limited(self, after: float | None, started: float) -> bool:
        """Makes all calls wait after one that came too early.

        Args:
            after: seconds that the server asked to wait, None if it did not say.
            started: time of the call's start, from `turn`.

        Returns:
            Whether it is worth waiting: False after many waits in a row without an
            answer.
        """
        now = time.monotonic()
        # Calls that were in progress when the wait began say nothing new.
        if started > self._limited_at:
            self._limits += 1
            self._limited_at = now
            grown = self._pace.first_wait * 2 ** (self._limits - 1)
            wait = min(grown, self._pace.longest_limit)
            if after is not None:
                wait = after if self._limits <= _TRUSTED else max(after, wait)
            self._spread = min(wait, _SPREAD)
        else:
            wait = after or 0.0
        self._not_before = max(self._not_before, now + wait)
        return self._limits <= _MOST_LIMITS

    def answered(self) -> None:
        """Notes that a call was answered."""
        self._limits = 0

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._stopped.wait()
        except TimeoutError:
            pass
