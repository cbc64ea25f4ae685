"""Builds a motion store from motion files and their labels."""

import dataclasses
import os
import pathlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tqdm

from actiongpt_jax.choices import FPS_LIMITS, FRAMERATE
from actiongpt_jax.data import amass
from actiongpt_jax.data.amass import locate
from actiongpt_jax.data.babel import Annotation, label_frames
from actiongpt_jax.data.batches import segments
from actiongpt_jax.data.motion_faults import SequenceQuality, check_motion, check_store
from actiongpt_jax.data.motion_store import (
    SPLITS,
    Label,
    MotionStore,
    Sequence,
    open_store,
)
from actiongpt_jax.data.store_writer import StoreWriter, digest
from actiongpt_jax.errors import InputError

MIN_SECONDS = 0.5  # shorter recordings are left out, as in TEACH's preparation
_SHOWN_NOTES = 20


def build_motion_store(
    amass_folder: str | os.PathLike,
    annotations: Iterable[Annotation],
    out: str | os.PathLike,
    *,
    strict: bool = False,
    settings: dict[str, Any] | None = None,
    extra_files: dict[str, pathlib.Path] | None = None,
    find: Callable[[pathlib.Path, str], pathlib.Path] = locate,
    fps: float = FRAMERATE,
) -> dict[str, Any]:
    """Builds a motion store from the annotated recordings.

    One recording is in memory at a time. An interrupted run is continued; a store that
    was already built from the same input is left unchanged.

    Args:
        amass_folder: folder that contains AMASS's sets.
        annotations: the recordings to store, as returned by `read_babel`.
        out: folder of the store.
        strict: whether to stop at the first recording that cannot be read instead of
            leaving it out and listing it in the report.
        settings: JSON values to record in the store's `meta.json`.
        extra_files: name in the store -> file to copy into it.
        find: finds the file of an annotation, from the folder and its `feat_p`; the
            default knows the names of AMASS's sets.
        fps: frames per second of the store.

    Returns:
        The report, which is also written to the store's `report.json`.

    Raises:
        InputError: if no recording can be read, `fps` is beyond `FPS_LIMITS`, or `out`
            holds anything else.
    """
    if not FPS_LIMITS[0] <= fps <= FPS_LIMITS[1]:
        raise InputError(
            f"--framerate must be from {FPS_LIMITS[0]:g} to {FPS_LIMITS[1]:g} frames "
            f"per second, got {fps:g}"
        )
    root = pathlib.Path(amass_folder)
    if not root.is_dir():
        raise InputError(
            f"{root} must be the folder of motions (for BABEL, the one that contains "
            "AMASS's sets), but is not a folder"
        )
    jobs = {
        annotation.name: _Job(root, annotation, find, fps) for annotation in annotations
    }
    plan = {name: job.key for name, job in jobs.items()}
    if (pathlib.Path(out) / "meta.json").is_file():
        store = open_store(out)
        if store.meta.get("inputs") == digest(plan) and store.fps == fps:
            print(f"{out} was already made from this input", file=sys.stderr)
            return store.report()
    with StoreWriter(out, plan, settings, fps=fps) as writer:
        if writer.done or writer.dropped:
            print(
                f"continuing: {len(writer.done)} of {len(jobs)} recordings are done"
                + f", {writer.dropped} read again (input changed)"
                * bool(writer.dropped),
                file=sys.stderr,
            )
        progress = tqdm.tqdm(
            jobs.items(), desc="prepare", unit="file", mininterval=0.5, smoothing=0.05
        )
        for name, job in progress:
            if name in writer.done:
                continue
            try:
                content = job.read()
            except InputError as error:
                if strict:
                    raise
                writer.skip(name, job.annotation.feat_p, str(error))
            else:
                writer.add(*content)
        return writer.commit(make_report, extra_files)


def check_paths(paths: Iterable[str | os.PathLike]) -> list[SequenceQuality]:
    """Finds the faults in motion stores, motion files or folders of motion files.

    Unreadable files in a folder are skipped and named on stderr.

    Returns:
        The faults of each recording.

    Raises:
        InputError: if a given file is unreadable, or the folders have no readable file.
    """
    recordings: list[SequenceQuality] = []
    for path in map(pathlib.Path, paths):
        if (path / "meta.json").is_file():
            recordings += check_store(open_store(path))
        elif path.is_dir():
            files = (f for f in sorted(path.rglob("*.npz")) if f.name != "shape.npz")
            for file in files:
                try:
                    recordings.append(_check_file(file))
                except InputError as error:
                    print(f"skipped: {error}", file=sys.stderr)
        else:
            recordings.append(_check_file(path))
    if not recordings:
        raise InputError(
            "the paths must hold a store or a readable AMASS npz, got none; check them"
        )
    return recordings


def _check_file(path: pathlib.Path) -> SequenceQuality:
    file = amass.read_amass(path)
    rotations, translation = amass.resample(file.rotations, file.trans, file.fps)
    body = rotations[:, : amass.NUM_JOINTS]
    return check_motion(body, translation, name=str(path))


class _Job:
    """One recording to store, and a key that changes when its input changes."""

    def __init__(
        self,
        root: pathlib.Path,
        annotation: Annotation,
        find: Callable[[pathlib.Path, str], pathlib.Path],
        fps: float,
    ):
        self.annotation, self.fps = annotation, fps
        self.path, self.error = None, None
        content = dataclasses.asdict(annotation)
        del content["notes"]  # they do not change the stored motion and labels
        if not annotation.categories:
            del content["categories"]  # stores of earlier versions stay valid
        if annotation.clip is None:
            del content["clip"]  # stores made before there were clips stay valid
        state: list[Any] = [content]
        try:
            self.path = find(root, annotation.feat_p)
        except InputError as error:
            self.error = error
        else:
            self.source = self.path.relative_to(root).as_posix()
            status = self.path.stat()
            state += [self.source, status.st_size, status.st_mtime_ns]
        self.key = digest(state)

    def read(self) -> tuple[Sequence, dict[str, np.ndarray], list[Label], list[str]]:
        """Reads and resamples the recording; returns the input of `StoreWriter.add`."""
        annotation = self.annotation
        if self.path is None:
            raise self.error or InputError(f"{annotation.feat_p} must exist")
        if not annotation.labels:
            raise InputError(
                f"id {annotation.name} must have at least one label, got none"
            )
        file = amass.read_amass(self.path)
        fps = amass.true_fps(annotation.feat_p, file.fps)
        if annotation.clip:
            scale = annotation.clip.true_second(file.fps, fps)
            annotation = annotation.scaled(scale)
        seconds, notes = len(file.poses) / fps, []
        if seconds < MIN_SECONDS:
            raise InputError(
                f"{self.path}: poses must last {MIN_SECONDS} s or longer, got "
                f"{len(file.poses)} frames at {fps:g} fps"
            )
        if fps != file.fps:
            notes.append(
                f"{self.source} states {file.fps:g} fps, which is known to be wrong; "
                f"{fps:g} fps is used"
            )
        stated = annotation.duration
        # BABEL rounds durations; a wrong rate or another take differs by more.
        if stated is not None and abs(stated - seconds) > max(0.5, 0.05 * stated):
            notes.append(
                f"{self.source} lasts {seconds:.2f} s but the labels of id "
                f"{annotation.name} say {stated:.2f} s; check that it is the right file"
            )
        joints, translation = amass.resample(file.rotations, file.trans, fps, self.fps)
        labels, dropped = label_frames(annotation, len(joints), self.fps)
        if annotation.clip:
            if not labels:
                raise InputError(" | ".join(dropped))
            joints, translation, labels = annotation.clip.cut(
                joints, translation, labels
            )
            if len(joints) < MIN_SECONDS * self.fps:
                raise InputError(
                    f"id {annotation.name} must last {MIN_SECONDS} s or longer, got "
                    f"{len(joints)} frames at {self.fps:g} fps"
                )
        sequence = Sequence(
            name=annotation.name,
            start=0,
            length=len(joints),
            split=annotation.split,
            source=self.source,
            sha256=file.sha256,
            fps_source=fps,
            fps=self.fps,
            duration=round(seconds, 4),
            gender=file.gender,
            betas=tuple(round(float(b), 6) for b in file.betas),
        )
        arrays = {
            "rotations": joints[:, : amass.NUM_JOINTS],
            "translation": translation,
            "hands": joints[:, amass.NUM_JOINTS :],
        }
        return sequence, arrays, labels, notes + dropped


def make_report(
    store: MotionStore, notes: list[str], skipped: list[dict[str, str]]
) -> dict[str, Any]:
    """Counts the recordings, labels and training items of a store.

    Args:
        store: the store to count.
        notes: sentences about single recordings.
        skipped: the recordings left out, each {name, source, reason}.

    Returns:
        The counts, in all and by split, with `notes` and `skipped` added.
    """
    limits = f"{segments.MIN_FRAMES}-{segments.MAX_FRAMES} frames"
    splits: dict[str, dict[str, float]] = {}
    total = 0
    for split in SPLITS:
        rows = {i for i, row in enumerate(store.sequences) if row.split == split}
        if not rows:
            continue
        frames = sum(store.sequences[i].length for i in rows)
        actions = segments.segments(store, split)
        total += len(actions)
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
            f"segments ({limits})": len(actions),
            "segments with sequence labels": len(with_sequence),
            f"pairs ({limits})": len(pairs),
            "phrases": len(segments.phrases(actions)),
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


def format_report(report: dict[str, Any]) -> str:
    """Formats a report for the terminal, with one line per skipped recording."""
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
    lines += [f"  note: {note}" for note in report["notes"][:_SHOWN_NOTES]]
    if len(report["notes"]) > _SHOWN_NOTES:
        more = len(report["notes"]) - _SHOWN_NOTES
        lines.append(f"  {more} more notes are in report.json")
    return "\n".join(lines)
