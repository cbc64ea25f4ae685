"""How fast is a training step, relative to the machine's matrix product?

    python benchmarks/train_step.py --model temos
    python benchmarks/train_step.py --model temos teach
    python benchmarks/train_step.py --model motionclip
    python benchmarks/train_step.py --model temos --host_devices 2
    python benchmarks/train_step.py --model teach --batch 16 64 256 \
        --dtype bfloat16 tf32 float32 --case train --inner 10 --jobs 3    # on a GPU
    python benchmarks/train_step.py --model teach --dtype bfloat16 --profile DIR

Prints one JSON line per case: a training step with dropout, and generation (encode
text, sample, decode). `flops` counts the matrix products of the textbook formulation,
not the operations that were executed; `bytes` is XLA's count of the memory traffic.
`share_of_gemm` is the achieved rate divided by the median rate of a plain product of
two large matrices in the same precision, measured in the same process between the
steps; `share_of_roofline` divides by the rate that this and the memory's bandwidth
allow. `memory_mib` is what the program needs on the device, `compile_s` the time of its
compilation (next to up to --jobs - 1 others).

Several models take turns, and a last line gives the ratio of two. A step of TEACH takes
pairs of --frames and --frames_1 frames; one of MotionCLIP takes 20 windows of 60 frames
and no tokens. Weights and data are random, and nothing is masked. --profile also writes
a trace of the first training case and prints where its time went (see `step_trace.py`).
Run on a quiet machine.
"""

import argparse
import concurrent.futures
import dataclasses
import itertools
import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import record
import step_trace
import steps
from workload import SMALL_MODEL

from actiongpt_jax.nn.parameters import count_parameters
from actiongpt_jax.training.host_memory import keep_memory

# Model -> published batch size and frames per motion, the defaults of the flags.
SIZES = {"temos": (16, 100), "teach": (16, 100), "motionclip": (20, 60)}
CASES = ("train", "generate")
# Numbers of XLA whose sum is the device memory of a program; see `report`.
MEMORY = ("argument", "output", "temp", "alias")
PROFILED = 5  # steps of a trace


@dataclasses.dataclass
class Case:
    """A compiled program, its facts, and its measured times in seconds."""

    facts: dict[str, Any]
    program: Any
    times: list[float] = dataclasses.field(default_factory=list)

    def take(self, inner: int) -> None:
        """Runs the program `inner` times and records the time of one."""
        started = time.perf_counter()
        for _ in range(inner):
            result = self.program.run()
        jax.block_until_ready(result)
        self.times.append((time.perf_counter() - started) / inner)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", choices=list(SIZES), nargs="+", default=["temos"])
    add("--case", choices=CASES, nargs="+", default=CASES)
    add("--batch", type=int, nargs="+", default=[0], help="default: 16; MotionCLIP: 20")
    add("--frames", type=int, help="default: 100; MotionCLIP: 60")
    add("--frames_1", type=int, default=105, help="frames of TEACH's second actions")
    add("--tokens", type=int, nargs="+", default=[128])
    add("--dtype", choices=list(steps.PRECISIONS), nargs="+")
    add("--steps", type=int, default=9, help="timings of each case")
    add("--inner", type=int, default=1, help="steps per timing")
    add("--jobs", type=int, default=1, help="programs compiled at the same time")
    add("--profile", metavar="DIR", help="write a trace of the first case to DIR")
    add("--small", action="store_true", help="tiny models and batches, 2 timings")
    add("--host_devices", type=int, default=1, help="number of simulated CPU devices")
    add("--save", help="write the results to this file as well")
    parser.set_defaults(dtype=["float32"])
    args = parser.parse_args()
    if args.host_devices > 1:
        flag = f"--xla_force_host_platform_device_count={args.host_devices}"
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " " + flag
    if args.small:
        args.frames, args.frames_1, args.steps = 20, 22, 2
        args.batch = [max(count // 16, 2) for count in args.batch]
        args.tokens = [count // 8 for count in args.tokens]

    keep_memory()
    rows = (row for dtype in args.dtype for row in measure(dtype, args))
    record.report(rows, args.save)


def measure(dtype: str, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yields the results in one precision: one row per case, and the models' ratio."""
    # Training and generation are timed separately: right after a training step, which
    # uses gigabytes, generation runs on cold memory and is a third slower.
    groups = list(itertools.product(args.case, args.batch, args.tokens))
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        compiled = [
            [pool.submit(compile_case, model, dtype, *g, args) for model in args.model]
            for g in groups
        ]
    for (kind, batch, tokens), futures in zip(groups, compiled, strict=True):
        try:
            cases = [future.result() for future in futures]
            rates = take_turns(cases, dtype, args)
        except Exception as error:  # such as a lack of memory: smaller cases still run
            sizes = {"model": args.model, "batch": batch, "tokens": tokens}
            yield {"case": kind, **sizes, "dtype": dtype, "error": str(error)[:300]}
            continue
        yield from (report(case, *rates) for case in cases)
        if args.profile and kind == "train":
            yield profile(cases[0], args)
        if len(cases) > 1 and kind == "train":
            first, second = (statistics.median(case.times) for case in cases[:2])
            names = [case.facts["model"] for case in cases]
            ratio = round(second / first, 3)
            yield {"case": f"{names[1]} over {names[0]}", "ratio": ratio}


def take_turns(cases: list[Case], dtype: str, args: Any) -> tuple[float, float]:
    """Times the cases; returns the machine's GFLOP/s of a product, and its GB/s."""
    gemm = []
    with steps.products_in(dtype) as factors:
        for case in cases:
            jax.block_until_ready(case.program.run())
        # Cases take turns, so that a slow period of the machine affects all.
        for _ in range(args.steps):
            gemm.append(steps.matmul_rate(64 if args.small else None, 1, factors))
            for case in cases:
                case.take(args.inner)
        return statistics.median(gemm), steps.bandwidth()


def report(case: Case, gemm: float, bandwidth: float) -> dict[str, Any]:
    """Returns the row of a timed case."""
    median = statistics.median(case.times)
    gflops = case.facts["flops"] / median / 1e9
    cost: Any = case.program.compiled.cost_analysis()
    moved = int((cost or {}).get("bytes accessed", 0))
    # Roofline: the rate that the memory allows at this number of FLOPs per byte.
    roofline = min(gemm, case.facts["flops"] / max(moved, 1) * bandwidth)
    memory: Any = case.program.compiled.memory_analysis()
    parts = {name: getattr(memory, f"{name}_size_in_bytes", 0) for name in MEMORY}
    return {
        **case.facts,
        "devices": jax.device_count(),
        "platform": jax.devices()[0].platform,
        "jax": jax.__version__,
        "compile_s": round(case.program.compile_s, 2),
        "step_ms": {
            "median": round(1e3 * median, 3),
            "min": round(1e3 * min(case.times), 3),
        },
        "gflops": round(gflops, 1),
        "gemm_gflops": round(gemm, 1),
        "utilisation": round(gflops / gemm, 3),
        "bytes": moved,
        "bandwidth_gb_s": round(bandwidth, 1),
        "share_of_roofline": round(gflops / roofline, 3),
        "temp_mib": parts["temp"] >> 20,
        "memory_mib": (sum(parts.values()) - 2 * parts["alias"]) >> 20,
    }


def compile_case(
    name: str, dtype: str, kind: str, batch: int, tokens: int, args: argparse.Namespace
) -> Case:
    """Compiles the training step or the generation of a model."""
    with steps.products_in(dtype) as factors:
        overrides = SMALL_MODEL if args.small else ()
        config = steps.published_config(name, factors, overrides)
        count, frames = batch or SIZES[name][0], args.frames or SIZES[name][1]
        lengths = [frames, args.frames_1] if name == "teach" else [frames]
        width = (tokens, steps.TEXT)
        if name == "motionclip":
            width = (1, config.model.latent_dim)
        rng = np.random.default_rng(0)
        texts = rng.standard_normal((len(lengths), count, *width), np.float32)
        all_lengths = np.array([[n] * count for n in lengths])
        data = steps.random_batch(config, all_lengths, texts)
        started = time.perf_counter()
        state = steps.fresh_state(config, data)
        facts: dict[str, Any] = {
            "case": kind,
            "model": name,
            "dtype": dtype,
            "batch": count,
            "frames": frames,
            "params": count_parameters(state.params),
            "init_s": round(time.perf_counter() - started, 2),
        }
        if name == "teach":
            facts["frames_1"] = args.frames_1
        if name != "motionclip":
            facts["tokens"] = tokens
        forward, generation = steps.textbook_flops(
            config, count, frames, args.frames_1, tokens
        )
        if kind == "train":
            program = steps.compile_training(config, data, state)
            return Case({**facts, "flops": 3 * forward}, program)
        program = steps.compile_generation(config, data, state.params)
        return Case({**facts, "flops": generation}, program)


def profile(case: Case, args: argparse.Namespace) -> dict[str, Any]:
    """Traces a few steps and returns where their time went."""
    with jax.profiler.trace(args.profile):
        case.take(PROFILED)
    events = step_trace.read_events(args.profile)
    parts = step_trace.breakdown(events, case.program.compiled.as_text(), PROFILED)
    sizes = {name: case.facts[name] for name in ("model", "dtype", "batch")}
    flags = os.environ.get("XLA_FLAGS", "")
    traced = {"steps": PROFILED, "ms": round(1e3 * case.times.pop(), 3)}
    return {"case": "profile", **sizes, "xla_flags": flags, **traced, **parts}


if __name__ == "__main__":
    main()
