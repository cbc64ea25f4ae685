"""How fast is a training step, as a share of what the machine's matrix product does?

    python benchmarks/train_step.py --model temos
    python benchmarks/train_step.py --model temos --host_devices 2

Prints one JSON line per case: a training step (dropout on), and generation
(encode text, sample, decode). `flops` counts the matrix products of the textbook
formulation, whatever was computed; `utilisation` is the rate over that of a plain
2048-cube product measured in the same process, before and after (median of both).
Random weights and data, full masks. Run on a quiet machine.
"""

import argparse
import json
import os
import statistics
import time
from typing import Any


def textbook_flops(
    batch, frames, tokens, width=256, ff=1024, layers=6, text=768, nfeats=135
):
    """Returns matrix-product operations (forward, generation) of TEMOS."""

    def encoder(length):
        per_token = 2 * width * (4 * width + 2 * ff)
        return layers * (length * per_token + 4 * length * length * width)

    def decoder(length):
        # Attention to the one memory token is not counted: its queries are inert.
        return encoder(length)

    read_text = 2 * tokens * text * width + encoder(tokens + 2)
    read_motion = 2 * frames * nfeats * width + encoder(frames + 2)
    write = decoder(frames) + 2 * frames * width * nfeats
    return batch * (read_text + read_motion + 2 * write), batch * (read_text + write)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=["temos"], default="temos")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument(
        "--host_devices", type=int, default=1, help="CPU devices to fake"
    )
    args = parser.parse_args()
    if args.host_devices > 1:
        flag = f"--xla_force_host_platform_device_count={args.host_devices}"
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " " + flag

    import functools

    import jax
    import jax.numpy as jnp
    import numpy as np

    from actiongpt_jax.config import load_config
    from actiongpt_jax.losses import temos as losses
    from actiongpt_jax.models.build import NOISE, build
    from actiongpt_jax.training.optim import make_optimizer
    from actiongpt_jax.training.parallel import DataParallel
    from actiongpt_jax.training.state import count_parameters, create_state
    from actiongpt_jax.training.step import make_train_step

    config_file = os.path.join(
        os.path.dirname(__file__), "..", "configs", f"{args.model}.py"
    )
    config = load_config(config_file, [f"--config.train.dtype={args.dtype}"])
    model, tx = build(config), make_optimizer(config)
    rng = np.random.default_rng(0)
    shape = (args.batch, args.frames)
    batch = {
        "features": rng.standard_normal((*shape, 135), np.float32),
        "frame_mask": np.ones(shape, bool),
        "tokens": rng.standard_normal((args.batch, args.tokens, 768), np.float32),
        "token_mask": np.ones((args.batch, args.tokens), bool),
        "index": np.arange(args.batch, dtype=np.int32),
    }
    parallel = DataParallel(args.batch)
    step = make_train_step(
        model,
        functools.partial(losses.terms, config=config),
        losses.weights(config),
        tx,
        NOISE[args.model],
        parallel.axis_name,
    )
    noise = {name: jnp.zeros((args.batch, model.latent_dim)) for name in NOISE["temos"]}
    state = parallel.place_state(create_state(model, tx, batch, noise, seed=0))
    variables = {"params": state.params}
    params = count_parameters(state.params)

    @jax.jit
    def generate(variables, tokens, token_mask, frame_mask, rng):
        text: Any = model.apply(variables, tokens, token_mask, method="encode_text")
        latent = text.sample(jax.random.normal(rng, text.mu.shape))
        return model.apply(variables, latent, frame_mask, method="decode")

    gen_args = (
        batch["tokens"],
        batch["token_mask"],
        batch["frame_mask"],
        jax.random.key(0),
    )
    variables = jax.tree.map(np.asarray, variables)  # The state's own are donated.
    gemm = [matmul_rate(jax, jnp)]

    placed = parallel.place_batch(batch)
    started = time.perf_counter()
    run = parallel.compile(step, donate_state=True).lower(state, placed).compile()
    compile_s = time.perf_counter() - started
    memory = run.memory_analysis()
    state, metrics = run(state, placed)
    jax.block_until_ready(metrics)
    times = []
    for _ in range(args.steps):
        started = time.perf_counter()
        state, metrics = run(state, placed)
        jax.block_until_ready(state)
        times.append(time.perf_counter() - started)
    gemm.append(matmul_rate(jax, jnp))

    started = time.perf_counter()
    run_generate = generate.lower(variables, *gen_args).compile()
    gen_compile_s = time.perf_counter() - started
    device_variables = jax.device_put(variables)
    jax.block_until_ready(run_generate(device_variables, *gen_args))
    gen_times = []
    for _ in range(args.steps):
        started = time.perf_counter()
        jax.block_until_ready(run_generate(device_variables, *gen_args))
        gen_times.append(time.perf_counter() - started)
    gemm.append(matmul_rate(jax, jnp))

    forward, generation = textbook_flops(args.batch, args.frames, args.tokens)
    common = {
        "model": args.model,
        "batch": args.batch,
        "frames": args.frames,
        "tokens": args.tokens,
        "dtype": args.dtype,
        "devices": jax.device_count(),
        "platform": jax.devices()[0].platform,
        "jax": jax.__version__,
        "params": params,
    }

    def report(case, compile_s, times, flops, **more):
        median, rate = statistics.median(times), statistics.median(gemm)
        figures = {
            "case": case,
            **common,
            "compile_s": round(compile_s, 2),
            "step_ms": {
                "median": round(1e3 * median, 1),
                "min": round(1e3 * min(times), 1),
            },
            "flops": flops,
            "gflops": round(flops / median / 1e9, 1),
            "gemm_gflops": round(rate, 1),
            "utilisation": round(flops / median / 1e9 / rate, 3),
            **more,
        }
        print(json.dumps(figures), flush=True)

    temp = getattr(memory, "temp_size_in_bytes", 0)
    report("train", compile_s, times, 3 * forward, temp_mib=round(temp / 2**20))
    report("generate", gen_compile_s, gen_times, generation)


def matmul_rate(jax, jnp, size=2048, repeats=5):
    """Returns the median GFLOP/s of a float32 product of two `size`-squares."""
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
