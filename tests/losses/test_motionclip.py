import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.config_fields import base_config
from actiongpt_jax.errors import InputError
from actiongpt_jax.features import pose6d
from actiongpt_jax.losses import motionclip as losses
from actiongpt_jax.models.motionclip import MotionClipOutputs
from tests.losses.motionclip_cases import FRAMES, draw, make_body
from tests.losses.padding import assert_padding_does_not_count
from tests.oracles import body as body_oracle
from tests.oracles import kinematics as kinematics_oracle
from tests.oracles import rotations as rotation_oracle

MOTION = ("rc", "rcxyz", "vel", "velxyz")
LOSS = 1e-5  # float32 against float64, and the published tolerance


def config_of(**changes):
    """Returns a config in which every term has a different weight."""
    config = base_config()
    config.model.decode_text = True
    config.data.images = "some"
    config.losses.logit_scale = 1.5
    for i, name in enumerate(MOTION, 1):
        config.losses[f"lambda_{name}"] = 10.0 * i
    for i, domain in enumerate(("text", "image")):
        for j, kind in enumerate(("cosine", "mse", "ce"), 1):
            config.losses[f"{domain}_{kind}"] = 0.1 * j + i
    config.update_from_flattened_dict(changes)
    return config


terms = jax.jit(functools.partial(losses.terms, config=config_of()))


def means(result):
    return {name: float(total / count) for name, (total, count) in result.items()}


def cross_entropy(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return np.log(np.exp(shifted).sum(-1)) - np.diag(shifted)


def by_hand(outputs, batch, config, points):
    """Returns each term's mean in float64; `points` turns (150,) poses to (N, 3)."""
    mask = np.asarray(batch["frame_mask"])
    target = np.asarray(batch["poses"], np.float64)
    places = {}

    def motion(prefix, poses):
        poses = np.asarray(poses, np.float64)
        squares = {name: [] for name in MOTION}
        for b, t in np.argwhere(mask):
            here = (poses[b, t], target[b, t])
            squares["rc"].append((here[0] - here[1]) ** 2)
            now = points(here[0]), points(here[1])
            squares["rcxyz"].append(((now[0] - now[1]) ** 2).ravel())
            if t:
                step = poses[b, t] - poses[b, t - 1] - target[b, t] + target[b, t - 1]
                squares["vel"].append(step**2)
                before = places[b, t - 1]
                step = now[0] - before[0] - now[1] + before[1]
                squares["velxyz"].append((step**2).ravel())
            places[b, t] = now
        return {
            prefix + name: np.mean(np.concatenate(rows))
            for name, rows in squares.items()
        }

    result = motion("", outputs.poses) | motion("gen_", outputs.poses_text)
    real = mask.any(-1)
    latent = np.asarray(outputs.latent, np.float64)[real]
    for domain in ("text", "image"):
        vector = np.asarray(getattr(outputs, domain), np.float64)[real]
        a, b = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (latent, vector))
        logits = np.exp(config.losses.logit_scale) * a @ b.T
        both = cross_entropy(logits) + cross_entropy(logits.T)
        result |= {
            f"{domain}_cosine": (1 - (a * b).sum(-1)).mean(),
            f"{domain}_mse": ((latent - vector) ** 2).mean(),
            f"{domain}_mixed_ce": both.mean() / 2,
        }
    return result


def matrices(pose):
    return np.array(
        [rotation_oracle.rot6d_to_matrix(r) for r in pose[:144].reshape(24, 6)]
    )


def joints_by_hand(pose):
    skeleton = losses.SMPL22
    return kinematics_oracle.forward_kinematics(
        matrices(pose)[:22], np.zeros(3), skeleton.parents, skeleton.offsets
    )


def test_every_term_is_the_mean_of_its_definition():
    outputs, batch = draw()
    config = config_of()
    actual = means(terms(outputs, batch))
    expected = by_hand(outputs, batch, config, joints_by_hand)
    assert actual.keys() == expected.keys() == losses.weights(config).keys()
    for name, value in expected.items():
        # Random rot6d rows amplify the rounding of joints.
        rtol = 1e-4 if "xyz" in name else LOSS
        np.testing.assert_allclose(actual[name], value, rtol=rtol, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("joints", [24, 52])
def test_terms_of_vertices_match_their_definition(joints):
    outputs, batch = draw()
    body = make_body(joints)
    hands = {24: (22, 23), 52: (22, 37)}[joints]

    def points(pose):
        rotations = np.tile(np.eye(3), (joints, 1, 1))
        rotations[[*range(22), *hands]] = matrices(pose)
        return body_oracle.skin(body, rotations, np.zeros(3), np.zeros(1))[1]

    actual = means(terms(outputs, batch, body=body))
    expected = by_hand(outputs, batch, config_of(), points)
    for name in ("rcxyz", "velxyz", "gen_rcxyz"):
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-4)


def test_body_with_other_joints_raises():
    with pytest.raises(InputError, match="24 joints of SMPL or the 52"):
        losses.body_points(jnp.zeros((1, 2, 150)), make_body(25))


@pytest.mark.slow
@pytest.mark.gpu
def test_losses_match_published(golden):
    case = golden("motionclip/losses")

    def frames(name):
        x = np.moveaxis(case[name], -1, 1)
        return x.reshape(*x.shape[:2], -1)

    for suffix in ("", "_xyz"):
        pair = frames(f"output{suffix}"), frames(f"x{suffix}")
        for name, term in (("rc", losses.reconstruction), ("vel", losses.velocity)):
            total, count = term(*pair, case["mask"])
            expected = case[f"loss/{name}{suffix[1:]}"]
            np.testing.assert_allclose(total / count, expected, rtol=LOSS)
    outputs = MotionClipOutputs(
        latent=case["z"],
        poses=frames("output"),
        text=case["clip_text_features_4B"].reshape(3, 4, -1).mean(1),
        image=case["clip_images_emb"],
    )
    batch = {"poses": jnp.asarray(frames("x")), "frame_mask": case["mask"]}
    scale = float(case["logit_scale_param"])
    config = config_of(**{"losses.logit_scale": scale})
    actual = means(
        jax.jit(functools.partial(losses.terms, config=config))(outputs, batch)
    )
    for name, value in json.loads(str(case["clip_loss_dict"])).items():
        if "_ce_from_" not in name:
            np.testing.assert_allclose(actual[name], value, rtol=LOSS, err_msg=name)


@pytest.mark.slow
def test_fillers_and_padding_do_not_change_terms():
    assert_padding_does_not_count(terms, *draw(), [FRAMES], rtol=2e-6)


@pytest.mark.slow
def test_terms_of_devices_add_up_to_those_of_the_batch():
    """A vmapped axis stands in for two devices, one of which has a filler."""
    lengths = np.array([6, 4, 3, 0])
    case = draw(lengths=lengths)
    # Terms of joints are summed like those of poses, and take longer to compile.
    config = config_of(**{"losses.lambda_rcxyz": 0.0, "losses.lambda_velxyz": 0.0})

    def loss(outputs, batch, axis_name=None):
        actual = losses.terms(outputs, batch, config, axis_name=axis_name)
        if axis_name is not None:
            counts = jax.lax.psum({n: c for n, (_, c) in actual.items()}, axis_name)
        else:
            counts = {n: c for n, (_, c) in actual.items()}
        weights = losses.weights(config)
        total = sum(weights[n] * s / counts[n] for n, (s, _) in actual.items())
        return total, actual

    (whole, whole_terms), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(
        *case
    )
    split = jax.tree.map(lambda a: a.reshape(2, 2, *a.shape[1:]), case)
    on_devices = jax.vmap(
        jax.value_and_grad(functools.partial(loss, axis_name="batch"), has_aux=True),
        axis_name="batch",
    )
    (parts, part_terms), part_gradient = jax.jit(on_devices)(*split)
    np.testing.assert_allclose(parts.sum(), whole, rtol=LOSS)
    for name, term in whole_terms.items():
        added = [x.sum() for x in part_terms[name]]
        np.testing.assert_allclose(added, term, rtol=LOSS, err_msg=name)
    for actual, expected in zip(
        jax.tree.leaves(part_gradient), jax.tree.leaves(gradient), strict=True
    ):
        actual = actual.reshape(expected.shape)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(actual, expected, rtol=0, atol=LOSS * scale)


def test_terms_without_a_weight_are_left_out():
    outputs, batch = draw()
    config = config_of(**{"losses.lambda_velxyz": 0.0, "losses.text_ce": 0.0})
    result = jax.eval_shape(lambda: losses.terms(outputs, batch, config))
    assert result.keys() == losses.weights(config).keys()
    assert not {"velxyz", "gen_velxyz", "text_mixed_ce"} & result.keys()
    config.data.images = ""
    config.model.decode_text = False
    weights = losses.weights(config)
    assert weights == {
        "rc": 10.0,
        "rcxyz": 20.0,
        "vel": 30.0,
        "text_cosine": 0.1,
        "text_mse": 0.2,
    }
    bare = dataclasses.replace(outputs, image=None, poses_text=None)
    result = jax.eval_shape(lambda: losses.terms(bare, batch, config))
    assert result.keys() == weights.keys()


@pytest.mark.slow
def test_gradients_at_zero_outputs_are_finite():
    outputs, batch = draw()
    nothing = jax.tree.map(jnp.zeros_like, outputs)
    weights = losses.weights(config_of())

    @jax.jit
    def gradient(outputs):
        def total(outputs):
            result = losses.terms(outputs, batch, config_of())
            return sum(weights[n] * s / c for n, (s, c) in result.items())

        return jax.grad(total)(outputs)

    for case in (outputs, nothing):
        assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient(case)))
    # Values in padded frames have no gradient.
    result = gradient(outputs).poses
    assert not np.asarray(result)[~np.asarray(batch["frame_mask"])].any()


def test_displacement_changes_rc_but_not_rcxyz():
    outputs, batch = draw()
    start = 6 * pose6d.NUM_JOINTS
    moved = dataclasses.replace(
        outputs, poses=outputs.poses.at[..., start : start + 3].add(1.0)
    )
    before, after = means(terms(outputs, batch)), means(terms(moved, batch))
    assert after["rc"] > before["rc"]
    assert after["rcxyz"] == before["rcxyz"]
