"""Measures how near generated actions are to real clips of their own phrase."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from actiongpt_jax.data.batches.segments import Segment
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.geometry.kinematics import forward_kinematics
from actiongpt_jax.geometry.rotations import axis_angle_to_matrix
from actiongpt_jax.metrics.ape_ave import ape_ave


def clips_of(store: MotionStore, items: Sequence[Segment]) -> list[np.ndarray]:
    """Returns the joint positions of real segments, (T, 22, 3) each, metres."""
    rows = [store.sequences[item.sequence].start for item in items]
    slices = [
        slice(row + item.start, row + item.end)
        for row, item in zip(rows, items, strict=True)
    ]
    return joints_of([(store.rotations[s], store.translation[s]) for s in slices])


def joints_of(motions: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """Returns (T, 22, 3) joint positions of (rotations, translation) pairs, metres."""
    frames = np.cumsum([0, *(len(translation) for _, translation in motions)])
    rotations, translation = (np.concatenate(x) for x in zip(*motions, strict=True))
    joints = forward_kinematics(axis_angle_to_matrix(rotations), translation)
    return np.split(np.asarray(joints), frames[1:-1])


def distances(
    generated: Sequence[np.ndarray],
    clips: Sequence[np.ndarray],
    figure: str = "ape_global",
) -> np.ndarray:
    """Returns (n, m) distances in metres, over the frames that both motions have.

    Both motions are first moved to the same ground position and yaw in frame 0.

    Args:
        generated: n motions, (T, 22, 3) joint positions each, metres.
        clips: m real motions, in the same form.
        figure: metric of `metrics.ape_ave` under the protocol 'paper'.
    """
    size = max(len(joints) for joints in (*generated, *clips))

    def pad(joints):
        return np.pad(joints, ((0, size - len(joints)), (0, 0), (0, 0)), "edge")

    stacked = np.stack([pad(joints) for joints in clips])
    lengths = np.array([len(joints) for joints in clips])
    rows = [
        _to_all(pad(joints), stacked, np.minimum(lengths, len(joints)), figure)
        for joints in generated
    ]
    return np.stack(rows)


@functools.partial(jax.jit, static_argnames="figure")
def _to_all(
    joints: jax.Array, clips: jax.Array, lengths: jax.Array, figure: str
) -> jax.Array:
    one = functools.partial(ape_ave, protocol="paper")
    result = jax.vmap(lambda clip, length: one(joints, clip, length))(clips, lengths)
    return jnp.asarray(result[figure])


def own_nearer(
    distance: np.ndarray, phrases: Sequence[str], clip_phrases: Sequence[str]
) -> dict[str, float]:
    """Measures how often actions are nearest to the clips of their own phrase.

    Args:
        distance: (n, m) distances from generated actions to clips.
        phrases: n phrases of the generated actions.
        clip_phrases: m phrases of the clips.

    Returns:
        pairs: share of all pairs (action, other phrase) in which the mean distance to
            the clips of the action's own phrase is the smaller one; top1: share of
            actions to which no other phrase is nearer; pairs_chance and top1_chance:
            the same shares for random distances.
    """
    names = sorted(set(clip_phrases))
    of_clip = np.array([names.index(phrase) for phrase in clip_phrases])
    means = np.stack(
        [distance[:, of_clip == i].mean(1) for i in range(len(names))], axis=1
    )
    target = np.array([names.index(phrase) for phrase in phrases])
    own_distance = means[np.arange(len(target)), target]
    others = np.ones_like(means, bool)
    others[np.arange(len(target)), target] = False
    nearer = (own_distance[:, None] < means) & others
    return {
        "pairs": round(float(nearer.sum() / others.sum()), 4),
        "pairs_chance": 0.5,
        "top1": round(float((means.argmin(1) == target).mean()), 4),
        "top1_chance": round(1 / len(names), 4),
    }
