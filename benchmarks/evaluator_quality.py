r"""Can the retrieval evaluator be trusted? Measures its R-precision on real motion.

    python benchmarks/evaluator_quality.py --data STORE --text EMBEDDINGS \
        [--config demo --steps 500 --seeds 0 1 2] [--save FILE]

Trains one evaluator per seed on the training split, or loads finished runs, and
evaluates real motions of another split: the share of motions whose own phrase is among
the one, two or three nearest in a pool of 32, for all motions and for those whose
phrases occur in training. For comparison it reports the same share for shuffled texts
and by chance. Prints a JSON line per seed.
"""

import argparse
import json
import pathlib
from typing import Any

import numpy as np

from actiongpt_jax.config import load_config
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.evaluation.cases import list_cases
from actiongpt_jax.evaluation.evaluator import Evaluator
from actiongpt_jax.metrics.retrieval import r_precision
from actiongpt_jax.training.host_memory import keep_memory
from actiongpt_jax.training.loop import train


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="motion store")
    parser.add_argument("--text", required=True, help="embedding store")
    parser.add_argument(
        "--config", default="", help="variant of the config, such as demo"
    )
    parser.add_argument("--steps", type=int, default=1000, help="training steps")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0], help="one run per seed"
    )
    parser.add_argument("--split", default="val", help="split to evaluate on")
    parser.add_argument(
        "--out", default="runs/evaluator_quality", help="folder of runs"
    )
    parser.add_argument("--save", help="write the results to this file as well")
    args = parser.parse_args()
    rows = []
    for seed in args.seeds:
        rows.append({"seed": seed, **evaluate(trained(seed, args), args)})
        print(json.dumps(rows[-1]), flush=True)
    if args.save:
        import record

        record.save(args.save, rows, steps=args.steps)


def trained(seed: int, args: argparse.Namespace) -> pathlib.Path:
    """Returns the workdir of a run; trains it unless it is complete."""
    words = f":{args.config}" if args.config else ""
    config = load_config(
        f"evaluator{words}",
        [
            f"--config.data.store={args.data}",
            f"--config.text.store={args.text}",
            f"--config.train.num_steps={args.steps}",
            f"--config.train.seed={seed}",
        ],
    )
    workdir = pathlib.Path(args.out) / f"{args.config or 'full'}-{args.steps}-{seed}"
    train(config, workdir)
    return workdir


def evaluate(workdir: pathlib.Path, args: argparse.Namespace) -> dict[str, Any]:
    """Evaluates the real motions of a split with a trained evaluator."""
    evaluator, store = Evaluator(workdir), open_store(pathlib.Path(args.data))
    cases = list_cases(evaluator.config, store, args.split, paired=False)
    motions = evaluator.motions([case.captured(store) for case in cases])
    phrases = np.array([case.phrases[0] for case in cases])
    known = np.isin(phrases, sorted(evaluator.known_phrases() or ()))
    rows: dict[str, Any] = {"evaluator": evaluator.hash}
    for name, among in (("all", np.ones_like(known)), ("known_phrases", known)):
        names, own_text = np.unique(phrases[among], return_inverse=True)
        if len(names) < 2:  # a pool of one text is always right
            continue
        texts = evaluator.texts(list(names))
        shuffled = own_text[np.random.default_rng(0).permutation(len(own_text))]
        rows[name] = {
            "motions": len(own_text),
            "phrases": len(names),
            "real": r_precision(motions[among], texts, own_text),
            "shuffled_texts": r_precision(motions[among], texts, shuffled),
        }
    return rows


if __name__ == "__main__":
    keep_memory()
    main()
