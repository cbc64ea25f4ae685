r"""What does the input pipeline add to the time of a training step?

    python benchmarks/pipeline_share.py
    python benchmarks/pipeline_share.py --model teach --batch 256 --dtype bfloat16
    python benchmarks/pipeline_share.py --data STORE --text EMBEDDINGS
    python benchmarks/pipeline_share.py --small     # quick check with tiny sizes

Trains a model of published size in two ways that take turns: `streamed`, with batches
that a thread loads from disk and copies to the device ahead of the steps, as training
does; and `repeated`, with one batch that stays on the device. Both start a step while
the one before it runs, as training does. There is one JSON line per case. `share` is
the part of a streamed step that the pipeline adds, `wait_ms` the time per step that the
loop waited for a batch, `load_ms` the time to read one from disk without any step at
the same time, and `batch_mib` its size.

The stores hold random motion, --frames frames per action, and random texts of --tokens
tokens. With --data and --text, they are those of real data, and all batches are padded
to the longest motion. Run on a quiet machine.
"""

import argparse
import itertools
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
import record
import steps
from input_pipeline import SEQUENCE_FRAMES, make_motion, make_text
from workload import SMALL_MODEL

from actiongpt_jax.config_fields import Config
from actiongpt_jax.data.batches.item_batches import ItemBatches
from actiongpt_jax.data.batches.prefetch import prefetch
from actiongpt_jax.data.batches.segments import Pair, Segment
from actiongpt_jax.training.host_memory import keep_memory
from actiongpt_jax.training.inputs import open_inputs
from actiongpt_jax.training.parallel import DataParallel
from actiongpt_jax.training.tasks import task_of

MODELS = ("temos", "teach")
# Steps of every turn that are not timed: the thread starts to load with each turn.
WARM_UP = 3


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=MODELS, nargs="+", default=MODELS)
    parser.add_argument("--batch", type=int, nargs="+", default=[16, 256])
    parser.add_argument(
        "--dtype", choices=list(steps.PRECISIONS), nargs="+", default=["float32"]
    )
    parser.add_argument("--data", help="motion store; requires --text")
    parser.add_argument("--text", help="embedding store of its phrases")
    parser.add_argument("--frames", type=int, default=100, help="frames per action")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--store_frames", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way")
    parser.add_argument("--steps", type=int, default=20, help="steps per turn")
    parser.add_argument("--small", action="store_true", help="tiny sizes")
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    if bool(args.data) != bool(args.text):
        parser.error("--data and --text must be given together")
    if args.small:
        args.frames, args.tokens, args.store_frames = 20, 12, 20_000
        args.rounds, args.steps = 2, 3
        args.batch = [max(1, size // 8) for size in args.batch]
    keep_memory()  # like the train command
    record.report(run(args), args.save)


def run(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measures all cases that the flags describe."""
    with tempfile.TemporaryDirectory() as folder:
        stores = None
        if not args.data:
            store = make_motion(pathlib.Path(folder), args.store_frames)
            text = pathlib.Path(folder, "text")
            stores = store, make_text(text, args.tokens, steps.TEXT)
        for name, precision in itertools.product(args.model, args.dtype):
            for size in args.batch:
                with steps.products_in(precision) as dtype:
                    # One shape, so that the repeated batch is like all the others.
                    flags = [f"--config.train.batch_size={size}"]
                    flags += ["--config.data.max_shapes=1"]
                    flags += SMALL_MODEL if args.small else ()
                    config = steps.published_config(name, dtype, flags)
                    if stores is None:
                        config.data.store, config.text.store = args.data, args.text
                        batches = open_inputs(config).train
                    else:
                        batches = random_batches(config, *stores, args.frames)
                    row = measure(config, batches, args)
                yield {"model": name, "dtype": precision, "batch": size, **row}


def random_batches(config: Config, store, text, frames: int) -> ItemBatches:
    """Cuts a store of random motion into items of equal length."""
    count = 2 if config.model.name == "teach" else 1
    starts = range(0, SEQUENCE_FRAMES - count * frames + 1, count * frames)
    phrases = itertools.cycle(text.phrases)
    items = []
    for sequence, start in itertools.product(range(len(store.sequences)), starts):
        key, place = f"{sequence}-{start}", (sequence, start, start + count * frames)
        if count == 1:
            items.append(Segment(key, *place, next(phrases)))
        else:
            texts = next(phrases), next(phrases)
            items.append(Pair(key, *place, (frames, 0, frames), texts))
    return task_of(config).batches(store, items, text, shuffle=True)


def measure(
    config: Config, batches: ItemBatches, args: argparse.Namespace
) -> dict[str, Any]:
    """Measures steps on streamed batches and on one batch."""
    task, devices = task_of(config), DataParallel(config.train.batch_size)
    normalizer = task.fit(batches)

    def load(step: int) -> dict[str, np.ndarray]:
        raw = batches.load(step)
        del raw["item"]
        return raw

    def place(step: int):
        return devices.place_batch(load(step))

    def to_model(raw):
        return {**task.to_model(raw, normalizer), "index": raw["index"]}

    raw = load(0)
    first = jax.jit(to_model)(raw)
    program = steps.compile_training(
        config, raw, steps.fresh_state(config, first), to_model
    )
    state = devices.place_state(steps.fresh_state(config, first))
    repeated = place(0)

    def train(stream: Iterable[Any]) -> tuple[float, float]:
        """Returns the seconds per step, and those of waiting for its batch."""
        nonlocal state
        clock = time.perf_counter
        stream, waits, ends = iter(stream), [], []
        state, before = program.compiled(state, next(stream))
        while True:
            asked = clock()
            batch = next(stream, None)
            waits.append(clock() - asked)
            if batch is None:
                break
            state, metrics = program.compiled(state, batch)
            jax.block_until_ready(before)
            before = metrics
            ends.append(clock())
        timed = len(ends) - WARM_UP
        return (ends[-1] - ends[-1 - timed]) / timed, sum(
            waits[-1 - timed : -1]
        ) / timed

    ways: dict[str, Callable[[range], Iterable[Any]]] = {
        "streamed": lambda numbers: prefetch(place, numbers),
        "repeated": lambda numbers: itertools.repeat(repeated, len(numbers)),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(1 + args.rounds):
        # One more: a step ends while its successor runs.
        count = 1 + WARM_UP + args.steps
        numbers = range(turn * count, (turn + 1) * count)
        for name, stream in ways.items():
            taken = train(stream(numbers))
            if turn:  # the first one warms up
                times[name].append(taken)
    loads = []
    for number in range(args.steps):
        started = time.perf_counter()
        load(number)
        loads.append(time.perf_counter() - started)
    streamed, alone = (
        statistics.median(seconds for seconds, _ in times[name]) for name in ways
    )
    wait = statistics.median(waited for _, waited in times["streamed"])
    return {
        "frames": [int(n) for n in np.ravel(batches.plan.shapes[0])],
        "tokens": max(a.shape[1] for n, a in raw.items() if n.startswith("tokens")),
        "steps": args.steps * args.rounds,
        "streamed_ms": round(1e3 * streamed, 3),
        "repeated_ms": round(1e3 * alone, 3),
        "share": round(1 - alone / streamed, 4),
        "wait_ms": round(1e3 * wait, 3),
        "load_ms": round(1e3 * statistics.median(loads), 3),
        "batch_mib": round(sum(a.nbytes for a in raw.values()) / 2**20, 2),
        "compile_s": round(program.compile_s, 1),
        "device": jax.devices()[0].device_kind,
    }


if __name__ == "__main__":
    main()
