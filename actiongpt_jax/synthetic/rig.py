"""The animation rig of the synthetic corpus: turns controls into SMPL rotations.

An animator's controls (positions of the pelvis, the hands and the feet, angles of the
torso and the head) become parent-relative rotations by closed-form two-bone inverse
kinematics, for all frames at once. Planted feet take precedence: the pelvis is lowered
until both legs reach them.

Index 0 is the left side, 1 the right. "Out" means away from the body's middle.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.spatial.transform import Rotation

from actiongpt_jax.geometry.skeletons import SMPL22

BOTH = LEFT, RIGHT = 0, 1
OUT = np.array([1.0, -1.0])  # +x is left, so "out" is +x on the left side
OFFSETS = np.array(SMPL22.offsets)
BALL_HEIGHT = 0.02  # metres from the floor to the joint in the ball of a flat foot
STAND_HEIGHT = 0.925  # metres from the floor to the pelvis, knees just unlocked
REACH = 0.99  # share of full length that a planted leg uses: a locked knee jerks
HIP, KNEE, ANKLE, BALL = (1, 2), (4, 5), (7, 8), (10, 11)
COLLAR, SHOULDER, ELBOW, WRIST = (13, 14), (16, 17), (18, 19), (20, 21)
SPINE = ((3, 0.35), (6, 0.35), (9, 0.3))  # share of the torso's bend in each joint
NECK = ((12, 0.5), (15, 0.5))
KNEE_AXIS = np.array([1.0, 0.0, 0.0])  # positive takes the shin backwards
ELBOW_AXES = np.array([[0.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
ARM_LENGTH = float(np.linalg.norm(OFFSETS[18]) + np.linalg.norm(OFFSETS[20]))

# Indices of the three angles, of a position, and of the angles of a free leg.
PITCH, TURN, LEAN = 0, 1, 2
ACROSS, UP, AHEAD = 0, 1, 2
FLEXION, ABDUCTION, FOLD, POINT = 0, 1, 2, 3


@dataclasses.dataclass
class Controls:
    """The controls of T frames, except the path and the feet.

    Angles are in radians. Three angles are (pitch forward, turn to the left, lean to
    the right), combined as turn * pitch * lean.

    Attributes:
        shift: (T, 3) metres (left, up, forward) of the pelvis from its place when
            standing.
        pelvis: (T, 3) angles of the pelvis.
        torso: (T, 3) angles of the torso.
        head: (T, 3) angles of the head.
        hands: (T, 2, 3) arm lengths (out, up, forward) from the shoulder, in the
            chest's frame.
        elbows: (T, 2, 3) direction in which the elbow points, in the same frame.
        wrists: (T, 2) angle in the plane of the palm.
        shoulders: (T, 2) angle by which a shoulder is raised.
        lift: (T, 2) weight from 0, the leg follows its foot in `Track`, to 1, it
            follows the angles in `leg`.
        leg: (T, 2, 4) angles: hip flexion, hip abduction, knee flexion, pointed foot.
        heel: (T, 2) angle by which the heel is raised.
    """

    shift: Float[np.ndarray, "T 3"]
    pelvis: Float[np.ndarray, "T 3"]
    torso: Float[np.ndarray, "T 3"]
    head: Float[np.ndarray, "T 3"]
    hands: Float[np.ndarray, "T 2 3"]
    elbows: Float[np.ndarray, "T 2 3"]
    wrists: Float[np.ndarray, "T 2"]
    shoulders: Float[np.ndarray, "T 2"]
    lift: Float[np.ndarray, "T 2"]
    leg: Float[np.ndarray, "T 2 4"]
    heel: Float[np.ndarray, "T 2"]


@dataclasses.dataclass
class Track(Controls):
    """All controls of T frames, with the path and the feet in world coordinates.

    Attributes:
        path: (T, 2) ground position of the body, metres.
        heading: (T,) radians; 0 faces along +x of the world, positive turns left.
        ball: (T, 2, 3) position of the balls of the feet.
        foot_yaw: (T, 2) heading of the feet, radians.
        foot_pitch: (T, 2) radians, positive raises the heel.
        contact: (T, 2) True where the foot is planted.
    """

    path: Float[np.ndarray, "T 2"]
    heading: Float[np.ndarray, "T"]
    ball: Float[np.ndarray, "T 2 3"]
    foot_yaw: Float[np.ndarray, "T 2"]
    foot_pitch: Float[np.ndarray, "T 2"]
    contact: Bool[np.ndarray, "T 2"]

    def __len__(self) -> int:
        """Returns the number of frames."""
        return len(self.path)


CONTROLS = tuple(field.name for field in dataclasses.fields(Controls))
FIELDS = tuple(field.name for field in dataclasses.fields(Track))


def join(tracks: list[Track]) -> Track:
    """Concatenates tracks in time."""
    return Track(
        **{
            name: np.concatenate([getattr(track, name) for track in tracks])
            for name in FIELDS
        }
    )


def about(axis: int, angle: np.ndarray) -> np.ndarray:
    """Returns (..., 3, 3) rotations by `angle` (...) about axis 0, 1, 2 (x, y, z)."""
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.zeros((*np.shape(angle), 3, 3))
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1.0
    matrix[..., first, first] = matrix[..., second, second] = cos
    matrix[..., second, first] = sin
    matrix[..., first, second] = -sin
    return matrix


def bend(angles: np.ndarray) -> np.ndarray:
    """Returns (..., 3, 3) rotations by (pitch, turn, lean) angles (..., 3)."""
    return (
        about(1, angles[..., 1]) @ about(0, angles[..., 0]) @ about(2, angles[..., 2])
    )


def facing(heading: np.ndarray) -> np.ndarray:
    """Returns rotations from the y-up body frame to the z-up world at `heading`."""
    body_to_world = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    return about(2, heading) @ body_to_world


def solve(
    track: Track, fps: float
) -> tuple[Float[np.ndarray, "T 22 3"], Float[np.ndarray, "T 3"]]:
    """Turns controls into a motion.

    Args:
        track: the controls of T frames.
        fps: frames per second; the pelvis is smoothed over a tenth of a second.

    Returns:
        (T, 22, 3) parent-relative axis-angle (joint 0 is the global orientation) and
        (T, 3) SMPL translation, metres, z-up.
    """
    local = np.tile(np.eye(3), (len(track), 22, 1, 1))
    local[:, 0] = facing(track.heading) @ bend(track.pelvis)
    feet = facing(track.foot_yaw) @ about(0, track.foot_pitch + track.heel)
    ankles = track.ball - np.einsum("tsij,sj->tsi", feet, OFFSETS[list(BALL)])
    pelvis = _pelvis(track, local[:, 0], ankles, fps)
    for angles, joints in ((track.torso, SPINE), (track.head, NECK)):
        for joint, share in joints:
            local[:, joint] = bend(share * angles)
    for side in BOTH:
        _solve_leg(track, side, local, pelvis, feet[:, side], ankles[:, side])
        _solve_arm(track, side, local)
    rotations = Rotation.from_matrix(local.reshape(-1, 3, 3)).as_rotvec()
    return rotations.reshape(-1, 22, 3), pelvis - OFFSETS[0]


def _pelvis(track, root, ankles, fps):
    """Returns the (T, 3) pelvis position, lowered so that planted legs reach."""
    pelvis = np.einsum("tij,tj->ti", facing(track.heading), track.shift)
    pelvis[:, :2] += track.path
    pelvis[:, 2] += STAND_HEIGHT
    deficit = np.zeros(len(track))
    for side in BOTH:
        reach = REACH * _longest(OFFSETS[KNEE[side]], OFFSETS[ANKLE[side]], KNEE_AXIS)
        hip = pelvis + root @ OFFSETS[HIP[side]]
        away = np.sum((ankles[:, side, :2] - hip[:, :2]) ** 2, axis=-1)
        highest = ankles[:, side, 2] + np.sqrt(np.maximum(reach**2 - away, 0.01))
        short = np.where(track.contact[:, side], hip[:, 2] - highest, 0.0)
        deficit = np.maximum(deficit, short)
    # Smoothing the windowed maximum keeps the curve above the deficit.
    radius = max(1, round(0.1 * fps))
    deficit = maximum_filter1d(deficit, 2 * radius + 1, mode="nearest")
    deficit = gaussian_filter1d(deficit, radius / 2, mode="nearest", radius=radius)
    pelvis[:, 2] -= deficit
    return pelvis


def _solve_leg(track, side, local, pelvis, foot, ankle):
    hip, knee, toe = HIP[side], KNEE[side], ANKLE[side]
    thigh, shin = OFFSETS[knee], OFFSETS[toe]
    flexion, abduction, fold, point = np.moveaxis(track.leg[:, side], -1, 0)
    weight = track.lift[:, side, None]
    root = local[:, 0]
    free = about(2, OUT[side] * abduction) @ about(0, -flexion)
    free_ankle = (free @ (thigh + (about(0, fold) @ shin))[..., None])[..., 0]
    planted_ankle = np.einsum("tji,tj->ti", root, ankle - pelvis) - OFFSETS[hip]
    # The knee points halfway between the directions of the foot and of the body.
    ahead = facing(track.foot_yaw[:, side])[..., 2] + facing(track.heading)[..., 2]
    ahead = np.einsum("tji,tj->ti", root, ahead / 2)
    local[:, hip], angle = two_bone(
        (1 - weight) * planted_ankle + weight * free_ankle,
        (1 - weight) * ahead + weight * free[..., 2],
        thigh,
        shin,
        KNEE_AXIS,
    )
    local[:, knee] = about(0, angle)
    above = root @ local[:, hip] @ local[:, knee]
    flat = np.swapaxes(above, -1, -2) @ foot
    turn = Rotation.from_matrix(np.swapaxes(flat, -1, -2) @ about(0, point)).as_rotvec()
    local[:, toe] = flat @ Rotation.from_rotvec(weight * turn).as_matrix()
    raised = track.foot_pitch[:, side] + track.heel[:, side]
    local[:, BALL[side]] = about(0, -0.8 * np.maximum(raised, 0.0))  # flat toes


def _solve_arm(track, side, local):
    shoulder, elbow, wrist = SHOULDER[side], ELBOW[side], WRIST[side]
    collar = about(2, OUT[side] * track.shoulders[:, side])
    local[:, COLLAR[side]] = collar
    mirror = np.array([OUT[side], 1.0, 1.0])
    hand = track.hands[:, side] * mirror * ARM_LENGTH
    hint = track.elbows[:, side] * mirror
    local[:, shoulder], angle = two_bone(
        np.einsum("tji,tj->ti", collar, hand),
        np.einsum("tji,tj->ti", collar, hint),
        OFFSETS[elbow],
        OFFSETS[wrist],
        ELBOW_AXES[side],
    )
    local[:, elbow] = Rotation.from_rotvec(
        angle[:, None] * ELBOW_AXES[side]
    ).as_matrix()
    local[:, wrist] = about(2, OUT[side] * track.wrists[:, side])


def two_bone(
    target: Float[np.ndarray, "T 3"],
    hint: Float[np.ndarray, "T 3"],
    upper: Float[np.ndarray, "3"],
    lower: Float[np.ndarray, "3"],
    axis: Float[np.ndarray, "3"],
) -> tuple[Float[np.ndarray, "T 3 3"], Float[np.ndarray, "T"]]:
    """Bends a limb of two bones so that its end meets the target.

    Args:
        target: (T, 3) position of the limb's end from its first joint, in the frame of
            that joint's parent. Targets beyond reach are moved closer smoothly.
        hint: (T, 3) direction in which the middle joint should point.
        upper: (3,) rest offset of the middle joint.
        lower: (3,) rest offset of the limb's end from the middle joint.
        axis: (3,) unit hinge axis at rest; a positive turn bends the limb.

    Returns:
        (T, 3, 3) rotation of the first joint and (T,) hinge angle in radians.
    """
    straight, swing, along = _hinge(upper, lower, axis)
    longest = _longest(upper, lower, axis)
    distance = np.linalg.norm(target, axis=-1)
    start, room = REACH * longest, 0.0085 * longest
    drawn = start + room * np.tanh(np.maximum(distance - start, 0.0) / room)
    reached = np.clip(distance, 0.15 * longest, start) + (drawn - start)
    constant = upper @ upper + lower @ lower + 2 * along
    cosine = (reached**2 - constant) / (2 * swing)
    angle = straight + np.arccos(np.clip(cosine, -1.0, 1.0))
    bent = upper + Rotation.from_rotvec(angle[:, None] * axis).apply(lower)
    here = _frame(bent, np.broadcast_to(axis, bent.shape))
    there = _frame(target, np.cross(hint, target))
    return there @ np.swapaxes(here, -1, -2), angle


def _hinge(upper, lower, axis):
    """Returns (straight angle, amplitude, part along the axis) of upper . R lower.

    R turns by an angle about the axis; the product is largest at the straight angle.
    """
    along = (upper @ axis) * (lower @ axis)
    cos_part = upper @ lower - along
    sin_part = upper @ np.cross(axis, lower)
    return np.arctan2(sin_part, cos_part), np.hypot(cos_part, sin_part), along


def _longest(upper, lower, axis):
    _, swing, along = _hinge(upper, lower, axis)
    return np.sqrt(upper @ upper + lower @ lower + 2 * along + 2 * swing)


def _frame(first, second):
    """Returns orthonormal columns: along first, towards second, their cross product."""
    first = first / np.linalg.norm(first, axis=-1, keepdims=True)
    second = second - np.sum(first * second, axis=-1, keepdims=True) * first
    second = second / np.linalg.norm(second, axis=-1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], axis=-1)
