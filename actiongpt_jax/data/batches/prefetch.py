"""Work done in the background, ahead of who needs it."""

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

    An exception in `load` is raised at the item it belongs to. When the consumer
    stops (close, an exception, garbage collection), the load under way ends and
    the thread with it.

    Args:
        load: called in order, one call at a time.
        steps: may be endless.
        depth: how many items may be ahead of the consumer.

    Yields:
        What `load` returned, in the order of `steps`.
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
