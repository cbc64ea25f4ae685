"""Example data and helpers for the tests of batches."""

import itertools
import pathlib

import numpy as np

from actiongpt_jax.data.motion_store import Label, MotionStore, Sequence
from actiongpt_jax.features.normalizer import Normalizer
from tests.oracles import features as feature_oracle
from tests.oracles import rotations as rotation_oracle

PHRASES = {
    "walk": ["the left foot, then the right foot"],
    "jump up": ["both knees bend", "and stretch"],
    "sit": ["the hips sink down to a chair and the back leans on it"],
}
IDENTITY = Normalizer(np.zeros(135, np.float32), np.ones(135, np.float32))
SEVEN_AND_TWO = Normalizer(np.full(135, 7, np.float32), np.full(135, 2, np.float32))


def random_normalizer():
    rng = np.random.default_rng(0)
    mean, std = rng.standard_normal(135), rng.uniform(0.5, 2, 135)
    return Normalizer(mean.astype(np.float32), std.astype(np.float32))


def make_store(lengths, labels, hands=True, seed=0):
    """Returns a store in memory; labels are (sequence, start, end, phrase[, kind])."""
    rng = np.random.default_rng(seed)
    n = sum(lengths)
    ends = list(itertools.accumulate(lengths))
    return MotionStore(
        path=pathlib.Path("memory"),
        rotations=rng.normal(size=(n, 22, 3)).astype(np.float32),
        translation=rng.normal(size=(n, 3)).astype(np.float32),
        hands=rng.normal(size=(n, 2, 3)).astype(np.float32) if hands else None,
        sequences=[
            Sequence(f"s{i}", end - m, m, "train", "", "", 30.0, 30.0, m / 30)
            for i, (m, end) in enumerate(zip(lengths, ends, strict=True))
        ],
        labels=[Label(*label, *["frame"] * (5 - len(label))) for label in labels],
        meta={},
    )


def stretches(store, lengths, seed=0):
    """Returns (sequence, start, end) of random stretches of the given lengths."""
    rng = np.random.default_rng(seed)
    rows = []
    for length in map(int, lengths):
        sequence = int(rng.integers(len(store.sequences)))
        start = int(rng.integers(store.sequences[sequence].length - length + 1))
        rows.append((sequence, start, start + length))
    return rows


def frames_of(store, item):
    """Returns rotations and translation of a segment or a pair."""
    return [array[item.start : item.end] for array in store.frames(item.sequence)]


def features_of(store, item, heading):
    """Returns float64 features, in the heading of the first frame."""
    motion = frames_of(store, item)
    matrices = [
        [rotation_oracle.axis_angle_to_matrix(joint) for joint in frame]
        for frame in motion[0]
    ]
    # The heading of the published code is 0 for a body that faces -y.
    yaw = float(motion[0][0, 0, 2]) - np.pi / 2 if heading == "reference" else None
    return feature_oracle.rot_velocity(matrices, motion[1], yaw)


def epoch_of(plan, epoch):
    first = epoch * plan.batches_per_epoch
    return [plan.batch(step) for step in range(first, first + plan.batches_per_epoch)]


def assert_processes_load_the_whole_batch(make_batches, count, steps):
    """Asserts that `count` processes together load the rows of one process."""
    whole = make_batches()
    parts = [make_batches(process_index=p, process_count=count) for p in range(count)]
    for step in range(steps):
        raws = [part.load(step) for part in parts]
        assert len(raws[0]["index"]) == whole.plan.batch_size // count
        for name, array in whole.load(step).items():
            together = np.concatenate([raw[name] for raw in raws])
            np.testing.assert_array_equal(together, array)
