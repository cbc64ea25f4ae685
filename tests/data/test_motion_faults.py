import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.motion_faults import (
    check_motion,
    format_quality,
    save_quality,
)
from actiongpt_jax.data.motion_store import Label
from actiongpt_jax.data.store_builder import check_paths
from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.skeletons import SMPL22

# Turns the rest pose upright: up is y in SMPL's body frame and z in the world.
UPRIGHT = Rotation.from_euler("x", 90, degrees=True)
STANDING = 0.9  # height that puts the toes of the rest pose near z = 0, metres


@pytest.fixture
def standing():
    """60 frames of rest pose with a little sway, 30 fps."""
    time = np.arange(60) / 30
    rotations = np.zeros((60, 22, 3))
    rotations[:, 0] = UPRIGHT.as_rotvec()
    rotations[:, 1:] += 0.005 * np.sin(time)[:, None, None]
    translation = np.tile([0.0, 0.0, STANDING], (60, 1))
    return rotations.astype(np.float32), translation.astype(np.float32)


def test_quiet_standing_has_no_faults(standing):
    quality = check_motion(*standing)
    assert not (quality.jumps or quality.twists or quality.fast_frames)
    assert abs(quality.floor) < 0.1 and quality.top_speed < 1


@pytest.mark.parametrize("joint", range(22))
def test_finds_the_flip_of_every_joint(standing, joint):
    rotations, translation = standing
    flip = Rotation.from_rotvec([0, 0, 1.6] if joint != 18 else [0, 1.6, 0])
    turned = Rotation.from_rotvec(rotations[30:, joint]) * flip
    rotations[30:, joint] = turned.as_rotvec()
    quality = check_motion(rotations, translation)
    (jump,) = quality.jumps + quality.twists
    assert (jump.frame, jump.joint) == (30, SMPL22.names[joint])
    assert abs(jump.radians - 1.6) < 0.02  # rounded to 0.01, plus the sway
    if joint == 0:
        assert quality.jumps


def test_turn_of_a_joint_about_its_own_bone_is_a_twist(standing):
    rotations, translation = standing
    bone = np.array(SMPL22.offsets[18]) / np.linalg.norm(SMPL22.offsets[18])
    rotations[:, 16] = 0
    rotations[40:, 16] = 2.5 * bone
    quality = check_motion(rotations, translation)
    assert not quality.jumps
    assert [(j.frame, j.joint, j.radians) for j in quality.twists] == [
        (40, "left_shoulder", 2.5)
    ]


def test_equivalent_rotation_vectors_are_not_a_jump(standing):
    rotations, translation = standing
    angle = np.linalg.norm(rotations[30:, 5], axis=-1, keepdims=True)
    rotations[30:, 5] *= (angle - 2 * np.pi) / angle
    assert not check_motion(rotations, translation).jumps


def test_finds_fast_frames(standing):
    rotations, translation = standing
    translation[20:, 0] += 0.6  # 18 m/s for one frame
    translation[40:, 1] += 0.4  # 12 m/s
    quality = check_motion(rotations, translation)
    assert quality.fast_frames == (20,) and 17.5 < quality.top_speed < 18.5


def test_floor_is_where_the_feet_stand(standing):
    rotations, translation = standing
    low = check_motion(rotations, translation).floor
    translation[:, 2] += 0.5
    translation[10:15, 2] += 0.4  # a jump does not lift the floor
    assert check_motion(rotations, translation).floor == pytest.approx(low + 0.5)


def test_counts_gaps_and_overlaps_of_labels(standing):
    labels = [
        Label(0, 30, 50, "b", "frame"),
        Label(0, 5, 35, "a", "frame"),
        Label(0, 0, 60, "all", "sequence"),
    ]
    quality = check_motion(*standing, labels=labels)
    assert (quality.gaps, quality.gap_frames) == (2, 15)
    assert (quality.overlaps, quality.overlap_frames) == (1, 5)
    quality = check_motion(*standing, labels=labels[2:])
    assert (quality.gaps, quality.gap_frames) == (0, 0)


def test_one_frame_has_no_faults(standing):
    rotations, translation = standing
    quality = check_motion(rotations[:1], translation[:1])
    assert not quality.jumps and quality.top_speed == 0


def test_report_lists_faulty_recordings_and_saves_all(standing, tmp_path):
    rotations, translation = standing
    good = check_motion(rotations, translation, name="good")
    rotations[30:, 4, 0] += 2
    bad = [check_motion(rotations, translation, name=f"bad{i}") for i in range(50)]
    text = format_quality([good, *bad])
    assert "quality of 51" in text and "left_knee" in text and "good:" not in text
    assert "10 more are in quality.json" in text
    save_quality([good, *bad], tmp_path / "quality.json")
    rows = json.loads((tmp_path / "quality.json").read_text())
    assert [row["name"] for row in rows[:2]] == ["good", "bad0"]
    assert rows[1]["jumps"][0]["joint"] == "left_knee"
    assert [p.name for p in tmp_path.iterdir()] == ["quality.json"]


def test_finds_jumps_in_every_flawed_recording(shared_file):
    quality = check_paths([shared_file("data/flawed")])
    assert len(quality) == 3
    assert all(row.jumps for row in quality)


def test_real_recordings_have_few_faults(minibabel):
    jumps, twists, floors = [], [], []
    for number, row in enumerate(minibabel.sequences):
        quality = check_motion(*minibabel.frames(number))
        assert not quality.fast_frames
        floors.append(quality.floor)
        if quality.jumps:
            jumps.append(row.source)
        if quality.twists:
            twists.append(row.source)
    # These faults are real: the bone of a wrist swings by 1.8 and 2.4 rad within one
    # frame; HDM05's wrists and shoulders twist by 1.4 to 3.1 rad.
    assert len(floors) == 231 and len(jumps) == 3 and len(twists) == 45
    assert all("HDM05" in source.split("/") for source in twists + jumps)
    assert min(floors) > -0.06 and max(floors) < 0.18


def test_check_paths_reads_files_and_folders(tmp_path, write_npz, capsys):
    good = write_npz(tmp_path / "a" / "good_poses.npz")
    write_npz(tmp_path / "a" / "bad_poses.npz", poses=None)
    (tmp_path / "a" / "shape.npz").write_bytes(b"")
    (quality,) = check_paths([tmp_path / "a"])
    assert quality.name == str(good)
    assert "bad_poses.npz" in capsys.readouterr().err
    with pytest.raises(InputError, match="bad_poses"):
        check_paths([tmp_path / "a" / "bad_poses.npz"])
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="got none"):
        check_paths([tmp_path / "b"])
