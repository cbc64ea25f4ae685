import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from actiongpt_jax.geometry import interpolation, kinematics
from actiongpt_jax.geometry import rotations as rot
from tests.oracles import rotations as oracle

seeds = st.integers(0, 2**32 - 1)
# The published tolerance of features.
assert_close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-5)
light = hypothesis.settings(max_examples=60, deadline=None)
# Compiled as a whole, because compiling each small operation takes longer.
to_matrix = jax.jit(rot.axis_angle_to_matrix)
slerp = jax.jit(interpolation.slerp)
align_to = jax.jit(interpolation.align_to, static_argnames=("how", "compat"))
slerp_between = jax.jit(interpolation.slerp_between, static_argnums=4)
facing = jax.jit(kinematics.facing)


def unit_quaternions(rng, *shape):
    q = rng.normal(size=(*shape, 4))
    return (q / np.linalg.norm(q, axis=-1, keepdims=True)).astype(np.float32)


def random_motion(frames, seed, *batch):
    rng = np.random.default_rng(seed)
    axis_angle = rng.normal(size=(*batch, frames, 22, 3)).astype(np.float32)
    trans = rng.normal(size=(*batch, frames, 3)).astype(np.float32)
    return to_matrix(axis_angle), jnp.asarray(trans)


def test_align_to_matches_published(golden):
    g = golden("temos_teach/align_slerp")
    last = g["rots_a"][-1], g["trans_a"][-1]
    rots, trans = align_to(
        *last, g["rots_b"], g["trans_b"], how="full", compat="reference"
    )
    assert_close(rots, g["aligned_rots_b"])
    assert_close(trans, g["aligned_trans_b"])
    rots, trans = align_to(*last, g["rots_b"], g["trans_b"], how="translation")
    np.testing.assert_array_equal(rots, g["rots_b"])
    assert_close(trans, g["align_trajectory_b"])


def test_slerp_between_matches_published(golden):
    g = golden("temos_teach/align_slerp")
    rots, trans = slerp_between(
        g["rots_a"][-1],
        g["trans_a"][-1],
        g["aligned_rots_b"][0],
        g["aligned_trans_b"][0],
        int(g["slerp_window"]),
    )
    assert_close(rots, g["slerp_rots"])
    assert_close(trans, g["slerp_trans"])
    rots, _ = slerp_between(
        g["rots_a"][-1], g["trans_a"][-1], g["rots_a"][-2], g["trans_a"][-2], 8
    )
    assert_close(rots, g["slerp_rots_close"])


@pytest.mark.slow
def test_align_to_continues_from_the_last_pose():
    rots, trans = random_motion(9, 0, 2)
    last_rots, last_trans = random_motion(2, 1)  # one last pose per motion
    with jax.numpy_rank_promotion("raise"):
        new_rots, new_trans = align_to(last_rots, last_trans, rots, trans)
    np.testing.assert_allclose(
        facing(new_rots[:, 0, 0]),
        facing(last_rots[:, 0]),
        atol=1e-5,
    )
    np.testing.assert_allclose(new_trans[:, 0, :2], last_trans[:, :2], atol=1e-6)
    np.testing.assert_array_equal(new_trans[..., 2], trans[..., 2])
    np.testing.assert_array_equal(new_rots[..., 1:, :, :], rots[..., 1:, :, :])
    # The motion is moved rigidly: steps keep their length and one turn fits all frames.
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(new_trans, axis=1), axis=-1),
        np.linalg.norm(np.diff(trans, axis=1), axis=-1),
        rtol=1e-5,
    )
    turn = rot.compose(new_rots[:, :, 0], jnp.swapaxes(rots[:, :, 0], -1, -2))
    np.testing.assert_allclose(turn, np.tile(turn[:, :1], (1, 9, 1, 1)), atol=1e-5)
    alone = align_to(last_rots[1], last_trans[1], rots[1], trans[1])
    np.testing.assert_allclose(alone[0], new_rots[1], atol=1e-6)
    np.testing.assert_allclose(alone[1], new_trans[1], atol=1e-6)


def test_align_to_the_own_first_pose_changes_nothing():
    rots, trans = random_motion(5, 2)
    for compat in (None, "reference"):
        again = align_to(rots[0], trans[0], rots, trans, compat=compat)
        np.testing.assert_allclose(again[0], rots, atol=1e-6)
        np.testing.assert_allclose(again[1], trans, atol=2e-6)


@light
@hypothesis.given(seeds, st.floats(0, 1))
def test_slerp_matches_float64_numpy(seed, weight):
    start, end = unit_quaternions(np.random.default_rng(seed), 2)
    # Near cos = 0 both ways are equally short, so rounding decides between them.
    hypothesis.assume(abs(np.dot(start, end)) > 1e-4)
    actual = slerp(start, end, np.float32(weight))
    expected = oracle.slerp(start.astype(float), end.astype(float), weight)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("gap", [0.0, 1e-9, 1e-5, 1e-3, 2.8e-3, 2.9e-3, 0.1])
@pytest.mark.parametrize("sign", [1, -1])
def test_slerp_of_nearly_equal_rotations(gap, sign):
    start = oracle.axis_angle_to_quaternion([0.3, -0.2, 1.0])
    end = oracle.multiply(start, oracle.axis_angle_to_quaternion([gap, 0, 0])) * sign
    for weight in (0.0, 0.25, 1.0):
        actual = slerp(np.float32(start), np.float32(end), np.float32(weight))
        expected = oracle.slerp(start, end, weight)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=3e-7)


def test_slerp_gradients_of_equal_rotations_are_finite():
    start = jnp.asarray([1.0, 0, 0, 0])
    ends = jnp.asarray(
        [[1.0, 0, 0, 0], [-1, 0, 0, 0], [1, 1e-8, 0, 0], [0, 1, 0, 0], [0.6, 0.8, 0, 0]]
    )
    for argument in (0, 1):
        jacobian = jax.jit(jax.jacrev(interpolation.slerp, argument))
        for end in ends:
            assert np.isfinite(jacobian(start, end, 0.3)).all()


def test_slerp_between_is_evenly_spaced_on_the_shortest_way():
    rots_a = np.stack([oracle.axis_angle_to_matrix([0, 0, 3.0]), np.eye(3)])
    rots_b = np.stack([oracle.axis_angle_to_matrix([0, 0, -3.0]), np.eye(3)])
    with jax.numpy_rank_promotion("raise"):
        rots, trans = slerp_between(
            np.float32(rots_a), np.zeros(3), np.float32(rots_b), np.ones(3) * 4, 3
        )
    step = (2 * np.pi - 6) / 4
    expected = [oracle.axis_angle_to_matrix([0, 0, 3 + i * step]) for i in (1, 2, 3)]
    # Linear blending of small turns has an error of up to 1e-4 rad.
    np.testing.assert_allclose(rots[:, 0], expected, atol=1e-4)
    np.testing.assert_allclose(rots[:, 1], np.tile(np.eye(3), (3, 1, 1)), atol=1e-6)
    np.testing.assert_allclose(trans, [[1, 1, 1], [2, 2, 2], [3, 3, 3]], atol=1e-6)


@pytest.mark.slow
def test_slerp_between_takes_leading_axes_and_zero_frames():
    rots, trans = random_motion(2, 3, 4, 5)
    a, b = (rots[:, :, 0], trans[:, :, 0]), (rots[:, :, 1], trans[:, :, 1])
    whole = slerp_between(*a, *b, 6)
    assert whole[0].shape == (4, 5, 6, 22, 3, 3)
    one = slerp_between(a[0][2, 1], a[1][2, 1], b[0][2, 1], b[1][2, 1], 6)
    np.testing.assert_allclose(whole[0][2, 1], one[0], atol=1e-6)
    np.testing.assert_allclose(whole[1][2, 1], one[1], atol=1e-6)
    none = slerp_between(*a, *b, 0)
    assert none[0].shape == (4, 5, 0, 22, 3, 3)
    assert none[1].shape == (4, 5, 0, 3)


def test_invalid_options_raise():
    rots, trans = random_motion(3, 4)
    with pytest.raises(ValueError, match="full, translation, got 'both'"):
        interpolation.align_to(rots[0], trans[0], rots, trans, how="both")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="None, reference, got 'old'"):
        interpolation.align_to(rots[0], trans[0], rots, trans, compat="old")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="0 or more frames, got -1"):
        interpolation.slerp_between(rots[0], trans[0], rots[1], trans[1], -1)
