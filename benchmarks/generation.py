"""How many motions are generated per second?

    python benchmarks/generation.py
    python benchmarks/generation.py --model teach --batch 256 --dtype bfloat16
    python benchmarks/generation.py --small         # quick check with tiny sizes

Models have their published sizes and random weights, and read stored embeddings of
random values, so the time of describing and embedding is left out. There is one JSON
line per case:

    generate    a compiled program: encode texts, draw latents, decode features
    series      `generate_sequence` of TEACH: series of actions, each of which reads how
                the previous one ended; it includes joining the actions and copying
                rotations and translation to the host

`motions_per_s` counts whole series in `series`. `compile_s` is the compilation, in
`series` the whole first call. `step_ms` is the time of a whole batch. Run on a quiet
machine.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import record
import steps
from workload import SMALL_MODEL

from actiongpt_jax.config_fields import Config
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.inference.generate import generate_sequence
from actiongpt_jax.inference.requests import Request
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.models.build import build
from actiongpt_jax.models.family import FAMILIES, family_of

MODELS = [name for name, family in FAMILIES.items() if family.generates]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=MODELS, nargs="+", default=MODELS)
    parser.add_argument("--batch", type=int, nargs="+", default=[16, 256])
    parser.add_argument("--frames", type=int, default=100, help="frames per action")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--actions", type=int, default=4, help="actions of a series")
    parser.add_argument(
        "--dtype", choices=list(steps.PRECISIONS), nargs="+", default=["float32"]
    )
    parser.add_argument("--steps", type=int, default=5, help="timed batches per case")
    parser.add_argument("--small", action="store_true", help="tiny sizes")
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    record.report(run(args), args.save)


def run(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measures all cases that the flags describe."""
    if args.small:
        args.frames, args.tokens, args.steps = 20, 12, 2
        args.batch = [max(1, size // 8) for size in args.batch]
    for name, precision in itertools.product(args.model, args.dtype):
        with steps.products_in(precision) as dtype:
            overrides = SMALL_MODEL if args.small else ()
            config = steps.published_config(name, dtype, overrides)
            for size in args.batch:
                for row in measure(config, size, args):
                    yield {"model": name, "dtype": precision, "batch": size, **row}


def measure(
    config: Config, size: int, args: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Measures the cases of one model at one batch size."""
    batch = random_inputs(config, size, args.frames, args.tokens)
    params = steps.fresh_state(config, batch).params
    program = steps.compile_generation(config, batch, params)
    _, flops = steps.textbook_flops(config, size, args.frames, 0, args.tokens)
    seconds = times(program.run, args.steps)
    yield {
        "case": "generate",
        **figures(seconds, size, args.frames),
        "gflops": round(flops / statistics.median(seconds) / 1e9, 1),
        "compile_s": round(program.compile_s, 1),
    }
    if config.model.name == "teach":
        yield series(config, params, size, args)


def random_inputs(config: Config, size: int, frames: int, tokens: int) -> steps.Batch:
    """Returns a random batch of motions of equal length, with random texts."""
    family = family_of(config)
    parts = len(family.suffixes)
    shape = (tokens, steps.TEXT)
    if family.pooled_text:
        shape = (1, config.model.latent_dim)
    states = np.random.default_rng(0).standard_normal((parts, size, *shape), np.float32)
    return steps.random_batch(config, np.full((parts, size), frames), states)


def series(
    config: Config, params: Any, size: int, args: argparse.Namespace
) -> dict[str, Any]:
    """Measures series of actions of equal length, as `generate` makes them."""
    nfeats, texts = config.model.nfeats, (args.tokens, steps.TEXT)
    normalizer = Normalizer(np.zeros(nfeats, np.float32), np.ones(nfeats, np.float32))
    trained = Trained(config, build(config), {"params": params}, normalizer, step=0)
    states = np.random.default_rng(0).standard_normal(texts, np.float32)
    requests = [
        [Request("random", states, args.frames, seed=(0, row))] * args.actions
        for row in range(size)
    ]

    def generate():
        return generate_sequence(trained, requests, batch_size=size)

    started = time.perf_counter()
    generate()
    first_s = time.perf_counter() - started
    return {
        "case": "series",
        "actions": args.actions,
        **figures(times(generate, args.steps), size, args.frames * args.actions),
        "compile_s": round(first_s, 1),
    }


def times(run: Callable[[], Any], count: int) -> list[float]:
    """Returns the seconds of each of `count` calls, after two that are not timed."""
    seconds = []
    for _ in range(2 + count):
        started = time.perf_counter()
        jax.block_until_ready(run())
        seconds.append(time.perf_counter() - started)
    return seconds[2:]


def figures(seconds: list[float], size: int, frames: int) -> dict[str, Any]:
    """Returns the rates of a batch of `size` motions of `frames` frames each."""
    median = statistics.median(seconds)
    return {
        "frames": frames,
        "step_ms": {
            "median": round(1e3 * median, 2),
            "min": round(1e3 * min(seconds), 2),
        },
        "motions_per_s": round(size / median, 1),
        "frames_per_s": round(size * frames / median),
        "device": jax.devices()[0].device_kind,
    }


if __name__ == "__main__":
    main()
