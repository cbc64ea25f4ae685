"""Finds faults in recorded motion and its labels before they are trained on."""

import dataclasses
import os
from collections.abc import Iterable, Sequence

import numpy as np
import tqdm
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from actiongpt_jax.choices import FRAMERATE
from actiongpt_jax.data.motion_store import Label, MotionStore
from actiongpt_jax.files.atomic import write_json
from actiongpt_jax.geometry.kinematics import place_on_host
from actiongpt_jax.geometry.skeletons import SMPL22

# A larger turn within 1/30 s is a fault: 1.4 rad is 2400 degrees per second. The
# elbows of baseball pitchers, the fastest turn measured in sport, reach about 2300.
JUMP_RADIANS = 1.4
MAX_SPEED = 15.0  # metres per second; a sprinter's foot comes close to it
FEET = (10, 11)
# Percentile of the lowest foot's height that is taken as the floor: a foot is assumed
# to touch the floor in at least this percentage of the frames.
FLOOR_PERCENTILE = 5.0
_SHOWN_ROWS, _SHOWN_JUMPS = 40, 4


@dataclasses.dataclass(frozen=True)
class Jump:
    """An implausibly large turn of a joint from one frame to the next.

    Attributes:
        frame: the frame after the turn.
        joint: name of the joint that turns.
        radians: how far the joint turned.
    """

    frame: int
    joint: str
    radians: float


@dataclasses.dataclass(frozen=True)
class SequenceQuality:
    """The faults found in one recording, and its label coverage.

    Attributes:
        name: name of the recording.
        jumps: frames at which the root turns, or a bone swings, by more than
            `JUMP_RADIANS` within 1/30 s.
        twists: frames at which a joint turns as far about its own bone: no joint
            position changes, but the skin and the rotation features do. Common at
            wrists and shoulders fitted to markers or Euler angles.
        fast_frames: frames in which a joint is faster than `MAX_SPEED`.
        top_speed: highest speed of any joint, metres per second.
        floor: height of the lowest foot joint when it stands, metres.
        gap_frames: number of frames without a label, in a recording that has
            labelled stretches.
        gaps: number of stretches of such frames.
        overlap_frames: number of frames with more than one label.
        overlaps: number of pairs of labels that share frames.
    """

    name: str
    jumps: tuple[Jump, ...]
    twists: tuple[Jump, ...]
    fast_frames: tuple[int, ...]
    top_speed: float
    floor: float
    gap_frames: int = 0
    gaps: int = 0
    overlap_frames: int = 0
    overlaps: int = 0


def check_motion(
    rotations: Float[np.ndarray, "t 22 3"],
    translation: Float[np.ndarray, "t 3"],
    fps: float = FRAMERATE,
    name: str = "",
    labels: Sequence[Label] = (),
) -> SequenceQuality:
    """Finds the faults in one recording.

    Args:
        rotations: (T, 22, 3) axis-angle, radians, z-up.
        translation: (T, 3) metres.
        fps: frames per second of the recording; the limits are scaled to it.
        name: name of the recording, copied to the result.
        labels: labels of the recording; those of kind 'sequence' are ignored.

    Returns:
        The faults and the label coverage.
    """
    turns = Rotation.from_rotvec(np.reshape(rotations, (-1, 3)).astype(np.float64))
    matrices = turns.as_matrix().reshape(len(rotations), -1, 3, 3)
    joints = place_on_host(matrices, translation)
    speeds = np.linalg.norm(np.diff(joints, axis=0), axis=-1).max(-1, initial=0) * fps
    jumps, twists = _turns(matrices, JUMP_RADIANS * 30 / fps)
    lowest = joints[:, FEET, 2].min(1)
    return SequenceQuality(
        name=name,
        jumps=jumps,
        twists=twists,
        fast_frames=tuple(int(t) + 1 for t in np.flatnonzero(speeds > MAX_SPEED)),
        top_speed=round(float(speeds.max(initial=0)), 2),
        floor=round(float(np.percentile(lowest, FLOOR_PERCENTILE)), 4),
        **_coverage(labels, len(rotations)),
    )


def check_store(store: MotionStore) -> list[SequenceQuality]:
    """Finds the faults in every recording of a store, one recording at a time."""
    rows = tqdm.tqdm(store.sequences, desc="check", unit="file", mininterval=0.5)
    return [
        check_motion(
            *store.frames(index), store.fps, row.name, store.labels_by_sequence[index]
        )
        for index, row in enumerate(rows)
    ]


def format_quality(recordings: Sequence[SequenceQuality]) -> str:
    """Formats the faults for the terminal, recordings with the largest jumps first."""
    floors = np.array([row.floor for row in recordings])
    jumping = sorted(
        (row for row in recordings if row.jumps),
        key=lambda row: -max(jump.radians for jump in row.jumps),
    )
    twisting = [row for row in recordings if row.twists]
    fast = [row for row in recordings if row.fast_frames]
    total = len(recordings)
    lines = [
        f"quality of {total} recordings:",
        f"  jumps (root or bone turns over {JUMP_RADIANS} rad within 1/30 s): "
        f"{len(jumping)} recordings",
        *_some([f"    {row.name}: {_list(row.jumps)}" for row in jumping]),
        f"  twists (a joint turns as far about its own bone): {len(twisting)} "
        "recordings",
        *_some([f"    {row.name}: {_list(row.twists)}" for row in twisting]),
        f"  speeds over {MAX_SPEED:g} m/s: {len(fast)} recordings",
        *_some(
            [
                f"    {row.name}: up to {row.top_speed:g} m/s, first at frame "
                f"{row.fast_frames[0]}"
                for row in fast
            ]
        ),
        f"  floor height: {floors.min():.3f} to {floors.max():.3f} m, "
        f"median {np.median(floors):.3f} m",
        f"  label gaps: {sum(row.gaps for row in recordings)} stretches, "
        f"{sum(row.gap_frames for row in recordings)} frames, in "
        f"{sum(row.gaps > 0 for row in recordings)} recordings",
        f"  label overlaps: {sum(row.overlaps for row in recordings)} pairs, "
        f"{sum(row.overlap_frames for row in recordings)} frames, in "
        f"{sum(row.overlaps > 0 for row in recordings)} recordings",
    ]
    return "\n".join(lines)


def save_quality(
    recordings: Iterable[SequenceQuality], path: str | os.PathLike
) -> None:
    """Writes one row per recording as JSON; an existing file is replaced atomically."""
    write_json(path, [dataclasses.asdict(row) for row in recordings])


def _bones() -> np.ndarray:
    """Returns (22, 3) unit direction of the bone each joint moves, in its own frame.

    A joint without children takes the direction of the bone that ends in it.
    """
    offsets = np.array(SMPL22.offsets)
    bones = offsets.copy()
    for child, parent in reversed(list(enumerate(SMPL22.parents))):
        if parent >= 0:  # of several children the first counts: the spine, not arms
            bones[parent] = offsets[child]
    return bones / np.linalg.norm(bones, axis=-1, keepdims=True)


def _turns(
    matrices: np.ndarray, limit: float
) -> tuple[tuple[Jump, ...], tuple[Jump, ...]]:
    """Returns the jumps and the twists of over `limit` radians from frame to frame."""
    before, after = matrices[:-1], matrices[1:]
    trace = np.einsum("tjab,tjab->tj", before, after)
    angle = np.arccos(np.clip((trace - 1) / 2, -1, 1))
    bones = np.einsum("tjab,jb->tja", matrices, _bones())
    swing = np.arccos(np.clip((bones[:-1] * bones[1:]).sum(-1), -1, 1))
    swing[:, 0] = angle[:, 0]  # any turn of the pelvis moves the whole body
    jumps = _rows(angle, swing > limit)
    return jumps, _rows(angle, (angle > limit) & (swing <= limit))


def _rows(angle: np.ndarray, where: np.ndarray) -> tuple[Jump, ...]:
    return tuple(
        Jump(int(t) + 1, SMPL22.names[j], round(float(angle[t, j]), 2))
        for t, j in np.argwhere(where)
    )


def _coverage(labels: Sequence[Label], length: int) -> dict[str, int]:
    stretches = [label for label in labels if label.kind == "frame"]
    if not stretches:
        return {}
    count = np.zeros(length, np.int64)
    for label in stretches:
        count[label.start : label.end] += 1
    empty = np.concatenate([[False], count == 0])
    return {
        "gap_frames": int(empty.sum()),
        "gaps": int((empty[1:] & ~empty[:-1]).sum()),
        "overlap_frames": int((count > 1).sum()),
        "overlaps": sum(
            a.start < b.end and b.start < a.end
            for i, a in enumerate(stretches)
            for b in stretches[:i]
        ),
    }


def _list(jumps: Sequence[Jump]) -> str:
    shown = jumps[:_SHOWN_JUMPS]
    text = ", ".join(f"frame {j.frame} {j.joint} {j.radians:g} rad" for j in shown)
    more = len(jumps) - len(shown)
    return f"{text} and {more} more" if more else text


def _some(lines: list[str]) -> list[str]:
    if len(lines) <= _SHOWN_ROWS:
        return lines
    more = len(lines) - _SHOWN_ROWS
    return [*lines[:_SHOWN_ROWS], f"    {more} more are in quality.json"]
