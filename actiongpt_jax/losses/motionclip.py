"""The loss terms of MotionCLIP.

Source: MotionCLIP, arXiv:2203.08063, section 3.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from actiongpt_jax.config_fields import Config
from actiongpt_jax.errors import InputError
from actiongpt_jax.features import pose6d
from actiongpt_jax.geometry.body import Body, skin
from actiongpt_jax.geometry.kinematics import forward_kinematics
from actiongpt_jax.geometry.rotations import rot6d_to_matrix, unit
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.losses.contrastive import contrastive
from actiongpt_jax.losses.terms import Term, masked_term
from actiongpt_jax.models.motionclip import MotionClipOutputs

# Number of body joints -> joints of SMPL or SMPL-H in rows 22 and 23 of the poses.
_HANDS = {24: (22, 23), 52: (22, 37)}


def terms(
    outputs: MotionClipOutputs,
    batch: dict[str, jax.Array],
    config: Config,
    *,
    body: Body | None = None,
    axis_name: str | None = None,
) -> dict[str, Term]:
    """Computes, unweighted, every term of the loss that has a weight.

    Items without a real frame (fillers of a last batch) are left out.

    Args:
        outputs: outputs of `models.MotionClip`.
        batch: poses (B, T, 150), frame_mask (B, T).
        config: `config.losses` has the weights (see `weights`) and logit_scale, the
            logarithm of the factor that multiplies cosines in the contrastive terms.
        body: body whose vertices rcxyz and velxyz compare; None compares the 22
            joints of the built-in skeleton. In both cases the root stays in place.
        axis_name: name of the device axis over which contrastive terms gather the
            batch; None on one device.

    Returns:
        name -> (sum, count).
    """
    target, mask = batch["poses"], batch["frame_mask"]
    item_mask, latent = mask.any(-1), outputs.latent
    target_points = body_points(target, body)
    computed = {}
    for prefix, poses in (("", outputs.poses), ("gen_", outputs.poses_text)):
        if poses is None:
            continue
        points = body_points(poses, body)
        computed |= {
            f"{prefix}rc": reconstruction(poses, target, mask),
            f"{prefix}rcxyz": reconstruction(points, target_points, mask),
            f"{prefix}vel": velocity(poses, target, mask),
            f"{prefix}velxyz": velocity(points, target_points, mask),
        }
    for domain, vector in (("text", outputs.text), ("image", outputs.image)):
        if vector is None:
            continue
        cosine = (unit(vector) * unit(latent)).sum(-1)
        scale = config.losses.logit_scale
        computed |= {
            f"{domain}_cosine": masked_term(1.0 - cosine, item_mask),
            f"{domain}_mse": masked_term((vector - latent) ** 2, item_mask),
            f"{domain}_mixed_ce": contrastive(
                unit(latent), unit(vector), item_mask, scale, axis_name
            ),
        }
    # Under jit, terms that are left out here are never computed.
    return {name: computed[name] for name in weights(config) if name in computed}


def weights(config: Config) -> dict[str, float]:
    """Returns the weight of every term whose weight is not 0.

    Args:
        config: `config.losses` has lambda_{rc,rcxyz,vel,velxyz} and, for text and
            image, {text,image}_{cosine,mse,ce}. Terms of pictures are left out
            unless `config.data.images` is set. Terms of decoded texts (gen_...) have
            the weights of the terms of motions; they are left out unless
            `config.model.decode_text` is set.
    """
    losses = config.losses
    motion = {
        name: losses[f"lambda_{name}"] for name in ("rc", "rcxyz", "vel", "velxyz")
    }
    all_weights = dict(motion)
    if config.model.decode_text:
        all_weights |= {f"gen_{name}": weight for name, weight in motion.items()}
    for domain in ("text", "image") if config.data.images else ("text",):
        all_weights |= {
            f"{domain}_cosine": losses[f"{domain}_cosine"],
            f"{domain}_mse": losses[f"{domain}_mse"],
            f"{domain}_mixed_ce": losses[f"{domain}_ce"],
        }
    return {name: weight for name, weight in all_weights.items() if weight}


def reconstruction(
    prediction: Float[Array, "b t ..."],
    target: Float[Array, "b t ..."],
    mask: Bool[Array, "b t"],
) -> Term:
    """Returns the squared error over real frames as (sum, count of numbers)."""
    return masked_term((prediction - target) ** 2, mask)


def velocity(
    prediction: Float[Array, "b t ..."],
    target: Float[Array, "b t ..."],
    mask: Bool[Array, "b t"],
) -> Term:
    """Returns the squared error of the changes between successive real frames."""
    change = jnp.diff(prediction, axis=1) - jnp.diff(target, axis=1)
    return masked_term(change**2, mask[:, 1:])


def body_points(
    poses: Float[Array, "b t f"], body: Body | None = None
) -> Float[Array, "b t n 3"]:
    """Places the joints or vertices of a body of mean shape, with a root at rest.

    Args:
        poses: (B, T, 150) pose features; see `features.pose6d`.
        body: body whose vertices to return; None returns the 22 joints of the
            built-in skeleton.

    Returns:
        (B, T, N, 3) positions, metres.

    Raises:
        InputError: if the body is neither SMPL's nor SMPL-H's.
    """
    rotations = rot6d_to_matrix(pose6d.joint_rows(poses))
    still = jnp.zeros((*poses.shape[:-1], 3), poses.dtype)
    if body is None:
        return forward_kinematics(rotations[..., : SMPL22.num_joints, :, :], still)
    if body.num_joints not in _HANDS:
        raise InputError(
            f"the body must have the 24 joints of SMPL or the 52 of SMPL-H, got "
            f"{body.num_joints}; give one of these models"
        )
    left, right = _HANDS[body.num_joints]
    if right != pose6d.NUM_JOINTS - 1:
        rest = jnp.eye(3, dtype=rotations.dtype)
        shape = (*rotations.shape[:-3], right - left - 1, 3, 3)
        between = jnp.broadcast_to(rest, shape)
        rotations = jnp.concatenate(
            [rotations[..., :23, :, :], between, rotations[..., 23:, :, :]], -3
        )
    return skin(body, rotations, still)[1]
