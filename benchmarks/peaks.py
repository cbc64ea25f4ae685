"""What is this machine's device, and what are its peaks?

    python benchmarks/peaks.py
    python benchmarks/peaks.py --small        # quick check with tiny matrices

Prints one JSON line with facts about the device, one per precision with the rate of a
product of two large random matrices, and one with the rate of a copy (bytes read and
written). They are medians of 5 timings.
"""

import argparse
import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import jax
import record
import steps

QUERY = "name,driver_version,memory.total,clocks.max.sm,power.limit"


def facts() -> dict[str, Any]:
    """Returns the names, versions and sizes of the device and its software."""
    device = jax.devices()[0]
    limit = (device.memory_stats() or {}).get("bytes_limit")
    row: dict[str, Any] = {
        "case": "device",
        "device": device.device_kind,
        "count": jax.device_count(),
        "platform": device.platform,
        "platform_version": device.client.platform_version.splitlines()[0],
        "memory_mib": None if limit is None else limit >> 20,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": importlib.metadata.version("jaxlib"),
    }
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        row["nvidia_smi"] = answer.stdout.strip()
    return row


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="tiny matrices")
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    record.report(measure(256 if args.small else None), args.save)


def measure(size: int | None) -> Iterator[dict[str, Any]]:
    """Measures the device with matrices of `size` rows; None takes the usual size."""
    yield facts()
    for precision in reversed(steps.PRECISIONS):
        with steps.products_in(precision) as dtype:
            rate = steps.matmul_rate(size, 5, dtype)
        yield {"case": "product", "dtype": precision, "gflops": round(rate, 1)}
    yield {"case": "copy", "gb_s": round(steps.bandwidth(5), 1)}


if __name__ == "__main__":
    main()
