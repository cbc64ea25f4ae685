"""Raw batches of pairs, and the model batches that TEACH is trained on."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actiongpt_jax.data.batches.pair_batches import (
    PairBatches,
    action_lengths,
    pair_model_batch,
)
from actiongpt_jax.data.batches.pair_plan import PairPlan
from actiongpt_jax.data.batches.segments import Pair
from actiongpt_jax.errors import InputError
from tests.data.batches.cases import (
    IDENTITY,
    PHRASES,
    SEVEN_AND_TWO,
    assert_processes_load_the_whole_batch,
    features_of,
    frames_of,
    random_normalizer,
    stretches,
)
from tests.data.batches.letters import WIDTH

# Features of magnitude 1, compared in float32 with float64.
assert_close = functools.partial(np.testing.assert_allclose, rtol=0, atol=5e-6)


def make_pairs(store, lengths):
    """Returns random pairs with the given (first, transition, second) frames."""
    names, items = list(PHRASES), []
    for i, (sequence, start, end) in enumerate(stretches(store, map(sum, lengths))):
        phrases = names[i % 3], names[(i // 3 + i + 1) % 3]
        items.append(Pair(f"p{i}", sequence, start, end, lengths[i], phrases))
    return items


def make_batches(
    store, embeddings, lengths, batch_size=4, seed=0, max_shapes=2, **options
):
    items = make_pairs(store, lengths)
    plan = PairPlan(action_lengths(items), batch_size, seed, max_shapes)
    return PairBatches(store, items, embeddings, plan, **options), items


# Only two shapes, because each takes a compilation.
SHORT = [(20, 0, 9), (12, 4, 8), (17, 3, 5), (9, 0, 12), (20, 1, 11), (5, 0, 4)]
LENGTHS = SHORT + [(16, 8, 20), (20, 0, 28), (18, 5, 15), (15, 9, 16), (11, 0, 27)]


@functools.lru_cache
def convert(heading="yaw"):
    return jax.jit(functools.partial(pair_model_batch, heading=heading))


PART = st.tuples(st.integers(1, 60), st.integers(0, 20), st.integers(1, 60))


@given(
    st.lists(PART, min_size=1, max_size=12),
    st.integers(1, 7),
    st.sampled_from(["descriptions", "phrase"]),
    st.integers(0, 30),
)
@settings(deadline=None, max_examples=50)
def test_raw_batch_holds_pairs_and_texts_of_both_actions(
    store, embeddings, lengths, batch_size, source, step
):
    batches, pairs = make_batches(store, embeddings, lengths, batch_size, source=source)
    raw = batches.load(step)
    items, shape = batches.plan.batch(step)
    tokens = ((batch_size, batches.num_tokens, WIDTH), "float16")
    assert {name: (a.shape, a.dtype.name) for name, a in raw.items()} == {
        "rotations": ((batch_size, sum(shape), 22, 3), "float32"),
        "translation": ((batch_size, sum(shape), 3), "float32"),
        "lengths": ((batch_size, 2), "int32"),
        "frame_mask_0": ((batch_size, shape[0]), "bool"),
        "frame_mask_1": ((batch_size, shape[1]), "bool"),
        "tokens_0": tokens,
        "tokens_1": tokens,
        "token_lengths_0": ((batch_size,), "int32"),
        "token_lengths_1": ((batch_size,), "int32"),
        "index": ((batch_size,), "int32"),
        "item": ((batch_size,), "int32"),
    }
    np.testing.assert_array_equal(raw["item"], items)
    np.testing.assert_array_equal(raw["index"], np.arange(batch_size))
    for b, item in enumerate(items):
        first, transition, second = pairs[item].lengths if item >= 0 else (0, 0, 0)
        frames = (first, transition + second)
        assert tuple(raw["lengths"][b]) == frames
        for i in (0, 1):
            mask, count = raw[f"frame_mask_{i}"][b], raw[f"token_lengths_{i}"][b]
            assert mask[: frames[i]].all() and not mask[frames[i] :].any()
            assert not raw[f"tokens_{i}"][b, count:].any()
            if item >= 0:
                expected = embeddings.tokens(pairs[item].phrases[i], source)
                np.testing.assert_array_equal(raw[f"tokens_{i}"][b, :count], expected)
            else:
                assert count == 0
        if item < 0:
            assert not raw["rotations"][b].any() and not raw["translation"][b].any()
            continue
        motion = frames_of(store, pairs[item])
        for name, expected in zip(("rotations", "translation"), motion, strict=True):
            np.testing.assert_array_equal(raw[name][b, : sum(frames)], expected)


@pytest.mark.slow
@pytest.mark.parametrize("heading", ["yaw", "reference"])
def test_both_actions_are_stretches_of_one_motion(store, embeddings, heading):
    batches, pairs = make_batches(store, embeddings, LENGTHS)
    normalizer = random_normalizer()
    seen = 0
    for step in range(batches.plan.batches_per_epoch):
        raw = batches.load(step)
        batch = jax.device_get(convert(heading)(raw, normalizer))
        for b, item in enumerate(raw["item"]):
            if item < 0:
                continue
            whole = features_of(store, pairs[item], heading)
            whole = (whole - normalizer.mean) / normalizer.std
            # The transition belongs to the second action.
            cut = pairs[item].lengths[0]
            for i, part in enumerate((whole[:cut], whole[cut:])):
                assert_close(batch[f"features_{i}"][b, : len(part)], part)
                assert batch[f"frame_mask_{i}"][b].sum() == len(part)
                assert not batch[f"features_{i}"][b, len(part) :].any()
            seen += 1
    assert seen == len(pairs)


def test_second_action_starts_with_the_velocity_of_the_first(store, embeddings):
    batches, pairs = make_batches(store, embeddings, LENGTHS)
    raw = batches.load(0)
    batch = jax.device_get(convert()(raw, IDENTITY))
    b = int(np.argmax(raw["item"] >= 0))
    pair = pairs[raw["item"][b]]
    start = pair.start + pair.lengths[0]
    _, translation = store.frames(pair.sequence)
    step = np.linalg.norm(translation[start, :2] - translation[start - 1, :2])
    velocity = batch["features_1"][b, 0, 1:3]
    # A separate motion would start with velocity 0; this one continues the first.
    assert step > 1e-3
    np.testing.assert_allclose(np.linalg.norm(velocity), step, rtol=1e-4)
    assert not batch["features_0"][b, 0, 1:3].any()


def test_padding_does_not_change_the_model_batch(store, embeddings):
    batches, _ = make_batches(store, embeddings, LENGTHS)
    for step in range(batches.plan.batches_per_epoch):
        raw = batches.load(step)
        real = np.arange(raw["rotations"].shape[1]) < raw["lengths"].sum(1)[:, None]
        garbage = np.random.default_rng(step).uniform(-9, 9, raw["rotations"].shape)
        garbage = garbage.astype(np.float32)
        changed = raw | {
            "rotations": np.where(real[..., None, None], raw["rotations"], garbage),
            "translation": np.where(
                real[..., None], raw["translation"], garbage[:, :, 0]
            ),
        }
        clean, dirty = convert()(raw, IDENTITY), convert()(changed, IDENTITY)
        for name, array in clean.items():
            np.testing.assert_array_equal(dirty[name], array)


def test_padding_and_filler_rows_are_masked_and_zero(store, embeddings):
    batches, _ = make_batches(store, embeddings, LENGTHS, batch_size=16, max_shapes=1)
    raw = batches.load(0)
    batch = jax.device_get(convert()(raw, SEVEN_AND_TWO))
    tokens = raw["tokens_0"].shape
    shapes = {
        "features_0": ((16, 20, 135), "float32"),
        "frame_mask_0": ((16, 20), "bool"),
        "features_1": ((16, 28, 135), "float32"),
        "frame_mask_1": ((16, 28), "bool"),
    } | {
        f"{name}_{i}": value
        for i in (0, 1)
        for name, value in {
            "tokens": (tokens, "float32"),
            "token_mask": (tokens[:2], "bool"),
        }.items()
    }
    assert {name: (a.shape, a.dtype.name) for name, a in batch.items()} == shapes
    fillers = raw["item"] < 0
    assert fillers.sum() == 5
    for i in (0, 1):
        frames, texts = batch[f"frame_mask_{i}"], batch[f"token_mask_{i}"]
        np.testing.assert_array_equal(frames.sum(1), raw["lengths"][:, i])
        np.testing.assert_array_equal(texts.sum(1), raw[f"token_lengths_{i}"])
        assert not frames[fillers].any() and not texts[fillers].any()
        assert (frames[:, :-1] >= frames[:, 1:]).all()
        assert np.isfinite(batch[f"features_{i}"]).all()
        assert not batch[f"features_{i}"][~frames].any()
        assert not batch[f"tokens_{i}"][~texts].any()


def test_raw_batches_have_one_shape_per_padded_lengths(store, embeddings):
    batches, _ = make_batches(store, embeddings, LENGTHS, max_shapes=2)
    shapes = set()
    for step in range(2 * batches.plan.batches_per_epoch):
        raw = batches.load(step)
        shapes.add(tuple(sorted((name, a.shape) for name, a in raw.items())))
    assert len(shapes) == len(batches.plan.shapes) == 2


@pytest.mark.parametrize("count", [1, 2, 4])
def test_processes_together_load_the_whole_batch(store, embeddings, count):
    def make(**options):
        return make_batches(store, embeddings, LENGTHS, batch_size=8, **options)[0]

    assert_processes_load_the_whole_batch(make, count, steps=4)


def test_action_lengths_add_the_transition_to_the_second_action():
    pairs = [
        Pair("p", 0, 10, 45, (20, 5, 10), ("sit", "walk")),
        Pair("q", 0, 0, 30, (12, 0, 18), ("walk", "sit")),
    ]
    np.testing.assert_array_equal(action_lengths(pairs), [(20, 15), (12, 18)])
    assert action_lengths([]).shape == (0, 2)


def test_bad_input_raises_before_any_step(store, embeddings):
    pairs = make_pairs(store, LENGTHS)
    plan = PairPlan(action_lengths(pairs), 4, 0)
    with pytest.raises(InputError, match="both actions"):
        PairBatches(store, pairs[1:], embeddings, plan)
    with pytest.raises(InputError, match="3 processes"):
        PairBatches(store, pairs, embeddings, plan, process_count=3)
    with pytest.raises(InputError, match="num_tokens"):
        PairBatches(store, pairs, embeddings, plan, num_tokens=8)
    # The unknown phrase occurs only in a second action.
    last = pairs[-1]
    unknown = dataclasses.replace(last, phrases=("sit", "fly"))
    with pytest.raises(InputError, match="'fly'"):
        PairBatches(store, [*pairs[:-1], unknown], embeddings, plan)
    with pytest.raises(InputError, match="'north'"):
        convert("north")(PairBatches(store, pairs, embeddings, plan).load(0), IDENTITY)
