"""The 21 joints of the MMM body, and the heels of bodies."""

import jax
import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.features import mmm
from actiongpt_jax.geometry.body import Body, skin
from actiongpt_jax.geometry.rotations import axis_angle_to_matrix
from actiongpt_jax.geometry.skeletons import SMPL22
from tests.oracles import body as body_oracle

joints_and_heels = jax.jit(mmm.joints_and_heels)


@pytest.mark.gpu
def test_joints_match_published(golden):
    g = golden("temos_teach/smplh_to_mmm")
    points = g["smplh_joints"]
    # Surface points follow SMPL-H's 52 joints; MMM joints 14 and 19 are the heels.
    heels = points[:, g["mmm_indexes"][[14, 19]]]
    result = np.asarray(mmm.from_smpl(points[:, :52], heels))
    # The published conversion also adds one offset, which Rifke removes again.
    for name, scale in (("mmmns", 1.0), ("mmm", 640.0)):
        moved = g[name] / scale
        # Rounding of joints that are metres away from the origin.
        np.testing.assert_allclose(
            result - result[:1, :1], moved - moved[:1, :1], rtol=0, atol=1e-5
        )


@pytest.fixture(scope="module")
def poses():
    rng = np.random.default_rng(0)
    rotations = axis_angle_to_matrix(0.4 * rng.normal(size=(3, 22, 3)).astype("f4"))
    translation = rng.normal(size=(3, 3)).astype(np.float32)
    return np.asarray(rotations), translation


@pytest.mark.slow
def test_body_with_heels_has_the_heels_of_the_whole_body(poses):
    rng = np.random.default_rng(1)
    count, vertices = 24, 6890
    regressor = np.zeros((count, vertices), np.float32)
    regressor[np.arange(count), rng.integers(0, vertices, count)] = 1
    weights = rng.random((vertices, count)).astype(np.float32)
    body = Body(
        v_template=rng.normal(size=(vertices, 3)).astype(np.float32),
        shapedirs=np.zeros((vertices, 3, 1), np.float32),
        posedirs=0.1 * rng.normal(size=(vertices, 3, 9 * 23)).astype(np.float32),
        J_regressor=regressor,
        weights=weights / weights.sum(1, keepdims=True),
        parents=(*SMPL22.parents, 20, 21),
    )
    joints, heels = joints_and_heels(poses[0], poses[1], mmm.body_with_heels(body))
    expected_joints, surface = jax.jit(skin)(body, *poses)
    # Rounding of the same products in another program, for lengths of order 1.
    np.testing.assert_allclose(joints, expected_joints[:, :22], atol=5e-6)
    np.testing.assert_allclose(heels, surface[:, [3387, 6787]], atol=5e-6)
    cut = mmm.body_with_heels(body)
    full = np.concatenate([poses[0][0], np.tile(np.eye(3), (2, 1, 1))])
    expected = body_oracle.skin(cut, full, poses[1][0], np.zeros(1))[1][:2]
    np.testing.assert_allclose(heels[0], expected, atol=5e-6)


def test_heels_without_a_body_move_with_the_ankles(poses):
    joints, heels = (np.asarray(x) for x in joints_and_heels(*poses))
    for side, (ankle, toes) in enumerate(((7, 10), (8, 11))):
        to_heel = np.linalg.norm(heels[:, side] - joints[:, ankle], axis=-1)
        # The square root of 0.06^2 + 0.05^2.
        np.testing.assert_allclose(to_heel, 0.0781025, atol=1e-6)
        apart = np.linalg.norm(heels[:, side] - joints[:, toes], axis=-1)
        np.testing.assert_allclose(apart, apart[0], atol=1e-6)
    rest, (left, _) = joints_and_heels(
        np.tile(np.eye(3, dtype=np.float32), (22, 1, 1)), np.zeros(3, np.float32)
    )
    # The body's y axis is up and z is forward: the heel is below and behind.
    assert left[1] < rest[7, 1] and left[2] < rest[7, 2] < rest[10, 2]


def test_too_few_joints_raise():
    with pytest.raises(InputError, match="at least the 22 body joints of SMPL"):
        mmm.from_smpl(np.zeros((5, 21, 3)), np.zeros((5, 2, 3)))
