"""Measures our errors in every recorded test case of the published code.

Runs the tests that compare with recorded outputs of the published PyTorch code (golden
files), and prints the largest errors of all comparisons per golden file:

    python benchmarks/parity.py --markdown
    python benchmarks/parity.py --save benchmarks/results/parity_cpu.json

The golden files are those of the tests: the whole record where it is present, otherwise
the part in tests/golden.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import sys
from typing import Any

import numpy as np
import pytest
import record

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests import golden_files  # noqa: E402


class Recorder:
    """A pytest plugin that selects tests with golden files and records comparisons."""

    def __init__(self, words: str):
        """Creates a recorder of the tests whose names contain `words`."""
        self.words = words
        self.rows: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)

    def pytest_collection_modifyitems(self, config, items):
        """Selects the tests that read golden files."""
        items[:] = [
            item
            for item in items
            if "golden" in item.fixturenames and self.words in item.nodeid
        ]

    def pytest_runtest_setup(self, item):
        """Clears the golden file that the previous test read."""
        golden_files.last_read.clear()

    def note(self, actual, desired, rtol: float, atol: float) -> None:
        """Records one comparison under the golden file that was read last."""
        if not golden_files.last_read:
            return
        actual, desired = np.broadcast_arrays(np.asarray(actual), np.asarray(desired))
        if actual.dtype.kind not in "fiub" or not actual.size:
            return
        expected = desired.astype(np.float64)
        error = np.abs(actual.astype(np.float64) - expected)
        allowed = atol + rtol * np.abs(expected)
        largest = np.abs(expected).max()
        shares = np.divide(
            error, allowed, out=np.where(error > 0, np.inf, 0.0), where=allowed > 0
        )
        self.rows[golden_files.last_read[0]].append(
            {
                "numbers": error.size,
                "abs": error.max(),
                "rel": error.max() / largest if largest else error.max(),
                "tolerance": tolerance_of(rtol, atol),
                "share": shares.max(),
            }
        )


def tolerance_of(rtol: float, atol: float) -> str:
    parts = [f"{value:.0e} {kind}" for value, kind in ((atol, "abs"), (rtol, "rel"))]
    used = [part for part, value in zip(parts, (atol, rtol), strict=True) if value]
    return " + ".join(used) or "equal"


@contextlib.contextmanager
def noting(recorder: Recorder):
    """Patches numpy's assertions to report their comparisons to the recorder."""
    close, equal = np.testing.assert_allclose, np.testing.assert_array_equal

    def assert_allclose(actual, desired, rtol=1e-7, atol=0.0, **options):
        recorder.note(actual, desired, rtol, np.max(atol))
        close(actual, desired, rtol=rtol, atol=atol, **options)

    def assert_array_equal(actual, desired, *arguments, **options):
        recorder.note(actual, desired, 0.0, 0.0)
        equal(actual, desired, *arguments, **options)

    np.testing.assert_allclose = assert_allclose
    np.testing.assert_array_equal = assert_array_equal
    try:
        yield
    finally:
        np.testing.assert_allclose = close
        np.testing.assert_array_equal = equal


def row_of(name: str, compared: list[dict[str, Any]]) -> dict[str, Any]:
    # Exact comparisons have no errors to show, so prefer those with a tolerance.
    close = [c for c in compared if c["tolerance"] != "equal"] or compared
    closest = max(close, key=lambda c: c["share"])
    return {
        "case": name,
        "comparisons": len(compared),
        "numbers": sum(c["numbers"] for c in compared),
        "max_abs": float(f"{max(c['abs'] for c in compared):.2e}"),
        # Relative to the largest absolute value of the same array.
        "max_rel": float(f"{max(c['rel'] for c in compared):.2e}"),
        # Of the comparison whose error is the largest share of its tolerance.
        "tolerance": closest["tolerance"],
        "share_of_tolerance": round(float(closest["share"]), 3),
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| golden case | numbers | largest error | relative | tolerance | share used |",
        "|---|---:|---:|---:|---|---:|",
    ]
    lines += [
        f"| {row['case']} | {row['numbers']:,} | {row['max_abs']:.1e} | "
        f"{row['max_rel']:.1e} | {row['tolerance']} | {row['share_of_tolerance']:.0%} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", help="JSON file to write the rows to")
    parser.add_argument(
        "--markdown",
        action="store_true",
        help="print a Markdown table instead of JSON lines",
    )
    parser.add_argument(
        "--only", default="", help="run only tests whose names contain this"
    )
    parser.add_argument("--golden", help="folder of golden files, such as tests/golden")
    args = parser.parse_args()
    os.environ.setdefault("XLA_FLAGS", "")  # compile as for users, unlike `make test`
    recorder = Recorder(args.only)
    tests = [
        str(path)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if "golden" in path.read_text()
    ]
    flags = ["-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT)]
    flags += [f"--golden={args.golden}"] if args.golden else []
    with contextlib.redirect_stdout(sys.stderr), noting(recorder):
        code = pytest.main([*flags, *tests], plugins=[recorder])
    rows = [row_of(name, result) for name, result in sorted(recorder.rows.items())]
    for row in [] if args.markdown else rows:
        print(json.dumps(row))
    if args.markdown:
        print(markdown(rows))
    if args.save:
        record.save(args.save, rows, against="recorded outputs of the published code")
    if code or not rows:
        print(
            "a golden file is missing or a comparison failed; see the output above",
            file=sys.stderr,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
