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

TEXT, PAST = 768, 5
# Batch and frames of a step, where a model's published ones are others.
SIZES = {"temos": (16, 100), "teach": (16, 100), "motionclip": (20, 60)}


def textbook_flops(config, batch, frames, frames_1, tokens):
    """Returns matrix-product operations (forward, generation of one action)."""
    model, sizes = config.model.name, config.model
    width, layers, nfeats = sizes.latent_dim, sizes.num_layers, sizes.nfeats

    def stack(length):
        # Attention to the decoder's one memory token is not counted: its queries and
        # keys are inert.
        per_token = 2 * width * (4 * width + 2 * sizes.ff_size)
        return layers * (length * per_token + 4 * length * length * width)

    project = 2 * tokens * TEXT * width

    def read_motion(count, extra=2):
        return 2 * count * nfeats * width + stack(count + extra)

    def write(count):
        return stack(count) + 2 * count * width * nfeats

    if model == "motionclip":
        write_all = batch * write(frames)
        return write_all + batch * read_motion(frames, sizes.encoder_tokens), write_all
    if model == "temos":
        read = project + stack(tokens + 2)
        training = read + read_motion(frames) + 2 * write(frames)
    else:
        read = project + stack(tokens + 3)
        past = 2 * PAST * nfeats * width + stack(PAST)
        training = read + project + past + stack(tokens + 3 + PAST)
        for count in (frames, frames_1):
            training += read_motion(count) + 2 * write(count)
    return batch * training, batch * (read + write(frames))


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

    cases = [case for model in args.model for case in cases_of(model, args)]
    gemm = []
    # Training and generation apart: after a step's gigabytes, generation would run
    # on cold memory, a third slower.
    for name in ("train", "generate"):
        for _ in range(args.steps):
            # In turns: a slower spell of the machine meets all of them.
            gemm.append(matmul_rate())
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
    steps = [case for case in cases if case.name == "train"]
    if len(steps) > 1:
        first, second = (statistics.median(case.times) for case in steps)
        rows.append(
            {
                "case": f"{steps[1].model} over {steps[0].model}",
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
    import jax.numpy as jnp
    import numpy as np

    from actiongpt_jax.config import load_config
    from actiongpt_jax.inference.latents import text_latents
    from actiongpt_jax.models.build import NOISE, build
    from actiongpt_jax.training.optim import make_optimizer
    from actiongpt_jax.training.parallel import DataParallel
    from actiongpt_jax.training.state import count_parameters, create_state
    from actiongpt_jax.training.step import make_train_step
    from actiongpt_jax.training.tasks import TASKS

    folder = os.path.join(os.path.dirname(__file__), "..", "configs")
    config = load_config(
        os.path.join(folder, f"{name}.py"), [f"--config.train.dtype={args.dtype}"]
    )
    model, tx, task = build(config), make_optimizer(config), TASKS[name]
    rng = np.random.default_rng(0)
    count, frames = args.batch or SIZES[name][0], args.frames or SIZES[name][1]
    nfeats = config.model.nfeats

    def action(frames, part):
        features = rng.standard_normal((count, frames, nfeats), np.float32)
        tokens = rng.standard_normal((count, args.tokens, TEXT), np.float32)
        return {
            f"features{part}": features,
            f"frame_mask{part}": np.ones(features.shape[:2], bool),
            f"tokens{part}": tokens,
            f"token_mask{part}": np.ones(tokens.shape[:2], bool),
        }

    single = action(frames, "")
    batch: dict[str, Any] = single
    if name == "teach":
        batch = action(frames, "_0") | action(args.frames_1, "_1")
    if name == "motionclip":
        vectors = rng.standard_normal((count, 1, config.model.latent_dim), np.float32)
        single |= {"tokens": vectors, "token_mask": np.ones((count, 1), bool)}
        batch = {
            "poses": single["features"],
            "frame_mask": single["frame_mask"],
            "text": vectors[:, 0],
        }
    batch = batch | {"index": np.arange(count, dtype=np.int32)}
    parallel = DataParallel(count)
    step = make_train_step(
        model,
        task.terms(config, parallel.axis_name),
        task.weights(config),
        tx,
        NOISE[name],
        parallel.axis_name,
    )
    noise = {n: jnp.zeros((count, model.latent_dim)) for n in NOISE[name]}
    started = time.perf_counter()
    state = create_state(model, tx, batch, noise, seed=0)
    init_s = time.perf_counter() - started
    variables = jax.device_put(jax.tree.map(np.asarray, {"params": state.params}))
    more = {"batch": count, "frames": frames, "params": count_parameters(state.params)}
    more["init_s"] = round(init_s, 2)
    if name == "teach":
        more["frames_1"] = args.frames_1
    if name != "motionclip":
        more["tokens"] = args.tokens

    state, placed = parallel.place_state(state), parallel.place_batch(batch)
    started = time.perf_counter()
    run = parallel.compile(step, donate_state=True).lower(state, placed).compile()
    compile_s = time.perf_counter() - started
    temp = getattr(run.memory_analysis(), "temp_size_in_bytes", 0)

    def train():
        nonlocal state
        state, metrics = run(state, placed)
        return state, metrics

    @jax.jit
    def generate(variables, tokens, token_mask, frame_mask, rng):
        noise = jax.random.normal(rng, (count, model.latent_dim))
        latent = text_latents(model, variables, tokens, token_mask, noise)
        return model.apply(variables, latent, frame_mask, method="decode")

    inputs = (single["tokens"], single["token_mask"], single["frame_mask"])
    inputs = (*inputs, jax.random.key(0))
    started = time.perf_counter()
    run_generate = generate.lower(variables, *inputs).compile()
    gen_compile_s = time.perf_counter() - started

    forward, generation = textbook_flops(
        config, count, frames, args.frames_1, args.tokens
    )
    jax.block_until_ready((train(), run_generate(variables, *inputs)))
    more_train = {**more, "temp_mib": round(temp / 2**20)}
    return [
        Case("train", name, train, 3 * forward, compile_s, more_train),
        Case(
            "generate",
            name,
            lambda: run_generate(variables, *inputs),
            generation,
            gen_compile_s,
            more,
        ),
    ]


def matmul_rate(size=2048, repeats=3):
    """Returns the median GFLOP/s of a float32 product of two `size`-squares."""
    import jax
    import jax.numpy as jnp

    a = jax.random.normal(jax.random.key(1), (size, size), jnp.float32)
    product = jax.jit(lambda a: a @ a)
    product(a).block_until_ready()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        product(a).block_until_ready()
        times.append(time.perf_counter() - started)
    return 2 * size**3 / statistics.median(times) / 1e9


if __name__ == "__main__":
    main()
