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
import traceback
from typing import Any

import workload

_CONTEXT = multiprocessing.get_context("spawn")
# Characters of an error to report; those of torch contain whole programs.
_LONGEST_ERROR = 500


def call(module: str, function: str, *args: Any) -> Any:
    """Calls a function of a module in a new process, which then ends."""
    with concurrent.futures.ProcessPoolExecutor(1, _CONTEXT) as pool:
        return pool.submit(_call, module, function, *args).result()


class SideError(RuntimeError):
    """A process of `Turns` failed; the message is its error."""


class Turns:
    """A process that runs steps on request.

    Attributes:
        facts: facts of the process's `Runner`.
        start_s: seconds until the process was ready.
    """

    def __init__(self, module: str, function: str, *args: Any):
        """Starts a process that calls the function, which must return a `Runner`.

        Raises:
            SideError: here and in the methods below, if the process fails.
        """
        started = time.perf_counter()
        self._connection, other = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(
            target=_serve, args=(other, module, function, *args)
        )
        self._process.start()
        other.close()
        self.facts: dict[str, Any] = self._receive()
        self.start_s = time.perf_counter() - started

    def take(self, steps: int) -> tuple[float, float]:
        """Lets the process run a number of steps.

        Returns:
            Wall time per step, and CPU time per step over all threads, in seconds.
        """
        seconds, core_seconds = self._ask(steps)
        return seconds / steps, core_seconds / steps

    def report(self) -> dict[str, Any]:
        """Returns the closing facts of the process's `Runner`, and its memory.

        The memory is peaks of resident memory in MiB: `steps_mib` while it ran steps,
        without memory that was unused before, and `process_mib` over its whole life,
        including compilation.
        """
        return self._ask(0)

    def end(self) -> None:
        """Ends the process."""
        self._connection.close()
        self._process.join()

    def _ask(self, steps: int) -> Any:
        try:
            self._connection.send(steps)
        except OSError as error:
            raise SideError("it has ended") from error
        return self._receive()

    def _receive(self) -> Any:
        try:
            answer = self._connection.recv()
        except EOFError:
            self._process.join()
            answer = SideError(f"it ended with exit code {self._process.exitcode}")
        if isinstance(answer, SideError):
            self.end()
            raise answer
        return answer


def _call(module: str, function: str, *args: Any) -> Any:
    return getattr(importlib.import_module(module), function)(*args)


def _serve(connection: Any, module: str, function: str, *args: Any) -> None:
    try:
        _answer(connection, _call(module, function, *args))
    # Whatever stops one side must not stop the others: its caller reports the error.
    except Exception as error:
        traceback.print_exc()
        text = " ".join(f"{type(error).__name__}: {error}".split())
        connection.send(SideError(text[:_LONGEST_ERROR]))


def _answer(connection: Any, runner: workload.Runner) -> None:
    # Warm-up runs, so that lazy initialisation is not timed. CUDA graphs of torch are
    # recorded in the second run.
    for _ in range(3):
        runner.wait(runner.run())
    before, reset = _peak(), _reset_peak()
    connection.send(runner.facts)
    while True:
        try:
            steps = connection.recv()
        except EOFError:
            return
        if not steps:
            peak = _peak()
            steps_mib = peak if reset else None
            peaks = {"steps_mib": steps_mib, "process_mib": max(before, peak)}
            connection.send({**peaks, **runner.closing()})
            continue
        result = None
        started, used = time.perf_counter(), time.process_time()
        for _ in range(steps):
            result = runner.run()
        runner.wait(result)
        connection.send((time.perf_counter() - started, time.process_time() - used))


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
