"""MotionCLIP: networks, losses, gradients and uses against the published code.

Tolerances: networks 2e-5, losses 1e-5 relative, gradients 1e-4 relative, joints of a
whole run 1e-4, as in the README of TEMOS's golden files.
"""

import functools
import json
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.conversion import from_torch
from actiongpt_jax.conversion import layout as torch_layout
from actiongpt_jax.files.torch_reader import read_torch
from actiongpt_jax.geometry.body import skin
from actiongpt_jax.geometry.rotations import rot6d_to_matrix
from actiongpt_jax.inference.editing import edit, interpolate
from actiongpt_jax.losses import motionclip as losses
from actiongpt_jax.models.build import build
from actiongpt_jax.models.motionclip import MotionClip
from actiongpt_jax.nn.parameters import count_parameters
from actiongpt_jax.nn.positional import sinusoids
from actiongpt_jax.nn.sizes import Sizes
from actiongpt_jax.training.step import make_optimizer
from tests.geometry.test_body import golden_body

# On a GPU, matrix products and kernels are other ones.
pytestmark = [pytest.mark.slow, pytest.mark.gpu]

NETWORK, LOSS, GRADIENT, MOTION = 2e-5, 1e-5, 1e-4, 1e-4
# Published text-to-motion makes the body face the viewer: rot6d of the root.
FRONT = np.array([1, 0, 0, 0, 1, 0], np.float32)


def state_of(case, prefix=""):
    return {f"{prefix}{k[3:]}": v for k, v in case.items() if k.startswith("sd/")}


def flat(x):
    """Turns the published layout (..., J, 6, T) into (..., T, J * 6)."""
    x = np.moveaxis(x, -1, -3)
    return x.reshape(*x.shape[:-2], -1)


def sizes_of(case) -> Sizes:
    cfg = json.loads(str(case["cfg"]))
    return Sizes(cfg["d"], cfg["ff"], cfg["nl"], cfg["nh"])


def module_of(case, prefix, **fields):
    """Returns `run(method, ...)` of a model with only the weights under `prefix`."""
    model = MotionClip(sizes_of(case), **fields)
    layout = torch_layout.motionclip(model.sizes.num_layers, model.encoder_tokens)
    leaves, state = {}, state_of(case, prefix)
    for name, entry in layout.items():
        if name.startswith(prefix) and not entry.optional:
            leaves |= entry.split(state.pop(name))
    assert all(name.endswith(".pe") for name in state)
    variables = flax.traverse_util.unflatten_dict(leaves)

    def run(method, *arguments) -> Any:
        return jax.jit(functools.partial(model.apply, method=method))(
            variables, *arguments
        )

    return run


def test_position_table_matches_published(golden):
    pe = golden("motionclip/posenc")["pe"]
    np.testing.assert_allclose(sinusoids(*pe.shape), pe, rtol=0, atol=NETWORK)


@pytest.mark.parametrize(("name", "tokens"), [("encoder", 1), ("encoder_upstream", 2)])
def test_encoder_matches_published(golden, name, tokens):
    case = golden(f"motionclip/{name}")
    run = module_of(case, "encoder.", encoder_tokens=tokens)
    poses, mask = flat(case["x"]), case["mask"]
    latent = run("encode_motion", poses, mask)
    np.testing.assert_allclose(latent, case["mu"], rtol=0, atol=NETWORK)
    # The encoder ignores padding, and more padding changes nothing.
    longer = np.pad(poses, ((0, 0), (0, 7), (0, 0)), constant_values=9.0)
    longer_mask = np.pad(mask, ((0, 0), (0, 7)))
    latent = run("encode_motion", longer, longer_mask)
    np.testing.assert_allclose(latent, case["mu"], rtol=0, atol=NETWORK)


def test_normalized_latents_match_published(golden):
    case = golden("motionclip/encoder")
    run = module_of(case, "encoder.", text_latent="normalized")
    latent = run("encode_motion", flat(case["x"]), case["mask"])
    np.testing.assert_allclose(latent, case["mu_normalized"], rtol=0, atol=NETWORK)
    case = golden("motionclip/decoder")
    run = module_of(case, "decoder.", text_latent="normalized")
    poses = run("decode", case["z"], case["mask"])
    expected = flat(case["output_normalized_input"])
    np.testing.assert_allclose(poses, expected, rtol=0, atol=NETWORK)


def test_decoder_matches_published(golden):
    case = golden("motionclip/decoder")
    poses = module_of(case, "decoder.")("decode", case["z"], case["mask"])
    np.testing.assert_allclose(poses, flat(case["output"]), rtol=0, atol=NETWORK)
    assert not np.asarray(poses)[~case["mask"]].any()


def model_of(case, **overrides):
    config, variables = from_torch.from_state_dict(state_of(case), **overrides)
    return config, build(config), variables


def batch_of(case):
    text = case["clip_text_features_4B"]
    text = text.reshape(len(case["x"]), 4, -1).mean(1)
    if "text_emb_mean" in case:
        np.testing.assert_allclose(text, case["text_emb_mean"], rtol=0, atol=1e-6)
    batch = {"poses": flat(case["x"]), "frame_mask": case["mask"], "text": text}
    if "clip_images_emb" in case:
        batch["image"] = case["clip_images_emb"]
    return jax.tree.map(jnp.asarray, batch)


def published(loss_dict):
    """Returns the published loss terms under the names that this project uses."""
    found = json.loads(str(loss_dict))
    aside = {"mixed_without_clip", "mixed_with_clip", "mixed_clip_only"}
    return {
        name: value
        for name, value in found.items()
        if name not in aside and "_ce_from_" not in name
    }


def total_of(terms, weights):
    means = {name: total / count for name, (total, count) in terms.items()}
    return sum(weights[name] * mean for name, mean in means.items()), means


def test_autoencoder_and_losses_match_published(golden):
    case = golden("motionclip/autoencoder")
    config, model, variables = model_of(case)
    config.unlock()
    config.data.images = "some"
    body, batch = golden_body(case), batch_of(case)
    weights = losses.weights(config)
    lambdas = json.loads(str(case["lambdas"]))
    assert weights == lambdas

    @jax.jit
    def run(batch):
        outputs: Any = model.apply(variables, batch)
        terms = losses.terms(outputs, batch, config, body=body)
        points = losses.body_points(outputs.poses, body)
        return outputs, total_of(terms, weights), points

    outputs, (total, means), points = run(batch)
    np.testing.assert_allclose(outputs.latent, case["z"], rtol=0, atol=NETWORK)
    expected = flat(case["output"])
    np.testing.assert_allclose(outputs.poses, expected, rtol=0, atol=NETWORK)
    expected = case["output_xyz"].transpose(0, 3, 1, 2)[case["mask"]]
    found = np.asarray(points)[case["mask"]]
    np.testing.assert_allclose(found, expected, rtol=0, atol=NETWORK)
    np.testing.assert_allclose(total, case["total"], rtol=LOSS)
    figures = published(case["loss_dict"])
    assert figures.keys() == means.keys()
    for name, value in figures.items():
        np.testing.assert_allclose(means[name], value, rtol=LOSS, err_msg=name)


def test_all_clip_losses_and_decoded_texts_match_published(golden):
    case = golden("motionclip/autoencoder")
    other = golden("motionclip/autoencoder_allclip_gen")
    config, _, variables = model_of(case)
    config.unlock()
    config.data.images = "some"
    config.model.decode_text = True
    for domain, lambdas in json.loads(str(other["clip_lambdas"])).items():
        for kind, weight in lambdas.items():
            config.losses[f"{domain}_{kind}"] = weight
    config.losses.logit_scale = float(other["logit_scale"])
    model, body, batch = build(config), golden_body(case), batch_of(case)
    weights = losses.weights(config)

    @jax.jit
    def run(batch):
        outputs: Any = model.apply(variables, batch)
        terms = losses.terms(outputs, batch, config, body=body)
        return outputs, total_of(terms, weights)

    outputs, (total, means) = run(batch)
    expected = flat(other["txt_output"])
    np.testing.assert_allclose(outputs.poses_text, expected, rtol=0, atol=NETWORK)
    figures = published(other["loss_dict"])
    assert figures.keys() == means.keys()
    for name, value in figures.items():
        np.testing.assert_allclose(means[name], value, rtol=LOSS, err_msg=name)
    np.testing.assert_allclose(total, other["total"], rtol=LOSS)


def real_gradient(name, gradient, width):
    """Returns a mask that is True where a gradient is more than rounding noise.

    In exact arithmetic the gradient is 0 for the biases of keys, and for the query
    and key projections of the attention to a single token.
    """
    real = np.ones(gradient.shape, bool)
    if name.endswith("in_proj_bias"):
        real[width : 2 * width] = False
    if "multihead_attn.in_proj" in name:
        real[: 2 * width] = False
    return real


def test_gradients_and_training_steps_match_published(golden):
    case = golden("motionclip/train_step")
    config, model, variables = model_of(case)
    config.unlock()
    config.train.learning_rate = float(case["lr"])
    config.train.weight_decay = float(case["weight_decay"])
    body, batch = golden_body(case), batch_of(case)
    weights, tx = losses.weights(config), make_optimizer(config)
    width = config.model.latent_dim

    @jax.jit
    def step(params, opt_state):
        def loss(params):
            outputs: Any = model.apply({"params": params}, batch)
            terms = losses.terms(outputs, batch, config, body=body)
            return total_of(terms, weights)

        (total, means), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        params = jax.tree.map(jnp.add, params, updates)
        return params, opt_state, total, means, grads

    def published_layout(params):
        return from_torch.to_state_dict(config, variables | {"params": params})

    params = variables["params"]
    opt_state, totals = tx.init(params), []
    params, opt_state, total, means, grads = step(params, opt_state)
    totals.append(total)
    figures = published(case["loss_dict_step0"])
    assert figures.keys() == means.keys()
    for name, value in figures.items():
        np.testing.assert_allclose(means[name], value, rtol=LOSS, err_msg=name)

    found, after = published_layout(grads), published_layout(params)
    names = [key.removeprefix("grad/") for key in case if key.startswith("grad/")]
    trained = {name for name in found if not name.endswith(".pe")}
    assert trained - set(names) == set(json.loads(str(case["params_without_grad"])))
    for name in names:
        expected = case[f"grad/{name}"]
        real = real_gradient(name, expected, width)
        scale = np.abs(expected[real]).max()
        # Relative to the tensor's largest entry.
        np.testing.assert_allclose(
            found[name][real],
            expected[real],
            rtol=0,
            atol=GRADIENT * scale,
            err_msg=name,
        )
        # Adam's first step has the size of the learning rate for any gradient, so its
        # sign is compared only where the gradient is well above its error.
        steady = real & (np.abs(expected) > 1e-3 * scale)
        if f"after1/{name}" in case:  # only small arrays travel with the code
            np.testing.assert_allclose(
                after[name][steady],
                case[f"after1/{name}"][steady],
                rtol=0,
                atol=1e-6,  # rounding of float32 weights of about 1
                err_msg=name,
            )
    untouched = "decoder.actionBiases"
    np.testing.assert_array_equal(after[untouched], case[f"after1/{untouched}"])

    for _ in range(2):
        params, opt_state, total, _, _ = step(params, opt_state)
        totals.append(total)
    # Steps in directions that are rounding noise change the loss by this much.
    np.testing.assert_allclose(totals, case["losses_3_steps"], rtol=3e-5)


def test_published_checkpoint_gives_published_outputs_and_round_trips(
    golden, golden_file
):
    case = golden("motionclip/motionclip_small_io")
    path = golden_file("motionclip/motionclip_small.pth.tar")
    config, variables = from_torch.load(path)
    model = build(config)
    mask = jnp.asarray(case["mask"])

    @jax.jit
    def run(poses):
        latent: Any = model.apply(variables, poses, mask, method="encode_motion")
        return latent, model.apply(variables, latent, mask, method="decode")

    latent, poses = run(flat(case["x"]))
    np.testing.assert_allclose(latent, case["z"], rtol=0, atol=NETWORK)
    np.testing.assert_allclose(poses, flat(case["output"]), rtol=0, atol=NETWORK)
    back, state = from_torch.to_state_dict(config, variables), read_torch(path)
    assert list(back) == list(state) == list(json.loads(str(case["keys"])))
    for name, tensor in state.items():
        assert back[name].shape == tensor.shape
        assert back[name].tobytes() == np.ascontiguousarray(tensor).tobytes(), name


def official(tokens):
    """Returns variable shapes at the published size, and those by state dict name."""
    model = MotionClip(encoder_tokens=tokens)
    batch = {
        "poses": jnp.zeros((1, 2, 150)),
        "frame_mask": jnp.ones((1, 2), bool),
        "text": jnp.zeros((1, 512)),
    }
    variables = jax.eval_shape(model.init, jax.random.key(0), batch)
    leaves: Any = flax.traverse_util.flatten_dict(variables)
    layout = torch_layout.motionclip(model.sizes.num_layers, tokens)
    shapes = {path: leaf.shape for path, leaf in leaves.items()}
    return variables, {
        name: (5000, 1, 512) if entry.optional else entry.torch_shape(shapes)
        for name, entry in layout.items()
    }


def test_official_size_has_published_parameter_shapes(golden_file):
    path = golden_file("motionclip/params_official.json")
    expected = {name: tuple(s) for name, s in json.loads(path.read_text()).items()}
    variables, found = official(1)
    assert list(found.items()) == list(expected.items())
    assert count_parameters(variables) == 42_213_014
    _, found = official(2)
    assert found == expected | {"encoder.sigmaQuery": (1, 512)}


def decoder_of(case):
    frames = case["motions"].shape[-1]
    _, model, variables = model_of(case)

    @jax.jit
    def encode(poses) -> Any:
        mask = jnp.ones(poses.shape[:2], bool)
        return model.apply(variables, poses, mask, method="encode_motion")

    @jax.jit
    def decode(latents) -> Any:
        flat_latents = latents.reshape(-1, latents.shape[-1])
        mask = jnp.ones((len(flat_latents), frames), bool)
        poses: Any = model.apply(variables, flat_latents, mask, method="decode")
        return poses.reshape(*latents.shape[:-1], frames, -1)

    return encode, decode


def interpolated(case, mu):
    names = json.loads(str(case["names"]))
    pairs = np.array(
        [[names.index(n) for n in p] for p in json.loads(str(case["interp_pairs"]))]
    )
    return interpolate(mu[pairs[:, 0]], mu[pairs[:, 1]], int(case["num_stops"]))


def edited(case):
    """Returns the latents of base, start, end and edited motions."""
    names = json.loads(str(case["names"]))
    lines = json.loads(str(case["edit_lines"]))
    rows = [
        case["all_mu"][[names.index(line[part]) for line in lines]]
        for part in ("base", "v_start", "v_end")
    ]
    return jnp.stack([*map(jnp.asarray, rows), edit(*rows)])


def of_texts(case):
    features = case["text_features_4N"]
    return jnp.asarray(features.reshape(-1, 4, features.shape[-1]).mean(1)[None])


def test_interpolated_and_edited_latents_match_published(golden):
    case = golden("motionclip/applications_interp")
    latents = interpolated(case, jnp.asarray(case["mu"]))
    np.testing.assert_allclose(latents, case["interp/z"], rtol=0, atol=NETWORK)
    case = golden("motionclip/applications_edit_text")
    np.testing.assert_allclose(edited(case), case["edit/z"], rtol=0, atol=NETWORK)
    np.testing.assert_allclose(of_texts(case), case["text/z"], rtol=0, atol=NETWORK)


def test_interpolated_motions_match_published(golden):
    case = golden("motionclip/applications_interp")
    encode, decode = decoder_of(case)
    mu = encode(flat(case["motions"]))
    np.testing.assert_allclose(mu, case["mu"], rtol=0, atol=NETWORK)
    poses = decode(interpolated(case, mu)).at[..., :6].set(FRONT)
    expected = flat(case["interp/output"])
    np.testing.assert_allclose(poses, expected, rtol=0, atol=NETWORK)
    rotations = rot6d_to_matrix(poses[..., :144].reshape(*poses.shape[:-1], 24, 6))
    still = jnp.zeros((*poses.shape[:-1], 3))
    joints, _ = jax.jit(skin)(golden_body(case), rotations, still)
    joints = joints - joints[..., :1, :]
    expected = np.moveaxis(case["interp/output_xyz"], -1, -3)
    np.testing.assert_allclose(joints, expected, rtol=0, atol=MOTION)


def test_edited_motions_and_motions_from_texts_match_published(golden):
    case = golden("motionclip/applications_edit_text")
    _, decode = decoder_of(golden("motionclip/applications_interp"))
    poses = decode(edited(case)).at[..., :6].set(FRONT)
    expected = flat(case["edit/output_f16"].astype(np.float32))
    # The golden file stores float16 numbers up to 4.
    np.testing.assert_allclose(poses, expected, rtol=0, atol=2e-3)
    poses = decode(of_texts(case)).at[..., :6].set(FRONT)
    expected = flat(case["text/output"])
    np.testing.assert_allclose(poses, expected, rtol=0, atol=NETWORK)
