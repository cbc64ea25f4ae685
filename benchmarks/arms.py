"""Trains and evaluates the arms of an experiment, with one result line per arm.

An arm is a model trained on one kind of text. Its embedding store lies in the folder
--text-dir under a name made of its settings (`minilm-k4`, `minilm-k4-terse`,
`minilm-k4-action`); its runs and their metrics lie in the folder --out. Stores, runs
and metrics that exist are used without recomputing them.
"""

import argparse
import dataclasses
import json
import pathlib
import statistics
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import jax
import paper

from actiongpt_jax.choices import BASELINES, PROTOCOLS
from actiongpt_jax.config import load_config
from actiongpt_jax.config_fields import Config
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.run import evaluate_model
from actiongpt_jax.text.aggregate import DEFAULT as AGGREGATE
from actiongpt_jax.text.embeddings.from_descriptions import embed_descriptions
from actiongpt_jax.text.embeddings.store import open_embeddings
from actiongpt_jax.text.prompts import DEFAULT as PROMPT
from actiongpt_jax.training.inputs import training_phrases
from actiongpt_jax.training.loop import train
from actiongpt_jax.training.tasks import task_of

MODELS = ("motionclip", "temos", "teach")


@dataclasses.dataclass(frozen=True)
class Arm:
    """A model and the kind of text that it is trained on.

    Attributes:
        row: name of the arm in the table.
        model: 'motionclip', 'temos' or 'teach'.
        source: text that the model reads, 'descriptions' or 'phrase'.
        k: number of descriptions per phrase.
        encoder: name of the text encoder; None takes that of the flags.
        aggregation: how the embeddings of k descriptions are combined into one.
        writer: writer of the descriptions; None takes the first one in the file.
        prompt: name of the prompt that the descriptions answer.
    """

    row: str
    model: str
    source: str = "descriptions"
    k: int = 4
    encoder: str | None = None
    aggregation: str = AGGREGATE
    writer: str | None = None
    prompt: str = PROMPT

    def labels(self, encoder: str) -> list[str]:
        """Returns the parts of the embedding store's name, the encoder's name first."""
        labels = [encoder.rstrip("/").rsplit("/")[-1], f"k{self.k}"]
        labels += [self.writer] if self.writer else []
        labels += [self.prompt] if self.prompt != PROMPT else []
        labels += [self.aggregation] if self.aggregation != AGGREGATE else []
        return labels


def make_parser(
    doc: str | None, out: str, built_in: bool = False
) -> argparse.ArgumentParser:
    """Returns a parser with the flags that all scripts with arms share.

    Args:
        doc: docstring of the script, for its help.
        out: default folder of the runs.
        built_in: whether the script uses built-in data if no --data is given.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", required=not built_in, help="motion store")
    add("--text-dir", required=not built_in, help="folder of embedding stores")
    add("--descriptions", help="file to make missing embedding stores from")
    add(
        "--encoder",
        default="distilbert-base-uncased",
        help="text encoder of TEMOS and TEACH",
    )
    add(
        "--clip-encoder",
        default="openai/clip-vit-base-patch32",
        help="text encoder of MotionCLIP, with one vector per text, such as minilm",
    )
    add("--config", default="", help="variant of the configs, such as demo or debug")
    add("--budget", type=int, default=1000, help="training steps per run")
    add("--seeds", type=int, nargs="+", default=[0], help="one run per seed and arm")
    add("--split", default="val", help="split to evaluate on")
    add("--limit", type=int, help="number of motions of the split to evaluate")
    add("--samples", type=int, default=1, help="motions generated per text")
    normal = "reference: MotionCLIP on whole actions with their paths, as published"
    add("--protocol", choices=PROTOCOLS, default="paper", help=normal)
    add(
        "--evaluator",
        metavar="WORKDIR",
        help="run of a retrieval evaluator, which adds R-precision and FID",
    )
    add("--out", default=out, help="folder of the runs")
    add("--save", help="write the results to this file as well")
    return parser


def run(arms: Iterable[Arm], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Trains and evaluates arms, and prints a line for each.

    Returns:
        One line per arm: the figures of `summary`, or under `missing` the commands that
        make the arm's texts. The first arm of each model is followed by one line per
        baseline, which needs no training.

    Raises:
        InputError: if an arm has its texts but cannot be trained or evaluated.
    """
    lines, known = [], {}
    for arm in arms:
        line: dict[str, Any] = {"row": arm.row, "model": arm.model, "text": arm.source}
        arm_lines = [line]
        try:
            text = _text(arm, args)
        except _NoTextError as error:
            line["missing"] = str(error)
        else:
            first = arm.model not in known
            if first:
                known[arm.model] = training_phrases(_config(arm, text, 0, args))
            results = [
                _train_and_evaluate(arm, text, seed, args, first) for seed in args.seeds
            ]
            setup = {"steps": args.budget, "seeds": args.seeds}
            line |= {**setup, **summary(results, known[arm.model])}
            for name in BASELINES if first else ():
                others = [one["baselines"][name] for one in results]
                label = f"{arm.model} {name.replace('_', ' ')}"
                about = {"row": label, "model": arm.model, "text": "none"}
                about |= {"steps": 0, "seeds": args.seeds}
                arm_lines.append({**about, **summary(others, known[arm.model])})
        for line in arm_lines:
            print(json.dumps(line), flush=True)
        lines += arm_lines
        jax.clear_caches()
    return lines


def add_paper_figures(
    lines: list[dict[str, Any]], published: Mapping[Any, tuple[float | None, ...]]
) -> list[dict[str, Any]]:
    """Adds the paper's figures to lines, matched by row or by (model, text)."""
    for line in lines:
        row = published.get(line["row"]) or published.get((line["model"], line["text"]))
        if row is not None:
            line["paper"] = dict(zip(paper.COLUMNS, row, strict=True))
    return lines


def as_text(lines: list[dict[str, Any]]) -> str:
    """Formats lines as a table, with the paper's figures below ours."""
    width = max([len(line["row"]) for line in lines] + [10]) + 8
    head = "".join(f"{name.replace('_', ' '):>12}" for name in paper.COLUMNS)
    table = [" " * width + head]
    for line in lines:
        if "missing" in line:
            table.append(f"{line['row']:<{width}}  {line['missing']}")
        for name, figures in (("", line.get("figures")), ("paper", line.get("paper"))):
            if figures is None:
                continue
            cells = [figures.get(column) for column in paper.COLUMNS]
            numbers = (f"{x:12.3f}" if x is not None else f"{'-':>12}" for x in cells)
            label = f"{line['row']} {name}".rstrip()
            table.append(f"{label:<{width}}" + "".join(numbers))
    return "\n".join(table)


class _NoTextError(Exception):
    """Raised if an arm has no texts; the message names the commands that make them."""


def _text(arm: Arm, args: argparse.Namespace) -> pathlib.Path:
    """Returns the path of an arm's embedding store.

    A missing store is made if --descriptions is given.

    Raises:
        _NoTextError: if the store is missing or lacks texts that the arm reads.
    """
    clip = arm.model == "motionclip"
    encoder = arm.encoder or (args.clip_encoder if clip else args.encoder)
    store = pathlib.Path(args.text_dir) / "-".join(arm.labels(encoder))
    file = args.descriptions or "DESCRIPTIONS.jsonl"
    flags = ["--descriptions", file, "--encoder", encoder, "--k", str(arm.k)]
    flags += ["--writer", arm.writer] if arm.writer else []
    flags += ["--prompt", arm.prompt] if arm.prompt != PROMPT else []
    flags += ["--aggregate", arm.aggregation]
    flags += ["--out", str(store)]
    ask = f"--phrases {args.data} --model {arm.writer or 'MODEL'} --prompt {arm.prompt}"
    todo = f"python -m actiongpt_jax.embed {' '.join(flags)}"
    describe = f"python -m actiongpt_jax.describe {ask} --k {arm.k} --out {file}"
    if not store.exists() and args.descriptions is not None:
        store.parent.mkdir(parents=True, exist_ok=True)
        try:
            embed_descriptions(
                store,
                file,
                encoder,
                k=arm.k,
                how=arm.aggregation,
                prompt=arm.prompt if arm.prompt != PROMPT else None,
                writer=arm.writer,
            )
        except InputError as error:
            todo = f"{todo} ({error})"
    if not store.exists():
        raise _NoTextError(f"{store} does not exist; make it with: {describe}; {todo}")
    if lacking := _missing_phrases(arm, store, args):
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise _NoTextError(
            f"{store} has no {arm.source} of {', '.join(map(repr, lacking[:3]))}"
            f"{more}; delete it and make it again with: {describe}; {todo}"
        )
    return store


def _missing_phrases(
    arm: Arm, store: pathlib.Path, args: argparse.Namespace
) -> list[str]:
    """Returns the phrases that an arm reads and an embedding store lacks."""
    config, embeddings = _config(arm, store, 0, args), open_embeddings(store)
    task, motion = task_of(config), open_store(pathlib.Path(args.data))
    splits = (config.data.train_split, config.data.val_split, args.split)
    read = {
        phrase for split in splits for phrase in task.phrases(task.items(motion, split))
    }
    return sorted(one for one in read if not embeddings.has(one, arm.source))


def _config(
    arm: Arm, text: pathlib.Path, seed: int, args: argparse.Namespace
) -> Config:
    """Returns the config of one run of an arm."""
    words = f":{args.config}" if args.config else ""
    config = load_config(
        f"{arm.model}{words}",
        [
            f"--config.data.store={args.data}",
            f"--config.text.store={text}",
            f"--config.text.source={arm.source}",
            f"--config.train.num_steps={args.budget}",
            f"--config.train.seed={seed}",
        ],
    )
    # The run is evaluated after training, not during it.
    config.train.eval_epochs = 10**6
    if arm.model == "motionclip":
        embeddings = open_embeddings(text)
        vector = embeddings.pooled(embeddings.phrases[0], "phrase")
        config.model.latent_dim = vector.shape[-1]
    return config


def _train_and_evaluate(
    arm: Arm,
    text: pathlib.Path,
    seed: int,
    args: argparse.Namespace,
    baselines: bool,
) -> dict[str, Any]:
    """Trains one run of an arm unless it is complete, and evaluates it."""
    name = text.name
    if arm.source == "phrase":
        name = f"phrase-{open_embeddings(text).encoder.rstrip('/').rsplit('/')[-1]}"
    name = f"{arm.model}-{name}-{args.config or 'full'}-{args.budget}-{seed}"
    workdir = pathlib.Path(args.out) / name
    train(_config(arm, text, seed, args), workdir)
    result = evaluate_model(
        workdir,
        split=args.split,
        limit=args.limit,
        samples=args.samples,
        protocol=args.protocol,
        evaluator=args.evaluator,
        multimodality=0,
        baselines=baselines,
        seed=seed,
    )
    return json.loads(pathlib.Path(result["path"]).read_text())


def summary(results: list[dict[str, Any]], known: Collection[str]) -> dict[str, Any]:
    """Averages the results of several seeds.

    Args:
        results: results that `evaluate` wrote, one per seed.
        known: phrases that occur in training.

    Returns:
        motions: number of motions; figures: the paper's eight figures; spread: their
        spread over the seeds, largest minus smallest; seen and unseen: the figures of
        `by_novelty`; retrieval: R-precision in pools and FID, if there is an evaluator.
        Next to each figure of seen, unseen and retrieval is its spread.
    """
    columns = [
        {name: one["ape_ave"]["mean"][name][0] for name in paper.COLUMNS}
        for one in results
    ]
    novelty = [by_novelty(one["by_phrase"], known) for one in results]
    line = {
        "motions": results[0]["motions"],
        "figures": {name: _mean(columns, name) for name in paper.COLUMNS},
        "spread": {name: _spread(columns, name) for name in paper.COLUMNS},
    }
    groups = {name: [one[name] for one in novelty] for name in novelty[0]}
    if "retrieval" in results[0]:
        groups["retrieval"] = [_retrieval(one["retrieval"]) for one in results]
    for name, ours in groups.items():
        line[name] = {
            key: value
            for figure in ours[0]
            for key, value in (
                (figure, _mean(ours, figure)),
                (f"{figure}_spread", _spread(ours, figure)),
            )
        }
    return line


def by_novelty(
    phrases: Mapping[str, Mapping[str, float]], known: Collection[str]
) -> dict[str, dict[str, float]]:
    """Averages separately over seen phrases and over those with an unseen action.

    Args:
        phrases: phrase, or phrases of a series joined by ", then " -> figures.
        known: phrases that occur in training.

    Returns:
        'seen' and 'unseen' -> figures: ape_local in metres measures the pose,
        ape_global in metres also the path, phrases is the number of phrases. A group
        without phrases is left out.
    """
    groups = {}
    for name, new in (("seen", False), ("unseen", True)):
        those = [
            figures
            for names, figures in phrases.items()
            if new == any(name not in known for name in names.split(", then "))
        ]
        if those:
            groups[name] = {
                figure: statistics.fmean(one[figure] for one in those)
                for figure in ("ape_local", "ape_global")
            } | {"phrases": len(those)}
    return groups


def _retrieval(result: Mapping[str, Any]) -> dict[str, float]:
    """Returns R-precision in pools of texts, and FID, of one evaluation."""
    sides = {"": "generated", "real_": "real", "shuffled_": "shuffled_texts"}
    figures = {
        f"{prefix}top{k}": result[side]["pool"][f"top{k}"]
        for prefix, side in sides.items()
        for k in (1, 2, 3)
        # A pool of one text is always right, so it is left out.
        if "pool" in result.get(side, {})
    }
    if figures:
        figures |= {"pool": result["real"]["pool"]["pool"]}
    return figures | ({"fid": result["fid"]["generated"]} if "fid" in result else {})


def _mean(results: list[dict[str, float]], name: str) -> float | None:
    """Returns None for a figure that means nothing for a model."""
    if any(one[name] is None for one in results):
        return None
    return round(statistics.fmean(one[name] for one in results), 4)


def _spread(results: list[dict[str, float]], name: str) -> float | None:
    values = [one[name] for one in results]
    if None in values:
        return None
    return round(max(values) - min(values), 4)
