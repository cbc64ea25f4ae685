"""Prints and saves a benchmark's results, with its command, machine and versions."""

import json
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Iterable
from typing import Any


def report(
    cases: Iterable[dict[str, Any]], path: str | None, **facts: Any
) -> list[dict[str, Any]]:
    """Prints each case as a JSON line as soon as it is measured, and saves all.

    Args:
        cases: the results, one dict per case.
        path: file to write at the end; None to save nothing.
        **facts: further facts for `save`.

    Returns:
        The cases.
    """
    printed = []
    for case in cases:
        print(json.dumps(case), flush=True)
        printed.append(case)
    if path:
        save(path, printed, **facts)
    return printed


def save(path: str, cases: list[dict[str, Any]], **facts: Any) -> None:
    """Writes the results and the facts about the run as one JSON object.

    Args:
        path: file to write; its folder must exist.
        cases: the results, one dict per case.
        **facts: further facts that a reader needs, such as the seed or the data.
    """
    record = {**about(), **facts, "cases": cases}
    pathlib.Path(path).write_text(json.dumps(record, indent=1) + "\n")


def about() -> dict[str, str]:
    """Returns the command, the machine, the versions and the commit of this run."""
    import jax  # here, so that a script can set its flags first

    devices = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
    load = " ".join(f"{x:.1f}" for x in os.getloadavg())
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        check=False,
        cwd=pathlib.Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    # Absolute folders of this machine are meaningless elsewhere; keep only the names.
    script, *flags = sys.argv
    flags = [
        pathlib.Path(x).name if pathlib.Path(x).is_absolute() else x for x in flags
    ]
    return {
        "command": " ".join(
            ["python", f"benchmarks/{pathlib.Path(script).name}", *flags]
        ),
        "machine": f"{len(os.sched_getaffinity(0))} core(s) of {platform.machine()}, "
        f"jax devices: {devices}; load average at the end: {load}",
        "python": platform.python_version(),
        "jax": jax.__version__,
        "commit": commit.stdout.strip() or "unknown",
    }
