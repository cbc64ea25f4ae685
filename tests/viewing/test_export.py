"""Exported files, read back by readers that share no code with the writers."""

import json

import numpy as np
import pygltflib
import pytest
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.motion import Motion, load_motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.viewing.export import SUFFIXES, export
from actiongpt_jax.viewing.render import render
from tests.oracles import bvh, gltf, kinematics
from tests.viewing.motions import HOSTILE

# SMPL-X's neutral body with zero betas, metres.
SMPLX_REST_PELVIS = (0.0031, -0.3514, 0.0120)
# Rounding allowed to a format, metres; the writers' errors are 100 times smaller.
MILLIMETRE = 1e-3
TEXT = ("walk", "".join(HOSTILE))


def tumbling(frames=9, fps=30.0, text=TEXT):
    """Returns a motion with large turns of every joint and ZXY gimbal lock."""
    rng = np.random.default_rng(0)
    rotations = rng.normal(size=(frames, 22, 3)).astype(np.float32)
    rotations[2, 5] = [np.pi / 2, 0, 0]
    rotations[3, 5] = Rotation.from_euler("ZXY", [1.0, np.pi / 2, 0.4]).as_rotvec()
    rotations[4] *= 3
    translation = rng.normal(size=(frames, 3)).astype(np.float32) * 3
    return Motion(rotations, translation, fps, text, (4, frames - 4))


def joints_of(motion):
    """Returns (T, 22, 3) float64 joint positions in the z-up world, metres."""
    matrices = Rotation.from_rotvec(motion.rotations.reshape(-1, 3)).as_matrix()
    matrices = matrices.reshape(-1, 22, 3, 3)
    offsets = np.array(SMPL22.offsets)
    return np.stack(
        [
            kinematics.forward_kinematics(m, t, SMPL22.parents, offsets)
            for m, t in zip(matrices, motion.translation, strict=True)
        ]
    )


def y_up(joints):
    """Converts positions from z-up to y-up; the world's -y becomes +z."""
    return np.stack([joints[..., 0], joints[..., 2], -joints[..., 1]], -1)


@pytest.fixture(scope="module")
def motion():
    return tumbling()


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".html"])
def test_exported_files_do_not_tell_where_they_were_made(motion, tmp_path, suffix):
    path = tmp_path / "home" / f"motion{suffix}"
    path.parent.mkdir()
    render(path, [motion], ["walk"])
    assert tmp_path.name.encode() not in path.read_bytes()


@pytest.fixture(scope="module")
def document(motion, tmp_path_factory):
    path = tmp_path_factory.mktemp("glb") / "motion.glb"
    export(path, motion)
    assert path.stat().st_size < 500_000
    return pygltflib.GLTF2.load_binary(str(path))


def test_glb_skeleton_has_the_joint_positions_of_the_motion(motion, document):
    expected = y_up(joints_of(motion))
    names = {node.name: index for index, node in enumerate(document.nodes)}
    for frame in range(len(expected)):
        world = gltf.world_matrices(document, frame)
        actual = [world[names[name]][:3, 3] for name in SMPL22.names]
        np.testing.assert_allclose(actual, expected[frame], rtol=0, atol=MILLIMETRE)
    animation = document.animations[0]
    times = {sampler.input for sampler in animation.samplers}
    (time,) = (gltf.accessor(document, t)[:, 0] for t in times)
    np.testing.assert_allclose(time, np.arange(9) / 30, rtol=0, atol=1e-6)  # float32


def test_glb_joints_are_children_of_their_parents(document):
    for joint, parent in enumerate(SMPL22.parents):
        if parent >= 0:
            assert joint in document.nodes[parent].children


def test_glb_without_its_animation_shows_the_first_pose(motion, document):
    world = gltf.world_matrices(document)
    actual = [world[joint][:3, 3] for joint in range(22)]
    expected = y_up(joints_of(motion))[0]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=MILLIMETRE)


def test_glb_quaternions_do_not_change_sign_between_frames(document):
    for sampler in document.animations[0].samplers[1:]:
        values = gltf.accessor(document, sampler.output)
        assert ((values[1:] * values[:-1]).sum(-1) >= 0).all()


def test_glb_body_vertices_follow_their_joints(motion, document):
    """Every vertex keeps its distance from its joint."""
    joints = y_up(joints_of(motion))[5]
    vertices = gltf.skinned_vertices(document, 5)
    attributes = document.meshes[0].primitives[0].attributes
    rest = gltf.accessor(document, attributes.POSITION)
    owner = gltf.accessor(document, attributes.JOINTS_0)[:, 0]
    from_rest = np.linalg.norm(rest - SMPL22.rest_joints[owner], axis=-1)
    now = np.linalg.norm(vertices - joints[owner], axis=-1)
    np.testing.assert_allclose(now, from_rest, rtol=0, atol=MILLIMETRE)
    # The left side is red, the right side blue.
    colours = gltf.accessor(document, attributes.COLOR_0)
    left, right = rest[:, 0] > 0.3, rest[:, 0] < -0.3
    assert (colours[left, 0] > colours[left, 2]).all()
    assert (colours[right, 2] > colours[right, 0]).all()


def test_glb_faces_point_outwards(document):
    primitive = document.meshes[0].primitives[0]
    places = gltf.accessor(document, primitive.attributes.POSITION).astype(float)
    normals = gltf.accessor(document, primitive.attributes.NORMAL)
    faces = gltf.accessor(document, primitive.indices).reshape(-1, 3)
    a, b, c = (places[faces[:, i]] for i in range(3))
    across = np.cross(b - a, c - a)
    assert ((across * normals[faces].mean(1)).sum(-1) > -1e-12).all()


@pytest.mark.parametrize("adds_offset", [False, True])
def test_bvh_has_the_joint_positions_of_the_motion(motion, tmp_path, adds_offset):
    path = tmp_path / "motion.bvh"
    export(path, motion)
    names, actual, seconds = bvh.read(path.read_text(), adds_offset=adds_offset)
    assert sorted(names) == sorted(SMPL22.names)
    expected = y_up(joints_of(motion))
    for joint, name in enumerate(SMPL22.names):
        np.testing.assert_allclose(
            actual[name], expected[:, joint], rtol=0, atol=MILLIMETRE
        )
    assert seconds == pytest.approx(1 / 30, abs=1e-8)


def test_bvh_angles_do_not_jump_by_full_turns(tmp_path):
    frames = 100
    rotations = np.zeros((frames, 22, 3), np.float32)
    for frame, angle in enumerate(np.linspace(0, 6 * np.pi, frames)):
        turn = Rotation.from_euler("z", angle) * Rotation.from_euler("x", np.pi / 2)
        rotations[frame, 0] = turn.as_rotvec()
    path = tmp_path / "turning.bvh"
    export(path, Motion(rotations, np.zeros((frames, 3), np.float32)))
    rows = path.read_text().split("Frame Time:")[1].splitlines()[1:]
    values = np.array([[float(v) for v in row.split()] for row in rows])
    # Three full turns in 100 frames are 11 degrees per frame.
    assert np.abs(np.diff(values, axis=0)).max() < 15


def bvh_angles(path):
    """Returns the (T, 22, 3) angle channels of a .bvh, degrees."""
    rows = path.read_text().split("Frame Time:")[1].splitlines()[1:]
    values = np.array([[float(value) for value in row.split()] for row in rows])
    return values[:, 3:].reshape(len(values), -1, 3)


@pytest.mark.parametrize("axis", "xyz")
def test_bvh_angles_of_a_hinge_do_not_jump_beyond_a_right_angle(tmp_path, axis):
    """A joint that turns about one axis only, to 150 degrees and back."""
    turns = np.concatenate([np.linspace(0, 150, 31), np.linspace(150, -150, 61)])
    rotations = np.zeros((len(turns), 22, 3), np.float32)
    rotations[:, 4] = Rotation.from_euler(axis, turns[:, None], True).as_rotvec()
    path = tmp_path / "hinge.bvh"
    export(path, Motion(rotations, np.zeros((len(turns), 3), np.float32)))
    # 5 degrees per frame, and float32 rounding near gimbal lock.
    assert np.abs(np.diff(bvh_angles(path), axis=0)).max() < 5.5


def test_bvh_channels_of_any_motion_turn_by_half_a_turn_at_most(tmp_path):
    path = tmp_path / "wild.bvh"
    export(path, tumbling(200, text=("a", "b")))
    assert np.abs(np.diff(bvh_angles(path), axis=0)).max() <= 180 + 1e-5


def test_bvh_between_frames_stays_between_the_poses(shared_file, tmp_path):
    """A knee of a recording, interpolated channel by channel as players do."""
    motion = load_motion(shared_file("cases/bvh-flip/knee.npz"))
    path = tmp_path / "knee.bvh"
    export(path, motion)
    angles = bvh_angles(path)
    middle = (angles[1:] + angles[:-1]) / 2
    poses, between = (
        Rotation.from_euler("ZXY", a.reshape(-1, 3), True) for a in (angles, middle)
    )
    first = poses[: len(between)]
    whole = (first.inv() * poses[22:]).magnitude()
    half = (first.inv() * between).magnitude()
    assert (half <= whole + np.radians(2)).all()


@pytest.mark.parametrize(("layout", "columns"), [("smplh", 156), ("smplx", 165)])
def test_npz_keeps_the_motion(motion, tmp_path, layout, columns):
    path = tmp_path / "motion.npz"
    export(path, motion, layout)
    with np.load(path, allow_pickle=False) as file:
        assert file["poses"].shape == (9, columns)
        assert file["mocap_frame_rate"] == 30
        body = file["poses"][:, :66].reshape(9, 22, 3)
        # The bodies differ in the place of their pelvis at rest.
        rest = {"smplh": SMPL22.offsets[0], "smplx": SMPLX_REST_PELVIS}[layout]
        pelvis = file["trans"] + np.array(rest)
        again = Motion(body, pelvis - np.array(SMPL22.offsets[0]))
        assert not file["poses"][:, 66:].any()
    np.testing.assert_allclose(
        joints_of(again), joints_of(motion), rtol=0, atol=MILLIMETRE
    )


def test_smplx_files_have_what_add_ons_and_robots_read(motion, tmp_path):
    path = tmp_path / "motion.npz"
    export(path, motion, "smplx")
    with np.load(path, allow_pickle=False) as file:
        content = dict(file)
    assert content["layout"] == "smplx" and content["gender"] == "neutral"
    assert content["betas"].shape == (16,) and not content["betas"].any()
    np.testing.assert_array_equal(content["root_orient"], motion.rotations[:, 0])
    body = motion.rotations[:, 1:].reshape(9, 63)
    np.testing.assert_array_equal(content["pose_body"], body)
    # With this field, tools take a file for one of SMPL-H.
    assert "left_hand_pose" not in content
    # Reading undoes the shift; in files without the mark, the place is as written.
    again = load_motion(path)
    np.testing.assert_allclose(again.translation, motion.translation, atol=1e-6)
    np.testing.assert_array_equal(again.rotations, motion.rotations)
    old = tmp_path / "old.npz"
    np.savez(old, **{k: v for k, v in content.items() if k != "layout"})
    np.testing.assert_array_equal(load_motion(old).translation, content["trans"])


def test_bvh_with_mixamos_names_starts_with_a_t_pose_and_comes_back(tmp_path):
    path = tmp_path / "motion.bvh"
    motion = tumbling(40)
    render(path, [motion], [""], names="mixamo", t_pose=True)
    names, actual, _ = bvh.read(path.read_text(), adds_offset=False)
    assert {"mixamorig:Hips", "mixamorig:Spine2", "mixamorig:LeftToeBase"} < set(names)
    assert {"mixamorig:LeftUpLeg", "mixamorig:RightForeArm"} < set(names)
    assert not bvh_angles(path)[0].any()
    hips, toe = actual["mixamorig:Hips"], actual["mixamorig:LeftToeBase"]
    np.testing.assert_allclose(hips[0, [0, 2]], hips[1, [0, 2]], atol=1e-5)
    assert np.abs(np.diff(bvh_angles(path), axis=0)).max() <= 180 + 1e-5
    assert 0 < toe[0, 1] < 0.05 and hips[0, 1] > 0.9
    left = actual["mixamorig:LeftHand"][0] - hips[0]
    assert left[0] > 0.6  # arms at the sides, facing +z
    with pytest.warns(UserWarning, match="frame 0 is a rest pose and is left out"):
        again = load_motion(path)
    np.testing.assert_allclose(joints_of(again), joints_of(motion), rtol=0, atol=1e-4)
    turns = Rotation.from_rotvec(again.rotations.reshape(-1, 3)).inv()
    turns = turns * Rotation.from_rotvec(motion.rotations.reshape(-1, 3))
    assert np.degrees(turns.magnitude()).max() < 0.1


def test_json_keeps_the_motion(motion, tmp_path):
    path = tmp_path / "motion.json"
    export(path, motion)
    content = json.loads(path.read_text(encoding="utf-8"))
    expected = joints_of(motion)
    np.testing.assert_allclose(content["joints"], expected, rtol=0, atol=MILLIMETRE)
    again = Motion(np.array(content["rotations"]), np.array(content["translation"]))
    np.testing.assert_allclose(joints_of(again), expected, rtol=0, atol=MILLIMETRE)
    assert (content["text"], content["lengths"]) == (list(motion.text), [4, 5])
    assert content["names"] == list(SMPL22.names)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_exported_motion_capture_keeps_its_joint_positions(
    shared_file, tmp_path, suffix
):
    folder = shared_file("data/minibabel/amass")
    motion = load_motion(sorted(folder.rglob("*_poses.npz"))[0])
    motion = Motion(motion.rotations[:40], motion.translation[:40], motion.fps)
    path = tmp_path / f"take{suffix}"
    export(path, motion)
    expected = joints_of(motion)
    if suffix == ".glb":
        document = pygltflib.GLTF2.load_binary(str(path))
        worlds = [gltf.world_matrices(document, frame) for frame in range(40)]
        actual = np.array([[w[j][:3, 3] for j in range(22)] for w in worlds])
        expected = y_up(expected)
    elif suffix == ".bvh":
        _, places, _ = bvh.read(path.read_text(), adds_offset=False)
        actual = np.stack([places[name] for name in SMPL22.names], 1)
        expected = y_up(expected)
    elif suffix == ".npz":
        actual = joints_of(load_motion(path))
    else:
        actual = json.loads(path.read_text())["joints"]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=MILLIMETRE)


def test_invalid_exports_raise_one_sentence_and_write_nothing(motion, tmp_path):
    empty = Motion(np.zeros((0, 22, 3)), np.zeros((0, 3)))
    other = Motion(np.zeros((3, 24, 3)), np.zeros((3, 3)))
    broken = Motion(np.full((3, 22, 3), np.nan), np.zeros((3, 3)))
    for given, name, words in [
        (motion, "x.fbx", "must end in one of .glb, .bvh, .npz, .json"),
        (motion, "x", "must end in one of"),
        (empty, "x.glb", "got 0"),
        (other, "x.bvh", "(3, 24, 3)"),
        (broken, "x.json", "finite"),
    ]:
        with pytest.raises(InputError) as caught:
            export(tmp_path / name, given)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
