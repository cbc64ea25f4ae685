import errno
import json
import os

import numpy as np
import pytest

from actiongpt_jax.data.motion_store import Label, Sequence, open_store
from actiongpt_jax.data.store_writer import StoreWriter
from actiongpt_jax.errors import InputError
from tests.full_disk import file_size_limit


def recording(seed, num_frames=20):
    rng = np.random.default_rng(seed)
    shapes = {"rotations": (22, 3), "translation": (3,), "hands": (2, 3)}
    arrays = {
        name: rng.standard_normal((num_frames, *shape)).astype(np.float32)
        for name, shape in shapes.items()
    }
    row = Sequence(
        name=f"r{seed}",
        start=0,
        length=num_frames,
        split="val" if seed == 2 else "train",
        source=f"CMU/{seed}_poses.npz",
        sha256=64 * str(seed),
        fps_source=60.0,
        fps=30.0,
        duration=num_frames / 30,
        betas=(0.5, -0.25),
    )
    return row, arrays, [Label(0, 2, 18, f"phrase {seed}", "frame")]


PLAN = {f"r{seed}": f"key {seed}" for seed in range(4)}


def fill(writer, seeds=range(4), note="note"):
    for seed in seeds:
        if f"r{seed}" not in writer.done:
            writer.add(*recording(seed, 20 + seed), notes=[f"{note} {seed}"])


def report(store, notes, skipped):
    return {"frames": len(store.rotations), "notes": notes, "skipped": skipped}


def build(path, note="note"):
    with StoreWriter(path, PLAN, {"a": 1}) as writer:
        fill(writer, note=note)
        return writer.commit(report)


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_round_trip_through_memory_maps(tmp_path):
    got = build(tmp_path / "store")
    assert got == {
        "frames": 86,
        "notes": [f"note {i}" for i in range(4)],
        "skipped": [],
    }
    store = open_store(tmp_path / "store")
    assert (
        store.report() == got and store.fps == 30 and store.meta["settings"] == {"a": 1}
    )
    start = 0
    for seed in range(4):
        row, arrays, labels = recording(seed, 20 + seed)
        assert store.sequences[seed].start == start
        for name, want in arrays.items():
            flat = getattr(store, name)
            assert flat.dtype == np.float32 and not flat.flags.writeable
            base = flat
            while isinstance(base.base, np.ndarray):
                base = base.base
            assert isinstance(base, np.memmap)  # nothing was loaded
            np.testing.assert_array_equal(flat[start : start + row.length], want)
        rotations, translation = store.frames(seed)
        np.testing.assert_array_equal(rotations, arrays["rotations"])
        np.testing.assert_array_equal(translation, arrays["translation"])
        part = store.motion(seed, 2, 18)
        assert (part.fps, part.text) == (30, ())
        for name, want in arrays.items():
            np.testing.assert_array_equal(getattr(part, name), want[2:18])
        np.testing.assert_array_equal(store.motion(seed).translation, translation)
        assert store.sequences[seed].betas == (0.5, -0.25)
        assert store.labels_by_sequence[seed] == [
            Label(seed, 2, 18, f"phrase {seed}", "frame")
        ]
        start += row.length
    names = {file.name for file in (tmp_path / "store").iterdir()}
    arrays = {"rotations.npy", "translation.npy", "hands.npy"}
    tables = {"sequences.jsonl", "labels.jsonl", "report.json", "meta.json"}
    assert names == arrays | tables
    assert [file.name for file in tmp_path.iterdir()] == ["store"]


def test_arrays_are_plain_npy_files(tmp_path):
    build(tmp_path / "store")
    array = np.load(tmp_path / "store" / "rotations.npy")
    assert array.shape == (86, 22, 3) and array.flags.c_contiguous


def test_store_without_hands(tmp_path):
    build(tmp_path / "store")
    meta = tmp_path / "store" / "meta.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"hands": False}))
    (tmp_path / "store" / "hands.npy").unlink()
    store = open_store(tmp_path / "store")
    assert store.hands is None and store.motion(0).hands is None


@pytest.mark.parametrize(
    "damage", ["nothing", "line", "frames", "header", "garbage", "short", "pipe"]
)
def test_an_interrupted_run_is_continued(tmp_path, damage):
    build(tmp_path / "whole")
    with StoreWriter(tmp_path / "store", PLAN, {"a": 1}) as writer:
        fill(writer, range(3))
        assert not (tmp_path / "store").exists()
    partial, left = writer.partial, 3
    journal, rotations = partial / "journal.jsonl", partial / "rotations.npy"
    if damage == "line":
        journal.write_bytes(journal.read_bytes()[:-7])
        left = 2
    elif damage == "frames":
        rotations.write_bytes(rotations.read_bytes() + 1000 * b"x")
    elif damage == "header":
        rotations.write_bytes(64 * b"x" + rotations.read_bytes()[64:])
    elif damage == "garbage":
        content = bytearray(rotations.read_bytes())
        content[128 + 20 * 66 * 4 + 5] ^= 1  # in the second recording
        rotations.write_bytes(content)
        left = 1
    elif damage == "short":
        rotations.write_bytes(rotations.read_bytes()[:-4])
        left = 2
    elif damage == "pipe":
        if os.name != "posix":
            pytest.skip("POSIX files")
        rotations.unlink()
        os.mkfifo(rotations)  # opening it would wait for a writer
        left = 0
    with StoreWriter(tmp_path / "store", PLAN, {"a": 1}) as writer:
        assert writer.done == {f"r{i}" for i in range(left)}
        fill(writer)
        writer.commit(report)
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_an_interrupted_commit_is_continued(tmp_path):
    build(tmp_path / "whole")
    with StoreWriter(tmp_path / "store", PLAN, {"a": 1}) as writer:
        fill(writer)
        with pytest.raises(KeyError):
            writer.commit(lambda *_: {}["no report"])
    assert not (tmp_path / "store").exists()
    build(tmp_path / "store")
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_changed_recording_and_all_later_ones_are_read_again(tmp_path):
    with StoreWriter(tmp_path / "store", PLAN | {"r1": "old"}) as writer:
        fill(writer, range(3))
    with StoreWriter(tmp_path / "store", PLAN) as writer:
        assert writer.done == {"r0"} and writer.dropped == 2
    with StoreWriter(tmp_path / "store", PLAN, fps=20.0) as writer:
        assert not writer.done and writer.dropped == 1


def test_skipped_recordings_reach_the_report(tmp_path):
    with StoreWriter(tmp_path / "store", PLAN) as writer:
        fill(writer, range(1))
        writer.skip("r1", "CMU/1_poses.npz", "it is broken")
    with StoreWriter(tmp_path / "store", PLAN) as writer:
        assert writer.done == {"r0", "r1"}
        got = writer.commit(report)
    row = {"name": "r1", "source": "CMU/1_poses.npz", "reason": "it is broken"}
    assert got["skipped"] == [row]


def test_no_readable_recording_leaves_no_files(tmp_path):
    with StoreWriter(tmp_path / "store", PLAN) as writer:
        writer.skip("r0", "CMU/0_poses.npz", "it is broken")
        with pytest.raises(InputError, match="it is broken"):
            writer.commit(report)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("limit", "note"),
    [
        (60, "note"),
        (3000, "note"),  # within the rotations of the first recording
        (8000, "note"),  # within those of the second
        (9000, "long " * 2000),  # within the first line of the journal
    ],
)
def test_a_full_disk_leaves_no_store_and_loses_nothing(tmp_path, limit, note):
    build(tmp_path / "whole", note)
    with file_size_limit(limit), pytest.raises(OSError) as error:
        build(tmp_path / "store", note)
    assert error.value.errno == errno.EFBIG
    assert str(tmp_path / ".store.partial") in error.value.filename
    assert not (tmp_path / "store").exists()
    build(tmp_path / "store", note)
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_rejects_a_second_writer(tmp_path):
    with StoreWriter(tmp_path / "store", PLAN):
        with pytest.raises(
            InputError, match=r"another process \(\d+ on .*\) is writing it"
        ):
            with StoreWriter(tmp_path / "store", PLAN):
                pass


def test_existing_folders_are_not_overwritten(tmp_path):
    (tmp_path / "empty").mkdir()
    build(tmp_path / "empty")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="choose another --out"):
        build(tmp_path / "full")
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"


def test_open_store_names_the_faulty_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="actiongpt_jax.prepare babel"):
        open_store(tmp_path)
    build(tmp_path / "store")
    meta = tmp_path / "store" / "meta.json"
    good = meta.read_text()
    meta.write_text(json.dumps(json.loads(good) | {"format": 99}))
    with pytest.raises(InputError, match="format must be 1, got 99"):
        open_store(tmp_path / "store")
    meta.write_text(good)
    labels = tmp_path / "store" / "labels.jsonl"
    whole = labels.read_text()
    labels.write_text(whole + '{"sequence": 1')
    with pytest.raises(InputError, match="labels.jsonl:5"):
        open_store(tmp_path / "store")
    field = '"categories": []'
    for value in ('"walk"', "[1]", "null"):
        labels.write_text(whole.replace(field, f'"categories": {value}', 1))
        with pytest.raises(InputError, match="labels.jsonl:1 must be"):
            open_store(tmp_path / "store")
    # Rows of earlier versions have no categories.
    labels.write_text(whole.replace(f", {field}", ""))
    assert [row.categories for row in open_store(tmp_path / "store").labels] == [()] * 4
    labels.write_text(whole)
    array = tmp_path / "store" / "hands.npy"
    np.save(array, np.zeros((86, 2, 3)))
    with pytest.raises(InputError, match="hands.npy.*float64"):
        open_store(tmp_path / "store")
    array.write_bytes(b"")
    with pytest.raises(InputError, match="hands.npy"):
        open_store(tmp_path / "store")
