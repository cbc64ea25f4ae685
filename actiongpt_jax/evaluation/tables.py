"""Lays the figures of an evaluation out as tables for people."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from actiongpt_jax.files.jsonl import read_lines
from actiongpt_jax.metrics.ape_ave import NAMES, PARTS

# Name -> (heading, factor): distances at feet and floor are shown in centimetres.
_PHYSICAL = {
    "skating": ("skating %", 100.0),
    "foot_slide": ("foot slide cm", 100.0),
    "penetration": ("under floor cm", 100.0),
    "floating": ("over floor cm", 100.0),
    "bone_drift": ("bone drift cm", 100.0),
    "jerk": ("jerk m/s3", 1.0),
    "peak_jerk": ("peak jerk m/s3", 1.0),
    "area_under_jerk": ("area under jerk m/s2", 1.0),
    "transition": ("transition cm", 100.0),
    "transition_aligned": ("root-aligned cm", 100.0),
}


def readable(result: Mapping[str, Any]) -> str:
    """Lays a result of `evaluation.run.evaluate_model` out as tables."""
    parts = _figures(result) if "ape_ave" in result else []
    if "recognition" in result:
        parts = _recognition(result)
    if "semantic" in result:
        parts += [""] * bool(parts) + _semantic(result)
    if notes := result.get("notes"):
        parts += ["", *notes]
    return "\n".join(parts)


def _figures(result: Mapping[str, Any]) -> list[str]:
    baselines = result.get("baselines", {})
    many = result["samples"] > 1
    errors = {
        f"generated, {how} of {result['samples']}" if many else "generated": figures
        for how, figures in result["ape_ave"].items()
    }
    errors |= {name: figures["ape_ave"]["mean"] for name, figures in baselines.items()}
    errors["real"] = dict.fromkeys(NAMES, 0.0)
    bodies = {"generated": result["physical"]["generated"]}
    bodies |= {name: f["physical"]["generated"] for name, f in baselines.items()}
    bodies["real"] = result["physical"]["real"]
    maker = f"{result['model']} at step {result['step']}"
    if result["step"] is None:
        maker = f"files of {result['model']}"
    parts = [
        f"{result['motions']} motions of {result['split']}, {maker}, protocol "
        f"{result['protocol']} (m, m2; +- half a 95 % interval over motions)",
        table({name: _errors(figures) for name, figures in errors.items()}, digits=4),
        "",
        table({name: _bodies(figures) for name, figures in bodies.items()}),
    ]
    if "retrieval" in result:
        parts += ["", *_retrieval(result, baselines)]
    return parts


def validation_table(runs: Mapping[str, pathlib.Path]) -> str:
    """Compares the validation figures of runs, before and after training.

    Args:
        runs: heading of a column -> metrics.jsonl of a run, at least one. The figures
            before training are those of the first.
    """
    columns = {}
    for heading, path in runs.items():
        records = [line.value for line in read_lines(path, "train again")]
        validations = [record for record in records if "val/loss" in record]
        columns = columns or {"untrained": validations[0]}
        columns[heading] = validations[-1]
    recons = "val/recons_text2rfeats"
    rows = [("loss", "val/loss", "")]
    rows += [
        (f"reconstruction from text{key[len(recons) :]}", key, "")
        for key in columns["untrained"]
        if key.startswith(recons)
    ]
    rows += [
        (f"{metric.upper()} {part}", f"val/{metric}_{part}", unit)
        for metric, unit in (("ape", "m"), ("ave", "m^2"))
        for part in PARTS
    ]
    width = 2 + max(10, *map(len, columns))
    head = f"{'validation':<28}" + "".join(f"{name:>{width}}" for name in columns)
    lines = [
        f"{name:<28}"
        + "".join(f"{figures[key]:>{width}.4f}" for figures in columns.values())
        + f" {unit}"
        for name, key, unit in rows
    ]
    return "\n".join(["", head, "-" * len(head), *lines, ""])


def table(rows: Mapping[str, Mapping[str, Any]], digits: int = 3) -> str:
    """Lays figures out in rows and columns.

    Args:
        rows: name of a row -> name of a column -> text, a number, a
            [figure, low, high], or None. Columns come in the order of their first
            occurrence.
        digits: number of digits after the decimal point.

    Returns:
        Lines of equal width; an interval is shown as +- half its width.
    """
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [["", *columns]]
    for name, row in rows.items():
        lines.append([name, *(_cell(row.get(column), digits) for column in columns)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0])]
            + [cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True)]
        )
        for line in lines
    )


def _errors(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("_", " ").upper(): figures[name] for name in NAMES}


def _bodies(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {
        # A JSON file has None for NaN.
        heading: (np.array(figures[name], float) * factor).tolist()
        for name, (heading, factor) in _PHYSICAL.items()
        if name in figures
    }


def _retrieval(
    result: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    figures = result["retrieval"]
    rows = {"generated": _fit(figures["generated"])}
    rows |= {n: _fit(b["retrieval"]["generated"]) for n, b in baselines.items()}
    rows["real"] = _fit(figures["real"])
    if "shuffled_texts" in figures:
        rows["real, shuffled texts"] = _fit(figures["shuffled_texts"])
    if "fid" in figures:
        floor = figures["fid"]["real_versus_real"]
        name = f"FID of {figures['fid']['n']}"
        half = f"FID of {floor['n']}"
        rows["generated"][name] = figures["fid"]["generated"]
        rows["generated"][half] = figures["fid"]["generated_of_as_many"]
        for other, baseline in baselines.items():
            fid = baseline["retrieval"]["fid"]
            rows[other] |= {
                name: fid["generated"],
                half: fid["generated_of_as_many"],
            }
        rows["real"][half] = floor["mean"]
    lines = [
        f"evaluator {result['evaluator']['hash']}: {figures['actions']} actions, "
        f"{figures['distinct_texts']} distinct texts",
        table(rows),
    ]
    if known := figures.get("known_phrases"):
        lines += [
            f"of these {known['actions']} actions of {known['distinct_texts']} phrases "
            "that the evaluator was trained on",
            table(
                {
                    "generated": _fit(known["generated"]),
                    "real": _fit(known["real"]),
                    "real, shuffled texts": _fit(known["shuffled_texts"]),
                }
            ),
        ]
    for kind, spread in result.get("multimodality", {}).items():
        if "missing" in spread:
            lines.append(f"multimodality, {kind}: not measured, {spread['missing']}")
        else:
            lines.append(
                f"multimodality, {kind}: {spread['mean']:.3f} of {spread['texts']} "
                f"texts, evaluator {result['evaluator']['hash']}"
            )
    return lines


def _recognition(result: Mapping[str, Any]) -> list[str]:
    figures = result["recognition"]
    by_category = {name: _top(row) for name, row in figures["by_category"].items()}
    means = {key: figures[f"{key}_by_category"] for key in ("top1", "top5")}
    return [
        f"the nearest of {figures['categories']} categories "
        f"({figures['named']} without descriptions): {result['model']} at step "
        f"{result['step']}, {figures['motions']} motions of {result['split']} (% of "
        "motions; +- half a 95 % interval over motions)",
        table({"all": _top(figures), "mean of categories": _top(means)}, digits=1),
        "",
        table(by_category, digits=0),
    ]


def _top(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in ("motions", "top1", "top5") if name in row}
    return _percent(shown)


def _semantic(result: Mapping[str, Any]) -> list[str]:
    figures = result["semantic"]
    kinds = {
        kind: _percent(row)
        for kind, row in figures["by_kind"].items()
        if row["phrases"]
    }
    if "series" in figures:
        kinds["seen, in series"] = _percent({"satisfied": figures["series"]["actions"]})
    gaits = {
        text: {
            f"{name} {side}": row[side][name.split()[0]] * factor
            for name, factor in (("stride m", 1.0), ("skating %", 100.0))
            for side in ("generated", "real")
        }
        for text, row in figures["gaits"].items()
    }
    parts = [
        f"does it do what it says? {result['model']} at step {result['step']}, "
        f"{figures['samples']} samples per phrase and length, next to real motion of "
        f"{result['split']} and copies of the training motion with the nearest text "
        "(% of motions; +- half a 95 % interval over phrases)",
        table(kinds, digits=0),
    ]
    if gaits:
        parts += ["", table(gaits, digits=2)]
    phrases = {text: _percent(row) for text, row in figures["by_phrase"].items()}
    return [*parts, "", table(phrases, digits=0)]


def _percent(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a row whose shares, and intervals of shares, are in per cent."""
    return {
        name.replace("_", " "): value
        if value is None or isinstance(value, int | str)
        else (100 * np.array(value)).tolist()
        for name, value in row.items()
    }


def _fit(figures: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if pool := figures.get("pool"):
        row = {f"R@{k} of {pool['pool']}": pool[f"top{k}"] for k in (1, 2, 3)}
    if "matching_distance" in figures:
        row["distance"] = figures["matching_distance"]
        row["diversity"] = figures["diversity"]["mean"]
    return row


def _cell(value: Any, digits: int) -> str:
    if value is None:
        return "-"
    if isinstance(value, int | str):
        return str(value)
    if isinstance(value, float):
        return "-" if np.isnan(value) else f"{value:.{digits}f}"
    figure, low, high = value
    if np.isnan(figure):
        return "-"
    return f"{figure:.{digits}f} +-{(high - low) / 2:.{digits}f}"
