import json

import pytest

from actiongpt_jax.data.babel import label_frames, read_babel, read_spelling
from actiongpt_jax.errors import InputError


def entry(labels=(), **changes):
    frame_ann = {
        "labels": [dict(proc_label=p, start_t=a, end_t=b) for p, a, b in labels]
    }
    base = {"feat_p": "CMU/CMU/1/a_poses.npz", "dur": 3.0, "frame_ann": frame_ann}
    return base | {"seq_ann": {"labels": [{"proc_label": "all"}]}} | changes


@pytest.fixture
def write(tmp_path):
    def write(content, split="train"):
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / f"{split}.json").write_text(text)
        return tmp_path

    return write


def test_reads_every_split_in_order_and_nothing_else(write):
    write({"7": entry([("run", 1, 2), ("walk", 0, 1.5)]), "3": entry()})
    write({"9": entry(frame_ann=None, seq_ann=None)}, "val")
    test = {"8": {"feat_p": "KIT/KIT/b_poses.npz"}, "6": entry()}
    write(test, "test")
    folder = write("no json at all", "extra_train")
    annotations = read_babel(folder)
    assert [(a.name, a.split) for a in annotations] == [
        ("7", "train"),
        ("3", "train"),
        ("9", "val"),
        ("8", "test"),
        ("6", "test"),
    ]
    assert annotations[0].labels == (
        ("run", 1.0, 2.0),
        ("walk", 0.0, 1.5),
        ("all", None, None),
    )
    assert annotations[2].labels == () and annotations[3].duration is None


def test_a_split_with_withheld_labels_is_left_out(write):
    write({"8": {"feat_p": "KIT/KIT/b_poses.npz", "frame_ann": None}}, "test")
    assert [a.name for a in read_babel(write({"7": entry()}))] == ["7"]


def test_spelling_is_corrected_word_by_word(write, tmp_path):
    folder = write({"1": entry([("walk  foward forwards ", 0, 1)])})
    (tmp_path / "words.json").write_text('{"foward": "forward"}')
    annotations = read_babel(folder, read_spelling(tmp_path / "words.json"))
    assert annotations[0].labels[0][0] == "walk forward forwards"
    (tmp_path / "words.json").write_text('{"foward": 1}')
    with pytest.raises(InputError, match="foward"):
        read_spelling(tmp_path / "words.json")


def test_label_frames_clips_to_the_recording(write):
    labels = [
        ("run", 1.05, 9.0),
        ("before", -1.0, 0.5),
        ("beyond", 4.0, 5.0),
        ("instant", 1.0, 1.0),
        ("walk", 0.0, 1.5),
    ]
    annotation = read_babel(write({"1": entry(labels)}))[0]
    got, notes = label_frames(annotation, 90)
    assert [(n.phrase, n.start, n.end, n.kind) for n in got] == [
        ("run", 31, 90, "frame"),
        ("before", 0, 15, "frame"),
        ("walk", 0, 45, "frame"),
        ("all", 0, 90, "sequence"),
    ]
    assert len(notes) == 2 and "'beyond'" in notes[0] and "'instant'" in notes[1]


label = {"proc_label": "run", "start_t": 0, "end_t": 1}
FAULTS = {
    "truncated": ('{"1": {"feat_p": ', "line 1 column"),
    "nested": ("[" * 100_000, "nested"),
    "list": ([entry()], "must be a JSON object, got a list"),
    "entry": ({"5": "walk"}, "id 5 must be an object"),
    "no feat_p": ({"5": entry(feat_p=None)}, "id 5, feat_p"),
    "no npz": ({"5": entry(feat_p="a.mp4")}, "id 5, feat_p"),
    "absolute": ({"5": entry(feat_p="/etc/a.npz")}, "id 5, feat_p"),
    "outside": ({"5": entry(feat_p="../a/b.npz")}, "id 5, feat_p"),
    "dur": ({"5": entry(dur="long")}, "id 5, dur"),
    "frame_ann": ({"5": entry(frame_ann=[label])}, "id 5, frame_ann must"),
    "labels": ({"5": entry(frame_ann={"labels": {}})}, "id 5, frame_ann.labels must"),
    "label": ({"5": entry(frame_ann={"labels": [label, 3]})}, r"labels\[1\] must"),
    "seq label": ({"5": entry(seq_ann={"labels": ["x"]})}, r"seq_ann.labels\[0\]"),
    "proc_label": (
        {"5": entry([(None, 0, 1)])},
        r"id 5, frame_ann.labels\[0\].proc_label",
    ),
    "start_t": ({"5": entry([("run", "0", 1)])}, r"labels\[0\].start_t"),
    "no end_t": ({"5": entry([("run", 0, None)])}, r"labels\[0\].end_t"),
    "boolean": ({"5": entry([("run", 0, True)])}, r"labels\[0\].end_t"),
    "NaN": ({"5": entry([("run", 0, float("nan"))])}, r"labels\[0\].end_t"),
    "huge": ({"5": entry([("run", 0, 10**18)])}, r"labels\[0\].end_t"),
    "long": ({"5": entry([("run", 0, 10**400)])}, "whole number of 401 digits"),
    "end first": (
        {"5": entry([("run", 0, 1), ("sit", 2.5, 2.4)])},
        r"id 5, frame_ann.labels\[1\].end_t must not lie before start_t",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_json_raises_one_sentence(write, fault):
    content, words = FAULTS[fault]
    folder = write({"1": entry()}, "train")
    write(content, "val")
    with pytest.raises(InputError, match=words) as error:
        read_babel(folder)
    assert str(folder / "val.json") in str(error.value)
    assert "\n" not in str(error.value)


def test_rejects_json_that_is_not_utf8(tmp_path):
    (tmp_path / "train.json").write_bytes('{"é": 1}'.encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        read_babel(tmp_path)


def test_rejects_an_id_in_two_splits(write):
    write({"1": entry()}, "train")
    with pytest.raises(InputError, match="val.json: id 1 .*train.json"):
        read_babel(write({"1": entry()}, "val"))


def test_rejects_a_folder_without_babel_json(tmp_path):
    with pytest.raises(InputError, match="train.json, val.json or test.json"):
        read_babel(tmp_path)
