r"""Do descriptions beat phrases on real motion, and most of all for unseen phrases?

    python benchmarks/claim.py --data STORE --descriptions FILE --factors RULE --plan
    python benchmarks/claim.py --data STORE --descriptions FILE --factors RULE \
        [--arms phrase descriptions category permuted] [--seeds 0 1 2]
    python benchmarks/claim.py --table [--phrases]

Runs the protocol of docs/claim.md, arm by arm: trains a model until validation stops
improving, generates the judged clips from their texts and measures them. An arm that is
stopped goes on from its checkpoint when the same command is run again; a finished one
is a file in --results and is not run again. `--table` prints the tables from these
files alone. `--plan` measures the time of a step of every kind of arm and prints the
hours that are left.

The store can be any with phrases and descriptions. Without --factors, a rule whose
words say which action and which manner a phrase has, a seventh of the phrases is left
out of each training.
"""

import argparse
import collections
import json
import pathlib
from typing import Any

import claim_figures
import claim_runs
import claim_tables
import claim_windows
import jax
import record
from claim_runs import ARMS, Replicate

from actiongpt_jax import cli
from actiongpt_jax.choices import BASELINES
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.evaluator import Evaluator
from actiongpt_jax.evaluation.run import evaluate_model
from actiongpt_jax.files.atomic import write_json
from actiongpt_jax.files.jsonl import read_lines
from actiongpt_jax.training.estimate import estimate_run
from actiongpt_jax.training.host_memory import keep_memory

RESULTS = pathlib.Path(__file__).parent / "results" / "claim"
MAIN = ("phrase", "descriptions", "category", "permuted")


def main(argv):
    args = make_parser().parse_args(argv)
    if args.table:
        claim_tables.print_all(claim_tables.read(args.results), args.phrases)
        return
    for flag in ("data", "descriptions"):
        if getattr(args, flag) is None:
            raise InputError(f"--{flag} must be given, unless with --table")
    jobs = [
        (seed, name)
        for seed in args.seeds
        for name in args.arms
        if not result_file(args, name, seed).exists()
    ]
    if args.plan:
        print_plan(jobs, args)
        return
    for seed, name in jobs:
        run_arm(Replicate(seed, args), name, args)
        jax.clear_caches()
    claim_tables.print_all(claim_tables.read(args.results))


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", help="motion store")
    add("--descriptions", help="file of descriptions of all its phrases")
    add("--factors", help="rule of `prepare table` that has actions and manners")
    add("--encoder", default="minilm", help="text encoder")
    add("--k", type=int, default=4, help="number of descriptions of a phrase")
    add("--arms", nargs="+", choices=tuple(ARMS), default=list(MAIN))
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="replicates")
    add("--samples", type=int, default=4, help="motions generated of each clip")
    add(
        "--patience", type=int, default=2000, help="steps without a new best at the end"
    )
    add("--most", type=int, default=10_000, help="steps at which a run ends anyway")
    add("--out", default="runs/claim", help="folder of the runs")
    add("--results", type=pathlib.Path, default=RESULTS, help="folder of the results")
    add("--small", action="store_true", help="tiny models, to test the road")
    add("--plan", action="store_true", help="only print the hours that are left")
    add("--table", action="store_true", help="only print the tables")
    add("--phrases", action="store_true", help="with --table: every phrase, too")
    return parser


def result_file(args: argparse.Namespace, name: str, seed: int) -> pathlib.Path:
    """Returns the file of a finished arm."""
    return args.results / f"{name}-{seed}.json"


def run_arm(replicate: Replicate, name: str, args: argparse.Namespace) -> None:
    """Trains and measures one arm of a replicate, and writes its file."""
    number, workdir = replicate.number, replicate.folder / name
    about: dict[str, Any] = {**record.about(), "replicate": number}

    def write(arm: str, **facts: Any) -> None:
        write_json(result_file(args, arm, number), {**about, "arm": arm, **facts})

    training = claim_runs.train_until_flat(replicate.config(ARMS[name]), workdir, args)
    if ARMS[name].model == "motionclip":
        phrases = claim_windows.by_phrase(workdir, replicate.split)
        write(name, training=training, phrases=phrases)
        return

    # Open the evaluator of the replicate, and what recognises its vectors.
    folder = replicate.evaluator()
    evaluator = Evaluator(folder)
    judge = replicate.judge(evaluator)
    about["evaluator"] = evaluator.hash

    def measure(**options: Any) -> tuple[dict[str, Any], pathlib.Path]:
        result = evaluate_model(
            workdir,
            checkpoint="best",
            split="test",
            samples=args.samples,
            evaluator=folder,
            multimodality=0,
            seed=number,
            **options,
        )
        return result, pathlib.Path(result["path"])

    def figures(path: pathlib.Path, source: str = "model", side: str = "generated"):
        journal = read_lines(path.with_name(f"{path.stem}-{source}.jsonl"), "delete it")
        rows = [line.value for line in journal if "key" in line.value]
        return claim_figures.by_phrase(rows, judge, replicate.split.of, side)

    # Measure the arm, with the first one of a replicate also what it is compared with.
    baselines = not result_file(args, "real", number).exists()
    result, path = measure(baselines=baselines)
    if baselines:
        for source in BASELINES:
            write(source, phrases=figures(path, source))
        write("real", phrases=figures(path, side="real"))
    facts = {}
    if name == "descriptions":
        _, other = measure(embeddings=replicate.text("permuted"))
        facts["with_other_descriptions"] = figures(other)
    retrieval = _retrieval(result)
    write(name, training=training, retrieval=retrieval, phrases=figures(path), **facts)


def _retrieval(result: dict[str, Any]) -> dict[str, float]:
    """Returns R@1 in pools, for the phrases that the evaluator was trained on."""
    fits = result["retrieval"].get("known_phrases", result["retrieval"])
    return {
        side: round(fits[side]["pool"]["top1"], 4)
        for side in ("generated", "real", "shuffled_texts")
        if "pool" in fits.get(side, {})
    }


def print_plan(jobs: list[tuple[int, str]], args: argparse.Namespace) -> None:
    """Prints the hours that unfinished arms take, from measured times of a step."""
    if not jobs:
        print("every arm is finished")
        return
    replicate, seconds = Replicate(jobs[0][0], args), {}
    total = collections.Counter()
    for name in dict.fromkeys(name for _, name in jobs):
        arm = ARMS[name]
        # Arms whose texts are equally long and whose losses are equal take as long.
        kind = arm.model, bool(arm.fields), arm.source == "phrase"
        config = replicate.config(arm)
        config.train.num_steps = args.most
        if kind not in seconds:
            seconds[kind] = estimate_run(config).step_seconds
        count = sum(of_job == name for _, of_job in jobs)
        hours = count * seconds[kind] * args.most / 3600
        total["most"] += hours
        print(
            json.dumps(
                {
                    "arm": name,
                    "runs": count,
                    "step_ms": round(1e3 * seconds[kind], 1),
                    "hours_at_most": round(hours, 2),
                    "minutes_of_a_run_at_most": round(60 * hours / count, 1),
                }
            ),
            flush=True,
        )
    print(
        f"{len(jobs)} runs take at most {total['most']:.1f} hours, validations and "
        "measuring not included; runs end earlier when validation stops improving"
    )


if __name__ == "__main__":
    keep_memory()
    cli.run(main)
