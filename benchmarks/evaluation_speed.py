r"""How long do the metrics of an evaluation take, beyond generation?

    python benchmarks/evaluation_speed.py [--clips 5000] [--save FILE]

Evaluates clips with lengths like BABEL's (15 to 750 frames, median about 50) against
clips that cost nothing to generate: APE and AVE, feet, jerk and ground, the journal on
disk, and the summary with its confidence intervals. Prints a JSON line per protocol:
seconds including compilation, and the peak of memory after the first fifth and at the
end.
"""

import argparse
import json
import pathlib
import resource
import tempfile
import time

import numpy as np
import record

from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.evaluation.cases import Case
from actiongpt_jax.evaluation.journal import Journal
from actiongpt_jax.evaluation.measure import measure_cases
from actiongpt_jax.evaluation.summary import summarise


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=5000, help="number of clips")
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    rows = []
    for protocol in ("paper", "reference"):
        rows.append({"protocol": protocol, **run(args.clips, protocol)})
        print(json.dumps(rows[-1]), flush=True)
    if args.save:
        record.save(args.save, rows)


def run(clips, protocol):
    """Evaluates all clips once under a protocol, and returns time and memory."""
    rng = np.random.default_rng(0)
    frames = np.clip(np.exp(rng.normal(np.log(50), 0.8, clips)), 15, 750).astype(int)
    starts = np.cumsum(frames) - frames
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(pathlib.Path(folder), int(frames.sum()), rng)
        phrases = [f"action {i % 300}" for i in range(clips)]
        cases = [
            Case(str(i), (phrase,), (int(count),), int(start))
            for i, (phrase, count, start) in enumerate(
                zip(phrases, frames, starts, strict=True)
            )
        ]
        # Longest first, so that the memory of long clips does not count as growth.
        cases.sort(key=lambda case: (-case.frames, case.key))
        journal = Journal(pathlib.Path(folder) / "rows.jsonl", {})
        peaks, done = [], 0

        def shifted(chunk):
            motions = []
            for case in chunk:
                rotations, translation = case.captured(store)
                motions.append([(rotations[::-1], translation + np.float32(0.1))])
            return motions

        def count(more):
            nonlocal done
            before, done = done, done + more
            if before < clips // 5 <= done or done == clips:
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

        begin = time.perf_counter()
        measure_cases(cases, store, shifted, journal, protocol, on_case=count)
        measured = time.perf_counter() - begin
        result = summarise(journal, protocol, store.fps)
        seconds = time.perf_counter() - begin
    return {
        "clips": clips,
        "frames": int(frames.sum()),
        "seconds": round(seconds, 1),
        "of_that_summary": round(seconds - measured, 1),
        "peak_mb_after_a_fifth": round(peaks[0]),
        "peak_mb": round(peaks[-1]),
        "ape_root": round(result["ape_ave"]["mean"]["ape_root"][0], 4),
    }


def make_store(folder, frames, rng):
    """Returns a motion store of smooth random motion."""
    rotations = np.lib.format.open_memmap(
        folder / "rotations.npy", "w+", np.float32, (frames, 22, 3)
    )
    phase = rng.uniform(0, 6, (22, 3))
    for start in range(0, frames, 10000):
        rows = np.arange(start, min(start + 10000, frames))[:, None, None]
        rotations[start : start + 10000] = 0.3 * np.sin(0.1 * rows + phase)
    translation = np.zeros((frames, 3), np.float32)
    translation[:, 0] = 0.02 * np.arange(frames) % 5
    translation[:, 2] = 1.2
    return MotionStore(folder, rotations, translation, None, [], [], {"fps": 30.0})


if __name__ == "__main__":
    main()
