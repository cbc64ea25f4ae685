"""What `prepare` reports of a motion store it has made."""

from typing import Any

from actiongpt_jax.data.batches import segments
from actiongpt_jax.data.motion_store import SPLITS, MotionStore


def make_report(
    store: MotionStore, notes: list[str], skipped: list[dict[str, str]]
) -> dict[str, Any]:
    """Counts what is in a store.

    Args:
        store: the store.
        notes: sentences about single recordings.
        skipped: recordings left out: name, source and reason.

    Returns:
        Counts by split, and what was passed in.
    """
    limits = f"{segments.MIN_FRAMES}-{segments.MAX_FRAMES} frames"
    splits: dict[str, dict[str, float]] = {}
    total = 0
    for split in SPLITS:
        rows = {i for i, row in enumerate(store.sequences) if row.split == split}
        if not rows:
            continue
        frames = sum(store.sequences[i].length for i in rows)
        found = segments.segments(store, split)
        total += len(found)
        with_sequence = segments.segments(store, split, "frame+sequence")
        labels = [label for i in rows for label in store.labels_by_sequence[i]]
        pairs = segments.pairs(store, split)
        splits[split] = {
            "sequences": len(rows),
            "hours": round(frames / store.fps / 3600, 4),
            "labelled actions": sum(
                label.kind == "frame" and segments.is_action(label.phrase)
                for label in labels
            ),
            f"segments ({limits})": len(found),
            "segments with sequence labels": len(with_sequence),
            f"pairs ({limits})": len(pairs),
            "phrases": len(segments.phrases(found)),
            "phrases with sequence labels": len(segments.phrases(with_sequence)),
        }
    rates: dict[str, int] = {}
    for row in store.sequences:
        rate = f"{row.fps_source:g}"
        rates[rate] = rates.get(rate, 0) + 1
    names = {label.phrase for label in store.labels}
    return {
        "sequences": len(store.sequences),
        "segments": total,
        "hours": round(len(store.rotations) / store.fps / 3600, 4),
        "phrases": sum(segments.is_action(phrase) for phrase in names),
        "splits": splits,
        "files by frames per second": rates,
        "notes": notes,
        "skipped": skipped,
    }


def format_report(report: dict[str, Any], max_notes: int = 20) -> str:
    """Lays out a report for the terminal; every skipped recording has a line."""
    splits = report["splits"]
    lines = [f"{'':32}" + "".join(f"{split:>10}" for split in splits)]
    for row in next(iter(splits.values()), {}):
        lines.append(f"{row:32}" + "".join(f"{s[row]:10g}" for s in splits.values()))
    lines.append(
        f"{report['sequences']} sequences, {report['segments']} segments, "
        f"{report['hours']:.3g} hours, {report['phrases']} phrases, "
        f"{len(report['skipped'])} files skipped"
    )
    lines += [f"  skipped {row['name']}: {row['reason']}" for row in report["skipped"]]
    lines += [f"  note: {note}" for note in report["notes"][:max_notes]]
    if len(report["notes"]) > max_notes:
        more = len(report["notes"]) - max_notes
        lines.append(f"  {more} more notes are in report.json")
    return "\n".join(lines)
