import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from actiongpt_jax.geometry import rotations as rot
from tests.oracles import rotations as oracle

# A few float32 roundings (6e-8 each) for numbers up to 1.
ROUNDING = 1e-6
CONVERSIONS = {
    "axis_angle_to_matrix": ((3,), rot.axis_angle_to_matrix),
    "axis_angle_to_quaternion": ((3,), rot.axis_angle_to_quaternion),
    "quaternion_to_axis_angle": ((4,), rot.quaternion_to_axis_angle),
    "quaternion_to_matrix": ((4,), rot.quaternion_to_matrix),
    "matrix_to_quaternion": ((3, 3), rot.matrix_to_quaternion),
    "matrix_to_axis_angle": ((3, 3), rot.matrix_to_axis_angle),
    "matrix_to_rot6d": ((3, 3), rot.matrix_to_rot6d),
    "rot6d_to_matrix": ((6,), rot.rot6d_to_matrix),
}

finite = st.floats(-1, 1, width=32)
axes = (
    hnp.arrays(np.float32, 3, elements=finite)
    .filter(lambda a: np.linalg.norm(a) > 1e-2)
    .map(lambda a: a / np.linalg.norm(a.astype(np.float64)))
)
angles = st.one_of(
    st.floats(0, np.pi),
    st.sampled_from([0.0, 1e-12, 1e-7, 1e-4, 1e-3, np.pi / 2]),
    st.floats(np.pi - 1e-4, np.pi),
)
# The published tolerance of features.
assert_close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-5)
light = hypothesis.settings(max_examples=100, deadline=None)
to_quaternion = jax.jit(rot.matrix_to_quaternion)
to_axis_angle = jax.jit(rot.matrix_to_axis_angle)
from_axis_angle = jax.jit(rot.axis_angle_to_matrix)
from_rot6d = jax.jit(rot.rot6d_to_matrix)


def each(function, array):
    return np.stack([function(row) for row in array])


def sample_axis_angles():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    sizes = np.concatenate(
        [np.logspace(-9, 0, 80), np.linspace(0, 3.1, 80), np.linspace(3.1, 3.14159, 40)]
    )
    return (directions * sizes[:, None]).astype(np.float32)


@pytest.mark.slow
def test_conversions_match_published_temos_and_teach(golden):
    g = golden("temos_teach/rotations")
    assert_close(rot.axis_angle_to_matrix(g["axis_angle"]), g["matrix"])
    assert_close(rot.axis_angle_to_quaternion(g["axis_angle"]), g["quaternion"])
    assert_close(rot.quaternion_to_matrix(g["quaternion"]), g["matrix_from_quat"])
    np.testing.assert_array_equal(rot.matrix_to_rot6d(g["matrix"]), g["rot6d"])
    assert_close(rot.rot6d_to_matrix(g["rot6d"]), g["matrix_from_rot6d"])
    raw = rot.rot6d_to_matrix(g["raw_rot6d"])
    assert_close(raw, g["matrix_from_raw_rot6d"])
    # The published matrix -> quaternion takes roots of 1 - cos, whose float32
    # rounding is sqrt(6e-8) = 2.4e-4 at small components. Ours are compared with
    # exact quaternions below.
    quaternion = rot.matrix_to_quaternion(g["matrix"])
    np.testing.assert_allclose(quaternion, g["quat_from_matrix"], rtol=0, atol=5e-4)
    np.testing.assert_allclose(
        rot.matrix_to_axis_angle(raw), g["aa_from_raw"], rtol=0, atol=5e-4
    )
    known = np.arange(64) != 3  # a half turn, whose published axis is rounding noise
    axis_angle = rot.matrix_to_axis_angle(g["matrix"])
    np.testing.assert_allclose(
        axis_angle[known], g["aa_from_matrix"][known], rtol=0, atol=5e-4
    )
    exact = each(oracle.matrix_to_quaternion, g["matrix"])
    np.testing.assert_allclose(quaternion, exact, rtol=0, atol=ROUNDING)


def test_conversions_match_published_motionclip(golden):
    g = golden("motionclip/rotations")
    assert_close(rot.axis_angle_to_matrix(g["axis_angle"]), g["aa_to_matrix"])
    assert_close(rot.axis_angle_to_quaternion(g["axis_angle"]), g["aa_to_quat"])
    assert_close(rot.quaternion_to_axis_angle(g["aa_to_quat"]), g["quat_to_aa"])
    assert_close(rot.quaternion_to_matrix(g["quat"]), g["quat_to_matrix"])
    np.testing.assert_array_equal(
        rot.matrix_to_rot6d(g["aa_to_matrix"]), g["matrix_to_6d"]
    )
    raw = rot.rot6d_to_matrix(g["raw6"])
    assert_close(raw, g["raw6_to_matrix"])
    # Compared as rotations, because the published quaternions lose accuracy at small
    # angles and lose the axis of half turns.
    turn = oracle.angle_between(
        rot.quaternion_to_matrix(rot.matrix_to_quaternion(raw)), g["raw6_to_matrix"]
    )
    np.testing.assert_allclose(turn, 0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "axis_angle_to_matrix",
        "axis_angle_to_quaternion",
        "quaternion_to_axis_angle",
        "quaternion_to_matrix",
        "matrix_to_quaternion",
    ],
)
def test_conversions_match_float64_numpy(name):
    source = sample_axis_angles()
    if name.startswith("quaternion"):
        source = each(oracle.axis_angle_to_quaternion, source)
        source = np.concatenate([source, -source]).astype(np.float32)
    if name.startswith("matrix"):
        source = each(oracle.axis_angle_to_matrix, source).astype(np.float32)
    expected = each(getattr(oracle, name), source)
    atol = ROUNDING * max(1.0, np.abs(expected).max())
    actual = CONVERSIONS[name][1](source)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize("angle", [1e-12, 1e-7, 1e-5, 1e-3, 0.1, 0.22, 0.23])
def test_tiny_angles_keep_their_digits(angle):
    axis_angle = np.float32(angle) * np.array([0.48, -0.6, 0.64], np.float32)
    back = rot.quaternion_to_axis_angle(rot.axis_angle_to_quaternion(axis_angle))
    np.testing.assert_allclose(back, axis_angle, rtol=1e-6)
    back = rot.matrix_to_axis_angle(rot.axis_angle_to_matrix(axis_angle))
    # Off-diagonal entries are differences of products near 1: an error of 1e-7.
    np.testing.assert_allclose(back, axis_angle, rtol=1e-6, atol=1e-7)


def test_rot6d_of_arbitrary_rows_matches_float64_numpy():
    raw = np.random.default_rng(1).normal(size=(100, 6)).astype(np.float32)
    actual = rot.rot6d_to_matrix(raw)
    expected = each(oracle.rot6d_to_matrix, raw)
    # Nearly parallel rows amplify rounding, here at most 20-fold.
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5)


@light
@hypothesis.given(axes, st.floats(1e-5, 1e-2), st.floats(-2, 2))
def test_rot6d_is_orthonormal_for_nearly_parallel_rows(axis, gap, scale):
    other = axis * scale + np.roll(axis, 1) * [1, -1, 1] * gap
    hypothesis.assume(np.linalg.norm(np.cross(axis, other)) > 1e-6)
    rows = np.concatenate([axis, other]).astype(np.float32)
    matrix = np.asarray(from_rot6d(rows), np.float64)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=ROUNDING)
    assert np.linalg.det(matrix) > 0


@light
@hypothesis.given(axes, angles)
def test_round_trips_between_all_representations(axis, angle):
    start, *others = round_trips((axis * angle).astype(np.float32))
    for other in others:
        np.testing.assert_allclose(other, start, rtol=0, atol=2 * ROUNDING)


@jax.jit
def round_trips(axis_angle):
    """Returns a matrix, and its copies after a round trip through each other form."""
    matrix = rot.axis_angle_to_matrix(axis_angle)
    quaternion = rot.axis_angle_to_quaternion(axis_angle)
    detours = [
        rot.axis_angle_to_matrix(rot.quaternion_to_axis_angle(q))
        for q in (quaternion, -quaternion)
    ]
    for kind in ("axis_angle", "quaternion", "rot6d"):
        there = getattr(rot, f"matrix_to_{kind}")(matrix)
        detours.append(getattr(rot, f"{kind}_to_matrix")(there))
    return matrix, *detours


@light
@hypothesis.given(axes)
def test_half_turns_keep_their_axis(axis):
    matrix = (2 * np.outer(axis, axis) - np.eye(3)).astype(np.float32)
    quaternion = np.asarray(to_quaternion(matrix), np.float64)
    assert abs(quaternion[0]) < ROUNDING
    np.testing.assert_allclose(
        np.outer(quaternion[1:], quaternion[1:]), np.outer(axis, axis), atol=ROUNDING
    )
    axis_angle = np.asarray(to_axis_angle(matrix), np.float64)
    np.testing.assert_allclose(np.linalg.norm(axis_angle), np.pi, atol=1e-5)
    np.testing.assert_allclose(
        from_axis_angle(axis_angle.astype(np.float32)), matrix, atol=1e-5
    )


@pytest.mark.slow
def test_axis_angle_from_a_matrix_takes_the_short_way():
    long_way = np.array([[0, 0, 5.0], [4.0, 0, 0], [0, -6.0, 0]], np.float32)
    axis_angle = rot.matrix_to_axis_angle(rot.axis_angle_to_matrix(long_way))
    turns = 2 * np.pi * np.sign(long_way)
    np.testing.assert_allclose(axis_angle, long_way - turns, atol=3e-6)


def singular_points():
    axis = np.array([0.6, 0.0, 0.8])
    vectors = [np.zeros(3), *np.eye(3), axis, -axis]
    sizes = [0, 1e-30, 1e-19, 1e-10, 1e-7, 1e-4, np.pi, np.pi - 1e-6, 2 * np.pi, 100]
    aa = [v * s for v in vectors for s in sizes]
    half = [2 * np.outer(v, v) - np.eye(3) for v in [*np.eye(3), axis, -axis]]
    skew = np.array([[0, -1e-8, 0], [1e-8, 0, 0], [0, 0, 0]])
    matrices = [np.eye(3), *half, np.eye(3) + skew, np.zeros((3, 3)), -np.eye(3)]
    quaternions = [*np.eye(4), *-np.eye(4), np.zeros(4), np.full(4, 1e-22)]
    quaternions += [[sign, tiny, 0, 0] for sign in (1, -1) for tiny in (1e-20, 1e-12)]
    rot6d = [np.zeros(6), np.ones(6), [1, 0, 0, 2, 0, 0], [0, 0, 0, 1, 0, 0]]
    rot6d += [[1, 0, 0, 0, 1, 0], [0.1, 0.2, 0.3, -0.2, -0.4, -0.6], np.full(6, 1e-20)]
    groups = {"axis_angle": aa, "quaternion": quaternions}
    groups |= {"matrix": matrices, "rot6d": rot6d}
    return {kind: np.array(points, np.float32) for kind, points in groups.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONVERSIONS)
def test_values_and_gradients_are_finite_at_singular_points(name):
    points = singular_points()[name.split("_to_")[0]]
    function = CONVERSIONS[name][1]
    assert np.isfinite(jax.jit(function)(points)).all()
    for jacobian in (jax.jacrev, jax.jacfwd):
        assert np.isfinite(jax.jit(jax.vmap(jacobian(function)))(points)).all()


@pytest.mark.slow
def test_jacobian_of_a_round_trip_is_the_identity():
    """Axis-angle to matrix and back is the identity, and so is its derivative."""
    sizes = np.array([0.0, 1e-6, 1e-3, 0.2236, 0.2237, 1.0, 3.0])
    axis_angles = np.outer(sizes, [0.48, -0.6, 0.64]).astype(np.float32)

    def there_and_back(a):
        return rot.matrix_to_axis_angle(rot.axis_angle_to_matrix(a))

    # Near 3 rad the small w = cos(1.5) = 0.07 costs the derivative one digit.
    jacobian = jax.jit(jax.vmap(jax.jacrev(there_and_back)))(axis_angles)
    np.testing.assert_allclose(jacobian, np.tile(np.eye(3), (7, 1, 1)), atol=2e-5)


def test_gradient_at_no_rotation_is_the_cross_product():
    jacobian = jax.jit(jax.jacrev(rot.axis_angle_to_matrix))(jnp.zeros(3))
    generators = np.stack([np.cross(np.eye(3)[i], np.eye(3)).T for i in range(3)], -1)
    np.testing.assert_allclose(jacobian, generators, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONVERSIONS)
def test_leading_axes_and_vmap_do_not_change_results(name):
    tail, function = CONVERSIONS[name]
    rng = np.random.default_rng(2)
    if tail == (3, 3):
        values = np.asarray(rot.axis_angle_to_matrix(rng.normal(size=(2, 3, 3))))
    else:
        values = rng.normal(size=(2, 3, *tail))
    values = jnp.asarray(values, jnp.float32)
    alone = jax.jit(function)
    with jax.numpy_rank_promotion("raise"):
        whole = alone(values)
        mapped = jax.jit(jax.vmap(jax.vmap(function)))(values)
    one_by_one = np.stack([np.stack([alone(v) for v in row]) for row in values])
    np.testing.assert_allclose(whole, one_by_one, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(mapped, one_by_one, rtol=0, atol=ROUNDING)
    empty = alone(jnp.zeros((0, *tail)))
    assert empty.shape == (0, *whole.shape[2:])


@pytest.mark.parametrize("name", CONVERSIONS)
def test_wrong_last_axis_raises(name):
    tail, function = CONVERSIONS[name]
    with pytest.raises(ValueError, match=r"must have shape .* got \(2, 5\)"):
        function(np.zeros((2, 5)))


def test_compose_rotate_and_rotation_about_z(golden):
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 7, 3, 3)).astype(np.float32)
    v = rng.normal(size=(7, 3)).astype(np.float32)
    np.testing.assert_allclose(rot.compose(a, b), a @ b, rtol=1e-5, atol=ROUNDING)
    np.testing.assert_allclose(
        rot.rotate(a, v), (a @ v[..., None])[..., 0], rtol=1e-5, atol=ROUNDING
    )
    g = golden("temos_teach/rotations")
    turn = rot.rotation_about_z(g["cos_sin_in"])
    np.testing.assert_array_equal(turn[:2, :2], g["matrix_of_angles"])
    np.testing.assert_array_equal(turn[:, 2], [0, 0, 1])
