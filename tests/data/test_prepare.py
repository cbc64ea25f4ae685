import functools
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from actiongpt_jax import prepare
from actiongpt_jax.data import amass
from actiongpt_jax.data.batches.segments import pairs, phrases, segments
from actiongpt_jax.data.batches.windows import clips
from actiongpt_jax.data.batches.windows import phrases as phrases_of_windows
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.data.phrases import read_phrases
from tests.full_disk import file_size_limit

REPO = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def run(run_command):
    """Returns `run(*arguments)` -> (exit code, stdout, stderr) of the command line."""
    return functools.partial(run_command, prepare)


def command(amass_folder, babel_folder, out, *more):
    return [
        "babel",
        "--amass",
        amass_folder,
        "--babel",
        babel_folder,
        "--out",
        out,
        *more,
    ]


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def error_line(stderr):
    (line,) = [line for line in stderr.splitlines() if line.startswith("error:")]
    assert stderr.rstrip().endswith(line) and "Traceback" not in stderr
    return line


def test_store_of_minibabel_has_its_recordings_and_labels(shared_file, tmp_path, run):
    data = shared_file("data/minibabel")
    out = tmp_path / "store"
    code, text, _ = run(*command(data / "amass", data / "babel", out, "--check"))
    assert code == 0
    assert "231 sequences" in text and "0 files skipped" in text
    assert "quality of 231 recordings" in text
    report = json.loads((out / "report.json").read_text())
    train, val = report["splits"]["train"], report["splits"]["val"]
    assert (train["sequences"], val["sequences"]) == (163, 68)
    assert (train["labelled actions"], val["labelled actions"]) == (373, 134)
    assert report["phrases"] == 19 and report["skipped"] == []
    assert report["files by frames per second"] == {"30": 192, "60": 39}
    store = open_store(out)
    # Three of the 373 labelled actions are 14 frames long.
    assert len(segments(store, "train")) == 370
    assert len(segments(store, "train", min_frames=14)) == 373
    assert len(segments(store, "val")) == 134
    assert len(phrases(segments(store))) == 11
    # Where the reference cuts, one more pair is within the limits.
    assert len(pairs(store, "train")) == 270
    assert len(pairs(store, "train", cut="reference")) == 271
    assert len(pairs(store, "val")) == len(pairs(store, "val", cut="reference")) == 90
    every = {
        split: phrases(segments(store, split, "frame+sequence"))
        for split in ("train", "val")
    }
    assert set(every["val"]) - set(every["train"]) == {"wash a window"}
    for row in store.sequences[::20]:
        with np.load(data / "amass" / row.source) as file:
            step = round(float(file["mocap_framerate"]) / 30)
            poses = file["poses"][::step].reshape(-1, 52, 3)
            frames = slice(row.start, row.start + row.length)
            np.testing.assert_array_equal(store.rotations[frames], poses[:, :22])
            np.testing.assert_array_equal(
                store.translation[frames], file["trans"][::step]
            )


def test_finished_store_is_not_written_again(make_corpus, tmp_path, run, monkeypatch):
    folders, out = make_corpus(), tmp_path / "store"
    assert run(*command(*folders, out))[0] == 0
    before = contents(out)
    monkeypatch.setattr(amass, "read_amass", pytest.fail)
    code, text, stderr = run(*command(*folders, out))
    assert code == 0 and "already" in stderr and "3 sequences" in text
    assert contents(out) == before
    os.utime(folders[0] / "CMU/s/1_poses.npz", (1, 1))
    code, _, stderr = run(*command(*folders, out))
    assert code == 2 and "--out" in error_line(stderr)
    assert contents(out) == before


# The kernel kills the process when it writes beyond the limit on file sizes; the part
# of the data that fits is written before.
KILL = """
import resource, signal
from actiongpt_jax import cli, prepare
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
cli.run(prepare.main)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "finished"), [(5_000, 0), (40_000, 2)])
def test_killed_runs_are_continued(
    make_corpus, tmp_path, run, monkeypatch, limit, finished
):
    folders, out = make_corpus(3), tmp_path / "store"
    code = KILL.format(limit=limit)
    arguments = [sys.executable, "-c", code, *map(str, command(*folders, out))]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    killed = subprocess.run(
        arguments, check=False, capture_output=True, cwd=REPO, env=environment
    )
    assert killed.returncode == -signal.SIGXFSZ, killed.stderr
    assert not out.exists()
    read, original = [], amass.read_amass
    monkeypatch.setattr(amass, "read_amass", lambda p: read.append(p) or original(p))
    status, _, stderr = run(*command(*folders, out))
    assert status == 0
    assert [path.name for path in read] == [
        f"{i}_poses.npz" for i in range(finished, 3)
    ]
    assert f"{finished} of 3" in stderr or finished == 0
    assert not list(tmp_path.glob(".*"))
    assert run(*command(*folders, tmp_path / "whole"))[0] == 0
    assert contents(out) == contents(tmp_path / "whole")


def test_run_on_a_full_disk_is_continued(make_corpus, tmp_path, run):
    folders, out = make_corpus(3), tmp_path / "store"
    with file_size_limit(40_000):
        code, _, stderr = run(*command(*folders, out))
    assert code == 2 and not out.exists()
    assert "rotations.npy" in error_line(stderr)
    assert run(*command(*folders, out))[0] == 0
    assert run(*command(*folders, tmp_path / "whole"))[0] == 0
    assert contents(out) == contents(tmp_path / "whole")


def pack(header, kind=zipfile.ZIP_STORED):
    """Returns an npz with an array of this header."""
    buffer = io.BytesIO()
    content = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        archive.writestr("poses.npy", content + bytes(64))
    return buffer.getvalue()


HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': %s}"
UNREADABLE = {
    "header not closed": pack(HEADER[:-1] % "(8,)"),
    "shape of booleans": pack(HEADER % "(True,)"),
    "giant shape": pack(HEADER % f"({2**40}, 156)"),
    "lzma": pack(HEADER % "(8,)", zipfile.ZIP_LZMA).replace(b"NUMPY", b"NUMPX"),
    "npy": b"\x93NUMPY\1\0\4\0{1: ",
    "zeros": bytes(1000),
}


def test_no_unreadable_file_stops_prepare(make_corpus, tmp_path, run):
    folders = make_corpus(len(UNREADABLE) + 3)
    names = [folders[0] / f"CMU/s/{i}_poses.npz" for i in range(len(UNREADABLE) + 2)]
    for path, content in zip(names, UNREADABLE.values(), strict=False):
        path.write_bytes(content)
    for path in names[-2:]:
        path.unlink()
    names[-2].mkdir()
    names[-1].symlink_to(names[-1])
    code, text, stderr = run(*command(*folders, tmp_path / "store"))
    assert code == 0, stderr
    assert f"{len(names)} files skipped" in text and "pickle" not in text


@pytest.mark.parametrize("strict", [False, True])
def test_bad_files_are_skipped_unless_strict(make_corpus, tmp_path, run, strict):
    amass_folder, babel_folder = make_corpus(4)
    bad = amass_folder / "CMU/s/1_poses.npz"
    bad.write_bytes(bad.read_bytes()[:5000])
    (amass_folder / "CMU/s/2_poses.npz").unlink()
    out = tmp_path / "store"
    more = ["--strict"] * strict
    code, text, stderr = run(*command(amass_folder, babel_folder, out, *more))
    if strict:
        assert code == 2 and str(bad) in error_line(stderr) and not out.exists()
        return
    assert code == 0 and "2 files skipped" in text
    assert f"skipped 1: {bad} must be a whole npz archive" in text
    assert "skipped 2: CMU/CMU/s/2_poses.npz must lie below" in text
    store = open_store(out)
    assert [row.name for row in store.sequences] == ["0", "3"]
    assert [row["name"] for row in store.report()["skipped"]] == ["1", "2"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (None, "got none of 1"),
        ({"poses": np.zeros((60, 99))}, r"(60, 99)"),
        ({"poses": np.full((60, 156), np.nan)}, "poses must be finite"),
        ({"fps": 0.0}, "mocap_framerate"),
        ({"fps": 1e9}, "mocap_framerate"),
        ({"num_frames": 0}, "got 0"),
        ({"num_frames": 14}, "0.5 s"),
        ({"trans": np.array([{}], object)}, "never unpickled"),
    ],
)
def test_exits_with_2_if_all_files_are_bad(tmp_path, write_npz, run, changes, words):
    (tmp_path / "amass").mkdir()
    if changes is not None:
        write_npz(tmp_path / "amass/CMU/a_poses.npz", **changes)
    entry = {
        "feat_p": "CMU/CMU/a_poses.npz",
        "seq_ann": {"labels": [{"proc_label": "x"}]},
    }
    (tmp_path / "train.json").write_text(json.dumps({"7": entry}))
    code, _, stderr = run(*command(tmp_path / "amass", tmp_path, tmp_path / "out"))
    assert code == 2 and words in error_line(stderr)
    assert {p.name for p in tmp_path.iterdir()} == {"amass", "train.json"}


def test_bad_labels_stop_before_anything_is_written(make_corpus, tmp_path, run):
    amass_folder, babel_folder = make_corpus()
    content = json.loads((babel_folder / "train.json").read_text())
    content["1"]["frame_ann"]["labels"][0]["end_t"] = "0.5"
    (babel_folder / "train.json").write_text(json.dumps(content))
    code, _, stderr = run(*command(amass_folder, babel_folder, tmp_path / "out"))
    line = error_line(stderr)
    assert code == 2 and "train.json: id 1, frame_ann.labels[0].end_t" in line
    assert {p.name for p in tmp_path.iterdir()} == {"amass", "babel"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "kind"),
        (["babel", "--out", "x"], "--amass"),
        (["babel", "--amas", "x"], "--amass"),
        (["synthetic", "--out", "x", "--sequences", "many"], "--sequences"),
        (["check", "/no/such.npz"], "/no/such.npz"),
        (["babel", "--amass", "/no", "--babel", "/no", "--out", "x"], "train.json"),
    ],
)
def test_faulty_command_lines_name_the_argument(run, arguments, words):
    code, _, stderr = run(*arguments)
    assert code == 2 and words in error_line(stderr)


def test_folder_of_motion_must_exist(make_corpus, tmp_path, run):
    _, babel_folder = make_corpus()
    code, _, stderr = run(*command(tmp_path / "no", babel_folder, tmp_path / "out"))
    assert code == 2 and str(tmp_path / "no") in error_line(stderr)


def test_notes_wrong_durations_and_corrects_frame_rates(
    make_corpus, tmp_path, run, write_npz
):
    amass_folder, babel_folder = make_corpus(2)
    write_npz(amass_folder / "CMU/s/1_poses.npz", num_frames=300)
    feat_p = "SSMsynced/SSM_synced/20160930_50032/a_poses.npz"
    entry = {"feat_p": feat_p, "seq_ann": {"labels": [{"proc_label": "punch"}]}}
    (babel_folder / "test.json").write_text(json.dumps({"2": entry}))
    write_npz(
        amass_folder / "SSM_synced/20160930_50032/a_poses.npz",
        num_frames=118,
        fps=120.0,
    )
    code, text, _ = run(*command(amass_folder, babel_folder, tmp_path / "store"))
    assert code == 0
    assert "lasts 10.00 s but the labels of id 1 say" in text
    store = open_store(tmp_path / "store")
    assert "states 120 fps, which is known to be wrong; 59 fps is used" in text
    assert [row.fps_source for row in store.sequences] == [30.0, 30.0, 59.0]
    assert store.sequences[2].length == 60  # the first frame and 117 / 59 s at 30 fps


def test_withheld_labels_stop_neither_prepare_nor_describe(make_corpus, tmp_path, run):
    amass_folder, babel_folder = make_corpus(2)
    train = json.loads((babel_folder / "train.json").read_text())
    reversed_label = {"proc_label": "sit", "start_t": 1.0, "end_t": 0.5}
    train["0"]["frame_ann"]["labels"] += [{"proc_label": None}, reversed_label]
    (babel_folder / "train.json").write_text(json.dumps(train))
    withheld = {"labels": [{"proc_label": None, "raw_label": None}]}
    test = {"7": {"feat_p": "CMU/CMU/s/7_poses.npz", "seq_ann": withheld}}
    (babel_folder / "test.json").write_text(json.dumps(test))
    code, text, stderr = run(*command(amass_folder, babel_folder, tmp_path / "store"))
    assert code == 0 and "0 files skipped" in text and "test.json" in stderr
    assert "labels[2] has no proc_label and no start_t and no end_t (null)" in text
    assert "labels[3] ends before it starts (1 to 0.5 s)" in text
    phrases_of_store = [label.phrase for label in open_store(tmp_path / "store").labels]
    assert phrases_of_store == 2 * ["jump", "walk", "exercise"]
    assert read_phrases(babel_folder) == ["jump", "walk", "exercise"]


@pytest.mark.parametrize("root", ["amass", "BMLhandball", "amass/BMLhandball"])
def test_files_resampled_beforehand_keep_their_rate(
    tmp_path, run, write_npz, root, make_corpus
):
    _, babel_folder = make_corpus(2)
    path = tmp_path / root / "BMLhandball/S01/a_poses.npz"
    if root.endswith("BMLhandball"):  # the root is the folder of the set itself
        path = tmp_path / root / "S01/a_poses.npz"
    write_npz(path, num_frames=90, fps=30.0)
    feat_p = "BMLhandball/BMLhandball/S01/a_poses.npz"
    labels = [{"proc_label": "walk", "start_t": 0.0, "end_t": 3.0}]
    entry = {"feat_p": feat_p, "dur": 3.0, "frame_ann": {"labels": labels}}
    (babel_folder / "train.json").write_text(json.dumps({"9": entry}))
    (babel_folder / "val.json").unlink()
    out = tmp_path / "store"
    code, text, _ = run(*command(tmp_path / root, babel_folder, out))
    assert code == 0 and "note" not in text
    store = open_store(out)
    assert [(row.length, row.fps_source) for row in store.sequences] == [(90, 30.0)]


def test_windows_lists_phrases_for_describe(stores, tmp_path, run):
    store = open_store(stores[0])
    listed = {}
    for compat in ([], ["--compat", "reference"]):
        out = tmp_path / f"phrases{len(compat)}.txt"
        code, _, error = run("windows", str(stores[0]), "--out", str(out), *compat)
        assert (code, error) == (0, "")
        listed[bool(compat)] = read_phrases(out)
        found = clips(store, window_text="reference" if compat else "covering")
        assert listed[bool(compat)] == phrases_of_windows(found)
    labels = {label.phrase for label in store.labels}
    assert set(listed[False]) <= labels
    joined = [phrase for phrase in listed[True] if phrase not in labels]
    assert joined
    for phrase in joined:
        first, _, _ = phrase.partition(" and ")
        assert any(label.startswith(first) for label in labels)


def test_windows_longer_than_any_clip_are_rejected(stores, tmp_path, run):
    out = tmp_path / "phrases.txt"
    lengths = ["--frames", "5000", "--clip-frames", "5000"]
    code, _, error = run("windows", str(stores[0]), "--out", str(out), *lengths)
    assert code == 2
    assert "5000" in error
    assert not out.exists()
