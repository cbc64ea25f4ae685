import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.features import rifke
from tests.oracles import features as oracle
from tests.oracles import rotations as rotation_oracle

# The published tolerance of features.
assert_close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-5)

encode = jax.jit(rifke.encode)
decode = jax.jit(rifke.decode)


def random_joints(*batch, frames=10, seed=0):
    rng = np.random.default_rng(seed)
    joints = rng.normal(size=(*batch, frames, 21, 3))
    return joints.astype(np.float32)


@pytest.mark.gpu
def test_features_and_joints_match_published(golden):
    g = golden("temos_teach/rifke")
    assert_close(encode(g["joints"]), g["jfeats"])
    assert_close(decode(g["jfeats"]), g["inv_joints"])
    assert_close(encode(g["joints_batch"]), g["jfeats_batch"])
    assert_close(decode(g["jfeats_batch"]), g["inv_batch"])


def test_features_and_joints_match_float64_numpy():
    joints = random_joints()
    features = encode(joints)
    expected = oracle.rifke(joints)
    # Angles of +pi and -pi are the same turn.
    turns = np.asarray(features)[:, 61] - expected[:, 61]
    np.testing.assert_allclose(np.angle(np.exp(1j * turns)), 0, atol=1e-5)
    others = np.arange(64) != 61
    assert_close(features[:, others], expected[:, others])
    assert_close(decode(features), oracle.rifke_inverse(np.asarray(features)))


def test_decoded_joints_are_a_rigid_copy_in_canonical_position():
    joints = random_joints(frames=8, seed=1)
    back = np.asarray(decode(encode(joints)), np.float64)
    np.testing.assert_allclose(back[0, 0, ::2], 0, atol=1e-6)
    across = back[0, 17] - back[0, 12] + back[0, 9] - back[0, 6]
    np.testing.assert_allclose(across[2], 0, atol=1e-5)
    assert across[0] > 0
    flat = joints.reshape(-1, 3).astype(np.float64), back.reshape(-1, 3)
    distances = [np.linalg.norm(x[:, None] - x[None], axis=-1) for x in flat]
    np.testing.assert_allclose(distances[0], distances[1], atol=1e-5)
    np.testing.assert_allclose(
        encode(back.astype(np.float32))[:, 1:61:3], encode(joints)[:, 1:61:3], atol=1e-5
    )


def test_decoded_joints_do_not_depend_on_the_initial_position():
    joints = random_joints(frames=6, seed=2)
    turn = rotation_oracle.axis_angle_to_matrix([0, 2.0, 0])
    moved = (joints @ turn.T + [3, 0.5, -2]).astype(np.float32)
    np.testing.assert_allclose(
        decode(encode(moved)), decode(encode(joints)), rtol=0, atol=2e-5
    )


def test_floor_height_of_a_standing_body_is_the_published_one():
    joints = np.tile(random_joints(frames=1, seed=3), (5, 1, 1))
    lowest = joints[0, [14, 15, 19, 20], 1].min()
    floor = jax.jit(rifke.floor_height)(joints)
    np.testing.assert_allclose(floor, lowest - np.log(1.5), rtol=1e-5)


@pytest.mark.slow
def test_masked_padding_does_not_change_features():
    joints = random_joints(2, frames=9, seed=4)
    lengths = np.array([9, 5])
    mask = np.arange(9) < lengths[:, None]
    for filler in (0.0, 50.0):
        padded = np.where(mask[..., None, None], joints, filler).astype(np.float32)
        features = encode(padded, mask=mask)
        for row, n in enumerate(lengths):
            alone = encode(joints[row, :n])
            np.testing.assert_allclose(features[row, :n], alone, atol=1e-6)
    unmasked = encode(np.where(mask[..., None, None], joints, -50.0))
    assert np.abs(unmasked[1, :5, 0] - encode(joints[1, :5])[:, 0]).max() > 10
    empty = encode(joints, mask=np.zeros((2, 9), bool))
    assert np.isfinite(empty).all()


@pytest.mark.slow
def test_leading_axes_and_vmap_do_not_change_results():
    joints = random_joints(2, 3, frames=4, seed=5)
    with jax.numpy_rank_promotion("raise"):
        features = encode(joints)
        mapped = jax.vmap(jax.vmap(encode))(joints)
        back = decode(features)
        encode(joints, mask=np.ones((2, 3, 4), bool))
    np.testing.assert_allclose(mapped, features, atol=1e-6)
    np.testing.assert_allclose(encode(joints[1, 2]), features[1, 2], atol=1e-6)
    np.testing.assert_allclose(decode(features[1, 2]), back[1, 2], atol=1e-6)


@pytest.mark.slow
def test_gradients_are_finite_for_a_body_without_width():
    @jax.jit
    @jax.grad
    def slope(joints):
        return jnp.sum(rifke.decode(rifke.encode(joints)) ** 2)

    assert np.isfinite(slope(jnp.zeros((4, 21, 3)))).all()
    assert np.isfinite(slope(jnp.asarray(random_joints(frames=4, seed=6)))).all()


def test_wrong_shapes_raise():
    with pytest.raises(ValueError, match=r"\(..., T, 21, 3\), got \(4, 22, 3\)"):
        rifke.encode(np.zeros((4, 22, 3)))
    with pytest.raises(ValueError, match=r"\(..., T, 64\), got \(4, 63\)"):
        rifke.decode(np.zeros((4, 63)))
