"""One thread that does the page's work in order, and other work when it is idle."""

import collections
import concurrent.futures
import http
import threading
import time
import warnings
from collections.abc import Callable
from typing import TypeVar

MAX_WAITING = 100  # orders that wait or run; further ones are refused
T = TypeVar("T")


class BusyError(RuntimeError):
    """Raised when too many orders are already waiting."""

    status = http.HTTPStatus.SERVICE_UNAVAILABLE  # of the HTTP response


class Worker:
    """Runs functions one at a time on a thread of its own.

    A second thread does what may be needed later while no order waits or runs. What it
    has begun goes on beside the next order, so that nobody waits for it.
    """

    def __init__(self):
        """Starts the threads; daemons, so that they never keep the process alive."""
        self._orders: collections.deque = collections.deque()
        self._spare: collections.deque[Callable[[], object]] = collections.deque()
        self._changed = threading.Condition()
        self._closed, self._running = False, 0  # orders that run: 0 or 1
        self._threads = [
            threading.Thread(target=work, daemon=True)
            for work in (self._fulfil_orders, self._do_spare_work)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, work: Callable[[], T], wanted: Callable[[], bool] | None = None) -> T:
        """Runs a function after those that were ordered before; returns its result.

        Args:
            work: the function.
            wanted: asked just before the function runs; if it returns False, the
                function is dropped.

        Raises:
            BusyError: if too many orders are waiting, or the worker is closed.
            ConnectionAbortedError: if the result was no longer wanted.
        """
        order: concurrent.futures.Future[T] = concurrent.futures.Future()
        with self._changed:
            if self._closed:
                raise BusyError("the server is stopping; start it again")
            if len(self._orders) + self._running >= MAX_WAITING:
                raise BusyError(
                    f"{MAX_WAITING} requests are already waiting; try again later"
                )
            self._orders.append((order, work, wanted))
            self._changed.notify_all()
        return order.result()

    def run_when_idle(self, work: Callable[[], object]) -> None:
        """Runs a function later, when no order waits; its errors are ignored."""
        with self._changed:
            self._spare.append(work)
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """Number of orders that have not begun."""
        return len(self._orders)

    def close(self, seconds: float | None = None) -> bool:
        """Refuses all orders that have not begun, and waits for the work that has.

        Args:
            seconds: longest time to wait; None waits until the work ends.

        Returns:
            Whether all work has ended.
        """
        with self._changed:
            self._closed = True
            self._spare.clear()
            while self._orders:
                error = BusyError("the server is stopping; start it again")
                self._orders.popleft()[0].set_exception(error)
            self._changed.notify_all()
        end = None if seconds is None else time.monotonic() + seconds
        for thread in self._threads:
            thread.join(None if end is None else max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _fulfil_orders(self) -> None:
        while True:
            with self._changed:
                self._running = 0
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._orders or self._closed)
                if self._closed:
                    return
                order, work, wanted = self._orders.popleft()
                self._running = 1
            try:
                if wanted is not None and not wanted():
                    raise ConnectionAbortedError("the client has left")
                result = work()
            except BaseException as error:  # it goes to the thread that waits
                order.set_exception(error)
            else:
                order.set_result(result)

    def _do_spare_work(self) -> None:
        def idle() -> bool:
            return bool(self._spare) and not self._orders and not self._running

        while True:
            with self._changed:
                self._changed.wait_for(lambda: idle() or self._closed)
                if self._closed:
                    return
                work = self._spare.popleft()
            try:
                work()
            except Exception as error:  # the thread goes on with other work
                warnings.warn(
                    f"work in the background failed: {type(error).__name__}: {error}",
                    stacklevel=1,
                )
