import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.geometry import kinematics
from actiongpt_jax.geometry import rotations as rot
from actiongpt_jax.geometry.skeletons import SMPL22, Skeleton
from tests.oracles import kinematics as oracle
from tests.oracles import rotations as rotation_oracle

UPRIGHT = rotation_oracle.axis_angle_to_matrix([np.pi / 2, 0, 0])
# Compiled as a whole, because compiling each small operation takes longer.
to_matrix = jax.jit(rot.axis_angle_to_matrix)
forward_kinematics = jax.jit(kinematics.forward_kinematics, static_argnums=2)
facing = jax.jit(kinematics.facing, static_argnums=1)


def random_pose(*batch, num_joints=22, seed=0):
    rng = np.random.default_rng(seed)
    axis_angle = rng.normal(size=(*batch, num_joints, 3)).astype(np.float32)
    translation = rng.normal(size=(*batch, 3)).astype(np.float32)
    return to_matrix(axis_angle), jnp.asarray(translation)


def by_oracle(rotations, translation, skeleton=SMPL22):
    return np.stack(
        [
            oracle.forward_kinematics(r, t, skeleton.parents, skeleton.offsets)
            for r, t in zip(rotations, translation, strict=True)
        ]
    )


def test_joints_match_published(golden):
    g = golden("temos_teach/fk_synthetic")
    offsets = g["rest_joints"].astype(np.float64)
    parents = g["parents"]
    offsets[1:] -= g["rest_joints"][parents[1:]]
    skeleton = Skeleton(
        names=tuple(f"joint{j}" for j in range(52)),
        parents=tuple(int(p) for p in parents),
        offsets=tuple(map(tuple, offsets)),
    )
    rotations = np.tile(np.eye(3, dtype=np.float32), (12, 52, 1, 1))
    rotations[:, :22] = g["rots"]  # hands stay flat
    joints = forward_kinematics(rotations, g["trans"], skeleton)
    # The published tolerance of features.
    np.testing.assert_allclose(joints, g["joints_fk_only"], rtol=0, atol=1e-5)


def test_place_on_host_matches_float64_numpy():
    matrices, translation = (np.asarray(array) for array in random_pose(6))
    joints = kinematics.place_on_host(matrices, translation)
    assert joints.dtype == np.float64
    expected = by_oracle(matrices, translation)
    np.testing.assert_allclose(joints, expected, rtol=0, atol=1e-12)
    folded = kinematics.place_on_host(
        matrices.reshape(2, 3, 22, 3, 3), translation.reshape(2, 3, 3)
    )
    np.testing.assert_array_equal(folded.reshape(joints.shape), joints)


@pytest.mark.slow
def test_joints_match_float64_numpy_with_any_batch_axes():
    rotations, translation = random_pose(6)
    expected = by_oracle(rotations, translation)
    joints = forward_kinematics(rotations, translation)
    # Rounding of eight products along a chain of about 1.5 m.
    np.testing.assert_allclose(joints, expected, rtol=0, atol=2e-6)
    with jax.numpy_rank_promotion("raise"):
        folded = forward_kinematics(
            rotations.reshape(2, 3, 22, 3, 3), translation.reshape(2, 3, 3)
        )
        mapped = jax.vmap(forward_kinematics)(rotations, translation)
        single = forward_kinematics(rotations[0], translation[0])
    np.testing.assert_allclose(folded.reshape(6, 22, 3), joints, rtol=0, atol=1e-6)
    np.testing.assert_allclose(mapped, joints, rtol=0, atol=1e-6)
    np.testing.assert_allclose(single, joints[0], rtol=0, atol=1e-6)


def test_rest_pose_and_root_position():
    still = np.tile(np.eye(3, dtype=np.float32), (22, 1, 1))
    translation = np.array([1.0, -2.0, 3.0], np.float32)
    joints = forward_kinematics(still, translation)
    np.testing.assert_allclose(joints - translation, SMPL22.rest_joints, atol=1e-6)
    turned, _ = random_pose()
    joints = forward_kinematics(turned, translation)
    np.testing.assert_allclose(
        joints[0] - translation, SMPL22.rest_joints[0], atol=1e-6
    )


def test_bones_keep_their_lengths():
    joints = forward_kinematics(*random_pose(5, seed=1))
    parents = np.array(SMPL22.parents[1:])
    bones = np.linalg.norm(joints[:, 1:] - joints[:, parents], axis=-1)
    expected = np.linalg.norm(np.array(SMPL22.offsets[1:]), axis=-1)
    np.testing.assert_allclose(bones, np.tile(expected, (5, 1)), rtol=1e-5)


def test_operations_grow_with_levels_not_with_joints():
    rotations, translation = random_pose(4)
    jaxpr = jax.make_jaxpr(kinematics.forward_kinematics)(rotations, translation)
    products = str(jaxpr).count(" mul ")
    depth = len(SMPL22.levels) - 1
    # One product for the positions and one for the orientations of each level.
    assert products <= 2 * depth


def test_joints_need_not_be_ordered_by_level():
    skeleton = Skeleton(
        names=tuple("abcdef"),
        parents=(-1, 0, 1, 0, 3, 2),
        offsets=tuple(map(tuple, np.random.default_rng(2).normal(size=(6, 3)))),
    )
    rotations, translation = random_pose(3, num_joints=6)
    joints = forward_kinematics(rotations, translation, skeleton)
    expected = by_oracle(rotations, translation, skeleton)
    np.testing.assert_allclose(joints, expected, rtol=0, atol=5e-6)


@pytest.mark.slow
def test_gradients_match_finite_differences():
    rng = np.random.default_rng(4)
    pose = rng.normal(size=(22, 3)).astype(np.float32) * 0.3
    direction = rng.normal(size=(22, 3)).astype(np.float32)
    weights = rng.normal(size=(22, 3)).astype(np.float32)

    @jax.jit
    def height(axis_angle):
        joints = kinematics.forward_kinematics(
            rot.axis_angle_to_matrix(axis_angle), jnp.zeros(3)
        )
        return (joints * weights).sum()

    step = 1e-2  # balances rounding (1e-7 / step) and curvature (step ** 2)
    slope = (height(pose + step * direction) - height(pose - step * direction)) / (
        2 * step
    )
    gradient = jax.jit(jax.grad(height))
    exact = (gradient(pose) * direction).sum()
    np.testing.assert_allclose(exact, slope, rtol=2e-3, atol=2e-3)
    assert np.isfinite(gradient(jnp.zeros((22, 3)))).all()


def test_wrong_shapes_raise():
    rotations, translation = random_pose(4)
    with pytest.raises(ValueError, match=r"\(\.\.\., 22, 3, 3\)"):
        kinematics.forward_kinematics(rotations[:, :21], translation)
    with pytest.raises(ValueError, match="translation must have shape"):
        kinematics.forward_kinematics(rotations, translation[:2])


def pelvises():
    """Returns upright, bent, lying, upside-down and random pelvis orientations."""
    rng = np.random.default_rng(5)
    tilts = [[x, y, 0] for x in (0, 0.3, -1.57, 1.57, 3.1) for y in (0, 0.2, -1.2)]
    tilts += list(rng.normal(size=(20, 3)))
    matrices = [rotation_oracle.axis_angle_to_matrix(t) @ UPRIGHT for t in tilts]
    return np.array(matrices, np.float32)


def test_facing_matches_float64_numpy():
    pelvis = pelvises()
    yaw = np.array([oracle.yaw(m) for m in pelvis])
    expected = np.stack([np.cos(yaw), np.sin(yaw)], -1)
    # A ground projection of length 0.1 amplifies float32 rounding tenfold.
    np.testing.assert_allclose(facing(pelvis), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("turn", [0.5, -2.0, 3.1])
def test_facing_turns_with_the_body(turn):
    pelvis = pelvises()
    about_z = rotation_oracle.about_z(turn)
    turned = facing((about_z @ pelvis).astype(np.float32))
    expected = facing(pelvis) @ about_z[:2, :2].T
    np.testing.assert_allclose(turned, expected, rtol=0, atol=1e-5)


def test_facing_does_not_change_while_a_body_lies_down():
    """The body tilts by a quarter turn backwards and forwards from upright."""
    yaw = rotation_oracle.about_z(0.7)
    for angle in np.linspace(-1.57, 1.57, 41):
        tilt = rotation_oracle.axis_angle_to_matrix([angle, 0, 0])
        result = facing((yaw @ tilt @ UPRIGHT).astype(np.float32))
        np.testing.assert_allclose(result, [np.sin(0.7), -np.cos(0.7)], atol=3e-4)


def test_reference_facing_equals_the_true_one_only_at_yaw_zero():
    upright = np.float32(UPRIGHT)
    np.testing.assert_allclose(facing(upright, "reference"), facing(upright), atol=1e-6)
    h = 0.01
    turned = np.float32(rotation_oracle.about_z(h) @ UPRIGHT)
    result = np.arctan2(*facing(turned, "reference") * np.array([1, -1]))
    np.testing.assert_allclose(result, np.pi / 4 * h, rtol=1e-3)
    true = np.arctan2(*facing(turned) * np.array([1, -1]))
    np.testing.assert_allclose(true, h, rtol=1e-3)


@pytest.mark.parametrize("compat", [None, "reference"])
def test_gradients_of_facing_are_finite(compat):
    lying = rotation_oracle.axis_angle_to_matrix([np.pi / 2, 0, 0]) @ UPRIGHT
    points = np.stack([np.eye(3), UPRIGHT, lying, lying @ lying, np.zeros((3, 3))])
    jacobian = jax.jit(jax.vmap(jax.jacrev(lambda m: kinematics.facing(m, compat))))
    assert np.isfinite(jacobian(points.astype(np.float32))).all()


def test_unknown_compat_raises():
    with pytest.raises(ValueError, match="None, reference, got 'published'"):
        kinematics.facing(jnp.eye(3), "published")  # pyright: ignore[reportArgumentType]


def test_pelvis_from_joints_is_exact():
    rotations, translation = random_pose(6, seed=6)
    joints = forward_kinematics(rotations, translation)
    pelvis = jax.jit(kinematics.pelvis_from_joints)(joints)
    # Rounding of positions by 2e-7 m, relative to bones of 0.1 m.
    np.testing.assert_allclose(pelvis, rotations[:, 0], rtol=0, atol=1e-5)
