"""Motion on other skeletons becomes the motion of SMPL's body that it shows."""

import itertools
import re
import tarfile
import warnings

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import actiongpt_jax as agpt
from actiongpt_jax.data.mocap.reader import MocapSettings, describe_mocap, open_mocap
from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.viewing.export import export
from tests.data.mocap.skeletons import (
    NAMES,
    Style,
    along_x,
    degrees_between,
    smpl_world,
    to_bvh,
    turn_degrees,
    walking,
)
from tests.oracles import mocap

TO_Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
# SMPL's axes in a zero pose that faces +x with z up: left is +y.
FACING_X = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
OTHER = {"pelvis": "Hips"}  # so that the skeleton is not taken for `render`'s own
BONES = [
    (f"{side}_{start}", f"{side}_{end}")
    for side in ("left", "right")
    for start, end in (
        ("hip", "knee"),
        ("knee", "ankle"),
        ("shoulder", "elbow"),
        ("elbow", "wrist"),
    )
]
# Turned as a whole from pelvis to neck, so they are not compared joint by joint.
LOWER_SPINE = [NAMES.index("spine1"), NAMES.index("spine2")]
OTHERS = [joint for joint in range(22) if joint not in LOWER_SPINE]


@pytest.fixture
def load(tmp_path):
    """Returns `load(style, **settings)` -> the walk, read from another skeleton."""

    def load(style, motion=None, **settings):
        path = tmp_path / "walk.bvh"
        path.write_text(to_bvh(style, *(motion or walking())))
        return agpt.load_motion(path, MocapSettings(**settings))

    return load


@pytest.mark.parametrize(
    "style",
    [
        Style(names=OTHER),
        Style(names=OTHER, up="z", scale=1.0, order="XYZ"),
        Style(names=OTHER, scale=39.37, order="YXZ", stretch=1.3, positions=True),
        Style(names=OTHER, placed_below=True, scale=1000.0),
        Style(names=OTHER, up="z", frames=dict.fromkeys(range(22), FACING_X.T)),
    ],
    ids=["cm", "z-up", "inches", "below", "facing-x"],
)
def test_the_same_body_in_other_units_and_axes_moves_equally(load, style):
    turned, pelvis = walking()
    motion = load(style)
    actual, joints = smpl_world(motion)
    assert motion.fps == 30
    assert turn_degrees(actual, turned)[:, OTHERS].max() < 0.01
    np.testing.assert_allclose(joints[:, 0], pelvis, atol=2e-3)
    np.testing.assert_allclose(
        joints[:, 12] - joints[:, 0], trunk_of(turned), atol=1e-2
    )


def trunk_of(turned):
    chain = (0, 3, 6, 9)
    below = (3, 6, 9, 12)
    return sum(
        turned[:, a] @ np.array(SMPL22.offsets[b])
        for a, b in zip(chain, below, strict=True)
    )


def lowered(degrees):
    """Returns joint axes with which the zero pose has lowered arms."""
    frames = {}
    for joint in range(22):
        for side, sign in (("left", 1), ("right", -1)):
            if NAMES[joint] in [f"{side}_{j}" for j in ("shoulder", "elbow", "wrist")]:
                frames[joint] = mocap.turn("Z", sign * degrees)
    return frames


@pytest.mark.parametrize("degrees", [30, 50, 80])
def test_the_arms_may_be_lowered_in_the_zero_pose(load, degrees):
    turned, _ = walking()
    actual, _ = smpl_world(load(Style(names=OTHER, frames=lowered(degrees))))
    # The smallest turn between two arms leaves a twist of a few degrees.
    errors = turn_degrees(actual, turned).max(0)
    assert errors[16:].max() < 12 and errors[OTHERS[:14]].max() < 0.01


def test_a_rest_pose_in_front_is_used_left_out_and_said(load, tmp_path):
    turned, _ = walking()
    with pytest.warns(UserWarning, match="frame 0 is a rest pose and is left out"):
        motion = load(Style(names=OTHER, rest_frame=True))
    assert len(motion.rotations) == len(turned)
    assert turn_degrees(smpl_world(motion)[0], turned)[:, OTHERS].max() < 0.01


def test_a_first_frame_at_zero_is_left_out_even_if_it_shows_no_pose(load):
    turned, _ = walking()
    with pytest.warns(UserWarning, match="frame 0 is a rest pose and is left out"):
        motion = load(Style(names=OTHER, frames=along_x(), rest_frame=True))
    assert len(motion.rotations) == len(turned)


def test_a_motion_that_begins_in_the_rest_pose_keeps_it(load):
    turned, pelvis = (array[:40].copy() for array in walking())
    axis = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    share = np.linspace(0, 1, 40)[:, None]
    goal = Rotation.from_matrix(turned[39])
    step = (Rotation.from_matrix(axis).inv() * goal).as_rotvec()
    for t in range(40):  # from the rest pose into the first step
        turned[t] = axis @ Rotation.from_rotvec(share[t] * step).as_matrix()
    motion = load(Style(names=OTHER), (turned, np.tile(pelvis[:1], (40, 1))))
    assert len(motion.rotations) == 40


@pytest.mark.parametrize("names", [OTHER, {n: f"q{i}" for i, n in enumerate(NAMES)}])
def test_bones_along_their_own_axes_are_aligned_by_how_limbs_bend(load, names):
    turned, pelvis = walking()
    style = Style(names=names, frames=along_x(), positions=True, placed_below=True)
    motion = load(style)
    actual, joints = smpl_world(motion)
    errors = dict(zip(NAMES, turn_degrees(actual, turned).max(0), strict=True))
    for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist"):
        assert max(errors[f"left_{name}"], errors[f"right_{name}"]) < 2, name
    assert max(errors["pelvis"], errors["neck"], errors["head"]) < 1
    np.testing.assert_allclose(joints[:, 0], pelvis, atol=5e-3)


@pytest.mark.parametrize("frames", [{}, along_x(), lowered(60)])
def test_joints_turn_between_frames_as_their_sources_do(load, frames):
    turned, _ = walking()
    actual, _ = smpl_world(load(Style(names=OTHER, frames=frames)))
    steps = actual[1:] @ np.swapaxes(actual[:-1], -1, -2)
    expected = turned[1:] @ np.swapaxes(turned[:-1], -1, -2)
    assert turn_degrees(steps, expected)[:, OTHERS].max() < 0.1


def test_flags_replace_what_the_file_shows(load):
    turned, pelvis = walking()
    style = Style(names=OTHER, up="z", scale=100.0)
    fixed = load(style, scale=0.02, fps=60.0)
    assert fixed.fps == 60
    travel = np.diff(smpl_world(fixed)[1][:, 0], axis=0)
    np.testing.assert_allclose(travel, 2 * np.diff(pelvis, axis=0), atol=1e-3)
    lying = smpl_world(load(style, up="y"))[0]
    assert abs(lying[:, 0, 2, 1]).max() < 0.5  # the body's up is level
    for rest in ("zero", "directions"):
        assert len(load(style, rest=rest).rotations) == len(turned)
    with pytest.raises(InputError, match="--rest must be zero, directions or a frame"):
        load(style, rest="9999")
    with pytest.raises(InputError, match="straight legs and arms"):
        load(Style(names=OTHER, frames=along_x()), rest="zero")
    for settings in ({"up": "w"}, {"scale": -1.0}, {"fps": 1e9}):
        with pytest.raises(InputError, match="must be"):
            load(style, **settings)


def test_bones_without_length_are_refused(tmp_path):
    turned, pelvis = (array[:3] for array in walking())
    text = to_bvh(Style(names=OTHER), turned, pelvis)
    path = tmp_path / "walk.bvh"
    path.write_text(re.sub(r"(JOINT left_knee\n{\nOFFSET) .*", r"\1 0 0 0", text))
    with pytest.raises(InputError, match="left_hip to left_knee must have a length"):
        agpt.load_motion(path)


@pytest.mark.parametrize("frames", [{}, along_x()])
def test_toes_without_length_follow_the_ankle(tmp_path, frames):
    turned, pelvis = walking()
    text = to_bvh(Style(names=OTHER, frames=frames), turned, pelvis)
    path = tmp_path / "walk.bvh"
    path.write_text(
        re.sub(r"(JOINT (left|right)_foot\n{\nOFFSET) .*", r"\1 0 0 0", text)
    )
    actual, _ = smpl_world(agpt.load_motion(path))
    np.testing.assert_allclose(actual[:, 10], actual[:, 7], atol=1e-6)
    knees = turn_degrees(actual, turned)[:, [1, 2, 4, 5]]
    assert knees.max() < 2


@pytest.mark.parametrize("fps", [12.5, 30.0, 120.0])
def test_exported_files_come_back_exactly(tmp_path, fps):
    rng = np.random.default_rng(0)
    rotations = rng.normal(size=(40, 22, 3)).astype(np.float32)
    translation = 3 * rng.normal(size=(40, 3)).astype(np.float32)
    # A first frame in SMPL's rest pose is a part of the motion.
    rotations[0] = [np.pi / 2, 0, 0], *np.zeros((21, 3))
    motion = agpt.Motion(rotations, translation, fps)
    export(tmp_path / "a.bvh", motion)
    back = agpt.load_motion(tmp_path / "a.bvh")
    assert back.fps == fps
    turned, joints = smpl_world(motion)
    actual, places = smpl_world(back)
    assert turn_degrees(actual, turned).max() < 0.1
    np.testing.assert_allclose(places, joints, atol=1e-4)


def source_joints(path, frames):
    """Returns {SMPL joint: (orientations, positions)}, z-up, by plain kinematics."""
    capture, found = open_mocap(path, MocapSettings())
    names = {NAMES[j]: capture.joints[s].name for j, s in found.joints.items()}
    if path.suffix == ".bvh":
        head, _, motion = path.read_text().partition("MOTION")
        rows = motion.split("\n")
        world = mocap.bvh("MOTION".join([head, "\n".join(rows[: frames + 3])]))
    else:
        asf = next(p for p in path.parent.glob("*.asf") if path.stem.startswith(p.stem))
        text = path.read_text(encoding="latin-1")
        world = mocap.acclaim(asf.read_text(encoding="latin-1"), text, frames)
    return {
        name: (TO_Z_UP @ world[bone][0], world[bone][1] @ TO_Z_UP.T)
        for name, bone in names.items()
    }


def assert_moves_as(source, motion):
    """Checks a motion against its source: directions, turns, facing, travel, floor."""
    turned, placed = smpl_world(motion)
    places = {name: placed[:, i] for i, name in enumerate(NAMES)}
    for start, end in (*BONES, ("pelvis", "neck")):
        bone = places[end] - places[start]
        error = degrees_between(bone, source[end][1] - source[start][1])
        assert np.median(error) < 1 and np.percentile(error, 99) < 5, (start, end)
    for name, (turns, _) in source.items():
        steps = turns[1:] @ np.swapaxes(turns[:-1], -1, -2)
        mine = turned[:, NAMES.index(name)]
        mine = mine[1:] @ np.swapaxes(mine[:-1], -1, -2)
        if name != "spine3":  # gives way where the trunk is bent very far
            assert turn_degrees(mine, steps).max() < 0.1, name
    across = places["left_hip"] - places["right_hip"]
    theirs = source["left_hip"][1] - source["right_hip"][1]
    error = degrees_between(across[:, :2], theirs[:, :2])
    assert np.median(error) < 2
    hips = source["left_hip"][1] + source["right_hip"][1]
    travel = (hips[-1] - hips[0])[:2]
    middle = places["left_hip"] + places["right_hip"]
    if np.linalg.norm(travel) > 0.1 * np.linalg.norm(hips[0] - source["head"][1][0]):
        assert degrees_between((middle[-1] - middle[0])[:2], travel) < 2
    toes = placed[:, [10, 11], 2]
    lower = toes.min(1)
    speed = np.abs(np.gradient(placed[:, [10, 11]], axis=0)).max(-1) * motion.fps
    standing = (speed < 0.05).all(1)
    if standing.sum() > 5:
        assert -0.02 < np.median(lower[standing]) - 0.02 < 0.03


@pytest.mark.parametrize(
    "file",
    [
        "11_01.amc",
        "HDM_mm_hopBothLegs1hops_033_120.amc",
        "HDM_mm_rotateArmsBothBackward1Reps_013_120.amc",
        "HDM_tr_elbowToKnee1RepsLelbowStart_021_120.amc",
        "HDM_tr_rotateArmsBothBackward1Reps_015_120.amc",
    ],
)
def test_real_acclaim_files_keep_their_motion(shared_file, file):
    path = shared_file(f"data/acclaim/{file}")
    motion = agpt.load_motion(path)
    assert_moves_as(source_joints(path, len(motion.rotations)), motion)


@pytest.mark.slow
@pytest.mark.parametrize("set_", ["styled", "cmu_bvh"])
def test_real_bvh_files_keep_their_motion(shared_file, set_, tmp_path):
    with tarfile.open(shared_file(f"data/{set_}/clips.tar.xz")) as archive:
        clips = (member for member in archive if member.name.endswith(".bvh"))
        for member in itertools.islice(clips, 2):
            archive.extract(member, tmp_path, filter="data")
    for path in tmp_path.rglob("*.bvh"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            motion = agpt.load_motion(path)
        assert_moves_as(source_joints(path, len(motion.rotations)), motion)


@pytest.mark.slow
def test_the_same_motion_as_amc_and_as_bvh_is_equal(shared_file):
    amc = agpt.load_motion(shared_file("data/acclaim/01_01.amc"))
    with pytest.warns(UserWarning, match="frame 0 is a rest pose"):
        bvh = agpt.load_motion(shared_file("data/acclaim/01_01.bvh"))
    assert len(bvh.rotations) == len(amc.rotations) == 2751
    assert bvh.fps == amc.fps == 120
    a, b = smpl_world(amc), smpl_world(bvh)
    for start, end in BONES:
        i, j = NAMES.index(start), NAMES.index(end)
        error = degrees_between(a[1][:, j] - a[1][:, i], b[1][:, j] - b[1][:, i])
        assert error.max() < 0.5
        assert turn_degrees(a[0][:, i], b[0][:, i]).max() < 0.5
    assert turn_degrees(a[0][:, 0], b[0][:, 0]).max() < 0.5


def test_a_description_says_how_a_file_was_understood(tmp_path):
    path = tmp_path / "walk.bvh"
    path.write_text(to_bvh(Style(names=OTHER, rest_frame=True), *walking()))
    text = describe_mocap(path)
    assert "183 frames at 30 per second; y is up; one unit is 0.01 m" in text
    assert "rest pose: zero pose" in text and text.endswith("left out")


def test_straight_arms_are_aligned_without_a_bend(load):
    turned, pelvis = (array.copy() for array in walking())
    for side, sign in (("left", -1), ("right", 1)):
        hanging = turned[:, 0] @ mocap.turn("Z", 75 * sign)
        for joint in ("shoulder", "elbow", "wrist"):
            turned[:, NAMES.index(f"{side}_{joint}")] = hanging
    motion = load(Style(names=OTHER, frames=along_x()), (turned, pelvis))
    errors = turn_degrees(smpl_world(motion)[0], turned)
    assert errors[:, 16:].max() < 2
