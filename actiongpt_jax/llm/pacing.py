"""The pace of calls: concurrency, calls per minute, and waits after failures."""

import asyncio
import dataclasses
import random
import time

from actiongpt_jax.errors import InputError


@dataclasses.dataclass(frozen=True, slots=True)
class Pace:
    """Limits on the pace of calls.

    Attributes:
        concurrency: largest number of calls in progress at the same time.
        rpm: largest number of calls started per minute; None for no limit.
        first_wait: seconds before a failed call is tried again; doubled each time.
        longest_wait: longest wait after a failed call, in seconds.
    """

    concurrency: int = 16
    rpm: float | None = None
    first_wait: float = 0.5
    longest_wait: float = 8.0

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
        self._slot = self._not_before = 0.0

    async def turn(self) -> None:
        """Waits until the next call may start."""
        if self._pace.rpm is not None:
            slot = max(time.monotonic(), self._slot)
            self._slot = slot + 60 / self._pace.rpm
            await self._sleep(slot - time.monotonic())
        while (wait := self._not_before - time.monotonic()) > 0:
            if self._stopped.is_set():
                return
            await self._sleep(wait)

    async def back_off(self, after: float | None, failed: int) -> None:
        """Waits after a failed call.

        Args:
            after: seconds that the server asked to wait, None if it did not say. The
                limit is that of the account, so all calls wait.
            failed: number of failures of the call in a row.
        """
        if after is not None:
            self._not_before = max(self._not_before, time.monotonic() + after)
            return
        wait = self._pace.first_wait * 2 ** (failed - 1)
        await self._sleep(min(wait, self._pace.longest_wait) * random.uniform(0.75, 1))

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._stopped.wait()
        except TimeoutError:
            pass
