"""Programs in processes of their own that take turns, so that neither is in the way.

What a process holds is measured on its own, threads that wait for work belong to the
one whose turn it is, and a slower spell of the machine meets all of them.
"""

import concurrent.futures
import ctypes
import importlib
import multiprocessing
import resource
import sys
import time
from typing import Any

import workload

_CONTEXT = multiprocessing.get_context("spawn")


def call(module: str, function: str, *args: Any) -> Any:
    """Calls a function in a process that ends with it."""
    with concurrent.futures.ProcessPoolExecutor(1, _CONTEXT) as pool:
        return pool.submit(_call, module, function, *args).result()


class Turns:
    """A process that runs steps when it is told to.

    Attributes:
        facts: of its `Runner`.
        seconds: of each turn, per step.
        core_seconds: the same, added up over its threads.
        start_s: seconds until it could begin.
    """

    def __init__(self, module: str, function: str, *args: Any):
        """Starts the process; the function returns a `Runner`."""
        started = time.perf_counter()
        self._connection, other = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(
            target=_serve, args=(other, module, function, *args)
        )
        self._process.start()
        other.close()
        self.seconds: list[float] = []
        self.core_seconds: list[float] = []
        self.facts: dict[str, Any] = self._connection.recv()
        self.start_s = time.perf_counter() - started

    def take(self, steps: int) -> None:
        """Has it run so many steps, and notes what one took."""
        self._connection.send(steps)
        seconds, core_seconds = self._connection.recv()
        self.seconds.append(seconds / steps)
        self.core_seconds.append(core_seconds / steps)

    def end(self) -> dict[str, Any]:
        """Ends the process.

        Returns:
            What its `Runner` says in closing, and peaks of its resident memory in MiB:
            `steps_mib` while it ran steps, without what lay unused before, and
            `process_mib` ever, compilation included.
        """
        self._connection.send(0)
        closing = self._connection.recv()
        self._process.join()
        return closing


def _call(module: str, function: str, *args: Any) -> Any:
    return getattr(importlib.import_module(module), function)(*args)


def _serve(connection: Any, module: str, function: str, *args: Any) -> None:
    runner: workload.Runner = _call(module, function, *args)
    # Twice: what is set up late is set up before the clock starts.
    for _ in range(2):
        runner.wait(runner.run())
    before, reset = _peak(), _reset_peak()
    connection.send(runner.facts)
    while steps := connection.recv():
        result = None
        started, used = time.perf_counter(), time.process_time()
        for _ in range(steps):
            result = runner.run()
        runner.wait(result)
        times = time.perf_counter() - started, time.process_time() - used
        connection.send(times)
    peak = _peak()
    peaks = {"steps_mib": peak if reset else None, "process_mib": max(before, peak)}
    connection.send({**peaks, **runner.closing()})


def _reset_peak() -> bool:
    """Forgets the peak so far, where the system can; returns whether it did."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    try:
        with open("/proc/self/clear_refs", "w") as file:
            # Linux's code for the peak.
            file.write("5")
    except OSError:
        return False
    return True


def _peak() -> int:
    """Returns the peak of resident memory in MiB."""
    try:
        with open("/proc/self/status") as file:
            found = [line.split()[1] for line in file if line.startswith("VmHWM")]
        return int(found[0]) // 1024
    except OSError:
        # Second choice: on Linux it starts at the peak of whoever began the process.
        found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return found >> (20 if sys.platform == "darwin" else 10)
