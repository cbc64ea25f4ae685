"""`prepare captions` and `prepare humanml3d`: clips, mirrored clips, damaged input."""

import functools
import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from actiongpt_jax import prepare
from actiongpt_jax.data.batches.segments import segments
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.geometry.skeletons import SMPL22
from tests.oracles import kinematics

# Folder of a recording -> stated and true frames per second, frames that the published
# preparation cuts off the start at 20 frames per second.
SETS = {
    "KIT/3": (100.0, 100.0, 0),
    "CMU/75": (120.0, 120.0, 0),
    "DFaust_67/50002": (60.0, 60.0, 0),
    "HumanEva/S1": (50.0, 50.0, 0),  # every int(2.5)-th frame
    "ACCAD/Male1General_c3d": (250.0, 250.0, 0),  # every int(12.5)-th frame
    "BMLhandball/S02_Novice": (120.0, 240.0, 0),
    "SSM_synced/20161014_50033": (120.0, 59.0, 0),
    "Eyes_Japan_Dataset/hamada": (120.0, 120.0, 60),
    "MPI_HDM05/mm": (120.0, 120.0, 60),
    "TotalCapture/s3": (60.0, 60.0, 20),
    "MPI_Limits/03099": (120.0, 120.0, 20),
    "Transitions_mocap/mazen_c3d": (120.0, 120.0, 10),
}
START, END = 7, 67  # of every clip
NAME = "A3 -  Swing t2_poses"  # two spaces, as some of AMASS's files
TEXTS = {
    "000000": "a man kicks.#a/DET man/NOUN kick/VERB#0.0#0.0\n",
    "M000000": "a man jumps.#a/DET man/NOUN jump/VERB#0.0#0.0",
    "000001": (
        "\ufeffpasses the #1 ball, #2 too#passes/VERB the/DET ball/NOUN#0.0#0.0\r\n"
        "#a/DET#0.0#0.0\r\n"
        "\r\n"
        "  sits   down##nan#nan\r\n"
        "stands up#stand/VERB up/ADP#2.5#1.0\r\n"
        "waves#wave/VERB#1.0#nan\r\n"
        "nods#nod/VERB#1.5#1.5\r\n"
        "runs on#run/VERB#2.0#99.0\r\n"
    ),
}


@pytest.fixture
def run(run_command):
    """Returns `run(*arguments)` -> (exit code, stdout, stderr) of `prepare`."""
    return functools.partial(run_command, prepare)


@pytest.fixture
def amass(tmp_path, write_npz):
    """Returns a folder of recordings whose x is the number of the frame."""
    for seed, (folder, (fps, _, _)) in enumerate(SETS.items()):
        num_frames = int(7 * fps) + 5
        trans = np.zeros((num_frames, 3))
        trans[:, 0], trans[:, 1] = np.arange(num_frames), 1.0
        path = tmp_path / "amass" / folder / f"{NAME}.npz"
        write_npz(path, seed, num_frames, fps, trans=trans)
    return tmp_path / "amass"


@pytest.fixture
def humanml3d(tmp_path):
    """Returns a checkout with a clip of every set and a clip of HumanAct12."""
    root = tmp_path / "checkout"
    texts = root / "HumanML3D" / "texts"
    texts.mkdir(parents=True)
    lines = ["source_path,start_frame,end_frame,new_name"]
    for number, folder in enumerate(SETS):
        path = f"./pose_data/{folder}/{NAME}.npy"
        lines.append(f"{path},{START},{END},{number:06d}.npy")
        for name in (f"{number:06d}", f"M{number:06d}"):
            text = TEXTS.get(name, f"moves {name}.#moves/VERB#0.0#0.0\n")
            (texts / f"{name}.txt").write_bytes(text.encode())
    lines.append("./pose_data/humanact12/humanact12/P1.npy,0,-1,000099.npy")
    (root / "index.csv").write_text("\ufeff" + "\r\n".join(lines) + "\r\n")
    names = [f"{i:06d}" for i in range(len(SETS))] + ["000099", "M000000"]
    splits = {"train": names[3:], "val": names[1:3], "test": names[:1]}
    for split, ids in splits.items():
        (root / f"HumanML3D/{split}.txt").write_text("\n".join(ids) + "\n")
    (root / "HumanML3D/all.txt").write_text("\n".join(names))
    return root


def by_name(path):
    """Returns name -> (row, motion, labels) of a store."""
    store = open_store(path)
    return {
        row.name: (row, store.motion(i), store.labels_by_sequence[i])
        for i, row in enumerate(store.sequences)
    }


def test_clips_of_humanml3d_have_the_frames_of_its_own_preparation(
    run, amass, humanml3d, tmp_path
):
    arguments = ["humanml3d", "--amass", amass, "--humanml3d", humanml3d]
    code, stdout, stderr = run(*arguments, "--out", tmp_path / "store", "--check")
    assert code == 0, stderr
    assert "13 sequences" in stdout and "0 files skipped" in stdout
    assert "quality of 13 recordings" in stdout
    assert "1 clips of HumanAct12 are left out" in stderr
    store = by_name(tmp_path / "store")
    assert store["000000"][0].split == "test" and store["M000000"][0].split == "train"
    for number, (folder, (stated, true, cut)) in enumerate(SETS.items()):
        row, motion, labels = store[f"{number:06d}"]
        assert row.source == f"{folder}/{NAME}.npz" and row.fps_source == true
        # The published preparation, applied to the numbers of the frames.
        frames = np.arange(int(7 * stated) + 5)[:: int(stated / 20)]
        frames = frames[cut:][START:END]
        step = true / 30
        first, last = motion.translation[[0, -1], 0]
        assert frames[0] - step - 0.01 < first <= frames[0] + 0.01, folder
        assert abs(frames[-1] + int(stated / 20) - last) <= 2 * step + 0.01, folder
        assert (labels[0].start, labels[0].kind) == (0, "frame")
        assert max(label.end for label in labels) == row.length
    # The same command does nothing more.
    code, _, stderr = run(*arguments, "--out", tmp_path / "store")
    assert code == 0 and "already made" in stderr


def test_captions_of_humanml3d_are_read_as_they_are_written(
    run, amass, humanml3d, tmp_path
):
    arguments = ["humanml3d", "--amass", amass, "--humanml3d", humanml3d]
    assert run(*arguments, "--out", tmp_path / "store")[0] == 0
    labels = by_name(tmp_path / "store")["000001"][2]
    # Clips begin at 7 / 20 s, within the frame of 1 / 30 s before that.
    assert [(row.phrase, row.start, row.end) for row in labels] == [
        ("passes the #1 ball, #2 too", 0, 90),
        ("sits down", 0, 90),
        ("stands up", 30, 75),
        ("waves", 0, 30),
        ("nods", 0, 90),
        ("runs on", 60, 90),
    ]


def test_mirrored_clips_swap_the_sides_of_the_body(run, amass, humanml3d, tmp_path):
    arguments = ["humanml3d", "--amass", amass, "--humanml3d", humanml3d]
    assert run(*arguments, "--out", tmp_path / "store")[0] == 0
    store = by_name(tmp_path / "store")
    motion, image = store["000000"][1], store["M000000"][1]
    assert [row.phrase for row in store["M000000"][2]] == ["a man jumps."]
    # A body with equal sides, so that its mirror image is exact.
    names = [name.replace("left", "right") for name in SMPL22.names]
    names = [
        other if other != name else name.replace("right", "left")
        for name, other in zip(SMPL22.names, names, strict=True)
    ]
    swap = [SMPL22.names.index(name) for name in names]
    offsets = np.array(SMPL22.offsets)
    flip = np.array([-1.0, 1.0, 1.0])
    offsets = (offsets + flip * offsets[swap]) / 2

    def joints(motion, frame):
        turned = Rotation.from_rotvec(motion.rotations[frame]).as_matrix()
        place = motion.translation[frame]
        return kinematics.forward_kinematics(turned, place, SMPL22.parents, offsets)

    assert len(motion.rotations) == len(image.rotations) == 90
    for frame in (0, 41, 89):
        expected = flip * joints(motion, frame)[swap]
        # Stored rotations are float32, and places lie hundreds of metres away.
        np.testing.assert_allclose(joints(image, frame), expected, atol=1e-4)
    assert motion.hands is not None and image.hands is not None
    turns = [
        Rotation.from_rotvec(hands.reshape(-1, 3)).as_matrix().reshape(-1, 2, 3, 3)
        for hands in (motion.hands, image.hands)
    ]
    expected = flip[:, None] * turns[0][:, ::-1] * flip
    np.testing.assert_allclose(turns[1], expected, atol=1e-6)


def annotation(text, start, end, seg_id="000000_0"):
    return {"seg_id": seg_id, "text": text, "start": start, "end": end}


NESTED = {
    "000000": {
        "path": f"CMU/75/{NAME}",
        "duration": 7.04,
        "annotations": [annotation("walk", 1.0, 4.0), annotation("turn", 2.0, 4.0)],
    },
    "000001": {
        "path": f"CMU/75/{NAME}",
        "duration": 7.04,
        "annotations": [annotation("jump", 4.2, 5.0)],
    },
    "000002": {
        "path": f"KIT/3/{NAME}",
        "duration": 7.05,
        "annotations": [
            annotation("exercise", 0.0, 7.05, "00002_seq_0"),
            annotation("sit", 3.0, 5.0, "00002_seg_0"),
        ],
    },
    "000003": {
        "path": "humanact12/humanact12/P1",
        "duration": 3.0,
        "annotations": [annotation("drink", 0.0, 3.0)],
    },
    "000005": {
        "path": f"DFaust_67/50002/{NAME}",
        "annotations": [annotation("dance", 0.0, 7.08, "00005_seq_0")],
    },
    # The times are those of the rate that the file states, 120 instead of 240.
    "000004": {
        "path": f"BMLhandball/S02_Novice/{NAME}",
        "duration": 7.04,
        "annotations": [annotation("throw", 1.0, 7.0)],
    },
}
CLIPS = {
    # name: number of frames, x of the first frame, labels
    "000000": (90, 120, [(0, 90, "walk", "frame"), (30, 90, "turn", "frame")]),
    "000001": (24, 504, [(0, 24, "jump", "frame")]),
    "000002": (212, 0, [(0, 212, "exercise", "sequence"), (90, 150, "sit", "frame")]),
    "000005": (213, 0, [(0, 213, "dance", "sequence")]),
    "000004": (90, 120, [(0, 90, "throw", "frame")]),
}


def clips_of(path):
    return {
        name: (
            row.length,
            motion.translation[0, 0],
            [(n.start, n.end, n.phrase, n.kind) for n in labels],
        )
        for name, (row, motion, labels) in by_name(path).items()
    }


def test_nested_annotations_become_clips(run, amass, tmp_path):
    (tmp_path / "a.json").write_text("\ufeff" + json.dumps(NESTED))
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "train.txt").write_bytes(b"\xef\xbb\xbf000000\r\n000002\r\n000003\r\n")
    (lists / "test.txt").write_text("000001\nM000001\n\n000004\n000005")
    arguments = ["captions", "--amass", amass, "--annotations", tmp_path / "a.json"]
    arguments += ["--splits", lists, "--out", tmp_path / "store"]
    code, stdout, stderr = run(*arguments, "--check")
    assert code == 0, stderr
    assert "quality of 5 recordings" in stdout and "0 files skipped" in stdout
    assert "1 of 7 ids in" in stderr and "1 clips of HumanAct12" in stderr
    assert clips_of(tmp_path / "store") == CLIPS
    store = open_store(tmp_path / "store")
    splits = {row.name: row.split for row in store.sequences}
    assert splits == {
        "000000": "train",
        "000001": "test",
        "000002": "train",
        "000005": "test",
        "000004": "test",
    }
    assert "is known to be wrong" in stdout and "check that" not in stdout
    assert len(segments(store, "train")) == 3
    code, _, stderr = run(*arguments)
    assert code == 0 and "already made" in stderr


def test_clips_are_cut_at_the_frame_rate_of_the_store(run, amass, tmp_path):
    content = {name: NESTED[name] for name in ("000000", "000002")}
    (tmp_path / "a.json").write_text(json.dumps(content))
    arguments = ["captions", "--amass", amass, "--annotations", tmp_path / "a.json"]
    arguments += ["--val", "0.5", "--framerate", "15", "--out", tmp_path / "store"]
    code, _, stderr = run(*arguments)
    assert code == 0, stderr
    assert open_store(tmp_path / "store").fps == 15
    labels = [(0, 45, "walk", "frame"), (15, 45, "turn", "frame")]
    assert clips_of(tmp_path / "store")["000000"] == (45, 120, labels)


def test_merged_annotations_become_clips_by_path(run, amass, tmp_path):
    merged = {}
    for entry in NESTED.values():
        row = merged.setdefault(entry["path"], {"annotations": []})
        row["annotations"] += entry["annotations"]
    (tmp_path / "a.json").write_text(json.dumps(merged))
    arguments = ["captions", "--amass", amass, "--annotations", tmp_path / "a.json"]
    code, _, stderr = run(*arguments, "--val", "0.3", "--out", tmp_path / "store")
    assert code == 0, stderr
    first = [*CLIPS["000000"][2], (96, 120, "jump", "frame")]
    assert clips_of(tmp_path / "store") == {
        f"CMU/75/{NAME}": (120, 120, first),
        f"KIT/3/{NAME}": CLIPS["000002"],
        f"DFaust_67/50002/{NAME}": CLIPS["000005"],
        f"BMLhandball/S02_Novice/{NAME}": CLIPS["000004"],
    }


def test_the_json_of_babel_gives_the_store_of_babel(run, make_corpus, tmp_path):
    amass, babel = make_corpus(4)
    content = {}
    for split in ("train", "val"):
        entries = json.loads((babel / f"{split}.json").read_text())
        (babel / f"{split}.txt").write_text("\n".join(entries))
        for name, entry in entries.items():
            rows = [
                annotation(row["proc_label"], row["start_t"], row["end_t"])
                for row in entry["frame_ann"]["labels"]
            ]
            whole = entry["seq_ann"]["labels"][0]["proc_label"]
            rows.append(annotation(whole, 0.0, entry["dur"], f"{name}_seq_0"))
            path = entry["feat_p"].removeprefix("CMU/").removesuffix(".npz")
            content[name] = {"path": path, "duration": entry["dur"]}
            content[name]["annotations"] = rows
    (tmp_path / "a.json").write_text(json.dumps(content))
    arguments = ["--amass", amass, "--babel", babel, "--out", tmp_path / "b"]
    assert run("babel", *arguments)[0] == 0
    arguments = ["--amass", amass, "--annotations", tmp_path / "a.json"]
    arguments += ["--splits", babel, "--out", tmp_path / "c"]
    assert run("captions", *arguments)[0] == 0
    one, other = open_store(tmp_path / "b"), open_store(tmp_path / "c")
    assert (one.sequences, one.labels) == (other.sequences, other.labels)
    np.testing.assert_array_equal(one.rotations, other.rotations)


@pytest.mark.parametrize("split_by", ["random", "subject"])
def test_recordings_and_subjects_are_in_one_split(run, tmp_path, write_npz, split_by):
    content = {}
    for number in range(24):
        subject, recording = number % 6, number % 12
        path = f"KIT/{subject}/walk{recording:02d}_poses"
        write_npz(tmp_path / "amass" / f"{path}.npz")
        labels = [annotation(f"walk {number}", 0.0, 1.9)]
        content[f"{number:05d}"] = {"path": path, "annotations": labels}
    (tmp_path / "a.json").write_text(json.dumps(content))
    arguments = ["captions", "--amass", tmp_path / "amass"]
    arguments += ["--annotations", tmp_path / "a.json", "--split-by", split_by]
    sizes = ["--val", "0.25", "--test", "0.25"]
    code, _, stderr = run(*arguments, *sizes, "--out", tmp_path / "store")
    assert code == 0, stderr
    found = {}
    store = open_store(tmp_path / "store")
    assert len(store.sequences) == 24
    for row in store.sequences:
        owner = row.source if split_by == "random" else row.source.split("/")[1]
        found.setdefault(owner, set()).add(row.split)
    assert all(len(splits) == 1 for splits in found.values())
    assert set.union(*found.values()) == {"train", "val", "test"}


def test_both_roads_to_a_caption_give_the_same_clip(run, amass, humanml3d, tmp_path):
    content, offsets = {}, [row[2] / 20 for row in SETS.values()]
    for number, folder in enumerate(SETS):
        start, end = (offsets[number] + frame / 20 for frame in (START, END))
        content[f"{number:06d}"] = {
            "path": f"{folder}/{NAME}",
            "annotations": [annotation(f"moves {number:06d}.", start, end)],
        }
    (tmp_path / "a.json").write_text(json.dumps(content))
    lists = humanml3d / "HumanML3D"
    arguments = ["captions", "--amass", amass, "--annotations", tmp_path / "a.json"]
    assert run(*arguments, "--splits", lists, "--out", tmp_path / "c")[0] == 0
    arguments = ["humanml3d", "--amass", amass, "--humanml3d", humanml3d]
    assert run(*arguments, "--out", tmp_path / "h")[0] == 0
    captions, original = by_name(tmp_path / "c"), by_name(tmp_path / "h")
    inexact = {"000003", "000004"}  # their rates are no multiples of 20
    for name in captions.keys() - inexact:
        for field in ("rotations", "translation", "hands"):
            one, other = (getattr(s[name][1], field) for s in (captions, original))
            np.testing.assert_array_equal(one, other)


def test_faulty_recordings_are_listed_as_skipped(run, amass, humanml3d, tmp_path):
    (amass / f"KIT/3/{NAME}.npz").unlink()
    (amass / f"CMU/75/{NAME}.npz").write_bytes(b"PK\x03\x04 truncated")
    (humanml3d / "HumanML3D/texts/000002.txt").unlink()
    (humanml3d / "HumanML3D/texts/000003.txt").write_text("\n##0.0#0.0\n")
    lines = (
        (humanml3d / "index.csv").read_text().replace("7,67,000004", "900,910,000004")
    )
    (humanml3d / "index.csv").write_text(lines.replace("7,67,000005", "7,16,000005"))
    arguments = ["humanml3d", "--amass", amass, "--humanml3d", humanml3d]
    code, stdout, _ = run(*arguments, "--out", tmp_path / "store")
    assert code == 0 and "6 sequences" in stdout and "7 files skipped" in stdout
    for sentence in (
        "skipped M000000: KIT/3/",
        f"skipped 000001: {amass}/CMU/75/{NAME}.npz",
        "skipped 000002: id 000002 must have at least one label",
        "skipped 000003: id 000003 must have at least one label",
        "skipped 000004: id 000004: label 'moves 000004.' from",
        "skipped 000005: id 000005 must last 0.5 s or longer, got 7 frames",
    ):
        assert sentence in stdout
    assert run(*arguments, "--out", tmp_path / "strict", "--strict")[0] == 2


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("index.csv", None, "index.csv must exist"),
        ("index.csv", "source_path,new_name\n", "must have the columns source_path"),
        ("index.csv", "source_path,start_frame,end_frame,new_name\n", "has none"),
        ("index.csv", "@,7,x,000001.npy", "index.csv:2: end_frame must be the number"),
        ("index.csv", f"@,{'1' * 400},9,000001.npy", "start_frame must be the number"),
        ("index.csv", "@,7,000001.npy", "index.csv:2 must have 4 values"),
        ("index.csv", "/etc/a.npy,7,9,000001.npy", "file must be a path below"),
        ("index.csv", "../a.npy,7,9,000001.npy", "file must be a path below"),
        ("HumanML3D/texts", None, "unpack texts.zip"),
        ("HumanML3D/texts/000001.txt", "walk", "000001.txt:1 must be caption#tokens"),
        ("HumanML3D/texts/000001.txt", "\na##x#1", "000001.txt:2 must be caption#"),
        ("HumanML3D/texts/000001.txt", "a##-1#1", "from and to must be seconds"),
        ("HumanML3D/texts/000001.txt", "a##0#inf", "from and to must be seconds"),
        ("HumanML3D/texts/000001.txt", b"a\xff##0#1", "000001.txt:1 must be UTF-8"),
        ("HumanML3D/train.txt", "000001\n", "000001 must be in one split"),
        ("HumanML3D/train.txt", b"\xff", "train.txt:1 must be UTF-8"),
    ],
)
def test_faulty_files_of_humanml3d_are_one_sentence(
    run, humanml3d, tmp_path, name, content, fault
):
    path = humanml3d / name
    if content is None:
        path.rename(tmp_path / "away")
    else:
        if isinstance(content, str) and name == "index.csv" and "\n" not in content:
            head = "source_path,start_frame,end_frame,new_name\n"
            content = head + content.replace("@", f"./pose_data/CMU/75/{NAME}.npy")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    arguments = ["humanml3d", "--amass", tmp_path, "--humanml3d", humanml3d]
    code, _, stderr = run(*arguments, "--out", tmp_path / "store")
    assert code == 2 and fault in stderr, stderr
    assert stderr.count("error:") == 1 and "Traceback" not in stderr
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("[", "must be JSON"),
        ("[]", "must be a JSON object"),
        ({}, "must have captions"),
        ({"1": 3}, "id 1 must be a JSON object"),
        ({"1": {"annotations": 3}}, "id 1: the field 'annotations' must be list"),
        ({"1": {"annotations": [], "path": 3}}, "id 1: the field 'path' must be str"),
        ({"1": {"annotations": [], "duration": "x"}}, "'duration' must be float"),
        ({"1": {"annotations": [3]}}, "id 1, annotations[0] must be a JSON object"),
        ({"1": {"annotations": [annotation(3, 0.0, 1.0)]}}, "'text' must be str"),
        ({"1": {"annotations": [annotation("a", "x", 1.0)]}}, "'start' must be float"),
        ({"1": {"annotations": [annotation("a", 0.0, 1e9)]}}, "numbers of seconds"),
        ({"../a": {"annotations": [annotation("a", 0.0, 1.0)]}}, "file must be a path"),
        ({"/a": {"annotations": [annotation("a", 0.0, 1.0)]}}, "file must be a path"),
    ],
)
def test_faulty_annotations_are_one_sentence(run, tmp_path, content, fault):
    content = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "a.json").write_text(content)
    arguments = ["captions", "--amass", tmp_path, "--annotations", tmp_path / "a.json"]
    code, _, stderr = run(*arguments, "--out", tmp_path / "store")
    assert code == 2 and fault in stderr, stderr
    assert stderr.count("error:") == 1 and "Traceback" not in stderr
    assert not (tmp_path / "store").exists()


def test_a_folder_without_lists_is_refused(run, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(NESTED))
    arguments = ["captions", "--amass", tmp_path, "--annotations", tmp_path / "a.json"]
    arguments += ["--out", tmp_path / "store", "--splits", tmp_path]
    code, _, stderr = run(*arguments)
    assert code == 2 and "must hold train.txt, val.txt or test.txt" in stderr
    code, _, stderr = run(*arguments, "--split-by", "subject")
    assert code == 2 and "not allowed with argument" in stderr
