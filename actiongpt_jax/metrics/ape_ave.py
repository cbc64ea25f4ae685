"""Average position error (APE) and average variance error (AVE) of joints.

Both are computed as sums and counts, so that batches add up to the result of one pass
over all motions:

    parts = [ape_ave_sums(...) for batch in batches]
    figures = combine(parts)

`ape_ave_each` returns the errors of every motion and joint, for confidence intervals
and breakdowns (see `metrics.intervals`).

Source: Ghosh et al. 2021 (arXiv:2103.14675); TEMOS (arXiv:2204.14109) for the
'reference' protocol, Action-GPT (arXiv:2211.15603) for 'paper'.
"""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from actiongpt_jax.choices import Protocol
from actiongpt_jax.errors import check_choice
from actiongpt_jax.features import rifke
from actiongpt_jax.geometry import kinematics
from actiongpt_jax.geometry import rotations as rot
from actiongpt_jax.geometry.rotations import AnyArray
from actiongpt_jax.shapes import check_shape

Mask = Bool[AnyArray, "*batch T"]
Sums = dict[str, tuple[jax.Array, jax.Array]]

PARTS = ("root", "traj", "local", "global")
NAMES = tuple(f"{metric}_{part}" for metric in ("ape", "ave") for part in PARTS)
_NUM_JOINTS = {"paper": 22, "reference": 21}


def ape_ave(
    generated: Float[AnyArray, "*batch T J 3"],
    reference: Float[AnyArray, "*batch T J 3"],
    lengths: Int[AnyArray, "*batch"],
    *,
    protocol: Protocol,
    mask: Mask | tuple[Mask, Mask] | None = None,
) -> dict[str, jax.Array]:
    """Measures the distance of generated motions from captured ones.

    | | 'paper' | 'reference' |
    |---|---|---|
    | joints | 22 of SMPL, z up | 21 of MMM, y up |
    | removed from both motions first | ground position and yaw of frame 0 | the same, by `rifke`, and its floor height |
    | root | pelvis | root |
    | traj | pelvis on the ground | root on the ground |
    | local | 21 joints minus the pelvis | 20 joints in axes that turn with the body |
    | global | all 22 | all 21 |

    APE is the distance, averaged over the frames of all motions with equal weight. AVE
    is the distance between the variances (one per coordinate, over time, 1 / (n - 1)),
    averaged over motions; motions of one frame have no variance and are left out.
    local and global are means over their joints.

    Args:
        generated: (..., T, J, 3) metres, padded to T frames.
        reference: (..., T, J, 3) metres.
        lengths: (...) number of frames of each motion to compare; 0 for filler.
        protocol: 'paper' or 'reference'.
        mask: (..., T) True for frames that exist, or a pair of such masks for
            `generated` and `reference`. Masked frames are not compared either, and
            need not be finite. 'paper' needs no mask. In 'reference' all T frames
            enter the floor estimate unless masked, as published.

    Returns:
        ape_root ape_traj ape_local ape_global, metres; ave_root ave_traj ave_local
        ave_global, square metres. NaN if there is nothing to average.

    Raises:
        InputError: for an unknown protocol or shapes that do not fit it.
    """  # noqa: E501 (a table row)
    sums = ape_ave_sums(generated, reference, lengths, protocol=protocol, mask=mask)
    return {name: total / count for name, (total, count) in sums.items()}


def combine(parts: Iterable[Mapping[str, tuple]]) -> dict[str, float]:
    """Averages the results of `ape_ave_sums` over batches (or devices).

    Args:
        parts: results of `ape_ave_sums`, one per batch.

    Returns:
        The figures of `ape_ave` over all batches, as floats.
    """
    totals = {name: [0.0, 0.0] for name in NAMES}
    for part in jax.device_get(list(parts)):
        for name in NAMES:
            totals[name][0] += float(part[name][0])
            totals[name][1] += float(part[name][1])
    return {
        name: total / count if count else float("nan")
        for name, (total, count) in totals.items()
    }


def ape_ave_sums(
    generated: Float[AnyArray, "*batch T J 3"],
    reference: Float[AnyArray, "*batch T J 3"],
    lengths: Int[AnyArray, "*batch"],
    *,
    protocol: Protocol,
    mask: Mask | tuple[Mask, Mask] | None = None,
) -> Sums:
    """Returns the sums and counts behind `ape_ave`; jit-able, differentiable.

    Args:
        generated: generated joints; see `ape_ave`.
        reference: captured joints; see `ape_ave`.
        lengths: number of frames to compare; see `ape_ave`.
        protocol: 'paper' or 'reference'; see `ape_ave`.
        mask: frames that exist; see `ape_ave`.

    Returns:
        name -> (sum, count): APE counts frames, AVE counts motions.

    Raises:
        InputError: for an unknown protocol or shapes that do not fit it.
    """
    frames, totals = _totals(generated, reference, lengths, protocol, mask)
    counts = {"ape": frames.sum(), "ave": (frames > 1).sum()}
    return {
        name: (total.mean(-1).sum(), counts[name[:3]].astype(total.dtype))
        for name, total in totals.items()
    }


def ape_ave_each(
    generated: Float[AnyArray, "*batch T J 3"],
    reference: Float[AnyArray, "*batch T J 3"],
    lengths: Int[AnyArray, "*batch"],
    *,
    protocol: Protocol,
    mask: Mask | tuple[Mask, Mask] | None = None,
) -> dict[str, jax.Array]:
    """Returns the errors of each motion and joint behind `ape_ave`.

    Args:
        generated: generated joints; see `ape_ave`.
        reference: captured joints; see `ape_ave`.
        lengths: number of frames to compare; see `ape_ave`.
        protocol: 'paper' or 'reference'; see `ape_ave`.
        mask: frames that exist; see `ape_ave`.

    Returns:
        `frames`, the (...) number of compared frames; and the figures of `ape_ave`,
        root and traj as (..., 1), local and global as (..., joints). ape is the mean
        over the motion's frames (0 if it has none); ave is 0 below two frames.

    Raises:
        InputError: for an unknown protocol or shapes that do not fit it.
    """
    frames, totals = _totals(generated, reference, lengths, protocol, mask)
    counts = jnp.maximum(frames, 1)[..., None]
    each = {
        name: total / counts if name.startswith("ape") else total
        for name, total in totals.items()
    }
    return {"frames": frames, **each}


def _totals(
    generated: Float[AnyArray, "*batch T J 3"],
    reference: Float[AnyArray, "*batch T J 3"],
    lengths: Int[AnyArray, "*batch"],
    protocol: Protocol,
    mask: Mask | tuple[Mask, Mask] | None,
) -> tuple[Array, dict[str, Array]]:
    """Returns the number of frames (...), and per joint the summed APE and the AVE."""
    generated, reference = jnp.asarray(generated), jnp.asarray(reference)
    lengths = jnp.asarray(lengths)
    _check(generated, reference, lengths, protocol)
    masks = mask if isinstance(mask, tuple) else (mask, mask)
    frames = jnp.arange(generated.shape[-3]).reshape((1,) * lengths.ndim + (-1,))
    compared = frames < lengths[..., None]
    for one in masks:
        if one is not None:
            compared = compared & one

    parts_of = _paper_parts if protocol == "paper" else _reference_parts
    generated_parts = parts_of(generated, masks[0], compared)
    reference_parts = parts_of(reference, masks[1], compared)
    # The compiler may round the two sides differently, but the distance of a motion
    # from itself must be exactly 0.
    if protocol == "reference":  # every frame that exists affects the floor height
        matter = [jnp.ones_like(compared) if one is None else one for one in masks]
    else:
        matter = [compared, compared]
    equal = (generated == reference).all((-1, -2)) | ~matter[0]
    same = (equal & (matter[0] == matter[1])).all(-1)[..., None]
    num_frames = compared.sum(-1)
    totals = {}
    for name, a, b in zip(PARTS, generated_parts, reference_parts, strict=True):
        errors = jnp.where(compared[..., None], _distance(a, b), 0.0).sum(-2)
        totals[f"ape_{name}"] = jnp.where(same, 0.0, errors)
        errors = _distance(_variance(a, compared), _variance(b, compared))
        alone = num_frames[..., None] < 2
        totals[f"ave_{name}"] = jnp.where(same | alone, 0.0, errors)
    return num_frames, {name: totals[name] for name in NAMES}


def _paper_parts(joints: Array, mask: AnyArray | None, compared: Array):
    """Returns (root, traj, local, global), each (..., T, joints, coordinates)."""
    del mask  # `compared` already contains it
    joints = jnp.where(compared[..., None, None], joints, 0.0)
    first = joints[..., 0, :, :]
    now = kinematics.facing(kinematics.pelvis_from_joints(first))
    goal = jnp.broadcast_to(jnp.asarray([0.0, -1.0], now.dtype), now.shape)
    turn = kinematics.turn_between(now, goal)[..., None, None, :, :]
    start = first[..., :1, :] * jnp.asarray([1.0, 1.0, 0.0], joints.dtype).reshape(
        (1,) * (first.ndim - 1) + (3,)
    )
    moved = joints - start[..., None, :, :]
    moved = rot.rotate(jnp.broadcast_to(turn, (*moved.shape, 3)), moved)
    root = moved[..., :1, :]
    return root, root[..., :2], moved[..., 1:, :] - root, moved


def _reference_parts(joints: Array, mask: AnyArray | None, compared: Array):
    """Returns (root, traj, local, global), each (..., T, joints, coordinates)."""
    if mask is not None:
        joints = jnp.where(mask[..., None, None], joints, 0.0)
    features = rifke.encode(joints, mask=mask)
    moved = rifke.decode(features)
    root = moved[..., :1, :]
    return tuple(
        jnp.where(compared[..., None, None], part, 0.0)
        for part in (root, root[..., ::2], rifke.local_poses(features), moved)
    )


def _variance(values: Array, real: Array) -> Array:
    """Returns the unbiased variance over real frames, (..., T, J, C) -> (..., J, C)."""
    weight = real[..., None, None].astype(values.dtype)
    count = weight.sum(-3, keepdims=True)
    mean = (values * weight).sum(-3, keepdims=True) / jnp.maximum(count, 1.0)
    squares = ((values - mean) ** 2 * weight).sum(-3, keepdims=True)
    return (squares / jnp.maximum(count - 1.0, 1.0))[..., 0, :, :]


def _distance(a: Array, b: Array) -> Array:
    """Returns lengths of differences over the last axis; the gradient at 0 is 0."""
    squared = ((a - b) ** 2).sum(-1)
    differ = squared > 0
    return jnp.where(differ, jnp.sqrt(jnp.where(differ, squared, 1.0)), 0.0)


def _check(generated: Array, reference: Array, lengths: Array, protocol: str) -> None:
    check_choice("protocol", protocol, _NUM_JOINTS)
    axes = f"... T {_NUM_JOINTS[protocol]} 3"
    remedy = f"pass the joints of protocol '{protocol}'"
    sizes = check_shape("generated", generated, axes, remedy=remedy)
    remedy = "pad both to the same number of frames"
    check_shape("reference", reference, axes, sizes, remedy)
    check_shape("lengths", lengths, "...", sizes)
