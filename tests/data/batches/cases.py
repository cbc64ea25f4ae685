"""Example data and helpers for the tests of segment and pair batches."""

import numpy as np

from actiongpt_jax.features.normalizer import Normalizer

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


def stretches(store, lengths, seed=0):
    """Returns (sequence, start, end) of random stretches of the given lengths."""
    rng = np.random.default_rng(seed)
    rows = []
    for length in map(int, lengths):
        sequence = int(rng.integers(len(store.sequences)))
        start = int(rng.integers(store.sequences[sequence].length - length + 1))
        rows.append((sequence, start, start + length))
    return rows


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
