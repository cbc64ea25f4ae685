"""Raw batches of segments, and the model batches made from them."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actiongpt_jax.data.batches.plan import BatchPlan
from actiongpt_jax.data.batches.segment_batches import (
    SegmentBatches,
    fit_features,
    model_batch,
    padded_tokens,
)
from actiongpt_jax.data.batches.segments import Segment
from actiongpt_jax.data.batches.segments import segments as list_segments
from actiongpt_jax.errors import InputError
from tests.data.batches.cases import (
    IDENTITY,
    PHRASES,
    SEVEN_AND_TWO,
    assert_processes_load_the_whole_batch,
    epoch_of,
    features_of,
    frames_of,
    random_normalizer,
    stretches,
)
from tests.data.batches.letters import WIDTH, embed_letters

# float32 rounding differs because XLA fuses differently for different shapes: by a few
# units in the last place of numbers up to about 3.
assert_close = functools.partial(np.testing.assert_allclose, rtol=2e-6, atol=2e-6)
convert = jax.jit(model_batch, static_argnames="heading")


def make_segments(store, lengths):
    """Returns random segments with the given lengths."""
    names = list(PHRASES)
    return [
        Segment(f"s{i}", sequence, start, end, names[i % 3])
        for i, (sequence, start, end) in enumerate(stretches(store, lengths))
    ]


def make_batches(
    store, embeddings, lengths, batch_size=4, seed=0, max_shapes=8, **options
):
    segments = make_segments(store, lengths)
    plan = BatchPlan(np.array(lengths), batch_size, seed, max_shapes)
    return (
        SegmentBatches(store, segments, embeddings, plan, seed=seed, **options),
        segments,
    )


# Only two distinct lengths, because each takes a compilation.
LENGTHS = [20, 41, 20, 41, 41, 20, 41, 41, 20, 20, 41]


@given(
    st.lists(st.integers(1, 120), min_size=1, max_size=20),
    st.integers(1, 7),
    st.sampled_from(["descriptions", "phrase"]),
    st.integers(0, 30),
)
@settings(deadline=None, max_examples=50)
def test_raw_batch_holds_segments_and_their_texts(
    store, embeddings, lengths, batch_size, source, step
):
    batches, segments = make_batches(
        store, embeddings, lengths, batch_size, source=source
    )
    raw = batches.load(step)
    items, frames = batches.plan.batch(step)
    num_tokens = batches.num_tokens
    assert {name: (a.shape, a.dtype.name) for name, a in raw.items()} == {
        "rotations": ((batch_size, frames, 22, 3), "float32"),
        "translation": ((batch_size, frames, 3), "float32"),
        "lengths": ((batch_size,), "int32"),
        "tokens": ((batch_size, num_tokens, WIDTH), "float16"),
        "token_lengths": ((batch_size,), "int32"),
        "index": ((batch_size,), "int32"),
        "item": ((batch_size,), "int32"),
    }
    np.testing.assert_array_equal(raw["item"], items)
    np.testing.assert_array_equal(raw["index"], np.arange(batch_size))
    for i, item in enumerate(items):
        n, m = raw["lengths"][i], raw["token_lengths"][i]
        assert not raw["tokens"][i, m:].any()
        if item < 0:
            assert (n, m) == (0, 0)
            assert not raw["rotations"][i].any()
            assert not raw["translation"][i].any()
            continue
        segment = segments[item]
        real = frames_of(store, segment)
        for name, expected in zip(("rotations", "translation"), real, strict=True):
            assert n == lengths[item] == len(expected)
            np.testing.assert_array_equal(raw[name][i, :n], expected)
            last = np.broadcast_to(expected[-1], raw[name][i, n:].shape)
            np.testing.assert_array_equal(raw[name][i, n:], last)
        tokens = embeddings.tokens(segment.phrase, source)
        np.testing.assert_array_equal(raw["tokens"][i, :m], tokens)


def test_all_batches_have_the_same_number_of_tokens(store, embeddings):
    batches, _ = make_batches(store, embeddings, LENGTHS)
    longest = max(len(embeddings.tokens(phrase)) for phrase in PHRASES)
    assert batches.num_tokens % 8 == 0
    assert longest <= batches.num_tokens < longest + 8
    assert padded_tokens(embeddings, ["walk", "walk"], "phrase") == 8
    wider, _ = make_batches(store, embeddings, LENGTHS, num_tokens=120)
    assert wider.load(0)["tokens"].shape[1] == 120


def test_batches_are_not_overwritten_by_later_ones(store, embeddings):
    batches, _ = make_batches(store, embeddings, LENGTHS)
    raw = batches.load(0)
    before = {name: array.copy() for name, array in raw.items()}
    for step in range(1, 8):
        batches.load(step)
    for name, array in raw.items():
        np.testing.assert_array_equal(array, before[name])


def test_a_resumed_run_gets_the_batches_of_an_uninterrupted_one(store, embeddings):
    batches, _ = make_batches(store, embeddings, LENGTHS, seed=5)
    whole = [batches.load(step) for step in range(10)]
    again, _ = make_batches(store, embeddings, LENGTHS, seed=5)
    for step in range(6, 10):
        for name, array in again.load(step).items():
            np.testing.assert_array_equal(array, whole[step][name])


@pytest.mark.parametrize("count", [1, 2, 4])
def test_processes_together_load_the_whole_batch(store, embeddings, count):
    def make(**options):
        return make_batches(store, embeddings, LENGTHS, batch_size=8, **options)[0]

    assert_processes_load_the_whole_batch(make, count, steps=5)


@pytest.mark.slow
@pytest.mark.parametrize("heading", ["yaw", "reference"])
def test_features_equal_those_of_each_segment_alone(store, embeddings, heading):
    batches, segments = make_batches(store, embeddings, LENGTHS)
    seen = 0
    for step in range(batches.plan.batches_per_epoch):
        raw = batches.load(step)
        features = convert(raw, IDENTITY, heading=heading)["features"]
        for i, item in enumerate(raw["item"]):
            if item < 0:
                continue
            alone = features_of(store, segments[item], heading)
            # Features of magnitude 1, compared in float32 with float64.
            np.testing.assert_allclose(features[i, : len(alone)], alone, 0, 5e-6)
            seen += 1
    assert seen == len(segments)


def test_headings_give_different_features(store, embeddings):
    raw = make_batches(store, embeddings, LENGTHS)[0].load(0)
    yaw = convert(raw, IDENTITY)["features"]
    reference = convert(raw, IDENTITY, heading="reference")["features"]
    assert np.abs(yaw - reference).max() > 0.01
    with pytest.raises(InputError, match="'north'"):
        convert(raw, IDENTITY, heading="north")


def test_padded_length_does_not_change_features(store, embeddings):
    batches, _ = make_batches(store, embeddings, LENGTHS)
    normalizer = random_normalizer()
    shapes = [batches.plan.batch(step)[1] for step in range(3)]
    raw, frames = batches.load(shapes.index(20)), 20
    longer_raw = raw | batches.load_motion(raw["item"], 44)
    short, long = convert(raw, normalizer), convert(longer_raw, normalizer)
    assert_close(long["features"][:, :frames], short["features"])
    assert not np.asarray(long["features"])[:, frames:].any()
    assert not np.asarray(long["frame_mask"])[:, frames:].any()


def test_raw_batches_have_one_shape_per_padded_length(store, embeddings):
    batches, _ = make_batches(store, embeddings, range(10, 110), 8, max_shapes=3)
    shapes = set()
    for step in range(2 * batches.plan.batches_per_epoch):
        raw = batches.load(step)
        shapes.add(tuple(sorted((name, a.shape) for name, a in raw.items())))
    assert len(shapes) == len(batches.plan.shapes) == 3


def test_padding_is_masked_and_zero(store, embeddings):
    batches, _ = make_batches(store, embeddings, LENGTHS, batch_size=16)
    raw = batches.load(0)
    batch = jax.device_get(convert(raw, SEVEN_AND_TWO))
    assert {name: (a.shape, a.dtype.name) for name, a in batch.items()} == {
        "features": ((16, 44, 135), "float32"),
        "frame_mask": ((16, 44), "bool"),
        "tokens": (raw["tokens"].shape, "float32"),
        "token_mask": (raw["tokens"].shape[:2], "bool"),
    }
    np.testing.assert_array_equal(batch["frame_mask"].sum(1), raw["lengths"])
    np.testing.assert_array_equal(batch["token_mask"].sum(1), raw["token_lengths"])
    assert (raw["item"] == -1).sum() == 5
    assert np.isfinite(batch["features"]).all()
    assert not batch["features"][~batch["frame_mask"]].any()
    assert not batch["tokens"][~batch["token_mask"]].any()
    assert (batch["frame_mask"][:, :-1] >= batch["frame_mask"][:, 1:]).all()


@pytest.mark.slow
@pytest.mark.parametrize("heading", ["yaw", "reference"])
def test_fit_features_uses_every_real_frame_once(store, embeddings, heading):
    batches, segments = make_batches(store, embeddings, LENGTHS)
    frames = np.concatenate([features_of(store, s, heading) for s in segments])
    normalizer = fit_features(batches, heading)
    # Rounding of float32 features, averaged over some 300 frames.
    np.testing.assert_allclose(normalizer.mean, frames.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        normalizer.std, frames.std(0, ddof=1), rtol=1e-5, atol=1e-6
    )


def test_fit_features_is_the_same_for_every_seed_and_process(store, embeddings):
    first = fit_features(make_batches(store, embeddings, LENGTHS)[0])
    other = make_batches(
        store, embeddings, LENGTHS, seed=9, process_index=1, process_count=2
    )[0]
    second = fit_features(other)
    np.testing.assert_array_equal(first.mean, second.mean)
    np.testing.assert_array_equal(first.std, second.std)


@pytest.fixture(scope="module")
def many_texts(tmp_path_factory):
    """Returns texts {phrase: three descriptions} and their store, made with --each."""
    texts = {name: [f"{i} {name}" for i in range(3)] for name in PHRASES}
    folder = tmp_path_factory.mktemp("many") / "letters"
    return texts, embed_letters(folder, texts, k=3, each=True)


def drawn_texts(batches, many_texts, steps):
    """Returns (item, text number) of every row; -1 is the bare phrase, 9 the mean."""
    texts, embeddings = many_texts
    rows = []
    for step in steps:
        raw = batches.load(step)
        for item, tokens, n in zip(
            raw["item"], raw["tokens"], raw["token_lengths"], strict=True
        ):
            if item < 0:
                continue
            phrase = batches.items[item].phrase
            known = {i: embeddings.tokens(phrase, index=i) for i in range(3)}
            known |= {-1: embeddings.tokens(phrase, "phrase")}
            known |= {9: embeddings.tokens(phrase)}
            rows += [
                (int(item), number)
                for number, real in known.items()
                if np.array_equal(tokens[:n], real)
            ]
    return rows


@pytest.mark.parametrize(
    ("source", "draw", "expected"),
    [
        ("descriptions", "all", {9}),
        ("descriptions", "one", {0, 1, 2}),
        ("mixed", "all", {-1, 9}),
        ("mixed", "one", {-1, 0, 1, 2}),
        ("phrase", "one", {-1}),
    ],
)
def test_texts_are_drawn_again_in_each_epoch(store, many_texts, source, draw, expected):
    options = {"source": source, "draw": draw}
    batches, _ = make_batches(store, many_texts[1], LENGTHS, **options, seed=3)
    epoch = batches.plan.batches_per_epoch
    epochs = [
        drawn_texts(batches, many_texts, range(i * epoch, (i + 1) * epoch))
        for i in range(8)
    ]
    assert all(len(rows) == len(LENGTHS) for rows in epochs)
    assert {number for rows in epochs for _, number in rows} == expected
    if len(expected) > 1:
        assert len({tuple(sorted(rows)) for rows in epochs}) > 1
    # A run that continues in the middle draws what it would have drawn.
    again, _ = make_batches(store, many_texts[1], LENGTHS, **options, seed=3)
    steps = range(2 * epoch, 3 * epoch)
    assert drawn_texts(again, many_texts, steps) == epochs[2]


@pytest.mark.parametrize(("draw", "expected"), [("all", 9), ("one", 0)])
def test_validation_reads_the_same_text_every_time(store, many_texts, draw, expected):
    segments = make_segments(store, LENGTHS)
    plan = BatchPlan(np.array(LENGTHS), 4, 0, 8, shuffle=False)
    batches = SegmentBatches(
        store, segments, many_texts[1], plan, source="mixed", draw=draw
    )
    rows = drawn_texts(batches, many_texts, range(2 * plan.batches_per_epoch))
    assert {number for _, number in rows} == {expected}


def test_drawing_one_description_needs_single_ones(store, embeddings):
    with pytest.raises(InputError, match="--each"):
        make_batches(store, embeddings, LENGTHS, draw="one")


def test_bad_input_raises_before_any_step(store, embeddings):
    segments = make_segments(store, LENGTHS)
    plan = BatchPlan(np.array(LENGTHS), 4, 0)
    with pytest.raises(InputError, match="items' lengths"):
        SegmentBatches(store, segments[1:], embeddings, plan)
    with pytest.raises(InputError, match="3 processes"):
        SegmentBatches(store, segments, embeddings, plan, process_count=3)
    with pytest.raises(InputError, match="num_tokens"):
        SegmentBatches(store, segments, embeddings, plan, num_tokens=8)
    with pytest.raises(InputError, match="source"):
        SegmentBatches(store, segments, embeddings, plan, source="words")
    unknown = [Segment(s.key, s.sequence, s.start, s.end, "fly") for s in segments]
    with pytest.raises(InputError, match="'fly'"):
        SegmentBatches(store, unknown, embeddings, plan)


# Three of the 373 labelled training segments have 14 frames.
@pytest.mark.parametrize(
    ("split", "min_frames", "count"),
    [("train", 1, 373), ("train", 15, 370), ("val", 15, 134)],
)
def test_less_than_a_fifth_of_real_batches_is_padding(
    minibabel, split, min_frames, count
):
    items = list_segments(minibabel, split, min_frames=min_frames)
    lengths = np.array([item.end - item.start for item in items])
    assert len(items) == count
    for seed in range(3):
        plan = BatchPlan(lengths, 16, seed, shuffle=split == "train")
        assert len(plan.shapes) <= 8
        for epoch in range(2):
            batches = epoch_of(plan, epoch)
            padded = sum(16 * frames for _, frames in batches)
            real = sum(lengths[items[items >= 0]].sum() for items, _ in batches)
            assert real == lengths.sum()
            assert 1 - real / padded == pytest.approx(plan.padding)
            assert plan.padding < 0.2


@pytest.mark.slow
def test_real_batches_are_normalised(minibabel, tmp_path):
    items = list_segments(minibabel, "train")[:48]
    embeddings = embed_letters(tmp_path / "text", {i.phrase: ["a"] for i in items})
    plan = BatchPlan(np.array([i.end - i.start for i in items]), 16, 0, max_shapes=1)
    batches = SegmentBatches(minibabel, items, embeddings, plan)
    normalizer = fit_features(batches)
    real = []
    for step in range(plan.batches_per_epoch):
        batch = convert(jax.device_put(batches.load(step)), normalizer)
        real.append(np.asarray(batch["features"])[np.asarray(batch["frame_mask"])])
    frames = np.concatenate(real)
    assert len(frames) == plan.lengths.sum()
    # Rounding of mean and standard deviation to float32, relative to the smallest
    # standard deviation of a feature that varies.
    np.testing.assert_allclose(frames.mean(0), 0, atol=1e-3)
    std = frames.std(0, ddof=1)
    np.testing.assert_allclose(std[std > 0.01], 1, atol=1e-3)
