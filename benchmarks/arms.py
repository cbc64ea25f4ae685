"""Arms of an experiment: train what is missing, judge it, one line for each.

An arm is a model trained on one kind of text. Its embedding store lies in the folder
of texts under a name that says what it is (`minilm-k4`, `minilm-k4-terse`,
`minilm-k4-action`), its runs and their figures in the folder of results: what is
there is taken as it is.
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

from actiongpt_jax.choices import BASELINES
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
    """What is trained.

    Attributes:
        row: its name in the table.
        model: motionclip, temos or teach.
        source: 'descriptions' or 'phrase'.
        k: descriptions of a text.
        encoder: of texts; None takes that of the flags.
        aggregation: how k become one.
        writer: of the descriptions, None for the first of the file.
        prompt: that they answer.
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
        """Returns what tells its texts from others, the encoder's name first."""
        found = [encoder.rstrip("/").rsplit("/")[-1], f"k{self.k}"]
        found += [self.writer] if self.writer else []
        found += [self.prompt] if self.prompt != PROMPT else []
        found += [self.aggregation] if self.aggregation != AGGREGATE else []
        return found


def make_parser(
    doc: str | None, out: str, built_in: bool = False
) -> argparse.ArgumentParser:
    """Returns a parser with the flags that all such scripts share.

    Args:
        doc: of the script.
        out: where runs go unless it is said.
        built_in: whether there are data where none are named.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", required=not built_in, help="motion store")
    add("--text-dir", required=not built_in, help="folder of embedding stores")
    add("--descriptions", help="file to make stores from that are missing")
    add("--encoder", default="distilbert-base-uncased", help="of TEMOS and TEACH")
    add(
        "--clip-encoder",
        default="openai/clip-vit-base-patch32",
        help="of MotionCLIP; any with a vector for each text, such as minilm",
    )
    add("--config", default="", help="words of the configs, such as demo or debug")
    add("--budget", type=int, default=1000, help="training steps of each run")
    add("--seeds", type=int, nargs="+", default=[0])
    add("--split", default="val", help="to judge on")
    add("--limit", type=int, help="so many motions of it")
    add("--samples", type=int, default=1, help="motions of each text")
    add("--evaluator", metavar="WORKDIR", help="says how motions fit their texts")
    add("--out", default=out, help="folder of the runs")
    add("--save", help="write the results to this file as well")
    return parser


def run(arms: Iterable[Arm], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Trains and judges arms, and prints a line for each.

    Returns:
        The lines, see `summary`, or under `missing` what to do to have its texts. After
        a model's first arm a line for each of the baselines, which train nothing.

    Raises:
        InputError: where an arm has its texts and still cannot be trained or judged.
    """
    lines, known = [], {}
    for arm in arms:
        line: dict[str, Any] = {"row": arm.row, "model": arm.model, "text": arm.source}
        own = [line]
        try:
            text = _text(arm, args)
        except _NoTextError as error:
            line["missing"] = str(error)
        else:
            first = arm.model not in known
            if first:
                known[arm.model] = training_phrases(_config(arm, text, 0, args))
            found = [_judged(arm, text, seed, args, first) for seed in args.seeds]
            made = {"steps": args.budget, "seeds": args.seeds}
            line |= {**made, **summary(found, known[arm.model])}
            for name in BASELINES if first else ():
                others = [one["baselines"][name] for one in found]
                label = f"{arm.model} {name.replace('_', ' ')}"
                about = {"row": label, "model": arm.model, "text": "none"}
                about |= {"steps": 0, "seeds": args.seeds}
                own.append({**about, **summary(others, known[arm.model])})
        for line in own:
            print(json.dumps(line), flush=True)
        lines += own
        jax.clear_caches()
    return lines


def beside_paper(
    lines: list[dict[str, Any]], published: Mapping[Any, tuple[float | None, ...]]
) -> list[dict[str, Any]]:
    """Adds the paper's figures to lines, by row, or by model and text."""
    for line in lines:
        row = published.get(line["row"]) or published.get((line["model"], line["text"]))
        if row is not None:
            line["paper"] = dict(zip(paper.COLUMNS, row, strict=True))
    return lines


def as_text(lines: list[dict[str, Any]]) -> str:
    """Lays lines out as a table, the paper's under ours."""
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
    """An arm has no texts; says what makes them."""


def _text(arm: Arm, args: argparse.Namespace) -> pathlib.Path:
    """Returns an arm's embedding store; makes it where descriptions are given.

    Raises:
        _NoTextError: where there is none, or it lacks what the arm reads.
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
        raise _NoTextError(f"no {store}; make it with: {describe}; {todo}")
    if lacking := _lacking(arm, store, args):
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise _NoTextError(
            f"{store} has no {arm.source} of {', '.join(map(repr, lacking[:3]))}"
            f"{more}; make it anew with: {describe}; {todo}"
        )
    return store


def _lacking(arm: Arm, store: pathlib.Path, args: argparse.Namespace) -> list[str]:
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
    # It is judged below, not on the way.
    config.train.eval_epochs = 10**6
    if arm.model == "motionclip":
        embeddings = open_embeddings(text)
        vector = embeddings.pooled(embeddings.phrases[0], "phrase")
        config.model.latent_dim = vector.shape[-1]
    return config


def _judged(
    arm: Arm,
    text: pathlib.Path,
    seed: int,
    args: argparse.Namespace,
    baselines: bool,
) -> dict[str, Any]:
    """Trains one run of an arm where it is not there, and judges it."""
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
        protocol="paper",
        evaluator=args.evaluator,
        multimodality=0,
        baselines=baselines,
        seed=seed,
    )
    return json.loads(pathlib.Path(result["path"]).read_text())


def summary(found: list[dict[str, Any]], known: Collection[str]) -> dict[str, Any]:
    """Averages over seeds.

    Args:
        found: what `evaluate` wrote, seed by seed.
        known: phrases of training.

    Returns:
        motions; the paper's eight figures, and under spread the largest minus the
        smallest; seen and unseen, see `by_novelty`; and, where there is an evaluator,
        retrieval: R-precision in pools and FID. Each of these beside its spread.
    """
    columns = [
        {name: one["ape_ave"]["mean"][name][0] for name in paper.COLUMNS}
        for one in found
    ]
    novelty = [by_novelty(one["by_phrase"], known) for one in found]
    line = {
        "motions": found[0]["motions"],
        "figures": {name: _mean(columns, name) for name in paper.COLUMNS},
        "spread": {name: _spread(columns, name) for name in paper.COLUMNS},
    }
    groups = {name: [one[name] for one in novelty] for name in novelty[0]}
    if "retrieval" in found[0]:
        groups["retrieval"] = [_retrieval(one["retrieval"]) for one in found]
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
    """Averages over phrases of training, and over those of which one is new.

    Returns:
        seen, unseen -> metres: ape_local tells the pose, ape_global also where
        somebody went; phrases, how many. What there is none of is left out.
    """
    found = {}
    for name, new in (("seen", False), ("unseen", True)):
        those = [
            figures
            for names, figures in phrases.items()
            if new == any(name not in known for name in names.split(", then "))
        ]
        if those:
            found[name] = {
                figure: statistics.fmean(one[figure] for one in those)
                for figure in ("ape_local", "ape_global")
            } | {"phrases": len(those)}
    return found


def _retrieval(found: Mapping[str, Any]) -> dict[str, float]:
    """Returns the share of motions whose text is among the nearest, and the FID."""
    sides = {"": "generated", "real_": "real", "shuffled_": "shuffled_texts"}
    figures = {
        f"{prefix}top{k}": found[side]["pool"][f"top{k}"]
        for prefix, side in sides.items()
        for k in (1, 2, 3)
        # One text alone is always the nearest.
        if "pool" in found.get(side, {})
    }
    if figures:
        figures |= {"pool": found["real"]["pool"]["pool"]}
    return figures | ({"fid": found["fid"]["generated"]} if "fid" in found else {})


def _mean(found: list[dict[str, float]], name: str) -> float:
    return round(statistics.fmean(one[name] for one in found), 4)


def _spread(found: list[dict[str, float]], name: str) -> float:
    values = [one[name] for one in found]
    return round(max(values) - min(values), 4)
