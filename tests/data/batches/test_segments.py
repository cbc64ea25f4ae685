import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actiongpt_jax.data.babel import Annotation, label_frames
from actiongpt_jax.data.batches.segments import (
    Span,
    cut_pair,
    is_accepted,
    pair_spans,
    pairs,
    phrases,
    segments,
)
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.data.store_builder import build_motion_store
from actiongpt_jax.errors import InputError

# Two of the spelling corrections that the reference's extraction applies.
SPELLING = {"righthand": "right hand", "foward": "forward"}


@pytest.fixture(scope="module")
def extracts(golden_file):
    return json.loads(golden_file("temos_teach/babel_extract.json").read_text())


def spans_of(extract):
    rows = (extract["ann"]["frame_ann"] or {"labels": []})["labels"]
    labels = tuple((r["proc_label"], r["start_t"], r["end_t"]) for r in rows)
    annotation = Annotation("0", "train", "a.npz", None, labels)
    got, _ = label_frames(annotation, extract["seqlen"])
    return [
        Span(n.start, n.end, " ".join(SPELLING.get(w, w) for w in n.phrase.split()))
        for n in got
    ]


def test_segments_equal_reference(extracts):
    for extract in extracts:
        want = zip(
            *(extract["out"]["seg"][k] for k in ("segments", "labels")), strict=True
        )
        # The reference keeps labels of which no frame is left.
        want = [(*frames, text) for frames, text in want if frames[0] < frames[1]]
        assert [tuple(span) for span in spans_of(extract)] == want


def test_pairs_equal_reference(extracts):
    total = 0
    for extract in extracts:
        want, result = extract["out"], pair_spans(spans_of(extract))
        got = [[[s.start, s.end] for s in parts] for parts in result]
        assert got == want["separate_pairs"]["segments"]
        for parts, item in zip(result, want["items"], strict=True):
            lengths = cut_pair(parts, "reference")
            assert [parts[0].start, parts[-1].end] == item["frames"]
            assert list(lengths) == item["durations"]
            assert is_accepted(lengths) == item["accepted"]
            assert [parts[0].phrase, parts[-1].phrase] == item["text"]
            total += 1
    assert total > 50


def span(start, end, phrase="walk"):
    return Span(start, end, phrase)


@pytest.mark.parametrize(
    ("parts", "correct", "reference"),
    [
        ((span(0, 40), span(40, 90)), (40, 0, 50), (41, 0, 49)),
        ((span(0, 50), span(40, 90)), (45, 0, 45), (56, 0, 34)),
        ((span(10, 51), span(40, 90)), (35, 0, 45), (47, 0, 33)),
        ((span(0, 40), span(40, 60), span(60, 90)), (40, 20, 30), (41, 19, 30)),
        ((span(0, 42), span(40, 60), span(55, 90)), (40, 15, 35), (41, 14, 35)),
        ((span(0, 50), span(40, 60), span(44, 90)), (47, 0, 43), (48, 0, 42)),
    ],
)
def test_cut_pair_divides_frames_as_specified(parts, correct, reference):
    assert cut_pair(parts) == correct
    assert cut_pair(parts, "reference") == reference


spans_strategy = st.lists(
    st.builds(
        lambda start, length, phrase: Span(start, start + length, phrase),
        st.integers(0, 60),
        st.integers(1, 40),
        st.sampled_from(["walk", "run", "transition", "t-pose"]),
    ),
    max_size=12,
)


@given(spans_strategy)
def test_pairs_are_in_order_and_keep_every_frame(spans):
    result = pair_spans(spans)
    assert len({tuple(p[:2] for p in parts) for parts in result}) == len(result)
    for parts in result:
        assert all(part in spans and part.phrase != "t-pose" for part in parts)
        starts, ends = [p.start for p in parts], [p.end for p in parts]
        assert starts == sorted(set(starts)) and ends == sorted(set(ends))
        assert all(b.start <= a.end for a, b in itertools.pairwise(parts))
        if len(parts) == 3:
            assert parts[1].phrase == "transition"
        else:
            assert "transition" not in (parts[0].phrase, parts[1].phrase)
        for cut in ("middle", "reference"):
            lengths = cut_pair(parts, cut)
            assert sum(lengths) == ends[-1] - starts[0]
        assert min(cut_pair(parts)) >= 0


@given(spans_strategy, st.randoms(use_true_random=False))
def test_order_of_labels_does_not_matter(spans, random):
    distinct = list({s[:2]: s for s in spans}.values())
    shuffled = random.sample(distinct, len(distinct))
    assert pair_spans(shuffled) == pair_spans(distinct)


@pytest.fixture
def store(tmp_path, write_npz):
    """Four recordings of 12 s; recording 2 has only labels of the whole."""
    labels = {
        "0": (
            ("run", 1.0, 3.0),
            ("walk", 0.0, 1.2),
            ("transition", 3.0, 4.0),
            ("sit", 4.0, 6.0),
        ),
        "1": (("a pose", 0.0, 1.0), ("wave", 1.0, 1.4), ("bow", 2.0, 4.0)),
        "2": (("dance", None, None), ("jump", None, None)),
        "3": (("t-pose", None, None), ("transition", 0.0, 2.0), ("all", None, None)),
    }
    annotations = []
    for name, rows in labels.items():
        write_npz(tmp_path / f"amass/CMU/{name}_poses.npz", int(name), 360)
        split = "val" if name == "1" else "train"
        feat_p = f"CMU/CMU/{name}_poses.npz"
        annotations.append(Annotation(name, split, feat_p, 12.0, rows))
    build_motion_store(tmp_path / "amass", annotations, tmp_path / "store")
    return open_store(tmp_path / "store")


def test_segments_of_a_store(store):
    got = segments(store, "train")
    assert [(s.key, s.sequence, s.start, s.end, s.phrase) for s in got] == [
        ("0-0", 0, 30, 90, "run"),
        ("0-1", 0, 0, 36, "walk"),
        ("0-3", 0, 120, 180, "sit"),
    ]
    assert [s.phrase for s in segments(store, "val")] == ["bow"]
    assert [s.phrase for s in segments(store, "val", min_frames=12)] == ["wave", "bow"]
    assert [s.phrase for s in segments(store, max_frames=40)] == ["walk"]


def test_sequence_labels_are_used_if_there_are_no_frame_labels(store):
    added = segments(store, "train", "frame+sequence")[3:]
    assert [(s.key, s.sequence, s.start, s.end, s.phrase) for s in added] == [
        ("2-0", 2, 0, 360, "dance"),
        ("2-1", 2, 0, 360, "jump"),
    ]
    assert phrases(added) == ["dance", "jump"]


def test_pairs_of_a_store(store):
    got = {pair.phrases: pair for pair in pairs(store, "train")}
    assert set(got) == {("walk", "run"), ("run", "sit")}
    assert got["walk", "run"].lengths == (33, 0, 57)
    assert got["run", "sit"].lengths == (60, 30, 60)
    assert (got["run", "sit"].start, got["run", "sit"].end) == (30, 180)
    assert got["walk", "run"].key == "0-0"
    reference = {p.phrases: p for p in pairs(store, "train", cut="reference")}
    assert reference["walk", "run"].lengths == (40, 0, 50)
    assert pairs(store, "val") == []
    assert phrases(got.values()) == ["run", "sit", "walk"]


def test_rejects_unknown_split_and_labels(store):
    with pytest.raises(InputError, match="'test'"):
        segments(store, "test")
    with pytest.raises(InputError, match="frame, frame"):
        segments(store, "train", "all")
