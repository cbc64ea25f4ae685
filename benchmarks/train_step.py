"""How fast is a training step, as a share of what the machine's matrix product does?

    python benchmarks/train_step.py --model temos
    python benchmarks/train_step.py --model temos teach
    python benchmarks/train_step.py --model motionclip
    python benchmarks/train_step.py --model temos --host_devices 2

Prints one JSON line per case: a training step (dropout on), and generation (encode
text, sample, decode). `flops` counts the matrix products of the textbook formulation,
whatever was computed; `utilisation` is the rate over that of a plain 2048-cube product
measured in the same process, between the steps (median). With several models their
steps take turns, and a last line gives the ratio of their medians. A step of TEACH
takes pairs of --frames and --frames_1 frames, one of MotionCLIP 20 windows of 60 frames
and no tokens. Random weights and data, full masks. Run on a quiet machine.
"""

import argparse
import dataclasses
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

# Batch and frames of a step, where a model's published ones are others.
SIZES = {"temos": (16, 100), "teach": (16, 100), "motionclip": (20, 60)}


@dataclasses.dataclass
class Case:
    """Something compiled that is run again and again."""

    name: str
    model: str
    run: Callable[[], Any]
    flops: int
    compile_s: float
    more: dict[str, Any]
    times: list[float] = dataclasses.field(default_factory=list)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    models = list(SIZES)
    parser.add_argument("--model", choices=models, nargs="+", default=["temos"])
    parser.add_argument("--batch", type=int, help="16; of MotionCLIP 20")
    parser.add_argument("--frames", type=int, help="100; of MotionCLIP 60")
    parser.add_argument("--frames_1", type=int, default=105, help="of second actions")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument(
        "--host_devices", type=int, default=1, help="CPU devices to fake"
    )
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    if args.host_devices > 1:
        flag = f"--xla_force_host_platform_device_count={args.host_devices}"
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " " + flag
    import jax
    import steps

    from actiongpt_jax.training.host_memory import keep_memory

    keep_memory()
    cases = [case for model in args.model for case in cases_of(model, args)]
    gemm = []
    # Training and generation apart: after a step's gigabytes, generation would run
    # on cold memory, a third slower.
    for name in ("train", "generate"):
        for _ in range(args.steps):
            # In turns: a slower spell of the machine meets all of them.
            gemm.append(steps.matmul_rate())
            for case in cases:
                if case.name == name:
                    started = time.perf_counter()
                    jax.block_until_ready(case.run())
                    case.times.append(time.perf_counter() - started)
    rate = statistics.median(gemm)
    rows = []
    for case in cases:
        median = statistics.median(case.times)
        figures = {
            "case": case.name,
            "model": case.model,
            "dtype": args.dtype,
            "devices": jax.device_count(),
            "platform": jax.devices()[0].platform,
            "jax": jax.__version__,
            "compile_s": round(case.compile_s, 2),
            "step_ms": {
                "median": round(1e3 * median, 1),
                "min": round(1e3 * min(case.times), 1),
            },
            "flops": case.flops,
            "gflops": round(case.flops / median / 1e9, 1),
            "gemm_gflops": round(rate, 1),
            "utilisation": round(case.flops / median / 1e9 / rate, 3),
            **case.more,
        }
        rows.append(figures)
    trained = [case for case in cases if case.name == "train"]
    if len(trained) > 1:
        first, second = (statistics.median(case.times) for case in trained)
        rows.append(
            {
                "case": f"{trained[1].model} over {trained[0].model}",
                "ratio": round(second / first, 3),
            }
        )
    for row in rows:
        print(json.dumps(row), flush=True)
    if args.save:
        import record

        record.save(args.save, rows)


def cases_of(name: str, args: argparse.Namespace) -> list[Case]:
    """Compiles a model's training step and its generation."""
    import jax
    import numpy as np
    import steps

    from actiongpt_jax.nn.parameters import count_parameters

    config = steps.published_config(name, args.dtype)
    count, frames = args.batch or SIZES[name][0], args.frames or SIZES[name][1]
    lengths = [frames, args.frames_1] if name == "teach" else [frames]
    width = (args.tokens, steps.TEXT)
    if name == "motionclip":
        width = (1, config.model.latent_dim)
    rng = np.random.default_rng(0)
    tokens = rng.standard_normal((len(lengths), count, *width), np.float32)
    batch = steps.random_batch(config, np.array([[n] * count for n in lengths]), tokens)
    started = time.perf_counter()
    state = steps.fresh_state(config, batch)
    init_s = time.perf_counter() - started
    more = {"batch": count, "frames": frames, "params": count_parameters(state.params)}
    more["init_s"] = round(init_s, 2)
    if name == "teach":
        more["frames_1"] = args.frames_1
    if name != "motionclip":
        more["tokens"] = args.tokens
    generation = steps.compile_generation(config, batch, state.params)
    training = steps.compile_training(config, batch, state)
    temp = getattr(training.compiled.memory_analysis(), "temp_size_in_bytes", 0)
    flops = steps.textbook_flops(config, count, frames, args.frames_1, args.tokens)
    jax.block_until_ready((training.run(), generation.run()))
    more_train = {**more, "temp_mib": round(temp / 2**20)}
    return [
        Case("train", name, training.run, 3 * flops[0], training.compile_s, more_train),
        Case("generate", name, generation.run, flops[1], generation.compile_s, more),
    ]


if __name__ == "__main__":
    main()
