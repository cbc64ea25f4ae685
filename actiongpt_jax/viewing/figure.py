"""The figure that stands for a body without a body model: joints, tips, capsules."""

import dataclasses

import jax
import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.kinematics import facing, place_on_host
from actiongpt_jax.geometry.skeletons import SMPL22, Skeleton

# Ends that SMPL has no joint for: name, parent, offset in metres at rest. Lengths are
# of an adult of SMPL's mean size, by eye.
_TIPS = (
    ("head_top", "head", (0.0, 0.115, 0.02)),
    ("left_toes", "left_foot", (0.008, -0.004, 0.055)),
    ("right_toes", "right_foot", (-0.008, -0.004, 0.055)),
    ("left_fingers", "left_wrist", (0.14, -0.008, 0.01)),
    ("right_fingers", "right_wrist", (-0.14, -0.008, 0.01)),
)
FIGURE = Skeleton(
    names=(*SMPL22.names, *(name for name, _, _ in _TIPS)),
    parents=(*SMPL22.parents, *(SMPL22.names.index(above) for _, above, _ in _TIPS)),
    offsets=(*SMPL22.offsets, *(offset for _, _, offset in _TIPS)),
)
# Radius of the body at the start and the end of the bone that ends in a joint, metres,
# by eye; sides alike.
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


@dataclasses.dataclass(frozen=True)
class Bone:
    """One capsule of the figure.

    Attributes:
        start: joint that it is fixed to and begins in.
        end: joint or tip that it ends in.
        radii: at both, metres.
        side: 'left', 'right' or 'middle' of the body.
    """

    start: int
    end: int
    radii: tuple[float, float]
    side: str


def _bones() -> tuple[Bone, ...]:
    bones = []
    for end, (name, start) in enumerate(zip(FIGURE.names, FIGURE.parents, strict=True)):
        if start < 0:
            continue
        side, _, part = name.partition("_")
        if side not in ("left", "right"):
            side, part = "middle", name
        bones.append(Bone(start, end, _RADII[part], side))
    return tuple(bones)


BONES = _bones()
_facing = jax.jit(facing)


def motion_matrices(motion: Motion) -> Float[np.ndarray, "t 22 3 3"]:
    """Returns a motion's parent-relative rotations as float64 matrices."""
    shape = motion.rotations.shape
    matrices = Rotation.from_rotvec(motion.rotations.reshape(-1, 3)).as_matrix()
    return matrices.reshape(*shape, 3)


def figure_points(motion: Motion) -> Float[np.ndarray, "t 27 3"]:
    """Returns the joints of a motion and the tips of `FIGURE`, metres, z-up."""
    matrices = np.tile(np.eye(3), (len(motion.rotations), FIGURE.num_joints, 1, 1))
    matrices[:, : SMPL22.num_joints] = motion_matrices(motion)
    return place_on_host(matrices, motion.translation, FIGURE)


def first_heading(motion: Motion) -> float:
    """Returns the angle on the ground, from +x, in which frame 0 faces, radians."""
    pelvis = motion_matrices(motion)[0, 0].astype(np.float32)
    x, y = np.asarray(_facing(pelvis))
    return float(np.arctan2(y, x))


def active_phrase(motion: Motion) -> np.ndarray:
    """Returns (T,) the index into `motion.text` of each frame's phrase, -1 for none."""
    frames = len(motion.rotations)
    if len(motion.text) == len(motion.lengths) and motion.lengths:
        return np.repeat(np.arange(len(motion.text)), motion.lengths)
    return np.full(frames, 0 if len(motion.text) == 1 else -1)


def check_motion(motion: Motion, name: str = "the motion") -> None:
    """Checks what a motion made by hand could get wrong.

    Raises:
        InputError: for no frames, another number of joints, or NaN.
    """
    shape, places = np.shape(motion.rotations), np.shape(motion.translation)
    if len(shape) != 3 or shape[1:] != (22, 3) or places != (shape[0], 3):
        raise InputError(
            f"{name} must have rotations (T, 22, 3) and translation (T, 3), got "
            f"{shape} and {places}; give the 22 body joints of SMPL"
        )
    if not shape[0]:
        raise InputError(f"{name} must have frames, got 0; leave it out")
    if not (
        np.isfinite(motion.rotations).all() and np.isfinite(motion.translation).all()
    ):
        raise InputError(f"{name} must be finite, got NaN or infinity; repair it")
    if not np.isfinite(motion.fps) or motion.fps <= 0:
        raise InputError(
            f"{name} must have a frame rate above 0, got {motion.fps}; set its fps"
        )
    if motion.lengths and sum(motion.lengths) != shape[0]:
        raise InputError(
            f"{name}: lengths must add up to its {shape[0]} frames, got "
            f"{sum(motion.lengths)}; correct them"
        )
