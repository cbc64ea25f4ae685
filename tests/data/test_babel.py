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
        (tmp_path / f"{split}.json").write_text(text, encoding="utf-8")
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


WITHHELD = {"labels": [{"proc_label": None, "raw_label": None, "act_cat": None}]}


def test_a_split_whose_labels_are_null_is_left_out_and_said(write, capsys):
    timed = {"labels": [{"proc_label": None, "start_t": 0.0, "end_t": 1.5}, None]}
    test = {
        "8": entry(frame_ann=None, seq_ann=WITHHELD),
        "9": entry(frame_ann=timed, seq_ann=WITHHELD),
    }
    write(test, "test")
    assert [a.name for a in read_babel(write({"7": entry()}))] == ["7"]
    (line,) = capsys.readouterr().err.splitlines()
    assert "test.json is left out" in line and "2 recordings" in line


@pytest.mark.parametrize(
    ("row", "note"),
    [
        (None, "frame_ann.labels[1] is withheld (null)"),
        ((None, 0, 1), "frame_ann.labels[1] has no proc_label (null)"),
        (("sit", None, 1), "frame_ann.labels[1] has no start_t (null)"),
        ((None, 0, None), "frame_ann.labels[1] has no proc_label and no end_t (null)"),
        (("sit", 2.5, 2.4), "ends before it starts (2.5 to 2.4 s)"),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_that_cannot_be_used_are_left_out_with_a_note(write, row, note, split):
    content = entry([("run", 0, 1), row or ("", 0, 0), ("walk", 1, 2)])
    if row is None:
        content["frame_ann"]["labels"][1] = None
    (annotation,) = read_babel(write({"5": content}, split))
    assert [label[0] for label in annotation.labels] == ["run", "walk", "all"]
    labels, notes = label_frames(annotation, 90)
    assert [label.phrase for label in labels] == ["run", "walk", "all"]
    (said,) = notes
    assert said.startswith("id 5: ") and note in said and said.endswith("is left out")


def test_files_may_start_with_a_byte_order_mark(write, tmp_path):
    mark = "\ufeff"
    content = json.dumps({"1": entry([("walk  foward", 0, 1)])})
    folder = write(mark + content)
    words = tmp_path / "words.json"
    words.write_text(mark + '{"foward": "forward"}', encoding="utf-8")
    (annotation,) = read_babel(folder, read_spelling(words))
    assert annotation.labels[0][0] == "walk forward"


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


def test_categories_belong_to_their_labels(write, tmp_path):
    content = entry([("run", 0, 1), ("", 0, 0), ("walk", 1, 2)])
    rows = content["frame_ann"]["labels"]
    rows[0]["act_cat"], rows[1]["act_cat"] = ["run", "move  fast"], ["none"]
    rows[2]["act_cat"] = None
    (annotation,) = read_babel(write({"5": content}))
    labels, _ = label_frames(annotation, 90)
    named = {label.phrase: label.categories for label in labels}
    assert named == {"run": ("run", "move fast"), "walk": (), "all": ()}
    rows[0]["act_cat"] = "run"
    with pytest.raises(InputError, match="act_cat must be a list of texts"):
        read_babel(write({"5": content}))


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
        {"5": entry([(["run"], 0, 1)])},
        r"id 5, frame_ann.labels\[0\].proc_label",
    ),
    "start_t": ({"5": entry([("run", "0", 1)])}, r"labels\[0\].start_t"),
    "boolean": ({"5": entry([("run", 0, True)])}, r"labels\[0\].end_t"),
    "NaN": ({"5": entry([("run", 0, float("nan"))])}, r"labels\[0\].end_t"),
    "huge": ({"5": entry([("run", 0, 10**18)])}, r"labels\[0\].end_t"),
    "long": ({"5": entry([("run", 0, 10**400)])}, "whole number of 401 digits"),
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
