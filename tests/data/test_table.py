"""`prepare table`: tables of texts, rules on file names, splits, damaged input."""

import collections
import functools
import json
from typing import Any

import numpy as np
import pytest

from actiongpt_jax import prepare
from actiongpt_jax.data.batches.segments import segments
from actiongpt_jax.data.motion_store import open_store

ROWS = [
    {"file": "a/walk_1.npz", "text": "walk"},
    {"file": "a/walk_1.npz", "text": "go, slowly"},
    {"file": "b/two_2.bvh", "text": "sit", "start": 0.5, "end": 1.5},
    {"file": "b/two_2.bvh", "text": "stand \u7ad9", "start": 1.5},
    {"file": "b/two_2.bvh", "text": "sit and stand"},
    {"file": "b/three_3", "text": "jump"},
]
LABELS = {
    "a/walk_1": [(0, 60, "walk", "frame"), (0, 60, "go, slowly", "frame")],
    "b/two_2": [
        (15, 45, "sit", "frame"),
        (45, 60, "stand \u7ad9", "frame"),
        (0, 60, "sit and stand", "sequence"),
    ],
    "b/three_3": [(0, 60, "jump", "frame")],
}


@pytest.fixture
def run(run_command):
    """Returns `run(*arguments)` -> (exit code, stdout, stderr) of `prepare table`."""
    return functools.partial(run_command, prepare, "table")


@pytest.fixture
def motions(tmp_path, write_npz):
    """Returns a folder of three motions of 2 s."""
    for seed, name in enumerate(("a/walk_1", "b/two_2", "b/three_3")):
        write_npz(tmp_path / f"motions/{name}.npz", seed)
    return tmp_path / "motions"


def delimited(separator, end="\n"):
    lines = [separator.join(["File", "text", "start", "end", "more"])]
    for row in ROWS:
        text = f'"{row["text"]}"'
        cells = [row["file"], text, row.get("start", ""), row.get("end", ""), "x"]
        lines.append(separator.join(map(str, cells)))
    return end.join(lines)


def by_file():
    table: dict[str, Any] = collections.defaultdict(list)
    for row in ROWS:
        table[row["file"]].append({k: v for k, v in row.items() if k != "file"})
    table["a/walk_1.npz"] = [row["text"] for row in table["a/walk_1.npz"]]
    table["b/three_3"] = "jump"
    return table


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", delimited(",")),
        ("t.CSV", "\ufeff" + delimited(",", "\r\n") + "\r\n"),
        ("t.tsv", delimited("\t")),
        ("t.jsonl", "\n".join(map(json.dumps, ROWS))),
        ("t.json", json.dumps(ROWS)),
        ("t.json", json.dumps(by_file())),
    ],
)
def test_every_form_of_table_gives_the_same_store(
    run, motions, tmp_path, name, content
):
    (tmp_path / name).write_bytes(content.encode())
    out = tmp_path / "store"
    arguments = ["--motions", motions, "--labels", tmp_path / name, "--out", out]
    code, stdout, stderr = run(*arguments, "--val", "0.3", "--check")
    assert code == 0, stderr
    assert "3 sequences" in stdout and "quality of 3 recordings" in stdout
    store = open_store(out)
    labels = {
        row.name: [
            (label.start, label.end, label.phrase, label.kind) for label in group
        ]
        for row, group in zip(store.sequences, store.labels_by_sequence, strict=True)
    }
    assert labels == LABELS
    assert collections.Counter(row.split for row in store.sequences) == {
        "train": 2,
        "val": 1,
    }
    # The same command does nothing more.
    before = (out / "meta.json").stat().st_mtime_ns
    code, _, stderr = run(*arguments, "--val", "0.3")
    assert code == 0 and "already made" in stderr
    assert (out / "meta.json").stat().st_mtime_ns == before


def write_rule(path, **changes):
    rule = {
        "pattern": r"(?P<action>[a-z-]+)_(?P<who>\d)_\d+",
        "text": "{action} like person {who}",
        "subject": "{who}",
    }
    path.write_text(json.dumps({**rule, **changes}))
    return path


@pytest.fixture
def named(tmp_path, write_npz):
    """Returns a folder of 24 motions, named by action, person and number."""
    for action in ("walk-on", "run"):
        for who in range(4):
            for i in range(3):
                write_npz(tmp_path / f"named/{action}_{who}_{i}.npz", who + 5 * i)
    write_npz(tmp_path / "named/other.npz")
    return tmp_path / "named"


def test_a_rule_makes_texts_and_subjects_from_names(run, named, tmp_path):
    words = {"action": {"walk-on": "keep walking", "run": ""}}
    rule = write_rule(tmp_path / "rule.yaml", words=words)
    out = tmp_path / "store"
    arguments = ["--motions", named, "--rule", rule, "--split-by", "subject"]
    assert run(*arguments, "--test", "0.2", "--out", out)[0] == 0
    store = open_store(out)
    assert len(store.sequences) == 24
    people = collections.defaultdict(set)
    for row, (label,) in zip(store.sequences, store.labels_by_sequence, strict=True):
        action, who, _ = row.name.split("_")
        people[row.split].add(who)
        expected = f"{words['action'][action]} like person {who}".strip()
        assert label.phrase == expected and label.kind == "frame"
    assert [len(people[split]) for split in ("train", "val", "test")] == [2, 1, 1]
    assert len(set.union(*people.values())) == 4
    assert segments(store, "train")


def test_splits_depend_on_the_seed_only(run, named, tmp_path):
    rule = write_rule(tmp_path / "rule.json")
    splits = []
    for name, seed in (("s0", 0), ("s1", 0), ("s2", 1)):
        arguments = [
            "--motions",
            named,
            "--rule",
            rule,
            "--seed",
            seed,
            "--val",
            "0.25",
        ]
        assert run(*arguments, "--out", tmp_path / name)[0] == 0
        splits.append([row.split for row in open_store(tmp_path / name).sequences])
    assert splits[0] == splits[1] != splits[2]
    assert [row.count("val") for row in splits] == [6, 6, 6]


def test_a_column_of_splits_is_used(run, motions, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("file,text,split\na/walk_1,walk,val\nb/two_2,sit,train\n")
    out = tmp_path / "store"
    assert run("--motions", motions, "--labels", table, "--out", out)[0] == 0
    assert [row.split for row in open_store(out).sequences] == ["val", "train"]


def test_missing_files_are_listed_as_skipped(run, motions, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("file,text\na/walk_1,walk\nb/two_2,sit\nb/none.bvh,fly\n")
    arguments = ["--motions", motions, "--labels", table, "--out", tmp_path / "store"]
    code, stdout, _ = run(*arguments)
    assert code == 0 and "1 files skipped" in stdout
    assert "b/none.bvh must be an npz file below" in stdout
    code, _, stderr = run(*arguments[:-1], tmp_path / "strict", "--strict")
    assert code == 2 and "b/none.bvh" in stderr


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("t.txt", "x", "t.txt: the ending must be one of .csv"),
        ("t.csv", "", "columns file and text"),
        ("t.csv", "name,text\n", "columns file and text"),
        ("t.csv", "file,text\n", "must have rows"),
        ("t.csv", "file,text\na,\n", "must have rows"),
        ("t.csv", "file,text\na,walk, slowly\n", "t.csv:2 must have 2 values"),
        ("t.csv", "file,text\na\n", "t.csv:2 must have 2 values"),
        ("t.csv", "file,text\n,walk\n", "t.csv:2: file must be a path"),
        ("t.csv", "file,text\n../a,walk\n", "t.csv:2: file must be a path"),
        ("t.csv", "file,text\n/etc/a,walk\n", "t.csv:2: file must be a path"),
        ("t.csv", "file,text,start\na,walk,nan\n", "t.csv:2: start must be a number"),
        ("t.csv", "file,text,start\na,walk,-1\n", "t.csv:2: start must be a number"),
        ("t.csv", "file,text,start,end\na,b,2,1\n", "end must be later than start"),
        ("t.csv", "file,text,split\na,b,dev\n", "split must be one of train, val"),
        ("t.csv", "file,text,split\na,b,val\na,c,train\n", "must have one split"),
        ("t.csv", "file,text,split\na,b,val\nc,c,\n", "c must have one split"),
        ("t.csv", "file,text\na,b\n", "must be enough for all splits"),
        ("t.csv", b"file,text\na,\xff\n", "must be UTF-8"),
        ("t.csv", 'file,text\na,"b\n', "must be a table in UTF-8"),
        ("t.jsonl", '{"file": "a"\n', "t.jsonl:1 must be one JSON value"),
        ("t.jsonl", "3\n", "t.jsonl:1 must be an object"),
        ("t.jsonl", '{"file": "a", "text": ["b"]}\n', "text must be text"),
        ("t.json", "[", "must be JSON"),
        ("t.json", "3", "entry 0 must be an object"),
        ("t.json", '{"a": [3]}', "a must be an object"),
    ],
)
def test_faulty_tables_are_one_sentence(run, motions, tmp_path, name, content, fault):
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(content)
    out = tmp_path / "store"
    code, _, stderr = run(
        "--motions", motions, "--labels", tmp_path / name, "--out", out
    )
    assert code == 2 and fault in stderr
    assert stderr.count("error:") == 1 and "Traceback" not in stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"pattern": "("}, "must have a pattern"),
        ({"pattern": 3}, "must have a pattern"),
        ({"text": 3}, "must have a pattern"),
        ({"words": {"action": "x"}}, "must have a pattern"),
        ({"text": "{action} {nobody}"}, "may name the groups"),
        ({"words": {"action": {"run": "run"}}}, "must have 'walk-on'"),
        ({"pattern": "xyz"}, "matches none"),
        ({"split": "{who}"}, "split must be one of"),
    ],
)
def test_faulty_rules_are_one_sentence(run, named, tmp_path, changes, fault):
    rule = write_rule(tmp_path / "rule.json", **changes)
    arguments = ["--motions", named, "--rule", rule, "--out", tmp_path / "store"]
    code, _, stderr = run(*arguments)
    assert code == 2 and fault in stderr and stderr.count("error:") == 1


def test_other_faulty_requests(run, named, tmp_path):
    rule = write_rule(tmp_path / "rule.json", subject="")
    arguments = ["--motions", named, "--rule", rule, "--out", tmp_path / "store"]
    for more, fault in (
        (["--split-by", "subject"], "must have one subject"),
        (["--split-by", "column"], "must have one split"),
        (["--val", "0.6", "--test", "0.5"], "must be shares"),
        (["--labels", "t.csv"], "not allowed with argument"),
    ):
        code, _, stderr = run(*arguments, *more)
        assert code == 2 and fault in stderr
    assert not (tmp_path / "store").exists()


def test_store_of_another_frame_rate_has_frames_and_labels_at_that_rate(
    tmp_path, write_npz, run
):
    path = write_npz(tmp_path / "motions/slow.npz", num_frames=100, fps=50.0)
    write_npz(tmp_path / "motions/other.npz", 1)
    (tmp_path / "t.csv").write_text(
        "file,text,start,end\nslow.npz,walk,0.4,1.2\nother.npz,jump,,\n"
    )
    arguments = ["--motions", tmp_path / "motions", "--labels", tmp_path / "t.csv"]
    arguments += ["--out", tmp_path / "store", "--val", "0.5"]
    code, _, err = run(*arguments, "--framerate", "12.5")
    assert code == 0, err
    store = open_store(tmp_path / "store")
    names = [row.name for row in store.sequences]
    rotations, translation = store.frames(names.index("slow"))
    # Every fourth frame of the file: 0 to 96.
    with np.load(path) as file:
        joints = file["poses"].reshape(100, 52, 3)[::4, :22].astype(np.float32)
        np.testing.assert_array_equal(rotations, joints)
        np.testing.assert_array_equal(translation, file["trans"][::4].astype("f4"))
    assert (store.fps, store.sequences[0].fps) == (12.5, 12.5)
    (label,) = store.labels_by_sequence[names.index("slow")]
    assert (label.start, label.end) == (5, 15)
    # The same input at another rate is another store.
    code, _, err = run(*arguments)
    assert code == 2 and "must be empty or missing" in err
    code, _, err = run(*arguments, "--framerate", "2")
    assert code == 2 and "--framerate must be from 5 to 1000" in err


def test_categories_of_a_table_are_kept(tmp_path, motions, run):
    rows = [
        {"file": "a/walk_1", "text": "walk", "category": "walk; step"},
        {"file": "a/walk_1", "text": "go"},
        {"file": "b/two_2", "text": "sit", "start": 5.0, "category": "sit"},
        {"file": "b/two_2", "text": "rest", "start": 0.5, "category": "rest/relax"},
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    arguments = ["--motions", motions, "--labels", tmp_path / "t.jsonl"]
    code, _, err = run(*arguments, "--val", "0.5", "--out", tmp_path / "store")
    assert code == 0, err
    labels = open_store(tmp_path / "store").labels
    # "sit" begins after the end of the recording.
    assert {label.phrase: label.categories for label in labels} == {
        "walk": ("walk", "step"),
        "go": (),
        "rest": ("rest/relax",),
    }
