"""Physical plausibility of motions: sliding feet, jerk, and contact with the ground.

These figures need no captured motion. All are measured on the 22 joints of SMPL in a
z-up world, in metres and seconds, per motion and as (sum, count), so that batches add
up. Frames beyond a motion's length are ignored and need not be finite. The frame rate
is always an argument, so that figures at 20 and 30 fps are comparable; the published
jerks (per frame cubed) are not.

Source: skating ratio, GMD (arXiv:2305.12577), as its code computes it; jerk, FlowMDM
(arXiv:2402.15509); transition distance, TEACH (arXiv:2209.04066); ground and sliding
after PhysDiff (arXiv:2212.02500), but under other names, because they use joints and a
sole height instead of vertices.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.rotations import AnyArray
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.shapes import check_shape

Term = tuple[jax.Array, jax.Array]

_LEFT_ANKLE, _RIGHT_ANKLE, _LEFT_TOES, _RIGHT_TOES = 7, 8, 10, 11
# Published: contact below 5 cm; skating above 0.5 m/s, both now and on average over
# 5 frames at 20 fps.
CONTACT_HEIGHT, SKATING_SPEED, _SKATING_SECONDS = 0.05, 0.5, 0.25
# Height of a joint above the sole, metres: an estimate for the toes; for the ankles
# that plus their height above the toes in the built-in skeleton at rest.
_SOLE = 0.02
_CLEARANCE = (
    (_LEFT_ANKLE, _SOLE - SMPL22.offsets[_LEFT_TOES][1]),
    (_RIGHT_ANKLE, _SOLE - SMPL22.offsets[_RIGHT_TOES][1]),
    (_LEFT_TOES, _SOLE),
    (_RIGHT_TOES, _SOLE),
)
# Published: distances up to 5 mm from the ground are ignored.
_TOLERANCE = 0.005
# Published: one second (30 frames at 30 fps), half of it on each side of the seam.
JERK_SECONDS = 0.5


def physical_sums(
    joints: Float[AnyArray, "*batch T 22 3"],
    lengths: Int[AnyArray, "*batch"],
    fps: float,
) -> dict[str, Term]:
    """Measures the physical plausibility of motions; jit-able.

    | name | mean over | quantity | unit |
    |---|---|---|---|
    | skating | steps between frames | a foot in contact slides, see `skating` | ratio |
    | foot_slide | contacts of a foot | movement of the foot on the ground | m |
    | penetration | frames | depth of the lowest sole below the floor | m |
    | floating | frames | height of the lowest sole above the floor | m |
    | jerk | frames except three | the largest jerk of a joint, see `jerk` | m/s^3 |
    | bone_drift | bones | standard deviation of the length over time | m |

    A foot is in contact from one frame to the next if its toe joint is less than
    0.05 m above the motion's own floor in both frames; that floor is the lowest
    position of both toe joints. penetration and floating are 0 within 5 mm.

    Args:
        joints: (..., T, 22, 3) metres, z up; the ground is at 0.
        lengths: (...) number of real frames of each motion; 0 for filler.
        fps: frames per second.

    Returns:
        name -> (sum, count), each (...).

    Raises:
        InputError: for wrong shapes, or a frame rate that is not above 0.
    """
    joints, real = _masked(joints, lengths, fps)
    skates, contact, step = _feet(joints, real, fps)
    pairs = real[..., 1:].sum(-1)
    soles = jnp.stack([joints[..., j, 2] - high for j, high in _CLEARANCE], -1)
    lowest = soles.min(-1)
    curve, inside = _jerk(joints, real, fps)
    frames = real.sum(-1)

    def mean_over(values: Array, chosen: Array) -> Array:
        return jnp.where(chosen, values, 0.0).sum(-1)

    sums = {
        "skating": (skates.sum(-1), pairs),
        "foot_slide": (
            jnp.where(contact, step, 0.0).sum((-1, -2)),
            contact.sum((-1, -2)),
        ),
        "penetration": (mean_over(_beyond(-lowest), real), frames),
        "floating": (mean_over(_beyond(lowest), real), frames),
        "jerk": (mean_over(curve, inside), inside.sum(-1)),
        "bone_drift": _bone_drift(joints, real),
    }
    dtype = joints.dtype
    return {n: (a.astype(dtype), b.astype(dtype)) for n, (a, b) in sums.items()}


def skating(
    joints: Float[AnyArray, "*batch T 22 3"],
    lengths: Int[AnyArray, "*batch"],
    fps: float,
) -> Bool[Array, "*batch T-1"]:
    """Finds the frames in which a foot slides.

    A foot in contact (see `physical_sums`) skates from one frame to the next if its
    speed on the ground is above 0.5 m/s both there and on average over the surrounding
    quarter of a second. As published, a foot counts as still beyond the ends.

    Args:
        joints: (..., T, 22, 3) metres, z up.
        lengths: (...) number of real frames of each motion.
        fps: frames per second.

    Returns:
        (..., T - 1) True where either foot skates.

    Raises:
        InputError: for wrong shapes, or a frame rate that is not above 0.
    """
    return _feet(*_masked(joints, lengths, fps), fps)[0]


def jerk(
    joints: Float[AnyArray, "*batch T J 3"],
    lengths: Int[AnyArray, "*batch"],
    fps: float,
) -> tuple[Float[Array, "*batch T-3"], Bool[Array, "*batch T-3"]]:
    """Returns the largest jerk of a joint at each time.

    The jerk of a joint is the sum of the absolute values of the three coordinates of
    the third difference over time, times fps cubed. Published figures are not
    multiplied by fps cubed.

    Args:
        joints: (..., T, J, 3) metres.
        lengths: (...) number of real frames of each motion.
        fps: frames per second.

    Returns:
        (..., T - 3) jerk in m/s^3, where entry t spans frames t to t + 3, and a mask
        that is True where all four frames are real; the jerk is 0 elsewhere.

    Raises:
        InputError: for wrong shapes, or a frame rate that is not above 0.
    """
    return _jerk(*_masked(joints, lengths, fps, joints.shape[-2]), fps)


def jerk_around(
    joints: Float[AnyArray, "*batch T J 3"],
    lengths: Int[AnyArray, "*batch"],
    seams: Int[AnyArray, "*batch"],
    fps: float,
) -> tuple[Float[Array, "*batch w"], Bool[Array, "*batch w"]]:
    """Cuts out the jerk around the seam between two actions.

    Args:
        joints: (..., T, J, 3) metres.
        lengths: (...) number of real frames of each motion.
        seams: (...) first frame of the second action; 0 for a motion without one.
        fps: frames per second.

    Returns:
        (..., W) jerk in m/s^3 from half a second before to half a second after the
        seam, whose middle entry spans the two frames on each side of the seam, and a
        mask that is True where these frames exist.

    Raises:
        InputError: for wrong shapes, or a frame rate that is not above 0.
    """
    curve, inside = jerk(joints, lengths, fps)
    half = round(JERK_SECONDS * fps)
    around = (
        jnp.asarray(seams)[..., None]
        - 2
        + jnp.arange(-half, half + 1).reshape((1,) * jnp.ndim(seams) + (-1,))
    )
    last = curve.shape[-1] - 1
    exists = (around >= 0) & (around <= last) & (jnp.asarray(seams) > 0)[..., None]
    rows = jnp.clip(around, 0, max(last, 0))
    window = jnp.take_along_axis(curve, rows, -1)
    exists &= jnp.take_along_axis(inside, rows, -1)
    return jnp.where(exists, window, 0.0), exists


def peak_and_area(
    sums: Float[AnyArray, " w"], counts: Float[AnyArray, " w"], level: float, fps: float
) -> dict[str, jax.Array]:
    """Computes the peak of the mean jerk around all seams, and the area under it.

    Args:
        sums: (W,) sums over all seams of the jerks that `jerk_around` returns.
        counts: (W,) number of seams at which each entry exists.
        level: mean jerk of real motions, m/s^3: the baseline curve of a motion
            without seams.
        fps: frames per second.

    Returns:
        `peak_jerk` is the largest of the W means, m/s^3, and `area_under_jerk` the
        integral over time of the absolute difference between the means and `level`,
        m/s^2. `published_peak` and `published_area` are the same per frame cubed, with
        the area summed over frames instead of integrated over time.
    """
    sums, counts = jnp.asarray(sums), jnp.asarray(counts)
    some = counts > 0
    means = sums / jnp.maximum(counts, 1)
    peak = jnp.where(some.any(), jnp.where(some, means, -jnp.inf).max(), jnp.nan)
    area = jnp.where(some, jnp.abs(means - level), 0.0).sum()
    area = jnp.where(some.any(), area, jnp.nan)
    return {
        "peak_jerk": peak,
        "area_under_jerk": area / fps,
        "published_peak": peak / fps**3,
        "published_area": area / fps**3,
    }


def transition_distance(
    joints: Float[AnyArray, "*batch T J 3"],
    seams: Int[AnyArray, "*batch"],
    *,
    root_aligned: bool = False,
) -> Float[Array, "*batch"]:
    """Returns how far joints move on average across a seam, from frame to frame.

    Args:
        joints: (..., T, J, 3) metres; joint 0 is the root.
        seams: (...) first frame of the second action, at least 1.
        root_aligned: whether to subtract the root's position from both frames first.

    Returns:
        (...) mean distance of the joints between the frames before and after the seam,
        metres.
    """
    joints = jnp.asarray(joints)
    if root_aligned:
        joints = joints - joints[..., :1, :]
    rows = jnp.stack([jnp.asarray(seams) - 1, jnp.asarray(seams)], -1)
    before, after = jnp.moveaxis(
        jnp.take_along_axis(joints, rows[..., None, None], -3), -3, 0
    )
    return jnp.sqrt(((after - before) ** 2).sum(-1)).mean(-1)


def _masked(
    joints: AnyArray, lengths: AnyArray, fps: float, num_joints: int = SMPL22.num_joints
) -> tuple[Array, Array]:
    """Returns joints that are 0 where there is no frame, and a mask of real frames."""
    joints, lengths = jnp.asarray(joints), jnp.asarray(lengths)
    sizes = check_shape("joints", joints, f"... T {num_joints} 3")
    check_shape("lengths", lengths, "...", sizes)
    if not fps > 0:
        raise InputError(f"fps must be above 0, got {fps}; give the frames per second")
    frames = jnp.arange(joints.shape[-3]).reshape((1,) * lengths.ndim + (-1,))
    real = frames < lengths[..., None]
    return jnp.where(real[..., None, None], joints, 0.0), real


def _feet(joints: Array, real: Array, fps: float) -> tuple[Array, Array, Array]:
    """Returns skating (..., T - 1), then contact and ground steps (..., T - 1, 2)."""
    toes = joints[..., (_LEFT_TOES, _RIGHT_TOES), :]
    heights = jnp.where(real[..., None], toes[..., 2], jnp.inf)
    low = heights - heights.min((-1, -2), keepdims=True) < CONTACT_HEIGHT
    both = real[..., 1:, None] & real[..., :-1, None]
    contact = low[..., 1:, :] & low[..., :-1, :] & both
    step = jnp.diff(toes[..., :2], axis=-3)
    step = jnp.where(both, jnp.sqrt((step**2).sum(-1)), 0.0)
    speed = step * fps
    reach = max(round((_SKATING_SECONDS * fps - 1) / 2), 0)
    ends = [(0, 0)] * (speed.ndim - 2) + [(reach, reach), (0, 0)]
    padded, size = jnp.pad(speed, ends), speed.shape[-2]
    windows = [padded[..., i : i + size, :] for i in range(2 * reach + 1)]
    average = sum(windows[1:], windows[0]) / (2 * reach + 1)
    skates = contact & (speed > SKATING_SPEED) & (average > SKATING_SPEED)
    return skates.any(-1), contact, step


def _jerk(joints: Array, real: Array, fps: float) -> tuple[Array, Array]:
    third = jnp.diff(joints, n=3, axis=-3)
    inside = real[..., 3:]
    curve = jnp.abs(third).sum(-1).max(-1) * fps**3
    return jnp.where(inside, curve, 0.0), inside


def _bone_drift(joints: Array, real: Array) -> Term:
    children = jnp.arange(1, SMPL22.num_joints)
    parents = jnp.asarray(SMPL22.parents[1:])
    bones = joints[..., children, :] - joints[..., parents, :]
    length = jnp.sqrt((bones**2).sum(-1))
    weight = real[..., None].astype(length.dtype)
    count = jnp.maximum(weight.sum(-2, keepdims=True), 1.0)
    mean = (length * weight).sum(-2, keepdims=True) / count
    variance = ((length - mean) ** 2 * weight).sum(-2) / count[..., 0, :]
    some = real.any(-1)
    total = jnp.where(some, jnp.sqrt(variance).sum(-1), 0.0)
    return total, jnp.where(some, children.size, 0)


def _beyond(distance: Array) -> Array:
    """Returns the distance where it exceeds the tolerance; 0 within it."""
    return jnp.where(distance > _TOLERANCE, distance, 0.0)
