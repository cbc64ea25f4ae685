"""Physical figures against float64 numpy and closed forms; units and padding."""

import functools

import jax
import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.metrics import physical
from tests.oracles import physical as oracle

LENGTHS, FRAMES = np.array([12, 40, 25]), 40
sums_of = jax.jit(physical.physical_sums, static_argnames="fps")


def f32(values):
    return np.asarray(values, np.float32)


def rest(frames=FRAMES):
    """Returns a body at rest, z up, whose lowest toe joint is 2 cm above the floor."""
    joints = SMPL22.rest_joints[:, [0, 2, 1]] * [1, -1, 1]
    joints = joints - [0, 0, joints[:, 2].min() - 0.02]
    return np.tile(joints, (frames, 1, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def motions():
    """Returns bodies that wander and shake with their feet near the floor."""
    rng = np.random.default_rng(0)
    drift = np.cumsum(0.02 * rng.normal(size=(3, FRAMES, 1, 3)), 1)
    shake = 0.01 * rng.normal(size=(3, FRAMES, 22, 3))
    return (rest() + drift * [1, 1, 0.2] + shake).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("fps", [20.0, 30.0])
@pytest.mark.parametrize("filler", [0.0, np.nan])
def test_figures_match_float64_numpy(motions, fps, filler):
    real = np.arange(FRAMES) < LENGTHS[:, None]
    padded = np.where(real[..., None, None], motions, filler).astype(np.float32)
    sums = sums_of(padded, LENGTHS, fps=fps)
    for row, length in enumerate(LENGTHS):
        expected = oracle.figures(motions[row, :length], fps, SMPL22.parents)
        for name, (total, count) in sums.items():
            np.testing.assert_allclose(
                total[row] / count[row],
                expected[name],
                # Rounding of third differences of metres is 1e-4 of a jerk of 1e-3 m.
                rtol=5e-4 if name == "jerk" else 1e-4,
                atol=1e-7,
                err_msg=name,
            )
    assert 0 < float(sums["skating"][0].sum()) < LENGTHS.sum()


@pytest.mark.slow
def test_leading_axes_do_not_change_figures(motions):
    with jax.numpy_rank_promotion("raise"):
        nested = physical.physical_sums(motions[None], LENGTHS[None], 30.0)
        mapped = jax.vmap(functools.partial(physical.physical_sums, fps=30.0))(
            motions, LENGTHS
        )
        curve = physical.jerk_around(motions, LENGTHS, LENGTHS // 2, 30.0)
    for name, pair in sums_of(motions, LENGTHS, fps=30.0).items():
        for direct, batched, vmapped in zip(
            pair, nested[name], mapped[name], strict=True
        ):
            np.testing.assert_allclose(direct, batched[0], rtol=1e-5)
            np.testing.assert_allclose(direct, vmapped, rtol=1e-5)
    assert curve[0].shape == (3, 31)


def test_filler_rows_have_count_zero(motions):
    sums = sums_of(motions, np.array([40, 0, 1]), fps=30.0)
    for name, (total, count) in sums.items():
        assert float(total[1]) == float(count[1]) == 0, name
        assert np.isfinite(total).all()
    assert [float(sums[name][1][2]) for name in ("skating", "jerk")] == [0, 0]


def mean(sums, name):
    total, count = sums[name]
    return float(total[0] / count[0])


def test_standing_body_has_no_faults():
    sums = sums_of(rest()[None], np.array([FRAMES]), fps=30.0)
    for name in ("skating", "foot_slide", "penetration", "jerk"):
        assert mean(sums, name) == 0, name
    # The toe joints are at 0.02 m, exactly the assumed height above the sole.
    assert mean(sums, "floating") == 0
    assert mean(sums, "bone_drift") == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize(("fps", "speed", "skates"), [(30, 0.6, 1), (30, 0.4, 0)])
def test_pushed_body_skates_above_the_speed_limit(fps, speed, skates):
    ground = np.arange(FRAMES, dtype=np.float32)[:, None, None] * speed / fps
    moved = rest() + ground * f32([0.6, 0.8, 0])
    sums = sums_of(moved[None], np.array([FRAMES]), fps=float(fps))
    # As published, a foot counts as still beyond the ends. The average is over 0.25 s,
    # so the first and last two steps fall below the speed limit.
    inside = (FRAMES - 1 - 2 * 2) / (FRAMES - 1)
    assert mean(sums, "skating") == pytest.approx(inside if skates else 0)
    assert mean(sums, "foot_slide") == pytest.approx(speed / fps, rel=1e-4)
    # A rising body does not skate, because its feet leave the floor.
    lifted = moved + f32([0, 0, 1]) * np.linspace(0, 4, FRAMES)[:, None, None]
    high = sums_of(f32(lifted)[None], np.array([FRAMES]), fps=float(fps))
    assert mean(high, "skating") == 0
    # The mean of heights from 0 to 4 m.
    assert mean(high, "floating") == pytest.approx(2, rel=1e-3)


def test_penetration_is_measured_from_the_sole():
    sunk = rest() - f32([0, 0, 0.03])
    sums = sums_of(sunk[None], np.array([FRAMES]), fps=30.0)
    assert mean(sums, "penetration") == pytest.approx(0.03, rel=1e-3)
    assert mean(sums, "floating") == 0
    within = sums_of((rest() + f32([0, 0, 0.004]))[None], np.array([FRAMES]), fps=30.0)
    assert mean(within, "floating") == 0


@pytest.mark.slow
def test_jerk_does_not_depend_on_the_frame_rate():
    """The third derivative of t^3 is 6, and so are its third differences."""
    for fps in (20.0, 30.0, 60.0):
        seconds = np.arange(60) / fps
        cubic = np.zeros((1, 60, 22, 3), np.float32)
        cubic[0, :, 4, 1] = seconds**3
        sums = sums_of(cubic, np.array([60]), fps=fps)
        # Positions up to 27 m are rounded to 2e-6 m, which fps cubed amplifies.
        tolerance = float(16 * np.spacing(np.float32(seconds.max() ** 3)) * fps**3)
        assert mean(sums, "jerk") == pytest.approx(6, abs=tolerance)


def test_bone_drift_of_an_oscillating_bone():
    stretched = rest()
    wave = np.tile(f32([0.01, -0.01]), FRAMES // 2)
    stretched[:, 15, 2] += wave  # the head: one bone of 21
    sums = sums_of(stretched[None], np.array([FRAMES]), fps=30.0)
    # The bone is tilted, so moving its end by 0.01 changes its length by less.
    bone = SMPL22.offsets[15]
    slope = bone[1] / np.linalg.norm(bone)
    assert mean(sums, "bone_drift") == pytest.approx(0.01 * slope / 21, rel=1e-2)


@pytest.mark.slow
def test_jerk_around_a_jump_matches_closed_form():
    joints = rest(80)
    joints[40:] += f32([0.1, 0, 0])
    both = np.stack([joints, rest(80)])
    curves, exist = physical.jerk_around(
        both, np.array([80, 80]), np.array([40, 0]), 30
    )
    # The third differences of a step of 0.1 m are 0.1, 0.2, 0.1 around the seam.
    expected = np.zeros(31)
    expected[14:17] = np.array([0.1, 0.2, 0.1]) * 30**3
    # Rounding of positions of about 1 m, times 30 cubed.
    np.testing.assert_allclose(curves[0], expected, atol=0.02)
    assert np.asarray(exist).sum(1).tolist() == [31, 0]  # the second has no seam
    summary = physical.peak_and_area(curves.sum(0), exist.sum(0), 100.0, 30.0)
    assert float(summary["peak_jerk"]) == pytest.approx(5400, rel=1e-4)
    assert float(summary["published_peak"]) == pytest.approx(0.2, rel=1e-4)
    area = (28 * 100 + 2600 + 5300 + 2600) / 30
    assert float(summary["area_under_jerk"]) == pytest.approx(area, rel=1e-4)
    assert float(summary["published_area"]) == pytest.approx(
        area * 30 / 30**3, rel=1e-4
    )
    none = physical.peak_and_area(0 * curves[0], 0 * exist[0], 100.0, 30.0)
    assert np.isnan(list(none.values())).all()


def test_jerk_around_masks_frames_beyond_the_end():
    curves, exist = physical.jerk_around(
        rest(80)[None], np.array([50]), np.array([45]), 30.0
    )
    # 50 real frames have 47 jerks; the middle entry starts at frame 43.
    assert np.asarray(exist)[0].tolist() == [True] * 19 + [False] * 12
    assert np.isfinite(curves).all()


def test_transition_distance_matches_closed_form():
    joints = rest()[None]
    joints[:, 20:] += f32([0.3, 0, 0.4])
    joints[:, 20:, 5] += f32([0, 0.22, 0])
    world = float(physical.transition_distance(joints, np.array([20]))[0])
    assert world == pytest.approx((21 * 0.5 + np.hypot(0.5, 0.22)) / 22, rel=1e-5)
    aligned = physical.transition_distance(joints, np.array([20]), root_aligned=True)
    assert float(aligned[0]) == pytest.approx(0.22 / 22, rel=1e-4)


def test_invalid_input_raises(motions):
    with pytest.raises(InputError, match=r"\(..., T, 22, 3\)"):
        physical.physical_sums(motions[..., :21, :], LENGTHS, 30.0)
    with pytest.raises(InputError, match="lengths must have shape"):
        physical.physical_sums(motions, LENGTHS[:2], 30.0)
    with pytest.raises(InputError, match="fps must be above 0"):
        physical.physical_sums(motions, LENGTHS, 0.0)
