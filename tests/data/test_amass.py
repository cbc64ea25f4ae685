import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.amass import SETS, locate, read_amass, resample, true_fps
from actiongpt_jax.data.motion import Motion, load_motion, save_motion, save_motions
from actiongpt_jax.errors import InputError

# float32 rounds the components of a rotation vector (at most pi long) by up to 2.4e-7.
ROTATION_ATOL = 1e-6


def matrix(rotvec):
    return Rotation.from_rotvec(np.reshape(rotvec, (-1, 3)).astype(np.float64))


def resample_in_a_loop(rotations, translation, fps_source, fps):
    """Resamples frame by frame with textbook quaternion slerp, in float64."""
    out_r, out_t, k = [], [], 0
    while k / fps <= (len(rotations) - 1) / fps_source + 1e-9:
        x = k * fps_source / fps
        i = min(int(np.floor(x + 1e-9)), len(rotations) - 1)
        j, w = min(i + 1, len(rotations) - 1), x - i
        frame = []
        for a, b in zip(rotations[i], rotations[j], strict=True):
            p, q = matrix(a).as_quat()[0], matrix(b).as_quat()[0]
            if p @ q < 0:
                q = -q
            angle = np.arccos(min(p @ q, 1.0))
            if angle < 1e-9:
                frame.append(p)
            else:
                mixed = np.sin((1 - w) * angle) * p + np.sin(w * angle) * q
                frame.append(mixed / np.sin(angle))
        out_r.append(Rotation.from_quat(frame).as_matrix())
        out_t.append((1 - w) * translation[i] + w * translation[j])
        k += 1
    return np.array(out_r), np.array(out_t)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    num_frames=st.integers(1, 25),
    fps=st.sampled_from([12.5, 24.0, 25.0, 29.97, 30.0, 59.94, 60.0, 100.0, 120.0]),
)
def test_resample_equals_quaternion_slerp_in_a_loop(seed, num_frames, fps):
    rng = np.random.default_rng(seed)
    rotations = rng.uniform(-3, 3, (num_frames, 2, 3))
    translation = rng.standard_normal((num_frames, 3))
    got_r, got_t = resample(rotations, translation, fps)
    want_r, want_t = resample_in_a_loop(rotations, translation, fps, 30.0)
    assert got_r.shape == (len(want_r), 2, 3) and got_r.dtype == np.float32
    got_r = matrix(got_r).as_matrix().reshape(want_r.shape)
    np.testing.assert_allclose(got_r, want_r, atol=ROTATION_ATOL)
    np.testing.assert_allclose(got_t, want_t, atol=1e-6)  # float32 of a few metres


@pytest.mark.parametrize("ratio", [1, 2, 4])
def test_resample_by_a_whole_factor_copies_frames(ratio):
    rng = np.random.default_rng(0)
    # Some vectors are longer than pi; copied frames must keep them unchanged.
    rotations = rng.uniform(-4, 4, (41, 24, 3)).astype(np.float32)
    translation = rng.standard_normal((41, 3)).astype(np.float32)
    got_r, got_t = resample(rotations, translation, 30.0 * ratio)
    np.testing.assert_array_equal(got_r, rotations[::ratio])
    np.testing.assert_array_equal(got_t, translation[::ratio])


@pytest.mark.parametrize("fps", [20.0, 59.0, 100.0, 119.88])
def test_resample_keeps_time(fps):
    seconds = np.arange(int(4 * fps)) / fps
    rotations = np.zeros((len(seconds), 1, 3))
    rotations[:, 0, 2] = 0.7 * seconds
    translation = np.stack([1.5 * seconds, 0 * seconds, 2 - seconds], 1)
    got_r, got_t = resample(rotations, translation, fps)
    at = np.arange(len(got_r)) / 30
    np.testing.assert_allclose(got_r[:, 0, 2], 0.7 * at, atol=ROTATION_ATOL)
    want = np.stack([1.5 * at, 0 * at, 2 - at], 1)
    np.testing.assert_allclose(got_t, want, atol=1e-6)  # float32 of a few metres
    assert seconds[-1] - 1 / 30 < at[-1] <= seconds[-1]


def test_resample_takes_the_shortest_arc():
    rotations = np.array([[[0.2, 0, 0]], [[2 * np.pi - 0.2, 0, 0]]])
    got, _ = resample(rotations, np.zeros((2, 3)), 15.0)
    np.testing.assert_allclose(got[1, 0], 0, atol=ROTATION_ATOL)


@pytest.mark.parametrize(
    "changes",
    [
        {"gender": np.array(b"female")},
        {"gender": np.array(["female"])},
        {"gender": np.array([b"female"])},
        {"gender": np.array("female"), "dmpls": np.array([{}], object)},
    ],
)
def test_reads_gender_stored_as_text_bytes_or_array(tmp_path, write_npz, changes):
    file = read_amass(write_npz(tmp_path / "a_poses.npz", **changes))
    assert file.gender == "female"
    assert file.rotations.shape == (60, 24, 3)
    assert len(file.sha256) == 64


def test_joints_and_hands_come_from_their_columns(tmp_path, write_npz):
    poses = np.arange(30 * 156.0).reshape(30, 156) / 1e4
    file = read_amass(write_npz(tmp_path / "a_poses.npz", num_frames=30, poses=poses))
    np.testing.assert_array_equal(file.rotations[:, :22].reshape(30, -1), poses[:, :66])
    np.testing.assert_array_equal(file.rotations[:, 22], poses[:, 66:69])
    np.testing.assert_array_equal(file.rotations[:, 23], poses[:, 111:114])


def test_reads_frame_rate_under_either_name(tmp_path, write_npz):
    path = write_npz(
        tmp_path / "a_poses.npz",
        mocap_framerate=None,
        mocap_frame_rate=np.array([120.00004577]),
    )
    assert read_amass(path).fps == 120.0


def test_a_rate_is_rounded_only_if_it_differs_by_rounding(tmp_path, write_npz):
    rates = {120.00004577: 120.0, 59.94: 59.94, 29.97: 29.97}
    for stated, rate in rates.items():
        path = write_npz(tmp_path / "a_poses.npz", fps=stated)
        assert read_amass(path).fps == load_motion(path).fps == rate


@pytest.mark.parametrize(
    ("feat_p", "stated", "true"),
    [
        ("BMLhandball/BMLhandball/S01_Expert/Trial_001_poses.npz", 120.0, 240.0),
        ("BMLhandball/S01_Expert/Trial_001_poses.npz", 120.0, 240.0),
        ("SSMsynced/SSM_synced/20160930_50032/punch_poses.npz", 120.0, 59.0),
        ("SSM/20161014_50033/punch_poses.npz", 120.0, 59.0),
        # Resampled or corrected beforehand, or not one of those recordings.
        ("BMLhandball/BMLhandball/S01_Expert/Trial_001_poses.npz", 30.0, 30.0),
        ("BMLhandball/BMLhandball/S01_Expert/Trial_001_poses.npz", 240.0, 240.0),
        ("SSMsynced/SSM_synced/20160930_50032/punch_poses.npz", 59.0, 59.0),
        ("SSMsynced/SSM_synced/20160930_50032/punch_poses.npz", 30.0, 30.0),
        ("SSMsynced/SSM_synced/20160330_03333/punch_poses.npz", 120.0, 120.0),
        ("CMU/CMU/BMLhandball/a_poses.npz", 120.0, 120.0),
        ("Own/20160930_50032/a_poses.npz", 120.0, 120.0),
        ("SSMsynced/SSM_synced/x/20160930_50032_poses.npz", 120.0, 120.0),
    ],
)
def test_only_the_known_wrong_rates_are_corrected(feat_p, stated, true):
    assert true_fps(feat_p, stated) == true


@pytest.mark.parametrize("folder", ["BMLhandball", "SSM_synced/20160930_50032"])
def test_folders_do_not_change_the_rate_of_a_file(tmp_path, write_npz, folder):
    for stated in (30.0, 120.0):
        path = write_npz(tmp_path / folder / "a_poses.npz", fps=stated)
        assert read_amass(path).fps == load_motion(path).fps == stated


BROKEN = {
    "missing": (None, "No such file"),
    "empty": (b"", "truncated, damaged"),
    "text": (b"<html>login required</html>", "whole npz archive"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_rejects_files_that_are_not_archives(tmp_path, kind):
    content, words = BROKEN[kind]
    path = tmp_path / "a_poses.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        read_amass(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@settings(max_examples=60, deadline=None)
@given(cut=st.floats(0, 1, exclude_max=True), flip=st.none() | st.floats(0, 1))
def test_rejects_truncated_or_damaged_archives(tmp_path_factory, cut, flip):
    buffer = io.BytesIO()
    poses, trans = np.ones((40, 156)), np.ones((40, 3))
    np.savez(buffer, poses=poses, trans=trans, mocap_framerate=30.0)
    content = bytearray(buffer.getvalue())
    path = tmp_path_factory.mktemp("npz") / "a_poses.npz"
    if flip is None:
        path.write_bytes(content[: int(cut * len(content))])
        with pytest.raises(InputError, match="damaged"):
            read_amass(path)
        return
    content[min(int(flip * len(content)), len(content) - 1)] ^= 0xFF
    path.write_bytes(content)
    try:
        file = read_amass(path)
    except InputError as error:
        assert str(path) in str(error)
    else:  # the byte is unused, such as a date in the archive's directory
        np.testing.assert_array_equal(file.poses, 1)
        np.testing.assert_array_equal(file.trans, 1)


def test_rejects_single_array_and_foreign_zip(tmp_path):
    path = tmp_path / "a_poses.npz"
    with open(path, "wb") as file:
        np.save(file, np.ones((40, 156)))
    with pytest.raises(InputError, match="whole npz archive"):
        read_amass(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("poses.npy", b"not an array")
    with pytest.raises(InputError, match="poses"):
        read_amass(path)


class Bomb:
    """Unpickling it fails the test."""

    def __reduce__(self):
        return pytest.fail, ("a file was unpickled",)


nan_frame = np.zeros((60, 156))
nan_frame[17, 100] = np.nan

FAULTS = {
    "no poses": ({"poses": None}, "poses"),
    "no trans": ({"trans": None}, "trans"),
    "no rate": ({"mocap_framerate": None}, "mocap_framerate or mocap_frame_rate"),
    "72 columns": ({"poses": np.zeros((60, 72))}, r"\(60, 72\)"),
    "SMPL-X": ({"poses": np.zeros((60, 165))}, "SMPL-X"),
    "three axes": ({"poses": np.zeros((60, 52, 3))}, r"\(60, 52, 3\)"),
    "trans shorter": ({"trans": np.zeros((59, 3))}, r"trans must have shape \(60, 3\)"),
    "trans flat": ({"trans": np.zeros(60)}, "trans"),
    "NaN": ({"poses": nan_frame}, "poses.*frame 17"),
    "infinite": ({"trans": np.full((60, 3), np.inf)}, "trans.*60 of 60"),
    "no frames": (
        {"poses": np.zeros((0, 156)), "trans": np.zeros((0, 3))},
        "got 0",
    ),
    "text": ({"poses": np.full((60, 156), "x")}, "numbers"),
    "complex": ({"trans": np.zeros((60, 3), complex)}, "numbers"),
    "rate 0": ({"fps": 0.0}, "mocap_framerate"),
    "rate -30": ({"fps": -30.0}, "mocap_framerate"),
    "rate NaN": ({"fps": np.nan}, "mocap_framerate"),
    "rate infinite": ({"fps": np.inf}, "mocap_framerate"),
    "rate absurd": ({"fps": 1e6}, "mocap_framerate"),
    "rate twice": ({"fps": [30.0, 30.0]}, "mocap_framerate"),
    "rate text": ({"fps": "fast"}, "mocap_framerate"),
    "betas": ({"betas": np.full(16, np.nan)}, "betas"),
    "poses pickled": ({"poses": np.array([Bomb()], object)}, "never unpickled"),
    "gender pickled": ({"gender": np.array(Bomb(), object)}, "gender.*never unpickled"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_fields_raise_one_sentence(tmp_path, write_npz, fault):
    changes, words = FAULTS[fault]
    path = write_npz(tmp_path / "a_poses.npz", **changes)
    with pytest.raises(InputError, match=words) as error:
        read_amass(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("feat_p", "on_disk"),
    [
        ("KIT/KIT/4/a_poses.npz", "KIT/4/a_poses.npz"),
        ("KIT/KIT/4/a_poses.npz", "KIT/KIT/4/a_poses.npz"),
        ("KIT/KIT/4/a_poses.npz", "4/a_poses.npz"),
        ("Own/Own/4/a_poses.npz", "Own/4/a_poses.npz"),
        ("Own/other/a_poses.npz", "Own/other/a_poses.npz"),
        *(
            (f"{names[0]}/{names[min(1, len(names) - 1)]}/x/a_poses.npz", disk)
            for names in SETS
            for name in names
            for disk in (f"{name}/x/a_poses.npz", f"{name}/{name}/x/a_poses.npz")
        ),
    ],
)
def test_locate_finds_every_spelling(tmp_path, write_npz, feat_p, on_disk):
    path = write_npz(tmp_path / on_disk)
    write_npz(tmp_path / "SFU" / "other" / "a_poses.npz")
    assert locate(tmp_path, feat_p) == path


def test_locate_names_what_is_missing(tmp_path, write_npz):
    with pytest.raises(InputError, match="KIT/KIT/4/a_poses.npz"):
        locate(tmp_path, "KIT/KIT/4/a_poses.npz")
    write_npz(tmp_path / "KIT/4/a_stageii.npz")
    with pytest.raises(InputError, match="SMPL-X variant a_stageii.npz"):
        locate(tmp_path, "KIT/KIT/4/a_poses.npz")


@pytest.mark.parametrize("layout", ["smplh", "smplx"])
@pytest.mark.parametrize("with_hands", [False, True])
def test_save_and_load_motion_round_trip(tmp_path, layout, with_hands):
    rng = np.random.default_rng(1)
    motion = Motion(
        rotations=rng.standard_normal((40, 22, 3)).astype(np.float32),
        translation=rng.standard_normal((40, 3)).astype(np.float32),
        text=("wave with both hands", "sit down"),
        lengths=(15, 25),
        hands=rng.standard_normal((40, 2, 3)).astype(np.float32)
        if with_hands
        else None,
    )
    path = save_motion(tmp_path / "new" / "motion.npz", motion, layout)
    back = load_motion(path)
    np.testing.assert_array_equal(back.rotations, motion.rotations)
    # SMPL-X's pelvis is shifted and back, each with one rounding of float32.
    step = 0.0 if layout == "smplh" else 2 * np.spacing(np.float32(4))
    np.testing.assert_allclose(back.translation, motion.translation, rtol=0, atol=step)
    assert (back.text, back.lengths, back.fps) == (motion.text, motion.lengths, 30.0)
    assert (back.hands is None) == (not with_hands)
    if with_hands:
        np.testing.assert_array_equal(back.hands, motion.hands)
    assert [p.name for p in path.parent.iterdir()] == ["motion.npz"]
    with np.load(path, allow_pickle=False) as file:
        assert file["poses"].shape == (40, {"smplh": 156, "smplx": 165}[layout])
        assert file["mocap_framerate"] == file["mocap_frame_rate"] == 30
        assert file["gender"].dtype.kind == "U"
        np.testing.assert_array_equal(
            file["poses"][:, 66:75] == 0,
            np.full((40, 9), layout == "smplx") | (not with_hands) | (np.arange(9) > 2),
        )


def still(*text):
    return Motion(
        np.ones((5, 22, 3), np.float32), np.zeros((5, 3), np.float32), text=text
    )


LONG = "a person walks in a wide circle with both arms stretched out to the "


@pytest.mark.parametrize(
    "texts",
    [
        (LONG + "left", LONG + "right"),
        ("走る", "跳ぶ", "идти", "\U0001f483"),
        ("walk!", "Walk", "walk?"),
    ],
)
def test_motions_of_other_texts_are_never_replaced(tmp_path, texts):
    for text in texts:  # one call each, as of a command
        save_motions(tmp_path, [still(text), still(text)])
    for text in texts:
        paths = save_motions(tmp_path, [still(text)])
        assert load_motion(paths[0]).text == (text,)
    written = sorted(load_motion(path).text for path in tmp_path.iterdir())
    assert written == sorted((text,) for text in texts for _ in range(2))


def test_a_repeated_text_replaces_its_own_file_unless_asked_not_to(tmp_path):
    (first,) = save_motions(tmp_path, [still("walk")])
    assert save_motions(tmp_path, [still("walk")]) == [first]
    (kept,) = save_motions(tmp_path, [still("walk")], replace=False)
    assert kept.name == "walk_1.npz"


@pytest.mark.parametrize("content", [b"not an archive", None])
def test_files_that_are_no_motion_are_never_replaced(tmp_path, content):
    foreign = tmp_path / "walk_0.npz"
    if content is None:
        np.savez(foreign, weights=np.zeros(3))
    else:
        foreign.write_bytes(content)
    before = foreign.read_bytes()
    (path,) = save_motions(
        tmp_path,
        [
            still("walk"),
        ],
    )
    assert path.name == "walk_1.npz" and foreign.read_bytes() == before
    np.savez(foreign, weights=np.zeros(3))
    (path,) = save_motions(tmp_path, [still()], name="walk")
    assert path.name == "walk_2.npz"


def test_generated_motion_is_an_amass_file(tmp_path):
    motion = Motion(np.ones((30, 22, 3), np.float32), np.zeros((30, 3), np.float32))
    file = read_amass(save_motion(tmp_path / "a.npz", motion))
    np.testing.assert_array_equal(file.rotations[:, :22], motion.rotations)


@pytest.mark.parametrize(
    ("motion", "layout", "name", "words"),
    [
        (Motion(np.ones((5, 22, 3)), np.ones((5, 3))), "smpl", "a.npz", "layout"),
        (Motion(np.ones((5, 22, 3)), np.ones((5, 3))), "smplh", "a.npy", ".npz"),
        (Motion(np.ones((5, 24, 3)), np.ones((5, 3))), "smplh", "a.npz", "22"),
        (Motion(np.ones((5, 22, 3)), np.ones((4, 3))), "smplh", "a.npz", "4, 3"),
        (
            Motion(np.full((5, 22, 3), np.nan), np.ones((5, 3))),
            "smplh",
            "a.npz",
            "rotations",
        ),
        (
            Motion(np.ones((5, 22, 3)), np.ones((5, 3)), lengths=(2, 2)),
            "smplh",
            "a.npz",
            "lengths",
        ),
    ],
)
def test_save_motion_rejects_invalid_motion(tmp_path, motion, layout, name, words):
    with pytest.raises(InputError, match=words):
        save_motion(tmp_path / name, motion, layout)
    assert not list(tmp_path.iterdir())
