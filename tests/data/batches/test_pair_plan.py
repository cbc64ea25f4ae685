"""Groups of pairs that share two padded lengths, and their mixing in each epoch."""

import collections
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actiongpt_jax.data.batches.pair_batches import action_lengths
from actiongpt_jax.data.batches.pair_plan import PairPlan, divide
from actiongpt_jax.data.batches.segments import pairs
from actiongpt_jax.errors import InputError
from tests.data.batches.cases import epoch_of

FRAMES = st.integers(1, 300)
LENGTHS = st.lists(st.tuples(FRAMES, FRAMES), min_size=1, max_size=90).map(np.array)
BATCH_SIZES = st.integers(1, 40)


def padded_frames(groups, lengths):
    """Returns the frames of all rows if each group is padded to its longest items."""
    tops = [[math.ceil(n / 4) * 4 for n in lengths[g].max(0)] for g in groups]
    return sum(len(g) * sum(top) for g, top in zip(groups, tops, strict=True))


@given(LENGTHS, BATCH_SIZES, st.integers(1, 16), st.integers(0, 5), st.booleans())
@settings(deadline=None)
def test_every_pair_occurs_once_per_epoch_in_a_shape_that_fits(
    lengths, batch_size, max_shapes, epoch, shuffle
):
    plan = PairPlan(lengths, batch_size, 7, max_shapes, shuffle=shuffle)
    batches = epoch_of(plan, epoch)
    seen = np.concatenate([items for items, _ in batches])
    np.testing.assert_array_equal(np.sort(seen[seen >= 0]), np.arange(len(lengths)))
    for items, shape in batches:
        assert items.shape == (batch_size,)
        assert items.dtype == np.int32
        assert shape in plan.shapes
        real = items[items >= 0]
        assert real.size, "a batch of fillers only"
        assert (lengths[real] <= shape).all()
    assert len(plan.shapes) <= max_shapes
    assert plan.batches_per_epoch == math.ceil(len(lengths) / batch_size)


@given(LENGTHS, BATCH_SIZES)
@settings(deadline=None)
def test_shapes_and_padding_are_the_same_in_every_epoch(lengths, batch_size):
    plan = PairPlan(lengths, batch_size, 3)
    counts = [
        collections.Counter(shape for _, shape in epoch_of(plan, epoch))
        for epoch in range(3)
    ]
    assert counts[0] == counts[1] == counts[2]
    assert tuple(sorted(counts[0])) == plan.shapes
    frames = batch_size * sum(sum(shape) * n for shape, n in counts[0].items())
    assert plan.padding == pytest.approx(1 - lengths.sum() / frames)


def test_pairs_that_fit_several_shapes_change_batches():
    short, tall, wide = [(20, 20)] * 3 + [(27, 20)] * 3, (25, 100), (100, 24)
    plan = PairPlan(np.array(short + [tall] * 5 + [wide] * 5), 8, 0, max_shapes=2)
    assert plan.shapes == ((28, 100), (100, 24))
    met, places = set(), collections.defaultdict(set)
    for epoch in range(40):
        for items, shape in epoch_of(plan, epoch):
            met |= set(itertools.combinations(sorted(items.tolist()), 2))
            for item in items.tolist():
                places[item].add(shape)
    # Any 3 of the 6 short ones may be in either batch. The probability that two of them
    # are never in the same batch in 40 epochs is 15 * 0.6^40 = 2e-8.
    assert [len(places[item]) for item in range(16)] == [2] * 6 + [1] * 10
    never = set(itertools.product(range(6, 11), range(11, 16)))
    assert met == set(itertools.combinations(range(16), 2)) - never


def test_epochs_batch_pairs_differently():
    lengths = np.random.default_rng(0).integers(15, 200, (2000, 2))
    plan = PairPlan(lengths, 16, 0)
    met = [
        {
            couple
            for items, _ in epoch_of(plan, epoch)
            for couple in itertools.combinations(sorted(items.tolist()), 2)
        }
        for epoch in (0, 1)
    ]
    # With 125 batches of at most 16 shapes, about an eighth would meet again by chance.
    assert len(met[0] & met[1]) < 0.25 * len(met[0])


@given(LENGTHS, st.integers(1, 8), st.integers(1, 10))
@settings(deadline=None)
def test_groups_are_whole_batches_and_each_cut_saves_frames(
    lengths, batch_size, max_groups
):
    lengths = np.pad(lengths, ((0, -len(lengths) % batch_size), (0, 0)))
    costs, counts = [], []
    for limit in range(1, max_groups + 1):
        groups = divide(lengths, batch_size, limit)
        np.testing.assert_array_equal(
            np.sort(np.concatenate(groups)), np.arange(len(lengths))
        )
        assert all(len(group) and len(group) % batch_size == 0 for group in groups)
        costs.append(padded_frames(groups, lengths))
        counts.append(len(groups))
        assert len(groups) <= limit
    assert costs[0] == padded_frames([np.arange(len(lengths))], lengths)
    for before, after in itertools.pairwise(range(max_groups)):
        if counts[after] > counts[before]:
            assert counts[after] == counts[before] + 1
            assert costs[after] < costs[before]
        else:
            assert costs[after] == costs[before]


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
    st.integers(1, 3),
    st.sampled_from([0, 1]),
)
@settings(deadline=None)
def test_single_cut_is_optimal_if_one_length_varies(varying, batch_size, axis):
    lengths = np.full((len(varying), 2), 9)
    lengths[:, axis] = varying
    lengths = np.pad(lengths, ((0, -len(lengths) % batch_size), (0, 0)))
    rows = range(len(lengths))
    best = min(
        padded_frames(
            [g for g in (list(part), [r for r in rows if r not in part]) if g], lengths
        )
        for size in range(batch_size, len(lengths) + 1, batch_size)
        for part in itertools.combinations(rows, size)
    )
    assert padded_frames(divide(lengths, batch_size, 2), lengths) == best


def test_divide_makes_no_cut_without_savings():
    assert PairPlan(np.full((100, 2), 8), 16, 0).shapes == ((8, 8),)
    assert len(divide(np.full((4, 2), 8), 1, 16)) == 1


def test_order_without_shuffling_is_as_given_and_repeats():
    lengths = np.array([(9, 9), (30, 9), (10, 9), (9, 40), (9, 41), (31, 8)])
    plan = PairPlan(lengths, 2, 0, shuffle=False)
    first = [(items.tolist(), shape) for items, shape in epoch_of(plan, 0)]
    again = [(items.tolist(), shape) for items, shape in epoch_of(plan, 4)]
    assert first == again
    assert sorted(first) == [
        ([0, 2], (12, 12)),
        ([1, 5], (32, 12)),
        ([3, 4], (12, 44)),
    ]


def test_batch_larger_than_the_data_has_filler_rows():
    plan = PairPlan(np.array([(20, 30), (30, 41), (9, 9)]), 16, 0)
    items, shape = plan.batch(12)
    assert shape == (32, 44)
    assert sorted(items.tolist()) == [-1] * 13 + [0, 1, 2]
    assert plan.batches_per_epoch == 1


def test_changing_a_returned_batch_does_not_change_later_ones():
    plan = PairPlan(np.arange(1, 81).reshape(40, 2), 4, 0)
    before = plan.batch(3)[0].copy()
    plan.batch(3)[0][:] = -5
    np.testing.assert_array_equal(plan.batch(3)[0], before)


@pytest.mark.parametrize(
    ("lengths", "options", "message"),
    [
        (np.empty((0, 2)), {}, "at least one item"),
        (np.array([5, 6]), {}, "lengths"),
        (np.array([(3, 4), (5, 0)]), {}, "item 1"),
        (np.array([(3, 4)]), {"batch_size": 0}, "batch_size"),
        (np.array([(3, 4)]), {"max_shapes": 0}, "max_shapes"),
        (np.array([(3, 4)]), {"seed": -1}, "seed"),
    ],
)
def test_bad_input_raises(lengths, options, message):
    with pytest.raises(InputError, match=message):
        PairPlan(lengths, **({"batch_size": 4, "seed": 0} | options))


@pytest.mark.parametrize("cut", ["middle", "reference"])
def test_less_than_a_quarter_of_real_batches_is_padding(minibabel, cut):
    lengths = action_lengths(pairs(minibabel, "train", cut=cut))
    for seed in range(2):
        plan = PairPlan(lengths, 16, seed, max_shapes=16)
        assert len(plan.shapes) <= 16
        for epoch in range(2):
            batches = epoch_of(plan, epoch)
            padded = sum(16 * sum(shape) for _, shape in batches)
            real = sum(int(lengths[i[i >= 0]].sum()) for i, _ in batches)
            assert real == lengths.sum()
            assert 1 - real / padded == pytest.approx(plan.padding)
            assert plan.padding < 0.25
