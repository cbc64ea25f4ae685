"""How fast is a training step compared with the published one in PyTorch?

    python benchmarks/versus_torch.py
    python benchmarks/versus_torch.py --model temos --case live --save FILE
    python benchmarks/versus_torch.py --batch 256 --dtype bfloat16 --case precomputed
    python benchmarks/versus_torch.py --small       # quick check with tiny sizes

The peers (`benchmarks/peers`) are the published training steps in stock torch.nn
layers, run eagerly. Each case prints one JSON line:

    live              training; the peer embeds k descriptions per text in the step
    precomputed       training; both sides read stored embeddings
    generate_live     generation; the peer first embeds k descriptions per text
    generate          generation; both sides read stored embeddings

Our side reads stored embeddings in all cases; it has no other mode. The peer's text
model is DistilBERT or CLIP, of full size with random weights. Its inputs are word
pieces, so the time of the tokenizer is left out. MotionCLIP's peer also omits the
images and the 6890 vertices of the body, which makes it faster.

Our side keeps its host memory between steps in training but not in generation, like
the commands of this package (`host_memory`); the peer uses torch's own allocator.

Both sides get the same weights, batch and noise. Before anything is timed, outputs,
every term of the loss and every gradient must agree in float32 without dropout;
otherwise the benchmark stops. Dropout is on while training is timed. Each side runs in
a process of its own, and the two take turns.

`ratio` is how many times faster ours is, by medians; `ratio_of_cores` is the same ratio
for CPU seconds over all cores. `steps_mib` is the peak of a process's resident memory
while it runs steps, `process_mib` the peak including its start and compilation, and
`device_mib` the peak of GPU memory. `flops` counts the matrix products of the textbook
step without the text model, and `bytes` is XLA's count for our program;
`share_of_gemm` and `share_of_roofline` follow from these and from the machine's
measured rates. Both sides use a GPU if they find one.
Requires `pip install 'actiongpt_jax[peers]'`. Run on a quiet machine.
"""

import argparse
import json
import os
import pathlib
import statistics
import tempfile
from typing import Any

import numpy as np
import turns
from workload import CLIP_TOKENS, Workload

MODELS = ("temos", "teach", "motionclip")
CASES = ("live", "precomputed", "generate_live", "generate")
# Width, layers, heads and vocabulary of DistilBERT and of CLIP's text encoder.
TEXT_MODELS = {
    "temos": (768, 6, 12, 30522),
    "teach": (768, 6, 12, 30522),
    "motionclip": (512, 12, 8, 49408),
}
# Largest allowed differences as a share of an array's largest value. They cover float32
# sums in another order through up to 18 layers; gradients pass through these twice.
TOLERANCES = {"texts": 2e-5, "outputs": 5e-5, "terms": 5e-5, "gradients": 5e-4}
SMALL = {"batch": 2, "frames": 20, "frames_1": 22, "tokens": 12, "k": 2}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=MODELS, nargs="+", default=MODELS)
    parser.add_argument("--case", choices=CASES, nargs="+", default=CASES)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--frames", type=int, help="default: 100; MotionCLIP: 60")
    parser.add_argument(
        "--frames_1", type=int, default=105, help="frames of TEACH's second actions"
    )
    parser.add_argument("--tokens", type=int, default=128, help="CLIP reads at most 77")
    parser.add_argument("--k", type=int, default=4, help="descriptions per text")
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="precision when timed",
    )
    parser.add_argument(
        "--tf32", action="store_true", help="use TF32 on GPUs, on both sides"
    )
    parser.add_argument("--steps", type=int, default=7, help="turns per side")
    parser.add_argument("--inner", type=int, default=1, help="steps per turn")
    parser.add_argument("--small", action="store_true", help="tiny sizes, 2 turns")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    # Both sides share one GPU.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    rows = []
    for model in args.model:
        with tempfile.TemporaryDirectory() as folder:
            work = workload_of(model, pathlib.Path(folder), args)
            described, largest = agree(work)
            for case in args.case:
                row = measure(work, case, described, 2 if args.small else args.steps)
                row["largest_differences"] = largest
                print(json.dumps(row), flush=True)
                rows.append(row)
    if args.save:
        import record

        record.save(args.save, rows, seed=args.seed)


def workload_of(model: str, folder: pathlib.Path, args: Any) -> Workload:
    """Returns the workload that the flags describe."""
    sizes: dict[str, Any] = {
        "batch": args.batch,
        "frames": args.frames or (60 if model == "motionclip" else 100),
        "frames_1": args.frames_1,
        "tokens": min(args.tokens, CLIP_TOKENS if model == "motionclip" else 512),
        "k": args.k,
        "text": TEXT_MODELS[model],
    }
    if args.small:
        sizes |= small_sizes()
    return Workload(
        model=model,
        folder=folder,
        dtype=args.dtype,
        tf32=args.tf32,
        inner=args.inner,
        seed=args.seed,
        **sizes,
    )


def small_sizes() -> dict[str, Any]:
    """Returns the fields of a tiny workload, which takes seconds."""
    model = {"latent_dim": 32, "num_layers": 2, "ff_size": 64}
    overrides = tuple(f"--config.model.{name}={size}" for name, size in model.items())
    return {**SMALL, "text": (32, 2, 4, 100), "overrides": overrides}


def agree(work: Workload) -> tuple[tuple[dict, dict], dict[str, float]]:
    """Writes the files that both sides read, and checks that the sides agree.

    Returns:
        The return value of `jax_side.prepare`, and the largest difference of each kind.

    Raises:
        SystemExit: if the two sides differ.
    """
    turns.call("peers.torch_side", "write_texts", work)
    described = turns.call("jax_side", "prepare", work)
    ours = turns.call("jax_side", "check", work)
    theirs = turns.call("peers.torch_side", "check", work, *described)
    largest, wrong = compare(ours, theirs)
    if wrong:
        raise SystemExit(
            f"error: {work.model} and its peer must compute the same before they are "
            f"timed, but differ in {', '.join(wrong)}"
        )
    return described, largest


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
    work: Workload, case: str, described: tuple[dict, dict], rounds: int
) -> dict[str, Any]:
    """Times one case; both sides take turns."""
    kind = "generate" if case.startswith("generate") else "train"
    sides = {
        "ours": turns.Turns("jax_side", "make", work, kind),
        "peer": turns.Turns("peers.torch_side", "make", work, case, *described),
    }
    for _ in range(rounds):
        for side in sides.values():
            side.take(work.inner)
    facts = {name: {**side.facts, **side.end()} for name, side in sides.items()}
    shared = ("flops", "bytes", "gemm_gflops", "bandwidth_gb_s")
    machine = {name: facts["ours"].pop(name) for name in shared}
    # Roofline: the rate that the machine can reach at this number of FLOPs per byte.
    intensity = machine["flops"] / max(machine["bytes"], 1)
    roofline = min(machine["gemm_gflops"], intensity * machine["bandwidth_gb_s"])
    row: dict[str, Any] = {"case": case, "model": work.model}
    medians = {
        name: [statistics.median(s) for s in (side.seconds, side.core_seconds)]
        for name, side in sides.items()
    }
    for name, side in sides.items():
        seconds, core_seconds = medians[name]
        gflops = machine["flops"] / seconds / 1e9
        row[name] = {
            "ms": {
                "median": round(1e3 * seconds, 2),
                "min": round(1e3 * min(side.seconds), 2),
            },
            "core_seconds": round(core_seconds, 4),
            "gflops": round(gflops, 1),
            "share_of_gemm": round(gflops / machine["gemm_gflops"], 4),
            "share_of_roofline": round(gflops / roofline, 4),
            "start_s": round(side.start_s, 1),
            **facts[name],
        }
    if facts["ours"]["platform"] != facts["peer"]["platform"]:
        raise SystemExit(
            "error: both sides must run on the same kind of device, got "
            f"{facts['ours']['platform']} for jax and {facts['peer']['platform']} for "
            "torch; install builds of both for this machine"
        )
    for name, i in (("ratio", 0), ("ratio_of_cores", 1)):
        row[name] = round(medians["peer"][i] / medians["ours"][i], 3)
    for name in ("device_mib", "steps_mib"):
        if row["ours"][name] and row["peer"][name]:
            row[f"ratio_of_{name}"] = round(row["peer"][name] / row["ours"][name], 3)
    sizes = {"dtype": work.dtype, "batch": work.batch, "frames": work.frames}
    if work.model == "teach":
        sizes["frames_1"] = work.frames_1
    sizes |= {"tokens": work.tokens, "k": work.k, "inner": work.inner}
    return {
        **row,
        **sizes,
        **machine,
        "load_average": round(os.getloadavg()[0], 2),
        "cores": len(os.sched_getaffinity(0)),
    }


if __name__ == "__main__":
    main()
