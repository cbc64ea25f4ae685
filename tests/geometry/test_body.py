import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry import body as bodies
from actiongpt_jax.geometry import kinematics
from actiongpt_jax.geometry import rotations as rot
from actiongpt_jax.geometry.body import Body
from actiongpt_jax.geometry.skeletons import Skeleton
from tests.oracles import body as oracle

# The published tolerance of features.
FEATURE = 1e-5
skin = jax.jit(bodies.skin)
to_matrix = jax.jit(rot.axis_angle_to_matrix)

# Indices of the published 49 joints among SMPL's 24 joints, 21 vertices and 9 regressed
# joints, in this order. Source: the joint map of SPIN (arXiv:1909.12828).
VIBE49 = [24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, 25, 26, 27, 28, 29]
VIBE49 += [30, 31, 32, 33, 34, 8, 5, 45, 46, 4, 7, 21, 19, 17, 16, 18, 20, 47, 48]
VIBE49 += [49, 50, 51, 52, 53, 24, 26, 25, 28, 27]
VIBE_ROOT = 8
# Indices of Action2Motion's joints (arXiv:2007.15240) among these 49.
A2M18 = (8, 1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 21, 24, 38)


def golden_body(case):
    parents = case["smpl/kintree_table"][0].copy()
    parents[0] = -1
    return Body(
        v_template=case["smpl/v_template"],
        shapedirs=case["smpl/shapedirs"],
        posedirs=case["smpl/posedirs"],
        J_regressor=case["smpl/J_regressor"],
        weights=case["smpl/weights"],
        parents=tuple(int(p) for p in parents),
        faces=case["smpl/f"],
    )


def golden_poses(case):
    """Returns (B, T, 24, 3, 3) rotations and (B, T, 3) displacements."""
    x = case["x"].transpose(0, 3, 1, 2)
    return jax.jit(rot.rot6d_to_matrix)(x[:, :, :24]), x[:, :, 24, :3]


def assert_published(case, key, actual):
    """Compares (B, T, N, 3) with a golden array that is 0 in padded frames."""
    actual = jnp.where(case["mask"][:, :, None, None], actual, 0.0)
    expected = case[key].transpose(0, 3, 1, 2)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=FEATURE, err_msg=key)


def minus(joints, root):
    return joints - joints[:, :, root : root + 1]


@pytest.mark.slow
def test_joints_and_vertices_match_published(golden):
    case = golden("motionclip/rot2xyz")
    body = golden_body(case)
    rotations, moved = golden_poses(case)
    still = jnp.zeros_like(moved)
    joints, vertices = skin(body, rotations, still)
    assert_published(case, "xyz/vertices/vertstrans=False", vertices)
    assert_published(case, "xyz/smpl/vertstrans=False", minus(joints, 0))
    move = (moved - moved[:, :1])[:, :, None]
    assert_published(case, "xyz/vertices/vertstrans=True", vertices + move)
    assert_published(case, "xyz/smpl/vertstrans=True", minus(joints, 0) + move)

    # Without a global orientation the published code makes the body face the viewer.
    about_x = to_matrix(jnp.array([np.pi, 0.0, 0.0]))
    turned = jnp.broadcast_to(about_x, rotations[:, :, :1].shape)
    turned = jnp.concatenate([turned, rotations[:, :, 1:]], 2)
    joints, _ = skin(body, turned, still)
    assert_published(case, "xyz/smpl/noglob", minus(joints, 0))
    betas = jnp.array([0.0, 1.5])  # it sets the second coefficient
    joints, _ = skin(body, rotations, still, betas)
    assert_published(case, "xyz/smpl/beta1.5", minus(joints, 0))


def test_joints_picked_from_the_surface_match_published(golden):
    case = golden("motionclip/rot2xyz")
    rotations, moved = golden_poses(case)
    joints, vertices = skin(golden_body(case), rotations, jnp.zeros_like(moved))
    picked = list(json.loads(str(case["smpl/vertex_ids"])).values())
    extra = jnp.einsum("jv,btvc->btjc", case["smpl/J_regressor_extra"], vertices)
    pool = jnp.concatenate([joints, vertices[:, :, picked], extra], 2)
    vibe = pool[:, :, VIBE49]
    assert_published(case, "xyz/vibe/vertstrans=False", minus(vibe, VIBE_ROOT))
    a2m = vibe[:, :, A2M18]
    assert_published(case, "xyz/a2m/vertstrans=False", minus(a2m, 0))


def test_body_of_52_joints_matches_published(golden):
    case = golden("temos_teach/fk_synthetic")
    body = Body(
        v_template=case["v_template"],
        shapedirs=case["shapedirs"],
        posedirs=case["posedirs"].reshape(459, 60, 3).transpose(1, 2, 0),
        J_regressor=case["J_regressor"],
        weights=case["lbs_weights"],
        parents=tuple(int(p) for p in case["parents"]),
    )
    # With only 22 rotations the hands stay at rest.
    joints, vertices = skin(body, case["rots"], case["trans"])
    np.testing.assert_allclose(joints, case["joints"], rtol=0, atol=FEATURE)
    np.testing.assert_allclose(vertices, case["vertices"], rtol=0, atol=FEATURE)
    joints, vertices = skin(body, case["rots"], case["trans"], case["betas"])
    np.testing.assert_allclose(joints, case["joints_betas"], rtol=0, atol=FEATURE)
    np.testing.assert_allclose(vertices, case["vertices_betas"], rtol=0, atol=FEATURE)


@pytest.fixture(scope="module")
def body():
    """Returns a body of 7 joints not ordered by depth, 20 vertices and 4 betas."""
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.full(7, 0.3), 20)
    regressor = rng.dirichlet(np.full(20, 0.3), 7)
    return Body(
        v_template=rng.normal(size=(20, 3)).astype(np.float32),
        shapedirs=rng.normal(size=(20, 3, 4)).astype(np.float32),
        posedirs=0.1 * rng.normal(size=(20, 3, 54)).astype(np.float32),
        J_regressor=regressor.astype(np.float32),
        weights=weights.astype(np.float32),
        parents=(-1, 0, 1, 2, 0, 4, 1),
    )


def poses(*batch, seed=1):
    rng = np.random.default_rng(seed)
    axis_angle = rng.normal(size=(*batch, 7, 3)).astype(np.float32)
    return to_matrix(axis_angle), rng.normal(size=(*batch, 3)).astype(np.float32)


@pytest.mark.slow
def test_skin_matches_float64_numpy_with_any_batch_axes(body):
    rotations, translation = poses(6)
    betas = np.random.default_rng(2).normal(size=(6, 4)).astype(np.float32)
    joints, vertices = skin(body, rotations, translation, betas)
    for i in range(6):
        expected = oracle.skin(
            body, np.asarray(rotations[i], np.float64), translation[i], betas[i]
        )
        # Rounding of sums of about ten terms of a few metres.
        np.testing.assert_allclose(joints[i], expected[0], rtol=0, atol=5e-6)
        np.testing.assert_allclose(vertices[i], expected[1], rtol=0, atol=5e-6)
    with jax.numpy_rank_promotion("raise"):
        folded = skin(
            body,
            rotations.reshape(2, 3, 7, 3, 3),
            translation.reshape(2, 3, 3),
            betas.reshape(2, 3, 4),
        )
        one = skin(body, rotations[0], translation[0], betas[0])
    for found, whole in zip(folded, (joints, vertices), strict=True):
        np.testing.assert_allclose(found.reshape(whole.shape), whole, atol=2e-6)
    for found, whole in zip(one, (joints, vertices), strict=True):
        np.testing.assert_allclose(found, whole[0], atol=2e-6)


def test_betas_broadcast_and_may_be_few(body):
    rotations, translation = poses(2, 3)
    betas = np.array([[[0.7, -1.2]], [[0.3, 0.4]]], np.float32)
    actual = skin(body, rotations, translation, betas)
    full = np.zeros((2, 3, 4), np.float32)
    full[..., :2] = betas
    expected = skin(body, rotations, translation, full)
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)


@pytest.mark.slow
def test_joints_equal_those_of_the_rest_skeleton(body):
    rotations, translation = poses(4)
    rest = np.asarray(body.J_regressor @ body.v_template, np.float64)
    offsets = rest.copy()
    offsets[1:] -= rest[list(body.parents[1:])]
    skeleton = Skeleton(tuple("abcdefg"), body.parents, tuple(map(tuple, offsets)))
    joints, _ = skin(body, rotations, translation)
    expected = kinematics.forward_kinematics(rotations, translation, skeleton)
    np.testing.assert_allclose(joints, expected, rtol=0, atol=2e-6)


def test_root_rotation_and_translation_move_the_whole_body(body):
    rotations, translation = poses(1)
    turn = to_matrix(np.array([0.3, -1.1, 0.6], np.float32))
    joints, vertices = skin(body, rotations, jnp.zeros((1, 3)))
    root = joints[:, :1]
    turned = rotations.at[:, 0].set(turn @ rotations[:, 0])
    for actual, before in zip(
        skin(body, turned, translation), (joints, vertices), strict=True
    ):
        expected = (before - root) @ turn.T + root + translation[:, None]
        np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-6)


def test_surface_at_rest_is_the_template(body):
    rest = jnp.broadcast_to(jnp.eye(3), (1, 7, 3, 3))
    for given in (rest, rest[:, :1]):
        _, vertices = skin(body, given, jnp.zeros((1, 3)))
        np.testing.assert_allclose(vertices[0], body.v_template, rtol=0, atol=2e-6)


def test_gradients_are_finite_and_reach_every_input(body):
    rotations, translation = poses(2)
    betas = jnp.zeros((2, 4))

    def height(rotations, translation, betas):
        joints, vertices = bodies.skin(body, rotations, translation, betas)
        return (joints**2).sum() + (vertices**2).sum()

    gradients = jax.jit(jax.grad(height, (0, 1, 2)))(rotations, translation, betas)
    for gradient in gradients:
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_wrong_shapes_raise(body):
    rotations, translation = poses(4)
    with pytest.raises(InputError, match="1 to 7 joints"):
        bodies.skin(body, jnp.zeros((4, 8, 3, 3)), translation)
    with pytest.raises(InputError, match=r"\(\.\.\., K, 3, 3\)"):
        bodies.skin(body, jnp.zeros((4, 7, 3)), translation)
    with pytest.raises(InputError, match="translation must have shape"):
        bodies.skin(body, rotations, translation[:2])
    with pytest.raises(InputError, match="1 to 4 coefficients"):
        bodies.skin(body, rotations, translation, jnp.zeros((4, 5)))
    with pytest.raises(InputError, match=r"broadcast to \(4,\)"):
        bodies.skin(body, rotations, translation, jnp.zeros((3, 4)))


def test_model_files_are_read_without_unpickling(tmp_path):
    rng = np.random.default_rng(3)
    arrays = {
        "v_template": rng.normal(size=(10, 3)),
        "shapedirs": rng.normal(size=(10, 3, 4)),
        "posedirs": rng.normal(size=(10, 3, 18)),
        "J_regressor": rng.normal(size=(3, 10)),
        "weights": rng.random(size=(10, 3)),
        "kintree_table": np.array([[2**32 - 1, 0, 1], [0, 1, 2]], np.uint32),
        "f": np.array([[0, 1, 2]], np.uint32),
    }
    path = tmp_path / "model.npz"
    np.savez(path, **arrays)
    body = bodies.load(path)
    assert (body.parents, body.num_betas) == ((-1, 0, 1), 4)
    np.testing.assert_array_equal(body.posedirs, arrays["posedirs"].astype(np.float32))
    assert body.faces is not None and body.faces.tolist() == [[0, 1, 2]]
    for change, word in [
        ({"weights": np.array({"a": 1})}, "weights"),
        ({"posedirs": np.zeros((10, 3, 9))}, "(10, 3, 18)"),
    ]:
        np.savez(path, **{**arrays, **change})
        with pytest.raises(InputError) as caught:
            bodies.load(path)
        assert word in str(caught.value)
    del arrays["f"]
    np.savez(path, **arrays)
    with pytest.raises(InputError, match="find f;"):
        bodies.load(path)
    path.write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(InputError, match="model.npz"):
        bodies.load(path)
    with pytest.raises(InputError, match="No such file"):
        bodies.load(tmp_path / "none.npz")
