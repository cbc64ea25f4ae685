"""How would training scale to several GPUs? Counted and computed, not measured.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --model temos --markdown
    python benchmarks/scaling.py --small     # quick check with tiny sizes

Compiles the training step for --devices simulated CPU devices, once in one process and
once in two, and reads from the compiled program what it sends between devices. From
these bytes and the FLOPs of a step it computes the time of a step:

    exchange = bytes * 2 (n - 1) / n / bandwidth of the link    (a ring of n devices)
    update   = 28 bytes * parameters / bandwidth of the memory  (on every device)
    step     = compute / n + exchange + update                  (nothing overlaps)
    step     = max(compute / n, compute / 3n + exchange) + update

The last line is a bound: the exchange overlaps with all of the backward pass, which is
two thirds of the compute. An AdamW update reads and writes parameters and both moments
and reads gradients, 7 x 4 bytes per parameter. The rates of devices and links are
assumptions; see `Assumed`. Latencies of messages and the input pipeline are left out.

Prints one JSON line per case: `communication`, what a step sends; `step`, times for
global batches of 2, 16, 64 and 256 items per device; and `memory`, what a step of 16
items needs on one device, in float32 as compiled for a CPU. (In bfloat16 a CPU computes
with float32 copies, which says nothing about a GPU.)
"""

import argparse
import concurrent.futures
import dataclasses
import json
import math
import re
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import turns
from train_step import SIZES

# Items per device of the computed steps, and of the step whose memory is reported.
PER_DEVICE, MEMORY_ITEMS = (2, 16, 64, 256), 16
CASES = ("communication", "memory")
# What a step holds on a device; `temporary` are activations and gradients.
MEMORY = ("params", "optimizer", "batch", "temporary")
# TEACH's second actions have this many frames, as in train_step.py.
FRAMES_1 = 105
SMALL = [f"--config.model.{x}" for x in ("latent_dim=16", "ff_size=32", "num_layers=1")]

_COLLECTIVE = re.compile(
    r"= (.*?) (all-reduce|all-gather|all-to-all|reduce-scatter|ragged-all-to-all|"
    r"collective-permute|collective-broadcast|send|recv)(?:-start)?\("
)
_ARRAY = re.compile(r"\b([a-z]+(\d+)[a-z0-9]*)\[([\d,]*)\]")


@dataclasses.dataclass(frozen=True)
class Assumed:
    """Assumed rates of a device and of links; nothing here was measured.

    Attributes:
        tflops: rate of the matrix products of a step, a fifth of the dense bfloat16
            peak of an H100 (989 TFLOP/s).
        memory_gbs: bandwidth of a device's memory, GB/s; the data sheet of an H100.
        reached: share of a link's nominal bandwidth that an all-reduce reaches.
        links: nominal bandwidth in one direction, GB/s. Network cards are per host;
            a ring passes through each of them once, however many GPUs a host has.
    """

    tflops: float = 200.0
    memory_gbs: float = 3350.0
    reached: float = 0.8
    links: tuple[tuple[str, float], ...] = (
        ("NVLink 4", 450.0),
        ("PCIe 5 x16", 64.0),
        ("400 Gb/s network", 50.0),
        ("100 Gb/s network", 12.5),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=list(SIZES), nargs="+", default=list(SIZES))
    parser.add_argument("--dtype", default="bfloat16", help="type of matrix products")
    parser.add_argument("--case", choices=CASES, nargs="+", default=CASES)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--tflops", type=float, default=Assumed.tflops)
    parser.add_argument("--small", action="store_true", help="tiny sizes")
    parser.add_argument(
        "--markdown", action="store_true", help="print tables instead of JSON lines"
    )
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    assumed = Assumed(tflops=args.tflops)
    rows = []
    for row in measure(args, assumed):
        rows.append(row)
        if not args.markdown:
            print(json.dumps(row), flush=True)
    if args.markdown:
        print(markdown(rows))
    if args.save:
        import record

        record.save(args.save, rows, assumed=dataclasses.asdict(assumed))


def measure(args: argparse.Namespace, assumed: Assumed) -> Iterator[dict[str, Any]]:
    """Yields the rows of all models."""
    for model in args.model:
        if "communication" in args.case:
            for processes in args.processes:
                sent = communication(
                    model, args.dtype, args.devices, processes, args.small
                )
                yield sent
            yield from steps_of(sent, assumed)
        if "memory" in args.case:
            yield memory(model, args.small)


def communication(
    model: str, dtype: str, devices: int, processes: int, small: bool = False
) -> dict[str, Any]:
    """Counts what a training step sends, with simulated devices in new processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
        calls = [
            pool.submit(
                turns.call,
                "scaling",
                "compiled_step",
                model,
                dtype,
                devices,
                devices,  # items per process; messages do not depend on them
                small,
                (address, processes, process) if processes > 1 else (None, None, None),
            )
            for process in range(processes)
        ]
        first, *others = [call.result() for call in calls]
    if any(other != first for other in others):
        raise RuntimeError(
            f"the processes compiled different programs: {first, others}"
        )
    found, totals = first["messages"], dict[str, int]()
    for message in found:
        for name, size in message["bytes"].items():
            totals[name] = totals.get(name, 0) + size
    return {
        "case": "communication",
        "model": model,
        "dtype": dtype,
        "processes": processes,
        "devices": devices,
        "parameters": first["parameters"],
        "bytes": totals,
        "scalars": sum(totals.values()) // 4 - first["parameters"],
        "messages": found,
        "flops_per_item": first["flops"] // devices,
        "jax": first["jax"],
    }


def memory(model: str, small: bool) -> dict[str, Any]:
    """Returns the memory of a step on one device."""
    run = (None, None, None)
    step = turns.call(
        "scaling", "compiled_step", model, "float32", 1, MEMORY_ITEMS, small, run
    )
    return {
        "case": "memory",
        "model": model,
        "dtype": "float32",
        "items": MEMORY_ITEMS,
        **{f"{name}_mib": round(step[name] / 2**20, 1) for name in MEMORY},
    }


def compiled_step(
    model: str,
    dtype: str,
    devices: int,
    items: int,
    small: bool,
    run: tuple[str | None, int | None, int | None],
) -> dict[str, Any]:
    """Compiles a step as one process of a run; returns facts about the program.

    Args:
        model: name of the model.
        dtype: type of matrix products.
        devices: number of devices of all processes.
        items: number of items of this process's part of the batch.
        small: whether to use tiny sizes.
        run: address of process 0, number of processes and number of this process.
    """
    import jax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", devices // (run[1] or 1))

    import numpy as np
    import steps

    from actiongpt_jax.nn.parameters import count_parameters
    from actiongpt_jax.training import parallel

    parallel.initialize(*run)
    config = steps.published_config(model, dtype, SMALL if small else [])
    frames, frames_1, tokens, text = SIZES[model][1], FRAMES_1, 128, steps.TEXT
    if small:
        frames, frames_1, tokens, text = 8, 9, 6, 8
    lengths = [frames, frames_1] if model == "teach" else [frames]
    width = (1, config.model.latent_dim) if model == "motionclip" else (tokens, text)
    batch = steps.random_batch(
        config,
        np.array([[n] * items for n in lengths]),
        np.zeros((len(lengths), items, *width), np.float32),
    )
    state = steps.fresh_state(config, batch)
    held = {"params": state.params, "optimizer": state.opt_state, "batch": batch}
    sizes = {
        name: sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
        for name, tree in held.items()
    }
    parameters = count_parameters(state.params)
    compiled = steps.compile_training(config, batch, state).compiled
    forward, _ = steps.textbook_flops(config, items, frames, frames_1, tokens, text)
    return {
        "parameters": parameters,
        "messages": messages(compiled.as_text()),
        "flops": 3 * forward,
        "jax": jax.__version__,
        **sizes,
        "temporary": compiled.memory_analysis().temp_size_in_bytes,
    }


def messages(program: str) -> list[dict[str, Any]]:
    """Returns what a compiled program sends between devices, in its order.

    Args:
        program: text of the compiled HLO module.

    Returns:
        For each operation its `kind`, its number of `arrays` and their `bytes` by type.
    """
    result = []
    for line in program.splitlines():
        operation = _COLLECTIVE.search(line)
        if operation is None:
            continue
        shapes, kind = operation.groups()
        sizes: dict[str, int] = {}
        arrays = _ARRAY.findall(shapes)
        for name, bits, axes in arrays:
            count = math.prod(int(axis) for axis in axes.split(",") if axis)
            sizes[name] = sizes.get(name, 0) + count * int(bits) // 8
        result.append({"kind": kind, "arrays": len(arrays), "bytes": sizes})
    return result


def step_seconds(
    compute: float, sent: int, parameters: int, devices: int, link: float, memory: float
) -> tuple[float, float]:
    """Computes the time of a step without and with overlap of the exchange, seconds.

    Args:
        compute: seconds that one device needs for the whole batch.
        sent: bytes that are summed over the devices.
        parameters: number of parameters.
        devices: number of devices.
        link: bandwidth in one direction of the slowest link of a ring, bytes/s.
        memory: bandwidth of a device's memory, bytes/s.
    """
    exchange = sent * 2 * (devices - 1) / devices / link
    update, part = 28 * parameters / memory, compute / devices
    return part + exchange + update, max(part, part / 3 + exchange) + update


def steps_of(sent: dict[str, Any], assumed: Assumed) -> list[dict[str, Any]]:
    """Returns the times of a model's steps, one row per link."""
    devices, size = sent["devices"], sum(sent["bytes"].values())
    rows = []
    for name, link in assumed.links:
        batches = []
        for batch in (devices * items for items in PER_DEVICE):
            compute = batch * sent["flops_per_item"] / assumed.tflops / 1e12
            (alone, _), (step, overlapped) = (
                step_seconds(
                    compute,
                    size,
                    sent["parameters"],
                    n,
                    link * assumed.reached * 1e9,
                    assumed.memory_gbs * 1e9,
                )
                for n in (1, devices)
            )
            batches.append(
                {
                    "batch": batch,
                    "one_device_ms": round(1e3 * alone, 3),
                    "step_ms": round(1e3 * step, 3),
                    "overlapped_ms": round(1e3 * overlapped, 3),
                    "speedup": round(alone / step, 2),
                    "overlapped_speedup": round(alone / overlapped, 2),
                }
            )
        rows.append(
            {
                "case": "step",
                "model": sent["model"],
                "devices": devices,
                "link": name,
                "batches": batches,
            }
        )
    return rows


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Returns the tables of docs/gpu.md."""
    sent = [row for row in rows if row["case"] == "communication"]
    lines = [
        "| model | processes x devices | parameters | MB summed per step | float32 | "
        "operations (arrays) | GFLOP per item |",
        "|---|---|---:|---:|---:|---|---:|",
    ]
    for row in sent:
        total = sum(row["bytes"].values())
        kinds = [f"{m['kind']} ({m['arrays']})" for m in row["messages"]]
        lines.append(
            f"| {row['model']} | {row['processes']} x "
            f"{row['devices'] // row['processes']} | {row['parameters']:,} | "
            f"{total / 1e6:.2f} | {row['bytes'].get('f32', 0) / total:.0%} | "
            f"{', '.join(kinds)} | {row['flops_per_item'] / 1e9:.1f} |"
        )
    steps = [row for row in rows if row["case"] == "step"]
    batches = [batch["batch"] for row in steps[:1] for batch in row["batches"]]
    lines += [
        "",
        "| model | link | " + " | ".join(f"batch {batch}" for batch in batches) + " |",
        "|---|---|" + "---:|" * len(batches),
    ]
    for row in steps:
        cells = [
            f"{b['speedup']:.1f} to {b['overlapped_speedup']:.1f}"
            for b in row["batches"]
        ]
        lines.append(f"| {row['model']} | {row['link']} | {' | '.join(cells)} |")
    lines += [
        "",
        "| model | parameters | optimizer | batch | activations and gradients |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        if row["case"] == "memory":
            parts = [f"{row[f'{name}_mib']:,.0f}" for name in MEMORY]
            lines.append(f"| {row['model']} | {' | '.join(parts)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
