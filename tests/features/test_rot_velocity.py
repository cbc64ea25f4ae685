import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.features import rot_velocity
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.geometry import kinematics
from actiongpt_jax.geometry import rotations as rot
from tests.oracles import features as oracle
from tests.oracles import rotations as rotation_oracle

# The published tolerance of features.
assert_close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-5)
UPRIGHT = rotation_oracle.axis_angle_to_matrix([np.pi / 2, 0, 0])

encode = jax.jit(rot_velocity.encode, static_argnames=("canonicalize", "compat"))
decode = jax.jit(rot_velocity.decode)
to_matrix = jax.jit(rot.axis_angle_to_matrix)
forward_kinematics = jax.jit(kinematics.forward_kinematics)
facing = jax.jit(kinematics.facing)


def random_motion(*batch, frames=12, seed=0):
    rng = np.random.default_rng(seed)
    axis_angle = rng.normal(size=(*batch, frames, 22, 3)).astype(np.float32)
    trans = rng.normal(size=(*batch, frames, 3)).astype(np.float32)
    return to_matrix(axis_angle), jnp.asarray(trans)


def walking(yaw, frames):
    """Returns an upright body that walks in an arc from a given yaw, in float64."""
    rng = np.random.default_rng(7)
    heading = yaw + np.linspace(0, 4, frames)
    swing = rng.normal(size=(1, 22, 3)) * np.sin(np.arange(frames) / 5)[:, None, None]
    rots = np.array(
        [
            [rotation_oracle.axis_angle_to_matrix(a) for a in frame]
            for frame in swing * 0.3
        ]
    )
    rots[:, 0] = [rotation_oracle.about_z(h) @ UPRIGHT for h in heading]
    steps = np.stack([np.sin(heading), -np.cos(heading)], -1) * 0.04
    height = 0.9 + 0.02 * np.sin(np.arange(frames) / 4)
    trans = np.concatenate([np.cumsum(steps, 0) + [5, -3], height[:, None]], -1)
    return rots, trans


@pytest.mark.gpu
def test_features_and_motions_match_published(golden):
    g = golden("temos_teach/rfeats_globalvelandy")
    features = encode(g["rots"], g["trans"], compat="reference")
    assert_close(features, g["rfeats"])
    as_it_is = encode(g["rots"], g["trans"], canonicalize=False, compat="reference")
    assert_close(as_it_is, g["rfeats_no_canon"])
    rots, trans = decode(g["rfeats"])
    assert_close(rots, g["inv_rots"])
    assert_close(trans, g["inv_trans"])


@pytest.mark.gpu
def test_normalised_features_match_published(golden):
    g = golden("temos_teach/rfeats_globalvelandy")
    normalizer = Normalizer(g["mean"], g["std"])
    features = encode(g["rots"], g["trans"], compat="reference")
    normalised = normalizer.normalize(features)
    assert_close(normalised, g["rfeats_normalized"])
    rots, trans = decode(normalizer.unnormalize(g["net_output"]))
    # Random rows are far from orthonormal; the worst case amplifies rounding 50-fold.
    assert_close(rots, g["net_inv_rots"])
    assert_close(trans, g["net_inv_trans"])


@pytest.mark.gpu
def test_published_canonical_motion_is_ours_after_a_quarter_turn(golden):
    """One published variant turns bodies to face -y; our canonical heading is -x."""
    g = golden("temos_teach/rfeats_globalvelandy")
    rots, trans = decode(encode(g["rots"], g["trans"], compat="reference"))
    quarter = rotation_oracle.about_z(np.pi / 2)
    assert_close(quarter @ np.asarray(rots[:, 0]), g["canonicalize_smplh_rots"][:, 0])
    ground = (np.asarray(trans) - np.asarray(trans)[0]) @ quarter.T
    assert_close(ground, g["canonicalize_smplh_trans"])


def test_features_and_motions_match_float64_numpy():
    rots, trans = random_motion()
    features = encode(rots, trans)
    # Headings from a short ground projection amplify rounding up to tenfold.
    np.testing.assert_allclose(
        features, oracle.rot_velocity(rots, trans), rtol=0, atol=1e-5
    )
    back = decode(features)
    for actual, expected in zip(
        back, oracle.rot_velocity_inverse(np.asarray(features)), strict=True
    ):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


def test_canonical_heading_is_minus_x_in_both_variants():
    rots, trans = walking(0.0, 5)
    for compat in (None, "reference"):
        pelvis = decode(encode(np.float32(rots), np.float32(trans), compat=compat))
        np.testing.assert_allclose(facing(pelvis[0][0, 0]), [-1, 0], atol=1e-6)
    turned, trans = walking(2.0, 40)
    pelvis = decode(encode(np.float32(turned), np.float32(trans)))
    np.testing.assert_allclose(facing(pelvis[0][0, 0]), [-1, 0], atol=1e-6)
    # The body walks where it faces; the heading turns by 0.1 in the first step.
    move = pelvis[1][1, :2] - pelvis[1][0, :2]
    np.testing.assert_allclose(move / np.linalg.norm(move), [-1, 0], atol=0.11)


def test_features_do_not_depend_on_the_initial_position():
    rots, trans = random_motion(frames=6, seed=1)
    expected = encode(rots, trans)
    for angle in (0.4, -1.7, 3.1):
        turn = rotation_oracle.about_z(angle).astype(np.float32)
        moved_rots = np.array(rots)
        moved_rots[:, 0] = turn @ moved_rots[:, 0]
        moved = np.asarray(trans) @ turn.T + np.array([2.0, -1.0, 0.0], np.float32)
        np.testing.assert_allclose(
            encode(moved_rots, moved), expected, rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("compat", [None, "reference"])
def test_encoding_decoded_features_changes_nothing(compat):
    features = encode(*random_motion(2, seed=2), compat=compat)
    again = encode(*decode(features), canonicalize=False)
    np.testing.assert_allclose(again, features, rtol=0, atol=1e-5)


def test_without_canonicalize_the_heading_is_kept():
    rots, trans = random_motion(seed=3)
    back_rots, back_trans = decode(encode(rots, trans, canonicalize=False))
    np.testing.assert_allclose(back_rots, rots, rtol=0, atol=1e-6)
    start = np.asarray(trans[0]) * [1, 1, 0]
    np.testing.assert_allclose(back_trans, trans - start, rtol=0, atol=2e-6)


def joints_of(poses, trans):
    rots = to_matrix(np.float32(poses[:, :66].reshape(-1, 22, 3)))
    return rots, np.asarray(forward_kinematics(rots, np.float32(trans)), np.float64)


@pytest.mark.slow
def test_real_motion_round_trips_up_to_heading_and_position(shared_file):
    folder = shared_file("data/minibabel") / "amass/HDM05/bk"
    with np.load(folder / "bk_001_poses.npz", allow_pickle=False) as file:
        poses, trans = file["poses"][:240], file["trans"][:240]
    rots, joints = joints_of(poses, trans)
    for compat in (None, "reference"):
        back_rots, back_trans = decode(encode(rots, np.float32(trans), compat=compat))
        back = np.asarray(forward_kinematics(back_rots, back_trans), np.float64)
        np.testing.assert_allclose(back[..., 2], joints[..., 2], atol=1e-5)
        # Fit a rotation about z and a shift on the ground (Procrustes in the plane).
        a, b = (x[..., :2].reshape(-1, 2) @ [1, 1j] for x in (joints, back))
        turn = np.vdot(a - a.mean(), b - b.mean())
        fitted = (a - a.mean()) * turn / abs(turn) + b.mean()
        # Rounding of 240 float32 velocities at 1 to 3 m from the origin.
        np.testing.assert_allclose(np.abs(fitted - b), 0, atol=2e-5)


def test_round_trip_of_100_seconds_does_not_drift():
    frames = 3000
    heading = np.linspace(0, 25, frames)
    trans = np.zeros((frames, 3))
    trans[:, 0] = 20 + np.cumsum(1.4 / 30 * np.sin(heading))
    trans[:, 1] = -30 - np.cumsum(1.4 / 30 * np.cos(heading))
    rots = np.tile(np.eye(3, dtype=np.float32), (frames, 22, 1, 1))
    rots[:, 0] = [rotation_oracle.about_z(h) @ UPRIGHT for h in heading]
    _, back = decode(encode(rots, np.float32(trans)))
    # Frame 0 faces -y and is turned to face -x.
    turn = rotation_oracle.about_z(-np.pi / 2)
    expected = (trans - trans[0]) @ turn.T
    # Positions 35 m from the origin are rounded to 2e-6 m, each independently.
    np.testing.assert_allclose(back, expected, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_leading_axes_vmap_and_padding_do_not_change_features():
    rots, trans = random_motion(2, 3, frames=4, seed=4)
    with jax.numpy_rank_promotion("raise"):
        features = encode(rots, trans)
        mapped = jax.vmap(jax.vmap(encode))(rots, trans)
        one = encode(rots[1, 2], trans[1, 2])
        back = decode(features)
        cut = encode(rots[..., :3, :, :, :], trans[..., :3, :])
    assert features.shape == (2, 3, 4, 135)
    np.testing.assert_allclose(mapped, features, atol=1e-6)
    np.testing.assert_allclose(one, features[1, 2], atol=1e-6)
    np.testing.assert_allclose(cut, features[..., :3, :], atol=1e-6)
    assert back[0].shape == rots.shape
    assert back[1].shape == trans.shape
    np.testing.assert_allclose(decode(one)[1], back[1][1, 2], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("compat", [None, "reference"])
def test_gradients_are_finite_at_rest(compat):
    still = jnp.tile(jnp.eye(3), (3, 22, 1, 1))

    @jax.jit
    @jax.grad
    def slope(rots):
        features = rot_velocity.encode(rots, jnp.zeros((3, 3)), compat=compat)
        rots, trans = rot_velocity.decode(features)
        return jnp.sum(rots**3) + jnp.sum(trans)

    assert np.isfinite(slope(still)).all()
    zeros = jax.jit(jax.grad(lambda f: sum(jnp.sum(x) for x in rot_velocity.decode(f))))
    assert np.isfinite(zeros(jnp.zeros((3, 135)))).all()


def test_invalid_input_raises():
    rots, trans = random_motion(frames=3)
    with pytest.raises(ValueError, match=r"\(..., T, 22, 3, 3\), got \(3, 21, 3, 3\)"):
        rot_velocity.encode(rots[:, :21], trans)
    with pytest.raises(ValueError, match="translation must have shape"):
        rot_velocity.encode(rots, trans[:2])
    with pytest.raises(ValueError, match="None, reference, got"):
        rot_velocity.encode(rots, trans, compat="old")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"\(..., T, 135\), got \(4, 134\)"):
        rot_velocity.decode(np.zeros((4, 134)))
