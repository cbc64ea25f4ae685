import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.geometry import kinematics
from actiongpt_jax.geometry import rotations as rot
from actiongpt_jax.metrics import ape_ave as metrics
from tests.oracles import kinematics as kinematics_oracle
from tests.oracles import metrics as oracle
from tests.oracles import rotations as rotation_oracle

PUBLISHED = {
    "root": "root",
    "traj": "traj",
    "local": "mean_pose",
    "global": "mean_joints",
}


def f32(values):
    return np.asarray(values, np.float32)


JOINTS = {"paper": 22, "reference": 21}
LENGTHS = np.array([10, 4, 7])

ape_ave = jax.jit(metrics.ape_ave, static_argnames="protocol")
ape_ave_sums = jax.jit(metrics.ape_ave_sums, static_argnames="protocol")
ape_ave_each = jax.jit(metrics.ape_ave_each, static_argnames="protocol")


@jax.jit
def pose(axis_angle, trans):
    rots = rot.axis_angle_to_matrix(axis_angle)
    return kinematics.forward_kinematics(rots, trans), rots[..., 0, :, :]


def bodies(seed, batch=3, frames=10):
    """Returns (B, T, 22, 3) joints of moving bodies, and the yaw of each frame 0."""
    rng = np.random.default_rng(seed)
    axis_angle = rng.normal(size=(batch, 1, 22, 3)) * 0.5
    axis_angle = axis_angle + rng.normal(size=(batch, frames, 22, 3)) * 0.2
    trans = np.cumsum(rng.normal(size=(batch, frames, 3)) * 0.1, 1)
    joints, pelvis = pose(np.float32(axis_angle), np.float32(trans))
    yaw = [kinematics_oracle.yaw(m) for m in np.asarray(pelvis)[:, 0]]
    return np.array(joints), np.array(yaw)


def random_joints(protocol, seed):
    if protocol == "paper":
        return bodies(seed)[0]
    joints = np.random.default_rng(seed).normal(size=(3, 10, 21, 3))
    return joints.astype(np.float32)


def assert_same(actual, expected, **tolerance):
    assert set(actual) == set(metrics.NAMES)
    for name in metrics.NAMES:
        np.testing.assert_allclose(
            actual[name], expected[name], err_msg=name, **tolerance
        )


@pytest.mark.slow
def test_figures_match_published(golden):
    g = golden("temos_teach/metrics")
    figures = ape_ave(
        g["joints_gen"], g["joints_ref"], g["lengths"], protocol="reference"
    )
    one_by_one = metrics.combine(
        ape_ave_sums(
            g["joints_gen"][i : i + 1],
            g["joints_ref"][i : i + 1],
            g["lengths"][i : i + 1],
            protocol="reference",
        )
        for i in range(4)
    )
    for name in metrics.NAMES:
        metric, part = name.split("_")
        published = f"{metric.upper()}_{PUBLISHED[part]}"
        for actual, way in ((figures, "batch"), (one_by_one, "loop")):
            np.testing.assert_allclose(
                actual[name],
                g[f"{way}/{published}"],
                rtol=0,
                atol=1e-5,  # the published tolerance of metrics
                err_msg=name,
            )


@pytest.mark.slow
def test_figures_match_published_teach_metric(golden):
    """Published TEACH metric: padding is 0, results are divided by 1000."""
    g = golden("temos_teach/metrics")
    real = np.arange(40) < g["lengths"][:, None]
    padded = [
        np.where(real[..., None, None], g[k], 0) for k in ("joints_gen", "joints_ref")
    ]
    figures = ape_ave(*padded, g["lengths"], protocol="reference")
    for name in metrics.NAMES:
        metric, part = name.split("_")
        published = g[f"teach_mm/{metric.upper()}_{PUBLISHED[part]}"]
        # The published code divides APE by 1000 and AVE by 1000 ** 2.
        scale = 1e3 if metric == "ape" else 1e6
        np.testing.assert_allclose(
            figures[name], published * scale, rtol=0, atol=1e-5, err_msg=name
        )


def test_reference_protocol_matches_float64_numpy():
    generated, captured = (random_joints("reference", seed) for seed in (0, 1))
    expected = oracle.ape_ave(
        *(
            [oracle.reference_parts(x, n) for x, n in zip(xs, LENGTHS, strict=True)]
            for xs in (generated, captured)
        )
    )
    figures = ape_ave(generated, captured, LENGTHS, protocol="reference")
    assert_same(figures, expected, rtol=1e-5)


@pytest.mark.slow
def test_paper_protocol_matches_float64_numpy():
    (generated, yaw_a), (captured, yaw_b) = bodies(0), bodies(1)
    expected = oracle.ape_ave(
        *(
            [
                oracle.paper_parts(x[:n], yaw)
                for x, n, yaw in zip(xs, LENGTHS, yaws, strict=True)
            ]
            for xs, yaws in ((generated, yaw_a), (captured, yaw_b))
        )
    )
    figures = ape_ave(generated, captured, LENGTHS, protocol="paper")
    # The yaw comes from bones of 0.1 m, rounded to 1e-7 m: an error of 1e-6.
    assert_same(figures, expected, rtol=2e-5)


@pytest.mark.slow
def test_paper_protocol_matches_closed_form():
    """One body is raised, one slides away, and one is turned and moved."""
    still, _ = bodies(2, frames=1)
    captured = np.tile(still, (1, 10, 1, 1))
    raised = captured + np.array([0, 0, 0.5], np.float32)
    zero = dict.fromkeys(metrics.NAMES, 0.0)
    expected = zero | {"ape_root": 0.5, "ape_global": 0.5}
    figures = ape_ave(raised, captured, LENGTHS, protocol="paper")
    assert_same(figures, expected, rtol=1e-5, atol=1e-6)

    slide = np.arange(10, dtype=np.float32)[None, :, None] * 0.3
    sliding = captured + np.stack([slide, 0 * slide, 0 * slide], -1)
    # Frame t is 0.3 t away; the variance of 0..n-1 is n (n + 1) / 12.
    distance = 0.3 * np.sum(LENGTHS * (LENGTHS - 1) / 2) / LENGTHS.sum()
    # Turning frame 0 to a common heading splits the variance s of one axis into
    # (s cos^2, s sin^2) along the new axes; quarter turns do not change its length.
    yaw = bodies(2, frames=1)[1]
    split = np.hypot(np.cos(yaw) ** 2, np.sin(yaw) ** 2)
    spread = np.mean(0.09 * LENGTHS * (LENGTHS + 1) / 12 * split)
    moving = {"root", "traj", "global"}
    expected = {f"ape_{p}": distance if p in moving else 0.0 for p in metrics.PARTS}
    expected |= {f"ave_{p}": spread if p in moving else 0.0 for p in metrics.PARTS}
    figures = ape_ave(sliding, captured, LENGTHS, protocol="paper")
    assert_same(figures, expected, rtol=1e-4, atol=1e-6)

    turn = rotation_oracle.about_z(2.3)
    moved = (captured @ turn.T + [4, -5, 0]).astype(np.float32)
    figures = ape_ave(moved, captured, LENGTHS, protocol="paper")
    assert_same(figures, zero, atol=2e-6)


def test_reference_protocol_matches_closed_form():
    """Both motions have the same floor, so lifting the root gives that exact error."""
    still = np.random.default_rng(3).normal(size=(3, 1, 21, 3)).astype(np.float32)
    captured = np.tile(still, (1, 10, 1, 1))
    lifted = captured.copy()
    lifted[..., 0, 1] += 0.25
    expected = dict.fromkeys(metrics.NAMES, 0.0)
    expected |= {"ape_root": 0.25, "ape_global": 0.25 / 21}
    figures = ape_ave(lifted, captured, LENGTHS, protocol="reference")
    assert_same(figures, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", JOINTS)
def test_equal_motions_have_no_error_and_finite_gradients(protocol):
    joints = random_joints(protocol, 4)
    mask = np.arange(10) < LENGTHS[:, None]
    for option in (None, mask):
        figures = ape_ave(joints, joints, LENGTHS, protocol=protocol, mask=option)
        assert all(float(value) == 0 for value in figures.values()), figures

    @jax.jit
    @jax.grad
    def slope(generated):
        figures = metrics.ape_ave(generated, joints, LENGTHS, protocol=protocol)
        return sum(figures.values())

    assert np.isfinite(slope(jnp.asarray(joints))).all()
    assert np.isfinite(slope(jnp.zeros_like(joints))).all()


@pytest.mark.parametrize("protocol", JOINTS)
@pytest.mark.parametrize("filler", [0.0, 100.0, np.nan])
def test_masked_batches_equal_single_motions(protocol, filler):
    generated, captured = (random_joints(protocol, seed) for seed in (5, 6))
    mask = np.arange(10) < LENGTHS[:, None]
    pads = [
        np.where(mask[..., None, None], x, filler).astype(np.float32)
        for x in (generated, captured)
    ]
    figures = ape_ave(*pads, LENGTHS, protocol=protocol, mask=mask)
    cut = [
        [x[:n] for x, n in zip(xs, LENGTHS, strict=True)]
        for xs in (generated, captured)
    ]
    if protocol == "paper":
        yaws = bodies(5)[1], bodies(6)[1]
        parts = [
            [oracle.paper_parts(x, yaw) for x, yaw in zip(xs, own, strict=True)]
            for xs, own in zip(cut, yaws, strict=True)
        ]
    else:
        parts = [[oracle.reference_parts(x, len(x)) for x in xs] for xs in cut]
    # The yaw comes from bones of 0.1 m, rounded to 1e-7 m: an error of 1e-6.
    assert_same(figures, oracle.ape_ave(*parts), rtol=2e-5)
    unmasked = ape_ave(*pads, LENGTHS, protocol=protocol)
    if protocol == "paper":
        # The same sums in two programs: a few roundings of 6e-8; 1.7e-7 was measured.
        assert_same(unmasked, figures, rtol=5e-7)
    else:  # as published: the floor is taken from the padding too
        assert abs(unmasked["ape_root"] - figures["ape_root"]) != 0


def test_floor_is_estimated_before_motions_are_cut():
    generated, captured = (random_joints("reference", seed) for seed in (7, 8))
    longer = LENGTHS + 3
    longer = np.minimum(longer, 10)
    masks = tuple(np.arange(10) < n[:, None] for n in (longer, LENGTHS))
    figures = ape_ave(generated, captured, LENGTHS, protocol="reference", mask=masks)
    expected = oracle.ape_ave(
        [
            oracle.reference_parts(x[:full], n)
            for x, full, n in zip(generated, longer, LENGTHS, strict=True)
        ],
        [
            oracle.reference_parts(x[:n], n)
            for x, n in zip(captured, LENGTHS, strict=True)
        ],
    )
    assert_same(figures, expected, rtol=1e-5)


@pytest.mark.slow
def test_fillers_and_single_frames_are_counted_correctly():
    generated, captured = (random_joints("paper", seed) for seed in (9, 10))
    with_filler = ape_ave_sums(
        generated, captured, np.array([10, 0, 0]), protocol="paper"
    )
    alone = ape_ave_sums(generated[:1], captured[:1], np.array([10]), protocol="paper")
    for name in metrics.NAMES:
        np.testing.assert_allclose(with_filler[name], alone[name], rtol=1e-6)
    single = ape_ave_sums(generated, captured, np.array([10, 1, 0]), protocol="paper")
    assert float(single["ape_root"][1]) == 11
    assert float(single["ave_root"][1]) == 1  # one frame has no variance
    np.testing.assert_allclose(single["ave_root"][0], alone["ave_root"][0], rtol=1e-6)
    assert np.isnan(metrics.combine([])["ape_root"])


def test_combine_of_batches_equals_the_whole():
    generated, captured = (random_joints("paper", seed) for seed in (11, 12))
    whole = ape_ave(generated, captured, LENGTHS, protocol="paper")
    # Motions of length 0 do not count.
    first, second = (
        ape_ave_sums(generated, captured, np.array(part), protocol="paper")
        for part in ([10, 4, 0], [0, 0, 7])
    )
    combined = metrics.combine([first, jax.device_get(second)])
    assert_same(combined, whole, rtol=1e-6)
    assert all(type(value) is float for value in combined.values())


@pytest.mark.slow
@pytest.mark.parametrize("protocol", JOINTS)
def test_leading_axes_do_not_change_figures(protocol):
    generated, captured = (random_joints(protocol, seed) for seed in (13, 14))
    batched = ape_ave(generated, captured, LENGTHS, protocol=protocol)
    with jax.numpy_rank_promotion("raise"):
        nested = ape_ave(
            generated[None], captured[None], LENGTHS[None], protocol=protocol
        )
        single = ape_ave(generated[0], captured[0], LENGTHS[0], protocol=protocol)
    assert_same(nested, batched, rtol=1e-6)
    # Motions of length 0 do not count.
    first = ape_ave(generated, captured, np.array([10, 0, 0]), protocol=protocol)
    assert_same(single, first, rtol=1e-6)


@pytest.mark.parametrize("protocol", JOINTS)
def test_frames_outside_the_mask_do_not_affect_equal_motions(protocol):
    joints = random_joints(protocol, 4)
    mask = np.arange(10) < LENGTHS[:, None]
    filled = np.where(mask[..., None, None], joints, np.nan).astype(np.float32)
    figures = ape_ave(filled, joints, LENGTHS, protocol=protocol, mask=mask)
    assert all(float(value) == 0 for value in figures.values()), figures
    # One motion has one more frame, a low one, which changes its floor height.
    joints[1, LENGTHS[1]] -= 3
    longer = np.arange(10) < np.minimum(LENGTHS + 1, 10)[:, None]
    figures = ape_ave(joints, joints, LENGTHS, protocol=protocol, mask=(mask, longer))
    assert (float(figures["ape_root"]) == 0) == (protocol == "paper")


@pytest.mark.parametrize("protocol", JOINTS)
def test_figures_of_time_reversed_motions_match_closed_form(protocol):
    """A rigid body slides 0.1 m per frame; reversed, it slides the other way."""
    still = np.tile(random_joints(protocol, 15)[:, :1], (1, 10, 1, 1))
    ground = f32([0.06, 0.08, 0] if protocol == "paper" else [0.06, 0, 0.08])
    forth = still + np.arange(10, dtype=np.float32)[:, None, None] * ground
    figures = ape_ave(forth[:, ::-1], forth, np.full(3, 10), protocol=protocol)
    # Both start at the origin, so at frame t they are 0.2 t apart, 0.9 on average.
    # Variances do not depend on the direction of time.
    moving = {f"ape_{part}": 0.9 for part in ("root", "traj", "global")}
    expected = dict.fromkeys(metrics.NAMES, 0.0) | moving
    # Rounding of sums of ten steps, for joints a few metres away.
    assert_same(figures, expected, rtol=1e-5, atol=1e-5)
    if protocol == "paper":  # this protocol keeps heights
        rise = np.arange(10, dtype=np.float32)[:, None, None] * f32([0, 0, 0.1])
        up = still + rise
        figures = ape_ave(up[:, ::-1], up, np.full(3, 10), protocol=protocol)
        # 0.1 m times the mean of |9 - 2 t| over t = 0..9.
        assert float(figures["ape_root"]) == pytest.approx(0.5, rel=1e-5)
        assert float(figures["ave_root"]) == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", JOINTS)
def test_ape_ave_each_averages_to_the_figures(protocol):
    generated, captured = (random_joints(protocol, seed) for seed in (16, 17))
    mask = np.arange(10) < LENGTHS[:, None]
    each = ape_ave_each(generated, captured, LENGTHS, protocol=protocol, mask=mask)
    np.testing.assert_array_equal(each["frames"], LENGTHS)
    whole = ape_ave(generated, captured, LENGTHS, protocol=protocol, mask=mask)
    weights = {"ape": LENGTHS / LENGTHS.sum(), "ave": np.full(3, 1 / 3)}
    joints = {"root": 1, "traj": 1, "local": JOINTS[protocol] - 1}
    for name in metrics.NAMES:
        metric, part = name.split("_")
        assert each[name].shape == (3, joints.get(part, JOINTS[protocol]))
        rebuilt = (each[name].mean(-1) * weights[metric]).sum()
        np.testing.assert_allclose(rebuilt, whole[name], rtol=2e-6)


@pytest.mark.slow
def test_ape_by_joint_matches_published(golden):
    g = golden("temos_teach/metrics")
    each = ape_ave_each(
        g["joints_gen"], g["joints_ref"], g["lengths"], protocol="reference"
    )
    frames = np.asarray(each["frames"])[:, None]
    for name, published in (("local", "pose"), ("global", "joints")):
        by_joint = (each[f"ape_{name}"] * frames).sum(0) / frames.sum()
        # The published tolerance of metrics. (Published AVE by joint is wrong.)
        np.testing.assert_allclose(
            by_joint, g[f"batch/APE_{published}"], rtol=0, atol=1e-5
        )


def test_invalid_input_raises():
    joints = np.zeros((2, 5, 22, 3))
    with pytest.raises(ValueError, match="paper, reference, got 'official'"):
        metrics.ape_ave(joints, joints, np.array([5, 5]), protocol="official")  # pyright: ignore
    with pytest.raises(ValueError, match=r"\(..., T, 21, 3\), .* protocol 'reference'"):
        metrics.ape_ave(joints, joints, np.array([5, 5]), protocol="reference")
    with pytest.raises(ValueError, match="pad both to the same number of frames"):
        metrics.ape_ave(joints, joints[:, :4], np.array([5, 5]), protocol="paper")
    with pytest.raises(ValueError, match="lengths must have shape"):
        metrics.ape_ave(joints, joints, np.array([5]), protocol="paper")
