"""Keeps the memory of one step for the next, on CPUs.

XLA asks for one block of memory per call, 0.7-2.3 GB for a training step of the
published sizes. glibc maps such a block anew each time and unmaps it after: 290,000
page faults a step for TEMOS, 16-20 % of the time of a training step on two cores.
"""

import ctypes
import sys

import jax

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_memory() -> bool:
    """Has this process keep memory that it frees, for what it runs next.

    To be called before jax is asked for a device. What a process needed at most then
    stays with it. Steps on a CPU run in the thread that calls them: only the main
    thread's memory can grow to any size without being mapped. GPUs are not affected,
    nor are systems without glibc.

    Returns:
        Whether the system's allocator can do this.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # Each returns 1 where it is understood; -1 is the largest size.
    if not (mallopt and mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, -1)):
        return False
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    return True
