"""Transfers a recording to SMPL's body: rotations, travel, and height on the floor."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation

from actiongpt_jax.choices import UPS
from actiongpt_jax.data.mocap.alignment import (
    FEET,
    SPINE,
    align_rest_pose,
    bend_spine,
)
from actiongpt_jax.data.mocap.capture import Capture
from actiongpt_jax.data.mocap.directions import Poses, align_directions
from actiongpt_jax.data.mocap.joint_map import SAME
from actiongpt_jax.data.mocap.names import mixamo_name
from actiongpt_jax.data.mocap.rest_pose import (
    JOINTS,
    RestPose,
    find_rest_pose,
    starts_with_rest_pose,
)
from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.skeletons import SMPL22, STANDING_PELVIS, TOE_HEIGHT

_OFFSETS = np.array(SMPL22.offsets)
_QUIET = 0.2  # metres per second: a slower foot stands
_LOW = 0.03  # metres above its lowest places: a higher foot does not stand


@dataclasses.dataclass(frozen=True)
class Retargeted:
    """A recording on SMPL's body.

    Attributes:
        rotations: (T, 22, 3) parent-relative axis-angle, radians; the world is z-up.
        translation: (T, 3) metres.
        up: the axis of the file that is up.
        scale: metres per unit of the file.
        rest: what served as the rest pose.
        dropped: number of frames left out at the beginning.
    """

    rotations: np.ndarray
    translation: np.ndarray
    up: str
    scale: float
    rest: str
    dropped: int


def retarget(
    capture: Capture,
    joints: dict[int, int],
    *,
    rest: str | None = None,
    up: str | None = None,
    scale: float | None = None,
) -> Retargeted:
    """Transfers a recording to SMPL's body.

    Every SMPL joint turns as the joint that plays it. Thighs, shins, upper arms and
    forearms point where the source's point. The body keeps SMPL's proportions, so
    positions are scaled by the length of the legs; the feet stand on the floor, z = 0.

    Args:
        capture: the recording.
        joints: SMPL joint -> joint of the recording that plays it.
        rest: the source's rest pose; see `rest_pose.find_rest_pose`.
        up: axis of the file that is up, one of `choices.UPS`; None finds it.
        scale: metres per unit of the file; None makes the legs as long as SMPL's.

    Returns:
        The motion of SMPL's body, without a first frame that is only a rest pose.

    Raises:
        InputError: if a limb has no length, or no frame remains.
    """
    try:
        with np.errstate(divide="raise", over="raise", invalid="raise"):
            return _retarget(capture, joints, rest, up, scale)
    except (FloatingPointError, np.linalg.LinAlgError) as error:
        raise InputError(
            f"{capture.path} must show a body whose limbs have lengths and directions "
            "in every frame, but it does not; check the skeleton with --show-map"
        ) from error


def _retarget(
    capture: Capture,
    joints: dict[int, int],
    rest: str | None,
    up: str | None,
    scale: float | None,
) -> Retargeted:
    own = _is_smpl(capture, joints)
    joints = _with_length(capture, joints)
    pose = find_rest_pose(capture, joints, rest or ("zero" if own else None))
    with_rest = _starts_with_t_pose if own else starts_with_rest_pose
    dropped = int(with_rest(capture, joints))
    if len(capture.values) - dropped < 2:
        raise InputError(
            f"{capture.path} must have at least 2 frames after its rest pose, got "
            f"{len(capture.values) - dropped}; leave out the file"
        )
    turned, placed = capture.world(list(joints.values()), slice(dropped, None))
    places = {joint: placed[:, i] for i, joint in enumerate(joints)}
    turns = {
        joint: turned[:, i]
        for i, (joint, source) in enumerate(joints.items())
        if not capture.joints[source].is_tip
    }
    legs = _leg_length(places)
    up = up or ("y" if own else _up_axis(places, pose))
    world = _to_z_up(up)
    if scale is None:
        smpl_legs = sum(np.linalg.norm(_OFFSETS[j]) for j in (4, 5, 7, 8)) / 2
        scale = 1.0 if own else float(smpl_legs / legs)
    standing = {
        foot: _stands(places[foot] @ world.T * scale, capture.fps)
        for foot in FEET.values()
        if foot in places
    }
    if pose is not None:
        constant = align_rest_pose(pose)
    else:
        zero = dict(zip(joints, capture.zero_pose([*joints.values()])[1], strict=True))
        poses = Poses(turns, places, world[2], standing, zero)
        constant = align_directions(poses)

    # Orientations of all joints; a joint that nothing plays follows its parent.
    frames = len(placed)
    oriented = np.empty((frames, SMPL22.num_joints, 3, 3))
    for joint, parent in enumerate(SMPL22.parents):
        if joint in turns and joint in constant:
            oriented[:, joint] = world @ turns[joint] @ constant[joint]
        else:
            oriented[:, joint] = oriented[:, parent]
    if JOINTS["neck"] in places and not set(SPINE[:2]) & set(turns):
        trunk = (places[JOINTS["neck"]] - places[0]) @ world.T
        chest = oriented[:, SPINE[2]]
        spine, oriented[:, SPINE[2]] = bend_spine(oriented[:, 0], chest, trunk)
        oriented[:, SPINE[:2]] = spine[:, None]
    relative = oriented.copy()
    for joint, parent in enumerate(SMPL22.parents):
        if parent >= 0:
            above = np.swapaxes(oriented[:, parent], -1, -2)
            relative[:, joint] = above @ oriented[:, joint]

    # Hips above the source's hips, feet on the floor.
    hips = (places[1] + places[2]) / 2 @ world.T * scale
    pelvis = hips - oriented[:, 0] @ (_OFFSETS[1] + _OFFSETS[2]) * 0.5
    if not own:
        pelvis[:, 2] += TOE_HEIGHT - _floor(oriented, pelvis, capture.fps)
    rotations = Rotation.from_matrix(relative.reshape(-1, 3, 3)).as_rotvec()
    return Retargeted(
        rotations=rotations.reshape(frames, -1, 3).astype(np.float32),
        translation=(pelvis - SMPL22.rest_joints[0]).astype(np.float32),
        up=up,
        scale=scale,
        rest=pose.kind if pose is not None else "directions of the bones",
        dropped=dropped,
    )


def _with_length(capture: Capture, joints: dict[int, int]) -> dict[int, int]:
    """Leaves out toes and hands that are at their ankle or wrist.

    Raises:
        InputError: if another bone that gives a direction has no length.
    """
    first = {joint: i for i, joint in enumerate(joints)}
    _, placed = capture.world(list(joints.values()), [0])
    bones = [(end, SMPL22.parents[end]) for end in (4, 5, 7, 8, 10, 11, 18, 19, 20, 21)]
    bones += [(2, 1), (JOINTS["neck"], 0), (JOINTS["head"], 0)]
    kept = dict(joints)
    for end, start in bones:
        if end in first and start in first:
            gap = placed[0, first[end]] - placed[0, first[start]]
            if np.linalg.norm(gap) > SAME * np.abs(placed).max():
                continue
            if end in FEET.values() or end in (20, 21):
                del kept[end]
            else:
                raise InputError(
                    f"{capture.path}: the way from {SMPL22.names[start]} to "
                    f"{SMPL22.names[end]} must have a length, got 0; check the "
                    "skeleton with --show-map"
                )
    return kept


def _leg_length(places: dict[int, np.ndarray]) -> float:
    """Returns the mean length of the legs, in the file's unit."""
    bones = [places[end] - places[SMPL22.parents[end]] for end in (4, 5, 7, 8)]
    return sum(float(np.median(np.linalg.norm(b, axis=-1))) for b in bones) / 2


def _is_smpl(capture: Capture, joints: dict[int, int]) -> bool:
    """Says whether the skeleton is SMPL's mean body as `render` writes it."""
    names = [capture.joints[source].name for source in joints.values()]
    smpl = [SMPL22.names[joint] for joint in joints]
    if names not in (smpl, [*map(mixamo_name, smpl)]) or 3 not in joints:
        return False
    rest = SMPL22.rest_joints[[*joints]]
    _, placed = capture.zero_pose([*joints.values()])
    return bool(np.abs(placed - placed[0] - rest + rest[0]).max() < SAME)


def _starts_with_t_pose(capture: Capture, joints: dict[int, int]) -> bool:
    """Says whether `render --t-pose` put a frame in front of SMPL's mean body's motion.

    That frame has no angles and stands on the floor where the motion starts; a rest
    pose elsewhere is a part of the motion.
    """
    turned, placed = capture.world([*joints.values()], slice(0, 2))
    pelvis = placed[:, 0]
    place = [pelvis[-1, 0], STANDING_PELVIS, pelvis[-1, 2]]
    at_rest = np.abs(turned - np.eye(3)).max((1, 2, 3)) < SAME
    return bool(
        at_rest[0] and not at_rest[-1] and np.abs(pelvis[0] - place).max() < SAME
    )


def _up_axis(places: dict[int, np.ndarray], rest: RestPose | None) -> str:
    """Finds the axis of the file that is up: from the feet to the neck, mostly."""
    top = places[12] if 12 in places else places[15]
    body = top - (places[7] + places[8]) / 2
    body = (body / np.linalg.norm(body, axis=-1, keepdims=True)).mean(0)
    found = UPS[int(np.abs(body).argmax())]
    stated = None
    if rest is not None and np.abs(rest.body[:, 1]).max() > 0.99:
        stated = UPS[int(np.abs(rest.body[:, 1]).argmax())]
    if np.abs(body).max() < 0.6:
        return stated or "y"
    if stated in (None, found):
        return found
    # Someone may lie throughout. Feet keep near one height, and travel along the floor.
    lowest = np.minimum(np.sort(places[7], 0), np.sort(places[8], 0))
    spread = {axis: float(np.ptp(lowest[:, UPS.index(axis)])) for axis in UPS}
    return min((stated, found), key=lambda axis: spread[axis])


def _to_z_up(up: str) -> Float[np.ndarray, "3 3"]:
    """Returns the rotation from the file's axes to the z-up world."""
    if up == "z":
        return np.eye(3)
    if up == "y":
        return np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    return np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])


def _stands(places: Float[np.ndarray, "t 3"], fps: float) -> Bool[np.ndarray, " t"]:
    """Says in which frames a foot, in metres and z-up, stands."""
    speed = np.linalg.norm(np.gradient(places, axis=0), axis=-1) * fps
    quiet = speed < max(_QUIET, float(np.percentile(speed, 10)))
    height = places[:, 2]
    return quiet & (height < np.percentile(height[quiet], 30) + _LOW)


def _floor(
    oriented: Float[np.ndarray, "t 22 3 3"],
    pelvis: Float[np.ndarray, "t 3"],
    fps: float,
) -> float:
    """Returns the height of the lower toe joint in the frames where it stands."""
    toes = []
    for foot in FEET.values():
        place, joint = pelvis.copy(), foot
        while joint:
            place += oriented[:, SMPL22.parents[joint]] @ _OFFSETS[joint]
            joint = SMPL22.parents[joint]
        toes.append(place)
    feet = np.stack(toes, 1)
    speed = np.linalg.norm(np.gradient(feet, axis=0), axis=-1) * fps
    lower = feet[..., 2].argmin(1)[:, None]
    height = np.take_along_axis(feet[..., 2], lower, 1)[:, 0]
    speed = np.take_along_axis(speed, lower, 1)[:, 0]
    quiet = speed < max(_QUIET, float(np.percentile(speed, 10)))
    return float(np.median(height[quiet]))
