"""Runs on one GPU all that is worth measuring there, the most valuable first.

    python benchmarks/gpu.py --pack DIR                          # with a network
    python benchmarks/gpu.py --pack DIR --minutes 9 --out OUT    # with a GPU

The first command needs this package's environment with MiniLM. It writes what the
second one reads: the embeddings of the built-in corpus, and wheels of the packages that
a machine with JAX and PyTorch may lack. The second command reads only DIR and this
checkout, and needs no network. OUT/gpu.json is rewritten after every result, so that a
run that is killed keeps what it has. At the end, OUT/summary.txt has the results as
tables, and OUT/profile.tar.gz a trace of a training step.

    a  the device: its measured peaks, and the tests marked `gpu`
    b  training steps of all models in three precisions, and where the time goes
    c  training steps next to PyTorch's
    d  text encoders next to PyTorch's
    e  generation
    f  what the input pipeline adds to a step
    g  training TEACH with the time that is left

--stages a,c runs only these. --small runs the same code with tiny sizes, as a test on a
machine without a GPU; its figures mean nothing.
"""

import argparse
import collections
import importlib.util
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from typing import Any

REPO = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

import stages  # noqa: E402
from stages import Command, Stage  # noqa: E402

PYTHON = "3.12"
# Packages that are pure Python and not part of a usual machine with JAX and PyTorch.
WHEELS = ("ml-collections>=1.1,<2",)
LIMIT = 40 << 20  # bytes
TEXT, WHEEL_FOLDER = "text-k4", "wheels"
MODELS = ("temos", "teach", "motionclip")
STEP = (
    "case model dtype batch tokens step_ms.median gflops utilisation share_of_roofline "
    "memory_mib compile_s error"
)
TRACE = "case model dtype batch ms span_ms gaps_ms kernels parts error"
PEER = (
    "model case dtype batch peer_mode ours.ms.median peer.ms.median ratio "
    "ours.device_mib peer.device_mib failed differ"
)
ENCODER = "case encoder dtype ours.tokens_per_s peer.tokens_per_s ratio ours_minutes"
GENERATION = "case model dtype batch step_ms.median motions_per_s compile_s"
PEAKS = "case device dtype gflops gb_s memory_mib nvidia_smi"
SHARE = "model dtype batch streamed_ms repeated_ms share wait_ms load_ms batch_mib"
FIGURES = "step val/loss val/ape_root val/ave_root step_ms"


# Lets a CPU compile in half the time, for --small.
FAST = "--xla_backend_optimization_level=0"
# A line of pytest -v, alone or from a worker of pytest-xdist.
TEST = re.compile(
    r"(?:\[gw\d+\] \[ *\d+%\] (?P<first>[A-Z]+) )?(?P<test>tests/\S+::.+?)"
    r"(?: (?P<last>PASSED|FAILED|ERROR|SKIPPED)\b.*)?\s*$"
)


def all_stages(pack: pathlib.Path, work: pathlib.Path, small: bool) -> list[Stage]:
    """Returns the stages.

    Args:
        pack: folder that `make_pack` wrote.
        work: folder for temporary files and the profile.
        small: whether to use tiny sizes and fewer cases.
    """
    names = MODELS[:1] if small else MODELS

    def script(name: str, file: str, flags: str, columns: str, **more: Any) -> Command:
        argv = [sys.executable, f"benchmarks/{file}.py", *flags.split()]
        return Command(
            name, argv + ["--small"] * small, columns=columns.split(), **more
        )

    timed = "--case train --steps 5 --inner 10 --jobs 6"
    large = "" if small else "256"
    steps = [
        script(
            f"training steps of {model}",
            "train_step",
            f"{timed} --model {model} --dtype bfloat16 {'' if small else 'tf32'} "
            f"--batch 16 {'' if small else 64} {large}",
            STEP,
            weight=2,
        )
        for model in names
    ]
    trace = script(
        "where the time of a step goes",
        "train_step",
        f"{timed} --model {names[-1] if small else 'teach'} --dtype bfloat16 "
        f"--batch {16 if small else 64} --profile {work / 'profile'}",
        TRACE,
        # Kernels that are launched as one CUDA graph carry no names.
        environ={"XLA_FLAGS": f"{FAST * small} --xla_gpu_enable_command_buffer="},
    )
    concat = script(
        "temos on concatenated descriptions, k = 1 and 4",
        "train_step",
        f"{timed} --model temos --dtype bfloat16 --batch 16 --tokens 128 512",
        STEP,
    )
    full = script(
        "training steps in full float32",
        "train_step",
        f"{timed} --model {' '.join(names)} --dtype float32 --batch 16 {large}",
        STEP,
    )
    # A small run starts the processes of both sides once for both cases, and its only
    # peer is torch.compile, which takes a minute on a CPU.
    peers, cases = (
        ("compile", "precomputed live") if small else ("eager compile", "precomputed")
    )
    stored = [
        script(
            f"{model} on {'stored and live' if small else 'stored'} texts",
            "versus_torch",
            f"--model {model} --case {cases} --peer {peers} --inner 10 "
            f"--dtype bfloat16 --batch 16 {large}",
            PEER,
            weight=2,
        )
        for model in names
    ]
    live = script(
        "temos on live texts",
        "versus_torch",
        f"--model temos --case live --peer {peers} --inner 10 --dtype tf32",
        PEER,
    )
    encoders = script(
        "text encoders",
        "text_encoder",
        f"--peer --encoder distilbert {'' if small else 'clip'} "
        f"--dtype float32 {'' if small else 'bfloat16'} --batch 128 --texts 4096",
        ENCODER,
        environ={"XLA_PYTHON_CLIENT_PREALLOCATE": "false"},  # torch needs memory too
    )
    sizes = (
        f"--dtype bfloat16 --batch 16 {large} --model temos {'' if small else 'teach'}"
    )
    generation = script("generation", "generation", sizes, GENERATION)
    pipeline = script("input pipeline", "pipeline_share", sizes, SHARE)
    peaks = script("peaks", "peaks", "", PEAKS)
    others = [] if small else [concat, full]
    return [
        Stage("a", "the device and the tests on it", 4, [peaks, tests(small)]),
        Stage("b", "training steps", 5, [*steps, trace, *others]),
        Stage(
            "c",
            "training steps next to PyTorch's",
            5,
            [*stored, *([] if small else [live])],
        ),
        Stage("d", "text encoders next to PyTorch's", 1.5, [encoders]),
        Stage("e", "generation", 1, [generation]),
        Stage("f", "the input pipeline's share of a step", 1, [pipeline]),
        Stage("g", "TEACH on the built-in corpus", 2, training(pack, work, small)),
    ]


def tests(small: bool) -> Command:
    """Returns the command that runs the tests marked gpu."""
    argv = "-m pytest -v -m gpu -p no:cacheprovider --golden tests/golden".split()
    argv += [f"tests/{folder}" for folder in ("gpu", "models", "losses", "features")]
    argv += ["--continue-on-collection-errors"]
    if importlib.util.find_spec("xdist"):
        argv += ["-n", str(min(8, len(os.sched_getaffinity(0))))]
    if small:
        argv += ["-k", "features"]

    def read(line: str) -> dict[str, Any] | None:
        found = TEST.match(line)
        if found is None or not (outcome := found["first"] or found["last"]):
            return None
        return {"test": found["test"], "outcome": outcome}

    def closing(cases: list[dict[str, Any]], seconds: float) -> list[dict[str, Any]]:
        counts = collections.Counter(case["outcome"].lower() for case in cases)
        others = [c["test"] for c in cases if c["outcome"] in ("FAILED", "ERROR")]
        return [{"case": "all", **counts, "which": others or None}]

    environ = {
        # Same results in every process; it also saves the time of trying algorithms.
        "XLA_FLAGS": f"{FAST * small} --xla_gpu_deterministic_ops=true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # several processes
    }
    return Command(
        "tests marked gpu",
        [sys.executable, *argv],
        weight=4,
        environ=environ,
        columns=("passed", "failed", "error", "skipped", "which"),
        read=read,
        closing=closing,
    )


def training(pack: pathlib.Path, work: pathlib.Path, small: bool) -> list[Command]:
    """Returns the commands that make the built-in corpus and train on it."""
    motion, workdir = work / "motion", work / "teach"
    corpus = ["-m", "actiongpt_jax.prepare", "synthetic", "--out", str(motion)]
    flags = {
        "data.store": motion,
        "data.max_shapes": 2,  # every shape is compiled
        "text.store": pack / TEXT,
        "train.dtype": "bfloat16",
        "train.checkpoint_steps": 10**6,
        "train.eval_epochs": 40,
    }
    if small:
        corpus += ["--sequences", "24"]
        flags |= {"train.num_steps": 2, "data.max_shapes": 1, "data.max_frames": 120}
        flags |= {"model.latent_dim": 32, "model.num_layers": 1, "model.ff_size": 64}
    train = "-m actiongpt_jax.train --config configs/teach.py".split()
    train += ["--workdir", str(workdir)]
    train += [f"--config.{name}={value}" for name, value in flags.items()]

    def wall_time(cases: list[dict[str, Any]], seconds: float) -> list[dict[str, Any]]:
        return [{"seconds": round(seconds, 1)}]

    def figures(cases: list[dict[str, Any]], seconds: float) -> list[dict[str, Any]]:
        path = workdir / "metrics.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        rows = [row for line in lines if (row := stages.json_case(line))]
        return [row for row in rows if "val/loss" in row or row is rows[-1]]

    return [
        Command(
            "making the corpus",
            [sys.executable, *corpus],
            columns=("seconds",),
            closing=wall_time,
        ),
        Command(
            "training",
            [sys.executable, *train],
            weight=1,
            columns=FIGURES.split(),
            closing=figures,
            open_ended=True,
        ),
    ]


def make_pack(folder: pathlib.Path) -> None:
    """Writes the embeddings and wheels that a run reads, and prints their size.

    Raises:
        SystemExit: if they are too large to be carried to another machine.
    """
    from actiongpt_jax.synthetic.phrases import load_phrases
    from actiongpt_jax.synthetic.texts import describe
    from actiongpt_jax.text.descriptions import write_descriptions
    from actiongpt_jax.text.embeddings.from_descriptions import embed_descriptions

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        descriptions = pathlib.Path(work, "descriptions.jsonl")
        records = [record for phrase in load_phrases() for record in describe(phrase)]
        write_descriptions(descriptions, records)
        embed_descriptions(folder / TEXT, descriptions, "minilm", k=4)
    pip = f"-m pip download --quiet --no-deps --only-binary=:all: --dest {WHEEL_FOLDER}"
    command = [sys.executable, *pip.split(), "--python-version", PYTHON, *WHEELS]
    subprocess.run(command, check=True, cwd=folder)
    check_size(folder)


def check_size(folder: pathlib.Path, limit: int = LIMIT) -> None:
    """Prints the size of a pack; exits with an error if it is over the limit."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > limit:
        raise SystemExit(
            f"error: {folder} must be at most {limit / 2**20:.0f} MB to be carried to "
            f"another machine, but is {size / 2**20:.1f} MB; delete what is not needed"
        )
    print(f"{folder}: {size / 2**20:.1f} MB")


def run(
    pack: pathlib.Path, out: pathlib.Path, minutes: float, keys: set[str], small: bool
) -> bool:
    """Runs the stages and writes the results to `out`; returns whether none failed."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="actiongpt_gpu_") as folder:
        work = pathlib.Path(folder)
        for wheel in (pack / WHEEL_FOLDER).glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(work / "site")
        environ = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(REPO), str(work / "site"))),
            "PYTHONUNBUFFERED": "1",
            "HF_HUB_OFFLINE": "1",
            "XLA_FLAGS": FAST * small,
            "JAX_COMPILATION_CACHE_DIR": str(work / "xla"),
        }
        record: dict[str, Any] = {
            "command": " ".join(["python", "benchmarks/gpu.py", *sys.argv[1:]]),
            "python": platform.python_version(),
            "stages": {},
        }
        chosen = [s for s in all_stages(pack, work, small) if s.key in keys]
        try:
            stages.run_stages(
                chosen, 60 * minutes, out / "gpu.json", environ, REPO, record
            )
        finally:
            text = stages.summary(record)
            (out / "summary.txt").write_text(text)
            print(text)
            if (work / "profile").exists():
                with tarfile.open(out / "profile.tar.gz", "w:gz") as archive:
                    archive.add(work / "profile", "profile")
    rows = [row for s in record["stages"].values() for row in s["commands"]]
    return all(row["status"].startswith(("done", "skipped")) for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--pack", type=pathlib.Path, required=True, help="folder of the pack")
    add("--minutes", type=float, help="run with the pack, for this long")
    add("--out", type=pathlib.Path, help="folder to write the results to")
    add("--stages", default="a,b,c,d,e,f,g", help="stages to run (default: all)")
    add("--small", action="store_true", help="tiny sizes, as a test")
    args = parser.parse_args()
    if args.minutes is None:
        make_pack(args.pack)
        return
    if args.out is None:
        parser.error("--minutes needs --out")
    # A run that is asked to stop ends its commands and writes the summary.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    pack, keys = args.pack.resolve(), set(args.stages.split(","))
    if not run(pack, args.out.resolve(), args.minutes, keys, args.small):
        sys.exit(1)


if __name__ == "__main__":
    main()
