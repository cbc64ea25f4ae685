r"""Which property of descriptions matters? Number, aggregation, encoder and writer.

    python benchmarks/study.py [--model temos --budget 450 --seeds 0 1 2] \
        [--k 1 2 4 --aggregation masked_mean concat --encoders minilm] [--save FILE]

Trains a small model on the built-in corpus once for every combination, and once on the
phrases alone. Prints a line for each: the paper's figures on the validation split, and
two of them in metres separately for seen and unseen phrases: `ape_local` measures the
pose, `ape_global` also the path. Then it prints for each value of a factor the mean
over all arms with this value. Finished runs are not trained again.
"""

import itertools
import json
import pathlib
import statistics
from typing import Any

import arms

from actiongpt_jax import cli
from actiongpt_jax.choices import AGGREGATIONS
from actiongpt_jax.data.store_builder import format_report
from actiongpt_jax.synthetic.corpus import build_synthetic_store
from actiongpt_jax.synthetic.texts import TERSE_WRITER, WRITER
from actiongpt_jax.training.host_memory import keep_memory

FACTORS = ("k", "aggregation", "encoder", "writer")


def main(argv):
    parser = arms.make_parser(__doc__, "runs/study", built_in=True)
    add = parser.add_argument
    add("--model", choices=arms.MODELS, default="temos")
    add("--k", type=int, nargs="+", default=[1, 2, 4])
    add(
        "--aggregation",
        choices=AGGREGATIONS,
        nargs="+",
        default=["masked_mean", "concat"],
    )
    add(
        "--encoders",
        nargs="+",
        default=["minilm"],
        help="text encoders; see --encoder of embed",
    )
    add("--writers", nargs="+", default=[WRITER, TERSE_WRITER])
    add("--sequences", type=int, default=240, help="sequences of the corpus")
    parser.set_defaults(config="demo", budget=450, seeds=[0, 1, 2])
    args = parser.parse_args(argv)
    corpus = pathlib.Path(args.out) / f"builtin-{args.sequences}"
    args.data = args.data or str(corpus / "motion")
    args.text_dir = args.text_dir or str(corpus)
    args.descriptions = args.descriptions or str(
        pathlib.Path(args.data) / "descriptions.jsonl"
    )
    if not pathlib.Path(args.data).exists():
        print(format_report(build_synthetic_store(args.data, args.sequences)))
    combined = list(
        itertools.product(args.k, args.aggregation, args.encoders, args.writers)
    )
    chosen = [
        arms.Arm(
            f"phrase {encoder}",
            args.model,
            "phrase",
            args.k[0],
            encoder,
            writer=args.writers[0],
        )
        for encoder in args.encoders
    ]
    chosen += [
        arms.Arm(
            " ".join(map(str, values)),
            args.model,
            "descriptions",
            values[0],
            values[2],
            values[1],
            values[3],
        )
        for values in combined
    ]
    lines = arms.run(chosen, args)
    by_row = {" ".join(map(str, values)): values for values in combined}
    settings = [by_row.get(line["row"]) for line in lines]
    effects = [
        effect
        for i, factor in enumerate(FACTORS)
        for effect in effects_of(factor, i, lines, settings)
    ]
    print(arms.as_text(lines))
    for effect in effects:
        print(json.dumps(effect), flush=True)
    if args.save:
        import record

        record.save(args.save, lines + effects, seeds=args.seeds)


def effects_of(
    factor: str, place: int, lines: list[dict[str, Any]], settings: list[Any]
) -> list[dict[str, Any]]:
    """Averages lines that share a value of one factor, over all other factors.

    Args:
        factor: name of the factor, one of `FACTORS`.
        place: index of the factor in each entry of `settings`.
        lines: lines of the arms.
        settings: values of all factors per line, or None for a line to leave out.
    """
    groups: dict[Any, list[dict[str, Any]]] = {}
    for line, values in zip(lines, settings, strict=True):
        if values is None or "missing" in line:
            continue
        # With one description the aggregation has no effect.
        if factor != "aggregation" or values[0] > 1:
            groups.setdefault(values[place], []).append(line)
    return [
        {
            "factor": factor,
            "value": value,
            "arms": len(group),
            **{
                name: round(
                    statistics.fmean(one[name]["ape_local"] for one in group), 4
                )
                for name in ("seen", "unseen")
                if all(name in one for one in group)
            },
        }
        for value, group in groups.items()
    ]


if __name__ == "__main__":
    keep_memory()
    cli.run(main)
