"""How fast is a training step, relative to the machine's matrix product?

    python benchmarks/train_step.py --model temos
    python benchmarks/train_step.py --model temos teach
    python benchmarks/train_step.py --model motionclip
    python benchmarks/train_step.py --model temos --host_devices 2

Prints one JSON line per case: a training step with dropout, and generation (encode
text, sample, decode). `flops` counts the matrix products of the textbook formulation,
not the operations that were executed. `utilisation` is the achieved rate divided by the
median rate of a plain product of two 2048 x 2048 matrices, measured in the same process
between the steps. Several models take turns, and a last line gives the ratio of their
medians. A step of TEACH takes pairs of --frames and --frames_1 frames; one of
MotionCLIP takes 20 windows of 60 frames and no tokens. Weights and data are random, and
nothing is masked. Run on a quiet machine.
"""

import argparse
import dataclasses
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

# Model -> published batch size and frames per motion, the defaults of the flags.
SIZES = {"temos": (16, 100), "teach": (16, 100), "motionclip": (20, 60)}


@dataclasses.dataclass
class Case:
    """A compiled program and its measured times in seconds."""

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
    parser.add_argument("--batch", type=int, help="default: 16; MotionCLIP: 20")
    parser.add_argument("--frames", type=int, help="default: 100; MotionCLIP: 60")
    parser.add_argument(
        "--frames_1", type=int, default=105, help="frames of TEACH's second actions"
    )
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument(
        "--host_devices", type=int, default=1, help="number of simulated CPU devices"
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
    # Training and generation are timed separately: right after a training step, which
    # uses gigabytes, generation runs on cold memory and is a third slower.
    for name in ("train", "generate"):
        for _ in range(args.steps):
            # Cases take turns, so that a slow period of the machine affects all.
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
    """Compiles the training step and the generation of a model."""
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
