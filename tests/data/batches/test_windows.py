"""Windows of clips: how they are listed, drawn and loaded."""

import functools
import json

import jax
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from actiongpt_jax.data import amass
from actiongpt_jax.data.babel import Annotation, label_frames
from actiongpt_jax.data.batches.plan import BatchPlan
from actiongpt_jax.data.batches.segments import is_action
from actiongpt_jax.data.batches.window_batches import (
    WindowBatches,
    pose_batch,
    read_images,
)
from actiongpt_jax.data.batches.windows import (
    clips,
    draw_windows,
    middle_windows,
    phrases,
)
from actiongpt_jax.errors import InputError
from actiongpt_jax.features import pose6d
from actiongpt_jax.geometry.rotations import axis_angle_to_matrix
from tests.data.batches.cases import (
    assert_processes_load_the_whole_batch,
    make_store,
)
from tests.data.batches.letters import WIDTH, embed_letters


def all_windows(items):
    """Returns {(sequence, first frame): phrase} of every window."""
    return {
        (clip.sequence, clip.window(i)[0]): clip.window(i)[1]
        for clip in items
        for i in range(clip.num_windows)
    }


def named_by_hand(spans, start, num_frames):
    """Returns the phrase of one window, counted frame by frame, or None."""
    cover, labelled, pauses = {}, 0, 0
    for frame in range(start, start + num_frames):
        here = [s for s in spans if s.start <= frame < s.end]
        labelled += bool(here)
        pauses += any(not is_action(s.phrase) for s in here)
        for phrase in {s.phrase for s in here if is_action(s.phrase)}:
            cover[phrase] = cover.get(phrase, 0) + 1
    if 2 * labelled < num_frames or not cover or max(cover.values()) < pauses:
        return None
    order = [s.phrase for s in spans]
    return min(cover, key=lambda p: (-cover[p], order.index(p)))


SPANS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.integers(1, 25),
        st.sampled_from(["walk", "jump", "sit", "transition", "t-pose"]),
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 45), SPANS, st.integers(2, 12))
# A tie in the second clip, between actions whose order depends on the first clip.
@example(17, [(0, 1, "jump"), (0, 16, "walk"), (0, 16, "jump")], 2)
def test_windows_are_named_after_the_action_that_covers_most(length, spans, num_frames):
    spans = [(0, a, min(a + n, length), p) for a, n, p in spans if a < length]
    store = make_store([length], spans)
    items = clips(store, num_frames=num_frames, clip_frames=15)
    expected = {}
    for start in range(length - num_frames + 1):
        # No window reaches over the border of a clip.
        if start // 15 == (start + num_frames - 1) // 15:
            name = named_by_hand(store.labels, start, num_frames)
            if name is not None:
                expected[0, start] = name
    assert all_windows(items) == expected
    assert phrases(items) == sorted(set(expected.values()))


def test_clips_have_the_default_size():
    labels = [(i, 0, 300, "walk") for i in range(3)]
    store = make_store([250, 59, 165], labels)
    items = clips(store)
    assert [clip.key for clip in items] == ["s0-0", "s0-1", "s2-0", "s2-1"]
    # 100 frames hold 41 windows of 60; the last 65 of a sequence hold 6.
    assert [clip.num_windows for clip in items] == [41, 41, 41, 6]
    assert [clip.window(0)[0] for clip in items] == [0, 100, 0, 100]
    assert [clip.window(clip.num_windows - 1)[0] for clip in items] == [
        40,
        140,
        40,
        105,
    ]
    with pytest.raises(IndexError):
        items[-1].window(6)


def test_sequence_labels_are_used_if_there_are_no_frame_labels():
    labels = [
        (0, 0, 80, "exercise", "sequence"),
        (1, 0, 80, "exercise", "sequence"),
        (1, 10, 70, "kick"),
    ]
    store = make_store([80, 80], labels)
    assert {clip.sequence: {r.phrase for r in clip.runs} for clip in clips(store)} == {
        0: {"exercise"},
        1: {"kick"},
    }
    assert [clip.sequence for clip in clips(store, labels="frame")] == [1]


def test_number_of_windows_and_draws_equal_published_ones(golden):
    case = golden("motionclip/dataset")
    assert case["skipped_first_sequence"]  # a fault that we do not copy
    lengths = case["seq_lens"][1:].tolist()
    labels = [(i, 0, n, "walk") for i, n in enumerate(lengths)]
    items = clips(make_store(lengths, labels), window_text="reference")
    assert len(items) == case["n_windows"]
    for window, first, last, count in case["draws_seed123"]:
        assert last - first + 1 == count == 60
        clip = items[window]
        begin = clip.window(0)[0]
        assert begin + first in {clip.window(i)[0] for i in range(clip.num_windows)}


def published_labels(golden_file):
    """Yields (name, BABEL entry, frames at 30 fps, published phrase of each frame)."""
    path = golden_file("motionclip/amass_parser.json")
    content = json.loads(path.read_text())
    out = content["out"]["amass/train"]
    for vid, n, painted in zip(out["vid"], out["n"], out["proc"], strict=True):
        subject, name = vid.removeprefix("CMU_").split("_", 1)
        yield vid, content["babel"][f"CMU/{subject}/{name}.npz"], n, painted


def test_reference_texts_equal_published_ones(golden_file):
    for vid, entry, n, painted in published_labels(golden_file):
        frames = entry["frame_ann"] or {"labels": []}
        rows = [
            (r["proc_label"], r["start_t"], r["end_t"]) for r in frames["labels"]
        ] or [(r["proc_label"], None, None) for r in entry["seq_ann"]["labels"]]
        labels, _ = label_frames(Annotation(vid, "train", "", None, tuple(rows)), n)
        store = make_store([n], [])
        store.labels.extend(labels)
        actual = all_windows(
            clips(store, num_frames=5, clip_frames=n, window_text="reference")
        )
        for start in range(n - 4):
            # The published texts lack a blank before "and" and have empty labels.
            names = {
                part for p in painted[start : start + 5] for part in p.split("and ")
            }
            expected = " and ".join(sorted(names - {""})) or None
            assert actual.get((0, start)) == expected, (vid, start)


def test_joints_equal_published_ones(golden, tmp_path):
    case = golden("motionclip/amass_parser_theta")
    joints = np.array([*range(amass.NUM_JOINTS), *amass.HAND_JOINTS])
    columns = (3 * joints[:, None] + np.arange(3)).ravel()
    np.testing.assert_array_equal(columns, case["joints_to_use_columns"])
    for vid, fps in (("01/a", 120.0), ("01/b", 60.0), ("02/d", 120.0)):
        poses = case[f"poses_first30/{vid}_poses.npz"]
        path = tmp_path / f"{vid.replace('/', '_')}_poses.npz"
        np.savez(
            path,
            poses=poses,
            trans=np.zeros((30, 3)),
            betas=np.zeros(16),
            gender=np.array("male"),
            mocap_framerate=np.array(fps),
        )
        file = amass.read_amass(path)
        rotations, _ = amass.resample(file.rotations, file.trans, file.fps)
        expected = case[f"theta_first5/CMU_{vid.replace('/', '_')}_poses"]
        actual = rotations[:5].reshape(-1, 72)
        np.testing.assert_array_equal(actual, expected.astype(np.float32))


def test_reference_joins_labels_and_later_ones_hide_earlier_ones():
    labels = [(0, 0, 20, "walk"), (0, 8, 30, "jump"), (0, 30, 40, "transition")]
    store = make_store([60], labels)
    actual = all_windows(
        clips(store, num_frames=5, clip_frames=60, window_text="reference")
    )
    assert actual[0, 3] == "walk" and actual[0, 4] == "jump and walk"
    assert actual[0, 8] == "jump" and actual[0, 26] == "jump and transition"
    assert actual[0, 39] == "transition" and (0, 40) not in actual
    whole = clips(store, num_frames=50, clip_frames=60, window_text="reference")
    assert phrases(whole) == ["jump and transition", "jump and transition and walk"]
    both = [(0, 0, 60, "sit", "sequence"), (0, 0, 60, "clap", "sequence")]
    items = clips(make_store([60], both), clip_frames=60, window_text="reference")
    assert phrases(items) == ["clap and sit"]
    assert clips(make_store([99], [(0, 0, 99, "sit")]), window_text="reference") == []


@pytest.fixture(scope="module")
def store():
    labels = [(i, 0, 200, ("walk", "jump", "sit")[i % 3]) for i in range(1, 7)]
    labels += [(0, 0, 55, "walk"), (0, 50, 150, "jump")]
    return make_store([150, 180, 100, 60, 61, 75, 199], labels)


@pytest.fixture(scope="module")
def items(store):
    return clips(store)


def test_draws_depend_only_on_seed_epoch_and_place(items):
    draws = draw_windows(items, 3, 5)
    assert draws == draw_windows(items, 3, 5)
    assert draws[:4] == draw_windows(items[:4], 3, 5)
    assert draws != draw_windows(items, 3, 6) and draws != draw_windows(items, 4, 5)
    windows = [all_windows([clip]) for clip in items]
    for (start, phrase), clip, known in zip(draws, items, windows, strict=True):
        assert known[clip.sequence, start] == phrase


def test_windows_are_drawn_uniformly(items):
    clip, epochs = items[0], 4000
    assert clip.num_windows == 41 and len(clip.runs) == 2
    starts = [draw_windows([clip], 1, e)[0][0] for e in range(epochs)]
    counts = np.bincount(starts, minlength=41)
    # Chi-squared with 40 degrees of freedom exceeds 90 in 1 of 10^5 cases; the draws
    # are the same every time.
    assert ((counts - epochs / 41) ** 2 / (epochs / 41)).sum() < 90


def embed(out, pooled=True):
    texts = {
        "walk": ["left", "right"],
        "jump": ["up", "down"],
        "sit": ["chair", "back"],
    }
    return embed_letters(out, texts, 2, pooled)


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory):
    return embed(tmp_path_factory.mktemp("text") / "letters")


def plan_of(items, batch_size=4, **options):
    return BatchPlan(np.full(len(items), 60), batch_size, 0, **options)


def test_batches_hold_the_drawn_windows(store, items, embeddings):
    plan = plan_of(items)
    batches = WindowBatches(store, items, embeddings, plan, seed=9)
    assert batches.text_width == WIDTH
    seen = []
    for step in range(2 * plan.batches_per_epoch):
        raw = batches.load(step)
        windows = draw_windows(items, 9, step // plan.batches_per_epoch)
        assert raw["index"].tolist() == [0, 1, 2, 3]
        for row, item in enumerate(raw["item"]):
            if item < 0:
                assert raw["lengths"][row] == 0
                assert not raw["rotations"][row].any() and not raw["text"][row].any()
                continue
            seen.append(int(item))
            start, phrase = windows[item]
            first = store.sequences[items[item].sequence].start + start
            frames = slice(first, first + 60)
            body, hands = np.split(raw["rotations"][row], [22], axis=1)
            np.testing.assert_array_equal(body, store.rotations[frames])
            np.testing.assert_array_equal(hands, store.hands[frames])
            np.testing.assert_array_equal(
                raw["translation"][row], store.translation[frames]
            )
            expected = embeddings.pooled(phrase)
            np.testing.assert_array_equal(raw["text"][row], expected)
            assert raw["lengths"][row] == 60
    assert sorted(seen) == sorted([*range(len(items))] * 2)


@pytest.mark.parametrize("turn", [False, True])
def test_batches_do_not_depend_on_order_of_reading_or_process(
    store, items, embeddings, turn
):
    plan = plan_of(items)
    whole = WindowBatches(store, items, embeddings, plan, seed=9, turn=turn)
    steps = list(range(3 * plan.batches_per_epoch))
    expected = [whole.load(step) for step in steps]
    late = WindowBatches(store, items, embeddings, plan_of(items), seed=9, turn=turn)
    for step in reversed(steps):
        for name, array in late.load(step).items():
            np.testing.assert_array_equal(array, expected[step][name])

    def make(**options):
        return WindowBatches(
            store, items, embeddings, plan, seed=9, turn=turn, **options
        )

    assert_processes_load_the_whole_batch(make, 2, len(steps))


def test_turned_windows_are_rotated_about_the_vertical(store, items, embeddings):
    straight, turned = (
        WindowBatches(store, items, embeddings, plan_of(items), seed=9, turn=turn)
        for turn in (False, True)
    )
    count = 2 * turned.plan.batches_per_epoch
    raws = [turned.load(step) for step in range(count)]
    angles = [a for raw in raws for a in raw["turn"][raw["item"] >= 0]]
    # Every window has a different angle in every epoch.
    assert len({float(a) for a in angles}) == 2 * len(items)
    assert min(angles) >= 0
    assert max(angles) <= np.float32(2 * np.pi)
    plain, raw = straight.load(0), raws[0]
    assert raw["item"][0] >= 0
    found_poses, before = (
        np.asarray(jax.jit(pose_batch)(r)["poses"][0], np.float64) for r in (raw, plain)
    )
    c, s = np.cos(float(raw["turn"][0])), np.sin(float(raw["turn"][0]))
    matrix = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    # The turn multiplies the displacement and the root's matrix from the left; two rows
    # of the matrix are stored.
    root = before[:, :6].reshape(-1, 2, 3)
    root = np.concatenate([root, np.cross(root[:, :1], root[:, 1:])], 1)
    expected = (matrix @ root)[:, :2].reshape(-1, 6)
    # float32 products of numbers up to 1; metres up to a few.
    np.testing.assert_allclose(found_poses[:, :6], expected, atol=2e-6)
    np.testing.assert_allclose(
        found_poses[:, 144:147], before[:, 144:147] @ matrix.T, atol=5e-6
    )
    np.testing.assert_array_equal(found_poses[:, 6:144], before[:, 6:144])


def test_validation_is_not_turned(store, items, embeddings):
    plan = plan_of(items, shuffle=False)
    batches = WindowBatches(store, items, embeddings, plan, seed=None, turn=True)
    assert "turn" not in batches.load(0)


def test_validation_takes_the_middle_window(store, items, embeddings):
    plan = plan_of(items, shuffle=False)
    batches = WindowBatches(store, items, embeddings, plan, seed=None, source="phrase")
    raw = batches.load(0)
    again = batches.load(plan.batches_per_epoch)
    np.testing.assert_array_equal(raw["rotations"], again["rotations"])
    start, phrase = middle_windows(items)[raw["item"][0]]
    assert start == items[raw["item"][0]].window(0)[0] + 20
    np.testing.assert_array_equal(
        raw["text"][0], embeddings.pooled(phrase, source="phrase")
    )


def test_missing_hands_are_at_rest(embeddings):
    store = make_store([100], [(0, 0, 100, "walk")], hands=False)
    items = clips(store)
    raw = WindowBatches(store, items, embeddings, plan_of(items, 1), seed=0).load(0)
    assert not raw["rotations"][:, :, 22:].any() and raw["rotations"].any()


@functools.partial(jax.jit, static_argnums=2)
def encode(rotations, translation, displacement):
    matrices = axis_angle_to_matrix(rotations)
    return pose6d.encode(matrices, translation, align="yaw", displacement=displacement)


@pytest.mark.slow
@pytest.mark.parametrize("displacement", ["pelvis", "reference"])
def test_pose_batch_encodes_and_masks_windows(store, embeddings, displacement):
    # 58 frames are padded to 60, and 7 windows to 8.
    items = clips(store, num_frames=58, clip_frames=300)
    plan = BatchPlan(np.full(len(items), 58), 4, 0)
    batches = WindowBatches(store, items, embeddings, plan, seed=0)
    to_model = jax.jit(pose_batch, static_argnames=("align", "displacement"))
    fillers = 0
    for step in range(plan.batches_per_epoch):
        raw = batches.load(step)
        raw["image"] = raw["text"] + 1
        batch = to_model(raw, align="yaw", displacement=displacement)
        assert batch.keys() == {"poses", "frame_mask", "text", "image"}
        assert batch["poses"].shape == (4, 60, 150)
        for row, length in enumerate(raw["lengths"]):
            assert batch["frame_mask"][row].tolist() == [t < length for t in range(60)]
            assert not np.asarray(batch["poses"][row, length:]).any()
            if not length:
                fillers += 1
                continue
            motion = (raw[n][row, :length] for n in ("rotations", "translation"))
            expected = encode(*motion, displacement)
            # XLA fuses differently for another shape: a few units in the last place.
            np.testing.assert_allclose(
                batch["poses"][row, :length], expected, atol=2e-6
            )
    assert fillers == -len(items) % 4


def test_images_are_read_by_clip_and_checked(store, items, embeddings, tmp_path):
    path = tmp_path / "pictures.safetensors"
    vectors = {
        clip.key: np.full(WIDTH, i, np.float16) for i, clip in enumerate(items)
    } | {"of another store": np.zeros(3, np.float32)}
    save_file(vectors, path)
    images = read_images(path, items)
    plan = plan_of(items)
    batches = WindowBatches(store, items, embeddings, plan, seed=0, images=images)
    raw = batches.load(0)
    expected = np.where(raw["item"] < 0, 0, raw["item"]).astype(np.float32)
    np.testing.assert_array_equal(raw["image"], expected[:, None] * np.ones(WIDTH))

    save_file({c.key: np.zeros(WIDTH + 1, np.float32) for c in items}, path)
    with pytest.raises(InputError, match=f"text's width {WIDTH}, got {WIDTH + 1}"):
        images = read_images(path, items)
        WindowBatches(store, items, embeddings, plan, seed=0, images=images)
    save_file({c.key: np.zeros(WIDTH, np.float32) for c in items[2:]}, path)
    with pytest.raises(InputError, match=f"lacks 2, the first being '{items[0].key}'"):
        read_images(path, items)
    save_file({c.key: np.zeros((1, WIDTH), np.float32) for c in items}, path)
    with pytest.raises(
        InputError, match=r"one vector of finite floats, got float32 \(1, 6\)"
    ):
        read_images(path, items)
    path.write_bytes(b"not tensors")
    with pytest.raises(InputError, match="pictures.safetensors"):
        read_images(path, items)
    with pytest.raises(FileNotFoundError, match="no image embeddings at"):
        read_images(tmp_path / "nothing", items)


def test_bad_input_raises(store, items, embeddings, tmp_path):
    with pytest.raises(InputError, match="2 to 100 frames, the length of a clip.*101"):
        clips(store, num_frames=101)
    with pytest.raises(InputError, match="labels must be one of frame"):
        clips(store, labels="words")
    with pytest.raises(InputError, match="'covering' or 'reference', got 'published'"):
        clips(store, window_text="published")
    with pytest.raises(InputError, match="split must be one of"):
        clips(store, split="val")
    with pytest.raises(InputError, match="2 lengths"):
        plan = BatchPlan(np.array([60] * (len(items) - 1) + [50]), 4, 0)
        WindowBatches(store, items, embeddings, plan, seed=0)
    with pytest.raises(InputError, match="multiple of the 3 processes"):
        WindowBatches(store, items, embeddings, plan_of(items), seed=0, process_count=3)
    without = embed(tmp_path / "tokens", pooled=False)
    with pytest.raises(InputError, match="no pooled vectors"):
        WindowBatches(store, items, without, plan_of(items), seed=0)
    unknown = make_store([100], [(0, 0, 100, "swim")])
    with pytest.raises(InputError, match="has no phrase 'swim'"):
        items = clips(unknown)
        WindowBatches(unknown, items, embeddings, plan_of(items), seed=0)
