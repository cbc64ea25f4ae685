r"""How fast is a training step compared with the published one in PyTorch?

    python benchmarks/versus_torch.py
    python benchmarks/versus_torch.py --model temos --case live --save FILE
    python benchmarks/versus_torch.py --case precomputed --peer eager compile \
        --batch 16 256 --dtype tf32 bfloat16 --inner 10
    python benchmarks/versus_torch.py --small       # quick check with tiny sizes

The peers (`benchmarks/peers`) are the published training steps in stock torch.nn
layers. There is one JSON line per case and way to run the peer. The cases:

    live              training; the peer embeds k descriptions per text in the step
    precomputed       training; both sides read stored embeddings
    generate_live     generation; the peer first embeds k descriptions per text
    generate          generation; both sides read stored embeddings

`peer_mode` says how the peer runs:

    eager             as published
    compile           model, losses and text model under torch.compile; fused AdamW
    cudagraphs        the same in mode 'reduce-overhead', which records CUDA graphs

A compiled peer knows the lengths of the motions as constants, which favours it: in real
training they change with every batch.

Our side reads stored embeddings in all cases; it has no other mode. The peer's text
model is DistilBERT or CLIP, of full size with random weights. Its inputs are word
pieces, so the time of the tokenizer is left out. MotionCLIP's peer also omits the
images and the 6890 vertices of the body, which makes it faster.

Our side keeps its host memory between steps in training but not in generation, like
the commands of this package (`host_memory`); the peer uses torch's own allocator.

Both sides get the same weights, batch and noise. Before anything is timed, outputs,
every term of the loss and every gradient must agree in float32 without dropout, at the
first batch size; rows of sides that differ list the arrays in `differ`, and the script
ends with status 1. Dropout is on while training is timed. Each side runs in a process
of its own, and the two take turns. If a side cannot run, `failed` has the reason, and
the other cases follow: torch.compile on a CPU needs a C++ compiler, for example. With
--small, torch.compile traces the step but generates no code.

`ratio` is how many times faster ours is, by medians; `ratio_of_cores` is the same ratio
for CPU seconds over all cores. `steps_mib` is the peak of a process's resident memory
while it runs steps, `process_mib` the peak including its start and compilation, and
`device_mib` the peak of GPU memory. `flops` counts the matrix products of the textbook
step without the text model, and `bytes` is XLA's count for our program;
`share_of_gemm` and `share_of_roofline` follow from these and from the machine's
measured rates. `compiled_graphs` is the number of pieces into which torch.compile cut
the step, 1 per compiled function at best. Both sides use a GPU if they find one.
Requires `pip install 'actiongpt_jax[peers]'`. Run on a quiet machine.
"""

import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import record
import turns
from workload import CLIP_TOKENS, SMALL_MODEL, Workload

MODELS = ("temos", "teach", "motionclip")
CASES = ("live", "precomputed", "generate_live", "generate")
DTYPES = ("float32", "tf32", "bfloat16")
PEERS = ("eager", "compile", "cudagraphs")
# Width, layers, heads and vocabulary of DistilBERT and of CLIP's text encoder.
TEXT_MODELS = {
    "temos": (768, 6, 12, 30522),
    "teach": (768, 6, 12, 30522),
    "motionclip": (512, 12, 8, 49408),
}
# Largest allowed differences as a share of an array's largest value. They cover float32
# sums in another order through up to 18 layers; gradients pass through these twice.
TOLERANCES = {"texts": 2e-5, "outputs": 5e-5, "terms": 5e-5, "gradients": 5e-4}
SMALL = {
    "frames": 20,
    "frames_1": 22,
    "tokens": 12,
    "k": 2,
    "text": (32, 2, 4, 100),
    "overrides": SMALL_MODEL,
    "backend": "eager",
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=MODELS, nargs="+", default=MODELS)
    parser.add_argument("--case", choices=CASES, nargs="+", default=CASES)
    parser.add_argument("--peer", choices=PEERS, nargs="+", default=PEERS[:1])
    parser.add_argument("--batch", type=int, nargs="+", default=[16])
    parser.add_argument("--frames", type=int, help="default: 100; MotionCLIP: 60")
    parser.add_argument(
        "--frames_1", type=int, default=105, help="frames of TEACH's second actions"
    )
    parser.add_argument("--tokens", type=int, default=128, help="CLIP reads at most 77")
    parser.add_argument("--k", type=int, default=4, help="descriptions per text")
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        nargs="+",
        default=DTYPES[:1],
        help="precision when timed; bfloat16 is autocast in torch",
    )
    parser.add_argument("--steps", type=int, default=7, help="turns per side")
    parser.add_argument("--inner", type=int, default=1, help="steps per turn")
    parser.add_argument("--small", action="store_true", help="tiny sizes, 2 turns")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    # Both sides share one GPU.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    rows = record.report(run(args), args.save, seed=args.seed)
    if any("differ" in row for row in rows):
        sys.exit("error: the sides compute different things; see `differ` in the rows")


def run(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measures all cases that the flags describe."""
    for model in args.model:
        with tempfile.TemporaryDirectory() as folder:
            work = workload_of(model, pathlib.Path(folder), args)
            turns.call("peers.torch_side", "write_texts", work)
            described = turns.call("jax_side", "prepare", work)
            checked = agree(work, described)
            for batch in batches_of(args):
                if batch != work.batch:
                    work = dataclasses.replace(work, batch=batch)
                    described = turns.call("jax_side", "prepare", work)
                for dtype in args.dtype:
                    timed = dataclasses.replace(work, dtype=dtype)
                    for case in args.case:
                        rounds = 2 if args.small else args.steps
                        for row in measure(timed, case, described, args.peer, rounds):
                            yield {**row, **checked}


def batches_of(args: argparse.Namespace) -> list[int]:
    """Returns the batch sizes, an eighth of the flag's if tiny."""
    return [max(1, size // 8) for size in args.batch] if args.small else args.batch


def workload_of(model: str, folder: pathlib.Path, args: Any) -> Workload:
    """Returns the first workload that the flags describe."""
    sizes: dict[str, Any] = {
        "frames": args.frames or (60 if model == "motionclip" else 100),
        "frames_1": args.frames_1,
        "tokens": min(args.tokens, CLIP_TOKENS if model == "motionclip" else 512),
        "k": args.k,
        "text": TEXT_MODELS[model],
    }
    return Workload(
        model=model,
        folder=folder,
        batch=batches_of(args)[0],
        inner=args.inner,
        seed=args.seed,
        **(SMALL if args.small else sizes),
    )


def agree(work: Workload, described: tuple[dict, dict]) -> dict[str, Any]:
    """Checks that both sides compute the same, at the same time.

    Args:
        work: the workload, whose files are written.
        described: the return value of `jax_side.prepare`.

    Returns:
        `largest_differences` of each kind, and the arrays that `differ`, if any.
    """
    with concurrent.futures.ThreadPoolExecutor() as threads:
        sides = (
            threads.submit(turns.call, "jax_side", "check", work),
            threads.submit(turns.call, "peers.torch_side", "check", work, *described),
        )
        largest, wrong = compare(*(side.result() for side in sides))
    return {"largest_differences": largest} | ({"differ": wrong} if wrong else {})


def compare(
    ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]
) -> tuple[dict[str, float], list[str]]:
    """Compares the arrays of both sides by name.

    Returns:
        kind -> largest difference as a share of its array's largest value; and a list
        of the arrays that are missing on one side, have different shapes, or differ by
        more than the tolerance.
    """
    largest = dict.fromkeys(TOLERANCES, 0.0)
    wrong = [f"{name} (on one side only)" for name in ours.keys() ^ theirs.keys()]
    for name in ours.keys() & theirs.keys():
        kind = name.partition("/")[0]
        a, b = ours[name], theirs[name]
        if a.shape != b.shape:
            wrong.append(f"{name} {a.shape} against {b.shape}")
            continue
        # Parameters without effect have gradients of exactly 0, or of rounding noise.
        share = float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-6))
        largest[kind] = max(largest[kind], share)
        if not share <= TOLERANCES[kind]:
            wrong.append(f"{name} by {share:.1e}")
    return {kind: float(f"{share:.1e}") for kind, share in largest.items()}, wrong


def measure(
    work: Workload,
    case: str,
    described: tuple[dict, dict],
    modes: Sequence[str],
    rounds: int,
) -> Iterator[dict[str, Any]]:
    """Times one case; our side takes turns with one peer after another."""
    start: dict[str, Any] = {"case": case, "model": work.model}
    sizes = ("dtype", "batch", "frames", "frames_1", "tokens", "k", "inner")
    end = {name: getattr(work, name) for name in sizes}
    if work.model != "teach":
        del end["frames_1"]
    kind = "generate" if case.startswith("generate") else "train"
    try:
        ours = turns.Turns("jax_side", "make", work, kind)
    except turns.SideError as error:
        yield {**start, "failed": f"ours: {error}", **end}
        return
    our_facts = None
    for mode in modes:
        row = {**start, "peer_mode": mode}
        try:
            peer = turns.Turns("peers.torch_side", "make", work, case, *described, mode)
            sides = {"ours": ours, "peer": peer}
            times: dict[str, list] = {name: [] for name in sides}
            for _ in range(rounds):
                for name, side in sides.items():
                    times[name].append(side.take(work.inner))
            # Read once: it measures the machine, which uses memory too.
            our_facts = our_facts or {**ours.facts, **ours.report()}
            facts = {"ours": our_facts, "peer": {**peer.facts, **peer.report()}}
            peer.end()
        except turns.SideError as error:
            yield {**row, "failed": str(error), **end}
            continue
        start_s = {name: round(side.start_s, 1) for name, side in sides.items()}
        yield {**row, **summary(times, facts, start_s), **end}
    ours.end()


def summary(
    times: dict[str, list[tuple[float, float]]],
    facts: dict[str, dict[str, Any]],
    start_s: dict[str, float],
) -> dict[str, Any]:
    """Returns the figures of both sides, and how they compare.

    Args:
        times: side -> (seconds, CPU seconds) of a step, one entry per turn.
        facts: side -> facts to report; those of 'ours' include the machine's rates.
        start_s: side -> seconds until its process was ready.
    """
    if facts["ours"]["platform"] != facts["peer"]["platform"]:
        raise SystemExit(
            "error: both sides must run on the same kind of device, got "
            f"{facts['ours']['platform']} for jax and {facts['peer']['platform']} for "
            "torch; install builds of both for this machine"
        )
    shared = ("flops", "bytes", "gemm_gflops", "bandwidth_gb_s")
    machine = {name: facts["ours"][name] for name in shared}
    # Roofline: the rate that the machine can reach at this number of FLOPs per byte.
    intensity = machine["flops"] / max(machine["bytes"], 1)
    roofline = min(machine["gemm_gflops"], intensity * machine["bandwidth_gb_s"])
    row: dict[str, Any] = {}
    medians = {}
    for name, taken in times.items():
        seconds, core_seconds = map(statistics.median, zip(*taken, strict=True))
        medians[name] = seconds, core_seconds
        gflops = machine["flops"] / seconds / 1e9
        row[name] = {
            "ms": {
                "median": round(1e3 * seconds, 2),
                "min": round(1e3 * min(taken)[0], 2),
            },
            "core_seconds": round(core_seconds, 4),
            "gflops": round(gflops, 1),
            "share_of_gemm": round(gflops / machine["gemm_gflops"], 4),
            "share_of_roofline": round(gflops / roofline, 4),
            "start_s": start_s[name],
            **{n: fact for n, fact in facts[name].items() if n not in shared},
        }
    for name, i in (("ratio", 0), ("ratio_of_cores", 1)):
        row[name] = round(medians["peer"][i] / medians["ours"][i], 3)
    for name in ("device_mib", "steps_mib"):
        if row["ours"][name] and row["peer"][name]:
            row[f"ratio_of_{name}"] = round(row["peer"][name] / row["ours"][name], 3)
    load_average = round(os.getloadavg()[0], 2)
    cores = len(os.sched_getaffinity(0))
    return {**row, **machine, "load_average": load_average, "cores": cores}


if __name__ == "__main__":
    main()
