"""Prints the tables of `claim.py` from the files of finished arms alone."""

import json
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import claim_figures
import numpy as np
from claim_figures import interval

SPLITS = ("seen", "combination", "manner", "action", "unseen")
# Figure -> (heading, factor, decimals).
_SHOWN = {
    "ape_local": ("pose error, mm", 1e3, 1),
    "ape_root": ("APE of the pelvis, mm", 1e3, 0),
    "ave_local": ("AVE of the pose, cm²", 1e4, 1),
    "ave_root": ("AVE of the pelvis, cm²", 1e4, 0),
    "action": ("action recognised, %", 100, 0),
    "manner": ("manner recognised, %", 100, 0),
    "phrase": ("phrase recognised, %", 100, 0),
    "nearer": ("own phrase nearer, %", 100, 0),
    "nearer_chance": ("the same for another phrase of the split, %", 100, 0),
    "window_error": ("MotionCLIP: error of motion from text, mm", 1e3, 1),
    "window_mean": ("MotionCLIP: error of the mean pose, mm", 1e3, 1),
    "window_autoencoded": ("MotionCLIP: error of encoded and decoded, mm", 1e3, 1),
    "window_gain": ("MotionCLIP: mean pose minus motion from text, mm", 1e3, 1),
}
Results = dict[tuple[str, int], dict[str, Any]]
# Figures of one phrase -> the figure to average.
Figure = Callable[[dict[str, float]], float]


def read(folder: pathlib.Path) -> Results:
    """Returns (arm, replicate) -> content of the file of each finished arm."""
    results = [
        json.loads(file.read_text()) for file in sorted(folder.glob("*-[0-9]*.json"))
    ]
    return {(one["arm"], one["replicate"]): one for one in results}


def print_all(results: Results, phrases: bool = False) -> None:
    """Prints every table for which there are results.

    Args:
        results: results as `read` returns them.
        phrases: whether to print the pose error of every phrase too.
    """
    lines = [
        *_runs(results),
        *_figures(results),
        *_answer(results),
        *_controls(results),
    ]
    if phrases:
        lines += _by_phrase(results)
    print("\n".join(lines) or "no arm is finished")


def _runs(results: Results) -> Iterator[str]:
    yield _header(
        "arm|replicate|steps|best|stopped improving|validation|R@1 (real), %|commit"
    )
    for (arm, replicate), one in results.items():
        if training := one.get("training"):
            end = "yes" if training["converged"] else "**no**"
            rates = [one.get("retrieval", {}).get(n) for n in ("generated", "real")]
            top1 = "-"
            if None not in rates:
                top1 = "{:.0f} ({:.0f})".format(*(100 * rate for rate in rates))
            steps = training["steps"], training["best_step"]
            cells = arm, replicate, *steps, end, training["best"], top1, one["commit"]
            yield f"| {' | '.join(map(str, cells))} |"
    yield ""


def _header(names: str) -> str:
    """Returns the two first lines of a table, from names separated by `|`."""
    return f"|{names}|\n" + "|---" * (names.count("|") + 1) + "|"


def _arms(results: Results) -> list[str]:
    return list(dict.fromkeys(arm for arm, _ in results))


def _parts(
    results: Results,
    split: str,
    figure: Figure,
    arm: str,
    other: str | None = None,
    side: str = "phrases",
    other_side: str = "phrases",
) -> list[list[list[float]]]:
    """Returns for each part of a split and each replicate the figures of its phrases.

    'unseen' consists of all splits but 'seen'. With `other`, figures are those of `arm`
    minus those of `other`, for the replicates that both have.
    """
    replicates = [
        r for a, r in results if a == arm and (other is None or (other, r) in results)
    ]
    found: dict[str, dict[int, list[float]]] = {}
    for r in replicates:
        others = results[other, r].get(other_side, {}) if other else {}
        for phrase, figures in results[arm, r].get(side, {}).items():
            name = figures["split"]
            wanted = name == split or (split == "unseen" and name not in ("seen", ""))
            if wanted and (other is None or phrase in others):
                value = figure(figures) - (figure(others[phrase]) if other else 0.0)
                found.setdefault(name, {}).setdefault(r, []).append(value)
    return [[*of_replicate.values()] for of_replicate in found.values()]


def _mean(parts: list[list[list[float]]]) -> list[float] | None:
    """Returns the mean of the parts with its interval; None if there is nothing."""
    return interval(parts, [1 / len(parts)] * len(parts)) if parts else None


def _cell(values: Sequence[float] | None, factor: float = 1.0, digits: int = 1) -> str:
    if values is None:
        return "-"
    # Adding 0 turns -0.0 into 0.0.
    mean, low, high = (f"{round(factor * x, digits) + 0.0:.{digits}f}" for x in values)
    return f"{mean} [{low}, {high}]"


def _named(name: str) -> Figure:
    if name == "window_gain":
        return lambda figures: figures["window_mean"] - figures["window_error"]
    return lambda figures: figures[name]


def _has(results: Results, arm: str, name: str) -> bool:
    of_arm = [one["phrases"] for (a, _), one in results.items() if a == arm]
    name = "window_error" if name == "window_gain" else name
    return all(name in figures for one in of_arm for figures in one.values())


def _figures(results: Results) -> Iterator[str]:
    splits = [
        s
        for s in SPLITS
        if any(_parts(results, s, lambda _: 0.0, a) for a in _arms(results))
    ]
    for name, (heading, factor, digits) in _SHOWN.items():
        arms = [arm for arm in _arms(results) if _has(results, arm, name)]
        if not arms:
            continue
        yield _header("|".join([heading, "replicates", *splits]))
        for arm in arms:
            cells = [
                _cell(_mean(_parts(results, s, _named(name), arm)), factor, digits)
                for s in splits
            ]
            count = sum(a == arm for a, _ in results)
            yield f"| {arm} | {count} | {' | '.join(cells)} |"
        yield ""


def recognition(figures: dict[str, float]) -> float:
    """Returns the mean of the recognition rates of a phrase."""
    return float(
        np.mean([figures[n] for n in ("action", "manner", "phrase") if n in figures])
    )


def _answer(results: Results) -> Iterator[str]:
    pose = _named("ape_local")
    if not _parts(results, "seen", pose, "phrase", "descriptions"):
        return
    yield _header(
        "phrase minus descriptions|phrases|pose error, mm (D)|by replicate|recognition "
        "of descriptions minus phrase, % (R)|permuted minus descriptions, mm|verdict"
    )
    for split in SPLITS:
        parts = _parts(results, split, pose, "phrase", "descriptions")
        d = _mean(parts)
        if d is None:
            continue
        r = _mean(_parts(results, split, recognition, "descriptions", "phrase"))
        error = _mean(_parts(results, split, pose, "phrase"))
        permuted = _mean(_parts(results, split, pose, "permuted", "descriptions"))
        assert r is not None and error is not None
        single = [
            f"{1e3 * np.mean([np.mean(groups[i]) for groups in parts]):.1f}"
            for i in range(len(parts[0]))
        ]
        count = sum(len(group) for groups in parts for group in groups)
        yield (
            f"| {split} | {count} | {_cell(d, 1e3)} | {', '.join(single)} | "
            f"{_cell(r, 100)} | {_cell(permuted, 1e3)} | "
            f"{claim_figures.verdict(d, r, error[0])} |"
        )
    unseen = _parts(results, "unseen", pose, "phrase", "descriptions")
    if unseen:
        seen = _parts(results, "seen", pose, "phrase", "descriptions")
        gain = interval(unseen + seen, [1 / len(unseen)] * len(unseen) + [-1.0])
        word = "support" if gain[1] > 0 else "contrary" if gain[2] < 0 else "open"
        yield f"| unseen minus seen | - | {_cell(gain, 1e3)} | - | - | - | {word} |"
    yield ""


def _above_chance(figures: dict[str, float]) -> float:
    return figures["nearer"] - figures["nearer_chance"]


def _controls(results: Results) -> Iterator[str]:
    rows = []
    for split in SPLITS:
        worse = [
            _mean(
                _parts(results, split, figure, "descriptions", "descriptions", *sides)
            )
            for figure, sides in (
                (_named("ape_local"), ("with_other_descriptions", "phrases")),
                (recognition, ("phrases", "with_other_descriptions")),
            )
        ]
        nearer = None
        if _has(results, "permuted", "nearer_chance"):
            nearer = _mean(_parts(results, split, _above_chance, "permuted"))
        if worse[0] or nearer:
            cells = _cell(worse[0], 1e3), _cell(worse[1], 100), _cell(nearer, 100)
            rows.append(f"| {split} | {' | '.join(cells)} |")
    if rows:
        yield _header(
            "control|(a) pose error with another phrase's descriptions minus own, mm|"
            "(a) recognition, own minus other, %|"
            "(b) permuted: own phrase nearer, minus chance, %"
        )
        yield from rows
        yield ""


def _by_phrase(results: Results) -> Iterator[str]:
    yield _header("phrase|split|replicate|phrase, mm|descriptions, mm|difference")
    rows = []
    for (arm, replicate), one in results.items():
        other = results.get(("descriptions", replicate))
        for phrase, figures in one["phrases"].items():
            if arm == "phrase" and other:
                a = 1e3 * figures["ape_local"]
                b = 1e3 * other["phrases"][phrase]["ape_local"]
                name = f"| {phrase} | {figures['split']} | {replicate}"
                rows.append((a - b, f"{name} | {a:.1f} | {b:.1f} | {a - b:+.1f} |"))
    yield from (row for _, row in sorted(rows, reverse=True))
