import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.features import pose6d
from actiongpt_jax.geometry import kinematics
from actiongpt_jax.geometry import rotations as rot
from actiongpt_jax.geometry.skeletons import SMPL22
from tests.oracles import features as oracle
from tests.oracles import kinematics as kinematics_oracle
from tests.oracles import rotations as rotation_oracle

# The published tolerance of features.
assert_close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-5)
UPRIGHT = rotation_oracle.axis_angle_to_matrix([np.pi / 2, 0, 0])
RIGHT_ANKLE = 8

encode = jax.jit(pose6d.encode, static_argnames=("align", "displacement"))
decode = jax.jit(pose6d.decode)
to_matrix = jax.jit(rot.axis_angle_to_matrix)


def random_motion(*batch, frames=12, seed=0):
    rng = np.random.default_rng(seed)
    axis_angle = rng.normal(size=(*batch, frames, 24, 3)).astype(np.float32)
    # Small tilts only: for a nearly vertical axis the yaw would be ill-conditioned.
    axis_angle[..., 0, :] *= 0.3
    rots = np.array(to_matrix(axis_angle))
    rots[..., 0, :, :] = rots[..., 0, :, :] @ UPRIGHT.astype(np.float32)
    trans = rng.normal(size=(*batch, frames, 3)).astype(np.float32)
    return jnp.asarray(rots), jnp.asarray(trans)


@pytest.mark.gpu
@pytest.mark.parametrize("window", range(4))
def test_features_match_published(golden, window):
    case = golden("motionclip/dataset")
    rots = to_matrix(case[f"win{window}/rotvec"].reshape(60, 24, 3))
    # The published data contain a joint position as translation, here a random one.
    track = case[f"win{window}/joints3d_root"]
    expected = case[f"win{window}/inp"].transpose(2, 0, 1).reshape(60, 150)
    assert_close(encode(rots, track), expected)
    if f"win{window}/inp_frontview" in case:
        expected = case[f"win{window}/inp_frontview"].transpose(2, 0, 1)
        assert_close(encode(rots, track, align="full"), expected.reshape(60, 150))


@pytest.mark.parametrize("align", ["none", "yaw", "full"])
def test_features_match_float64_numpy(align):
    rots, trans = random_motion()
    root = np.asarray(rots[0, 0], np.float64)
    turn = {
        "none": np.eye(3),
        "yaw": rotation_oracle.about_z(np.pi - kinematics_oracle.yaw(root)),
        "full": root.T,
    }[align]
    assert_close(encode(rots, trans, align=align), oracle.pose6d(rots, trans, turn))


def test_reference_displacement_is_that_of_the_ankle():
    rots, trans = random_motion()
    ankle = [
        kinematics_oracle.forward_kinematics(
            r[:22], np.zeros(3), SMPL22.parents, SMPL22.offsets
        )[RIGHT_ANKLE]
        for r in np.asarray(rots, np.float64)
    ]
    assert_close(
        encode(rots, trans, displacement="reference"), oracle.pose6d(rots, ankle)
    )
    # The true translation of the body then has no effect.
    assert_close(
        encode(rots, 0 * trans, displacement="reference"), oracle.pose6d(rots, ankle)
    )


@pytest.mark.slow
def test_round_trip_with_batch_axes():
    rots, trans = random_motion(2, 3)
    with jax.numpy_rank_promotion("raise"):
        back_rots, back_trans = pose6d.decode(pose6d.encode(rots, trans, align="yaw"))
        back = pose6d.decode(pose6d.encode(rots, trans))
    assert_close(back[0], rots)
    assert_close(back[1], trans - trans[..., :1, :])
    one = decode(encode(rots[1, 2], trans[1, 2], align="yaw"))
    assert_close(one[0], back_rots[1, 2])
    assert_close(one[1], back_trans[1, 2])


@pytest.mark.parametrize("align", ["yaw", "full"])
def test_aligned_features_do_not_depend_on_the_initial_position(align):
    rots, trans = random_motion()
    turn = rotation_oracle.about_z(2.1).astype(np.float32)
    turned = rots.at[:, 0].set(turn @ rots[:, 0])
    moved = trans @ turn.T + np.array([3, -2, 1], np.float32)
    expected = encode(rots, trans, align=align)
    # Displacements are differences of positions up to 3 m, which costs digits.
    assert_close(encode(turned, moved, align=align), expected)
    assert not np.allclose(encode(turned, moved), encode(rots, trans), atol=0.1)


@pytest.mark.slow
def test_aligned_motions_face_the_same_way_and_keep_their_shape():
    rots, trans = random_motion()
    aligned, moved = decode(encode(rots, trans, align="yaw"))
    facing = kinematics.facing(aligned[0, 0])
    assert_close(facing, np.array([-1, 0]))
    joints = kinematics.forward_kinematics(rots[:, :22], trans)
    other = kinematics.forward_kinematics(aligned[:, :22], moved)
    distances, expected = (
        np.linalg.norm(j.reshape(-1, 1, 3) - j.reshape(1, -1, 3), axis=-1)
        for j in (np.asarray(other), np.asarray(joints))
    )
    assert_close(distances, expected)
    np.testing.assert_allclose(moved[:, 2], trans[:, 2] - trans[0, 2], atol=1e-5)


def test_later_frames_do_not_change_earlier_features():
    rots, trans = random_motion()
    short = encode(rots[:7], trans[:7], align="yaw", displacement="reference")
    long = encode(rots, trans, align="yaw", displacement="reference")
    assert_close(long[:7], short)


def test_decode_orthonormalises_arbitrary_rows():
    features = np.random.default_rng(3).normal(size=(5, 150)).astype(np.float32)
    rots, trans = decode(features)
    expected = [
        [rotation_oracle.rot6d_to_matrix(r) for r in f[:144].reshape(24, 6)]
        for f in features
    ]
    # Random rows are far from orthonormal; the worst case amplifies rounding 50-fold.
    assert_close(rots, np.array(expected), atol=1e-5)
    assert_close(trans, features[:, 144:147] - features[0, 144:147])


@pytest.mark.slow
@pytest.mark.parametrize("align", ["none", "yaw", "full"])
def test_gradients_are_finite(align):
    rots, trans = random_motion()
    still = jnp.zeros_like(rots), jnp.zeros_like(trans)

    @jax.jit
    def gradient(rots, trans):
        def loss(rots, trans):
            features = pose6d.encode(rots, trans, align=align, displacement="reference")
            back = pose6d.decode(features)
            return (features**2).sum() + sum((x**2).sum() for x in back)

        return jax.grad(loss, (0, 1))(rots, trans)

    for motion in ((rots, trans), still):
        assert all(np.isfinite(g).all() for g in gradient(*motion))


def test_invalid_arguments_raise():
    rots, trans = random_motion()
    with pytest.raises(InputError, match=r"\(\.\.\., T, 24, 3, 3\)"):
        pose6d.encode(rots[:, :22], trans)
    with pytest.raises(InputError, match="translation must have shape"):
        pose6d.encode(rots, trans[:3])
    with pytest.raises(InputError, match="none, yaw, full, got 'front'"):
        pose6d.encode(rots, trans, align="front")  # pyright: ignore
    with pytest.raises(InputError, match="pelvis, reference, got 'ankle'"):
        pose6d.encode(rots, trans, displacement="ankle")
    with pytest.raises(InputError, match=r"\(\.\.\., T, 150\)"):
        pose6d.decode(jnp.zeros((4, 135)))
