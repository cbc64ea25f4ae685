"""Measures motions case by case: what was generated, next to what was captured."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from actiongpt_jax.choices import Protocol
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.evaluation.cases import (
    Arrays,
    Case,
    Source,
    check_finite,
    cut_to_shortest,
)
from actiongpt_jax.evaluation.evaluator import Evaluator
from actiongpt_jax.evaluation.journal import Journal, pack
from actiongpt_jax.features import mmm
from actiongpt_jax.geometry.body import Body
from actiongpt_jax.geometry.rotations import axis_angle_to_matrix
from actiongpt_jax.metrics import physical
from actiongpt_jax.metrics.ape_ave import NAMES, ape_ave_each
from actiongpt_jax.shapes import next_power_of_two, stack_padded

# Rows that are measured at once, and the smallest number of frames they are padded to;
# longer motions are padded to powers of two, so that few programs are compiled.
ROWS, _LEAST_FRAMES = 16, 64


def measure_cases(
    cases: Sequence[Case],
    store: MotionStore,
    source: Source,
    journal: Journal,
    protocol: Protocol,
    body: Body | None = None,
    evaluator: Evaluator | None = None,
    on_case: Callable[[int], Any] | None = None,
    in_place: bool = False,
) -> None:
    """Measures every case that a journal does not hold yet, and adds it there.

    A case and its motions are compared over the frames of the shortest motion.
    Cases are always generated in the same batches, whatever was done before: an
    interrupted journal ends exactly like an uninterrupted one.

    Args:
        cases: all cases of the evaluation, in the same order every time.
        store: the motion store of the captured motions.
        source: generates the motions that are measured.
        journal: the journal that rows are added to.
        protocol: 'paper' or 'reference'.
        body: a body made by `mmm.body_with_heels`; None takes the built-in skeleton.
        evaluator: adds the motions' embedding vectors; None leaves them out.
        on_case: called with the number of cases that were just finished.
        in_place: whether to compare poses only, with the pelvis held in place.

    Raises:
        InputError: for a motion with NaN or infinity.
    """
    for start in range(0, len(cases), ROWS):
        chunk = cases[start : start + ROWS]
        if any(case.key not in journal.done for case in chunk):
            cut = map(cut_to_shortest, chunk, source(chunk))
            common, generated = zip(*cut, strict=True)
            for case, motions in zip(common, generated, strict=True):
                for motion in motions:
                    check_finite(motion, f"the motion generated for {case.key}")
            captured = [case.captured(store) for case in common]
            rows = measure(
                common, generated, captured, protocol, store.fps, body, in_place
            )
            if evaluator is not None:
                for row, vectors in zip(
                    rows, _vectors(common, generated, captured, evaluator), strict=True
                ):
                    row["vectors"] = vectors
            journal.append(row for row in rows if row["key"] not in journal.done)
        if on_case is not None:
            on_case(len(chunk))


def measure(
    cases: Sequence[Case],
    generated: Sequence[Sequence[Arrays]],
    captured: Sequence[Arrays],
    protocol: Protocol,
    fps: float,
    body: Body | None = None,
    in_place: bool = False,
) -> list[dict[str, Any]]:
    """Measures the motions generated for a few cases.

    Args:
        cases: at most 16 cases.
        generated: S motions for each case (the same S for all), each as long as its
            case.
        captured: the real motion of each case.
        protocol: 'paper' or 'reference'.
        fps: frames per second of every motion.
        body: a body made by `mmm.body_with_heels`; None takes the built-in skeleton.
        in_place: whether to compare poses only, with the pelvis held in place, by the
            protocol 'paper'; the errors of the root are then 0.

    Returns:
        One journal row per case: key, phrases, frames; errors, name -> (S); joints,
        name -> means over samples of the joints' errors; physical (generated) and real,
        name -> [sum over samples, count]. Figures of the seam are there for pairs only.
    """
    longest = max(case.frames for case in cases)
    size = max(_LEAST_FRAMES, next_power_of_two(longest))
    real = _place(cases, captured, size, body)
    measured = [
        {
            "key": case.key,
            "phrases": list(case.phrases),
            "frames": case.frames,
            "errors": {name: [] for name in NAMES},
            "joints": {n: 0.0 for n in NAMES if n.endswith(("local", "global"))},
            "physical": {},
            "real": {},
        }
        for case in cases
    ]
    _add_physical(measured, range(len(cases)), _physical(real, fps), "real")

    # Measure all samples of all cases, sixteen motions at a time.
    samples = len(generated[0])
    order = [(i, s) for s in range(samples) for i in range(len(cases))]
    for begin in range(0, len(order), ROWS):
        part = order[begin : begin + ROWS]
        rows = [i for i, _ in part]
        placed = _place(
            [cases[i] for i in rows], [generated[i][s] for i, s in part], size, body
        )
        index = np.pad(np.array(rows), (0, ROWS - len(rows)))
        each = jax.device_get(_compare(placed, real, index, protocol, in_place))
        for row, i in enumerate(rows):
            for name in NAMES:
                by_joint = each[name][row]
                measured[i]["errors"][name].append(_short(by_joint.mean()))
                if name in measured[i]["joints"]:
                    measured[i]["joints"][name] += by_joint / samples
        _add_physical(measured, rows, _physical(placed, fps), "physical")
    for row in measured:
        row["joints"] = {n: _short(values) for n, values in row["joints"].items()}
    return measured


def _place(
    cases: Sequence[Case], motions: Sequence[Arrays], size: int, body: Body | None
) -> dict[str, Any]:
    """Pads motions to (16, size) and places their joints; see `_joints`."""
    rotations, mask = stack_padded([r for r, _ in motions], size, ROWS)
    translation, _ = stack_padded([t for _, t in motions], size, ROWS)
    lengths, seams = mask.sum(1, dtype=np.int32), np.zeros(ROWS, np.int32)
    seams[: len(cases)] = [case.seam for case in cases]
    joints, body_joints = _joints(rotations, translation, body)
    return {"joints": joints, "mmm": body_joints, "lengths": lengths, "seams": seams}


@jax.jit
def _joints(rotations, translation, body):
    joints, heels = mmm.joints_and_heels(
        axis_angle_to_matrix(rotations), translation, body
    )
    return joints, mmm.from_smpl(joints, heels)


@functools.partial(jax.jit, static_argnames=("protocol", "in_place"))
def _compare(generated, real, index, protocol, in_place):
    name = "joints" if protocol == "paper" else "mmm"
    lengths = generated["lengths"]
    ours, theirs = generated[name], real[name][index]
    if in_place:
        ours, theirs = ours - ours[:, :, :1], theirs - theirs[:, :, :1]
    mask = jnp.arange(ours.shape[1]) < lengths[:, None]
    return ape_ave_each(ours, theirs, lengths, protocol=protocol, mask=mask)


@functools.partial(jax.jit, static_argnames="fps")
def _physical(placed, fps):
    joints, lengths, seams = (placed[n] for n in ("joints", "lengths", "seams"))
    sums = physical.physical_sums(joints, lengths, fps)
    has_seam = seams > 0
    for name, aligned in (("transition", False), ("transition_aligned", True)):
        distance = physical.transition_distance(
            joints, jnp.maximum(seams, 1), root_aligned=aligned
        )
        sums[name] = jnp.where(has_seam, distance, 0.0), has_seam * 1.0
    around, exist = physical.jerk_around(joints, lengths, seams, fps)
    return {**sums, "seam_jerk": (around, exist * 1.0)}


def _add_physical(measured, rows, sums, field: str) -> None:
    """Adds sums and counts to the given rows of a field of the journal's rows."""
    for name, (totals, counts) in jax.device_get(sums).items():
        for row, i in enumerate(rows):
            if name.startswith(("seam", "transition")) and not counts[row].any():
                continue
            total, count = measured[i][field].get(name, (0.0, 0.0))
            measured[i][field][name] = (
                _short(totals[row] + np.array(total)),
                _short(counts[row] + np.array(count)),
            )


def _vectors(
    cases: Sequence[Case],
    generated: Sequence[Sequence[Arrays]],
    captured: Sequence[Arrays],
    evaluator: Evaluator,
) -> list[dict[str, Any]]:
    """Returns each case's packed vectors: generated (S, actions, P), real without S."""
    pieces, shapes = [], []
    for case, motions, real in zip(cases, generated, captured, strict=True):
        edges = np.cumsum(case.lengths)[:-1]
        shapes.append((len(motions), len(case.lengths)))
        for rotations, translation in (*motions, real):
            split = np.split(rotations, edges), np.split(translation, edges)
            pieces += zip(*split, strict=True)
    vectors = iter(evaluator.motions(pieces))
    packed = []
    for samples, actions in shapes:
        rows = np.stack([next(vectors) for _ in range((samples + 1) * actions)])
        rows = rows.reshape(samples + 1, actions, -1)
        packed.append({"generated": pack(rows[:-1]), "real": pack(rows[-1])})
    return packed


def _short(values: Any) -> Any:
    """Rounds numbers for JSON to the 7 digits that float32 holds."""
    if np.ndim(values):
        return [_short(value) for value in values]
    return float(f"{float(values):.7g}")
