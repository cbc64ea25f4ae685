"""Choice of bucket edges, and the items and order of batches."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actiongpt_jax.data.batches.pair_plan import PairPlan
from actiongpt_jax.data.batches.plan import BatchPlan, choose_edges
from actiongpt_jax.errors import InputError
from tests.data.batches.cases import epoch_of

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=120).map(np.array)
FRAMES = st.integers(1, 300)
PAIRS = st.lists(st.tuples(FRAMES, FRAMES), min_size=1, max_size=90).map(np.array)
SMALL = st.lists(st.integers(1, 48), min_size=1, max_size=20).map(np.array)


def frames_of_batches(lengths, edges, batch_size):
    """Returns the frames of one row, summed over batches, by simulating the rules."""
    waiting, total = -len(lengths) % batch_size, 0
    lower = 0
    for edge in edges:
        waiting += int(((lengths > lower) & (lengths <= edge)).sum())
        total += waiting // batch_size * edge
        waiting, lower = waiting % batch_size, edge
    assert waiting == 0
    return total


@given(SMALL, st.integers(1, 6), st.integers(1, 3))
@settings(deadline=None)
def test_edges_are_optimal(lengths, batch_size, max_shapes):
    edges = choose_edges(lengths, max_shapes, batch_size=batch_size)
    candidates = sorted({math.ceil(x / 4) * 4 for x in lengths})
    best = min(
        frames_of_batches(lengths, [*some, candidates[-1]], batch_size)
        for count in range(max_shapes)
        for some in itertools.combinations(candidates[:-1], count)
    )
    assert frames_of_batches(lengths, edges, batch_size) == best
    assert len(edges) <= max_shapes
    assert list(edges) == sorted(set(edges))
    assert all(edge % 4 == 0 for edge in edges)


def test_no_edge_is_chosen_without_savings():
    assert choose_edges(np.array([5, 20, 90]), batch_size=16) == (92,)
    assert choose_edges(np.full(100, 8), batch_size=16) == (8,)


def test_edges_of_very_different_lengths_are_found_in_bounded_memory():
    edges = choose_edges(np.arange(1, 100_000, 3))
    assert len(edges) == 8
    assert edges[-1] >= 99_999


@given(LENGTHS, st.integers(1, 40), st.integers(0, 5), st.booleans())
@settings(deadline=None)
def test_every_item_occurs_once_per_epoch_in_a_bucket_that_fits(
    lengths, batch_size, epoch, shuffle
):
    plan = BatchPlan(lengths, batch_size, 7, shuffle=shuffle)
    batches = epoch_of(plan, epoch)
    seen = np.concatenate([items for items, _ in batches])
    np.testing.assert_array_equal(np.sort(seen[seen >= 0]), np.arange(lengths.size))
    for items, frames in batches:
        assert items.shape == (batch_size,)
        assert items.dtype == np.int32
        assert frames in plan.shapes
        assert items[0] >= 0, "a batch of fillers only"
        assert lengths[items[items >= 0]].max() <= frames
    assert len(plan.shapes) <= 8
    assert plan.batches_per_epoch == math.ceil(lengths.size / batch_size)


@given(LENGTHS, st.integers(1, 40))
@settings(deadline=None)
def test_shapes_and_padding_are_the_same_in_every_epoch(lengths, batch_size):
    plan = BatchPlan(lengths, batch_size, 3)
    for epoch in range(3):
        frames = sorted(frames for _, frames in epoch_of(plan, epoch))
        assert tuple(sorted(set(frames))) == plan.shapes
        padding = 1 - lengths.sum() / (sum(frames) * batch_size)
        assert plan.padding == pytest.approx(padding)


@pytest.mark.parametrize("kind", [BatchPlan, PairPlan])
@given(PAIRS, st.integers(1, 40), st.integers(0, 2**40), st.data())
@settings(deadline=None)
def test_steps_do_not_depend_on_earlier_calls(kind, lengths, batch_size, seed, data):
    lengths = lengths[:, 0] if kind is BatchPlan else lengths
    plan = kind(lengths, batch_size, seed)
    steps = data.draw(st.lists(st.integers(0, 5 * plan.batches_per_epoch), max_size=8))
    sequential = [plan.batch(step) for step in range(5 * plan.batches_per_epoch + 1)]
    resumed = kind(lengths, batch_size, seed)
    for step in steps:
        items, shape = resumed.batch(step)
        np.testing.assert_array_equal(items, sequential[step][0])
        assert shape == sequential[step][1]


@pytest.mark.parametrize(("kind", "axes"), [(BatchPlan, ()), (PairPlan, (2,))])
def test_order_depends_on_seed_and_epoch(kind, axes):
    lengths = np.random.default_rng(0).integers(15, 200, (200, *axes))
    plan, other = kind(lengths, 16, 0), kind(lengths, 16, 1)
    first, second = (np.stack([i for i, _ in epoch_of(plan, e)]) for e in (0, 1))
    assert (first != second).any()
    assert (first != np.stack([i for i, _ in epoch_of(other, 0)])).any()


def test_epochs_move_different_items_to_the_longer_bucket():
    lengths = np.repeat([20, 100], [24, 24])
    plan = BatchPlan(lengths, 16, 0)
    assert plan.shapes == (20, 100)
    moved = set()
    for epoch in range(20):
        for items, frames in epoch_of(plan, epoch):
            if frames == 100:
                moved |= set(items[lengths[items] == 20].tolist())
    # 8 of 24 items move in each of 20 epochs; an item never moves with probability
    # 3e-4.
    assert len(moved) >= 20


def test_order_without_shuffling_is_as_given_and_repeats():
    lengths = np.array([9, 30, 10, 29, 31, 11])
    plan = BatchPlan(lengths, 3, 0, shuffle=False)
    assert [items.tolist() for items, _ in epoch_of(plan, 0)] == [[0, 2, 5], [1, 3, 4]]
    assert [items.tolist() for items, _ in epoch_of(plan, 4)] == [[0, 2, 5], [1, 3, 4]]


def test_fillers_are_spread_over_the_shortest_bucket():
    lengths = np.repeat([20, 200], [42, 16])
    batches = epoch_of(BatchPlan(lengths, 16, 0), 0)
    fillers = {20: [], 200: []}
    for items, frames in batches:
        fillers[frames].append(int((items < 0).sum()))
        assert (np.diff((items < 0).astype(int)) >= 0).all(), "fillers come last"
    assert fillers == {20: [2, 2, 2], 200: [0]}


def test_batch_larger_than_the_data_has_filler_rows():
    plan = BatchPlan(np.array([20, 30, 41]), 16, 0)
    items, frames = plan.batch(12)
    assert frames == 44
    assert sorted(items.tolist()) == [-1] * 13 + [0, 1, 2]
    assert plan.batches_per_epoch == 1


def test_given_edges_are_used_and_checked():
    plan = BatchPlan(np.array([20, 30, 41]), 1, 0, edges=(32, 64, 128))
    assert plan.shapes == (32, 64)
    with pytest.raises(InputError, match="longest item"):
        BatchPlan(np.array([20, 129]), 1, 0, edges=(32, 64, 128))
    with pytest.raises(InputError, match="ascending"):
        BatchPlan(np.array([20]), 1, 0, edges=(64, 32))


def test_changing_a_returned_batch_does_not_change_later_ones():
    plan = BatchPlan(np.arange(1, 40), 4, 0)
    before = plan.batch(3)[0].copy()
    plan.batch(3)[0][:] = -5
    np.testing.assert_array_equal(plan.batch(3)[0], before)


@pytest.mark.parametrize(
    ("lengths", "batch_size", "message"),
    [([], 4, "at least one item"), ([3, 0], 4, "item 1"), ([3], 0, "batch_size")],
)
def test_bad_input_raises(lengths, batch_size, message):
    with pytest.raises(InputError, match=message):
        BatchPlan(np.array(lengths), batch_size, 0)
