"""Runs programs in separate processes that take turns, to measure each on its own.

The memory of each process is measured separately, only the threads of one process run
at a time, and a slow period of the machine affects all programs.
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
    """Calls a function of a module in a new process, which then ends."""
    with concurrent.futures.ProcessPoolExecutor(1, _CONTEXT) as pool:
        return pool.submit(_call, module, function, *args).result()


class Turns:
    """A process that runs steps on request.

    Attributes:
        facts: facts of the process's `Runner`.
        seconds: wall time per step, one entry per turn.
        core_seconds: CPU time per step over all threads, one entry per turn.
        start_s: seconds until the process was ready.
    """

    def __init__(self, module: str, function: str, *args: Any):
        """Starts a process that calls the function, which must return a `Runner`."""
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
        """Lets the process run a number of steps, and records the time per step."""
        self._connection.send(steps)
        seconds, core_seconds = self._connection.recv()
        self.seconds.append(seconds / steps)
        self.core_seconds.append(core_seconds / steps)

    def end(self) -> dict[str, Any]:
        """Ends the process.

        Returns:
            The closing facts of its `Runner`, and peaks of its resident memory in MiB:
            `steps_mib` while it ran steps, without memory that was unused before, and
            `process_mib` over its whole life, including compilation.
        """
        self._connection.send(0)
        closing = self._connection.recv()
        self._process.join()
        return closing


def _call(module: str, function: str, *args: Any) -> Any:
    return getattr(importlib.import_module(module), function)(*args)


def _serve(connection: Any, module: str, function: str, *args: Any) -> None:
    runner: workload.Runner = _call(module, function, *args)
    # Two warm-up runs, so that lazy initialisation is not timed.
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
    """Resets the peak of resident memory; returns whether the system supports this."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    try:
        with open("/proc/self/clear_refs", "w") as file:
            # 5 is Linux's code to reset the peak.
            file.write("5")
    except OSError:
        return False
    return True


def _peak() -> int:
    """Returns the peak of resident memory in MiB."""
    try:
        with open("/proc/self/status") as file:
            result = [line.split()[1] for line in file if line.startswith("VmHWM")]
        return int(result[0]) // 1024
    except OSError:
        # Only a fallback: on Linux this includes the peak of the parent process.
        result = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return result >> (20 if sys.platform == "darwin" else 10)
