"""Geometry to draw a motion: joints, capsules around bones, or a body model's mesh."""

import dataclasses

import jax
import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry import body as bodies
from actiongpt_jax.geometry.kinematics import facing, place_on_host
from actiongpt_jax.geometry.skeletons import SMPL22, Skeleton
from actiongpt_jax.shapes import check_shape

# The limbs are coloured by side, head and trunk are neutral. A dark visor on the face
# tells front from back.
COLOURS = {
    "left": "#d1495b",
    "right": "#3a78b0",
    "middle": "#bdb8ae",
    "visor": "#33363c",
}
# Colours of the actions of a series, repeated if there are more; they differ from those
# of the limbs and are visible on light and on dark floors.
ACTION_COLOURS = ("#2b9d57", "#d07a1e", "#8f63c9", "#1d9aa3", "#a98a10")
# Points for which SMPL has no joint: name, parent, offset in metres at rest.
# Lengths are estimated by eye for an adult of SMPL's mean size.
_TIPS = (
    ("head_top", "head", (0.0, 0.115, 0.02)),
    ("left_toes", "left_foot", (0.008, -0.004, 0.055)),
    ("right_toes", "right_foot", (-0.008, -0.004, 0.055)),
    ("left_fingers", "left_wrist", (0.14, -0.008, 0.01)),
    ("right_fingers", "right_wrist", (-0.14, -0.008, 0.01)),
    ("visor_left", "head", (0.048, 0.112, 0.062)),
    ("visor_front", "head", (0.0, 0.112, 0.087)),
    ("visor_right", "head", (-0.048, 0.112, 0.062)),
)
FIGURE = Skeleton(
    names=(*SMPL22.names, *(name for name, _, _ in _TIPS)),
    parents=(*SMPL22.parents, *(SMPL22.names.index(above) for _, above, _ in _TIPS)),
    offsets=(*SMPL22.offsets, *(offset for _, _, offset in _TIPS)),
)
# Joint or tip at the end of a bone -> radii at the bone's start and end, in metres,
# estimated by eye; left and right are equal.
_RADII = {
    "hip": (0.095, 0.088),
    "spine1": (0.108, 0.103),
    "knee": (0.082, 0.056),
    "spine2": (0.103, 0.110),
    "ankle": (0.054, 0.038),
    "spine3": (0.110, 0.112),
    "foot": (0.040, 0.034),
    "neck": (0.100, 0.055),
    "collar": (0.085, 0.070),
    "head": (0.052, 0.055),
    "shoulder": (0.068, 0.058),
    "elbow": (0.050, 0.038),
    "wrist": (0.037, 0.028),
    "head_top": (0.078, 0.092),
    "toes": (0.034, 0.026),
    "fingers": (0.030, 0.020),
}
# The bones to these belong to the trunk, although they have a side.
_TRUNK = ("hip", "collar", "shoulder")


@dataclasses.dataclass(frozen=True)
class Bone:
    """One capsule of the figure.

    Attributes:
        start: index of the point where the capsule begins.
        end: index of the point where the capsule ends.
        radii: radii at the start and at the end, metres.
        part: 'left' or 'right' limb, 'middle' (head and trunk) or 'visor'.
        joint: index of the SMPL joint to which the capsule is fixed.
    """

    start: int
    end: int
    radii: tuple[float, float]
    part: str
    joint: int


def _bone(end: int) -> Bone:
    side, _, name = FIGURE.names[end].rpartition("_")
    if side not in ("left", "right"):
        side, name = "middle", FIGURE.names[end]
    start = FIGURE.parents[end]
    part = "middle" if name in _TRUNK else side
    return Bone(start, end, _RADII[name], part, start)


_VISOR = FIGURE.names.index("visor_left")
BONES = (
    *map(_bone, range(1, _VISOR)),
    *(
        Bone(_VISOR + i, _VISOR + i + 1, (0.04, 0.04), "visor", FIGURE.parents[_VISOR])
        for i in range(2)
    ),
)
_HEAD = FIGURE.names.index("head_top")
THIN_RADIUS = 0.022  # of a skeleton's bones, metres


def bone_radii(figure: str) -> Float[np.ndarray, "n 2"]:
    """Returns the radii of `BONES` at start and end, metres.

    Args:
        figure: how the body is drawn, one of `choices.FIGURES`. A skeleton has thin
            bones, but the same head and visor.
    """
    radii = np.array([bone.radii for bone in BONES])
    if figure == "skeleton":
        thin = [bone.end != _HEAD and bone.part != "visor" for bone in BONES]
        radii[thin] = THIN_RADIUS
    return radii


# The world's z axis becomes y, and -y becomes +z, the direction that glTF faces.
_Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
_SKINNED_FRAMES = 32  # frames per call; the blended joints take 1 MB per frame
_facing = jax.jit(facing)
_skin = jax.jit(bodies.skin)


def motion_matrices(motion: Motion) -> Float[np.ndarray, "t 22 3 3"]:
    """Returns a motion's parent-relative rotations as float64 matrices."""
    shape = motion.rotations.shape
    matrices = Rotation.from_rotvec(motion.rotations.reshape(-1, 3)).as_matrix()
    return matrices.reshape(*shape, 3)


def y_up(
    motion: Motion,
) -> tuple[Float[np.ndarray, "t 22 3 3"], Float[np.ndarray, "t 3"]]:
    """Converts a motion to a y-up world.

    Returns:
        (T, 22, 3, 3) float64 parent-relative rotations, and (T, 3) positions of the
        pelvis itself, metres.
    """
    matrices = motion_matrices(motion)
    matrices[:, 0] = _Y_UP @ matrices[:, 0]
    pelvis = np.asarray(motion.translation, np.float64) + SMPL22.rest_joints[0]
    return matrices, pelvis @ _Y_UP.T


def figure_points(motion: Motion) -> Float[np.ndarray, "t 30 3"]:
    """Returns the points of `FIGURE` in every frame, metres, z-up."""
    matrices = np.tile(np.eye(3), (len(motion.rotations), FIGURE.num_joints, 1, 1))
    matrices[:, : SMPL22.num_joints] = motion_matrices(motion)
    return place_on_host(matrices, motion.translation, FIGURE)


def body_vertices(motion: Motion, body: bodies.Body) -> Float[np.ndarray, "t v 3"]:
    """Poses a body model with its mean shape in every frame of a motion.

    Args:
        motion: the motion to follow.
        body: SMPL, SMPL-H or another body model with SMPL's 22 body joints first.

    Returns:
        (T, V, 3) vertices, metres, z-up.

    Raises:
        InputError: if the body model has fewer joints or no faces.
    """
    if body.faces is None or body.num_joints < SMPL22.num_joints:
        raise InputError(
            "the body model must have faces and SMPL's 22 body joints, got "
            f"{body.num_joints} joints; use SMPL's or SMPL-H's model.npz"
        )
    matrices = motion_matrices(motion).astype(np.float32)
    frames, parts = len(matrices), []
    for start in range(0, frames, _SKINNED_FRAMES):
        rows = np.minimum(np.arange(start, start + _SKINNED_FRAMES), frames - 1)
        _, vertices = _skin(body, matrices[rows], motion.translation[rows])
        parts.append(np.asarray(vertices))
    return np.concatenate(parts)[:frames]


def first_heading(motion: Motion) -> float:
    """Returns the ground direction that frame 0 faces, radians from +x."""
    pelvis = motion_matrices(motion)[0, 0].astype(np.float32)
    x, y = np.asarray(_facing(pelvis))
    return float(np.arctan2(y, x))


def active_phrase(motion: Motion) -> np.ndarray:
    """Returns (T,) indices of the frames' phrases in `motion.text`; -1: no phrase."""
    if len(motion.text) == len(motion.lengths) and motion.lengths:
        return np.repeat(np.arange(len(motion.text)), motion.lengths)
    return np.full(len(motion.rotations), 0 if len(motion.text) == 1 else -1)


def interpolate(values: np.ndarray, place: float) -> np.ndarray:
    """Interpolates linearly between frames.

    Args:
        values: (T, ...) one value per frame.
        place: number of the frame, which may be fractional; after the end, the last.

    Returns:
        (...) the value at that place.
    """
    place = min(place, len(values) - 1)
    # A time in seconds times a frame rate is a whole number only up to rounding.
    before = int(place + 1e-6)
    share = max(place - before, 0.0)
    after = min(before + 1, len(values) - 1)
    return values[before] + share * (values[after] - values[before])


def check_motion(motion: Motion, name: str = "the motion") -> None:
    """Checks that a motion is complete, finite and consistent.

    Raises:
        InputError: if there are no frames, not 22 joints or a value that is not
            finite, or if the frame rate or the lengths are invalid.
    """
    remedy = "give the 22 body joints of SMPL"
    axes = f"T {SMPL22.num_joints} 3"
    sizes = check_shape(f"{name}: rotations", motion.rotations, axes, remedy=remedy)
    check_shape(f"{name}: translation", motion.translation, "T 3", sizes)
    frames = sizes["T"]
    if not frames:
        raise InputError(
            f"{name} must have at least one frame, got 0; remove this motion"
        )
    if not (
        np.isfinite(motion.rotations).all() and np.isfinite(motion.translation).all()
    ):
        raise InputError(
            f"{name} must be finite, got NaN or infinity; repair the motion"
        )
    if not np.isfinite(motion.fps) or motion.fps <= 0:
        raise InputError(
            f"{name} must have a frame rate above 0, got {motion.fps}; set its fps"
        )
    if motion.lengths and sum(motion.lengths) != frames:
        raise InputError(
            f"{name}: lengths must add up to its {frames} frames, got "
            f"{sum(motion.lengths)}; correct the lengths"
        )
