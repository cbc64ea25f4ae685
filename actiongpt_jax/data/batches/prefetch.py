"""Loads items in a background thread, ahead of their consumer."""

import collections
import concurrent.futures
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

Step = TypeVar("Step")
Loaded = TypeVar("Loaded")


def prefetch(
    load: Callable[[Step], Loaded], steps: Iterable[Step], depth: int = 2
) -> Generator[Loaded, None, None]:
    """Yields `load(step)` for each step, computed ahead in one background thread.

    An exception in `load` is raised at the item that it belongs to. When the consumer
    stops (by closing, an exception or garbage collection), the thread ends after the
    load in progress.

    Args:
        load: function of a step, called in order and once at a time.
        steps: arguments for `load`; may be infinite.
        depth: largest number of items to load ahead of the consumer.

    Yields:
        The results of `load`, in the order of `steps`.
    """
    executor = concurrent.futures.ThreadPoolExecutor(1, "prefetch")
    ahead: collections.deque[concurrent.futures.Future[Loaded]] = collections.deque()
    try:
        for step in steps:
            ahead.append(executor.submit(load, step))
            if len(ahead) > depth:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)
