"""Finds the pose of a recorded skeleton that corresponds to SMPL's rest pose.

Most files have such a pose, with straight limbs and the arms anywhere from the sides to
level: as the pose with all angles zero, or as the first frame. In other files the zero
pose means nothing, for example because every bone lies along its own x axis.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from actiongpt_jax.data.mocap.capture import Capture
from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.skeletons import SMPL22

JOINTS = {name: index for index, name in enumerate(SMPL22.names)}
# A direction this near to an axis of the file is meant to be the axis, degrees.
_ZERO_POSE_NEAR, _FRAME_NEAR = 15.0, 3.0
# The first frame is a rest pose if a joint then turns this far, degrees, and this many
# times as far as usually between the following frames.
_JUMP, _JUMP_RATIO = 30.0, 5.0
_FOLLOWING = 30
# Arms that hang lower than this, degrees below level, may be those of someone standing.
_RAISED = 60.0
_ZERO = 1e-4  # radians


@dataclasses.dataclass(frozen=True)
class RestPose:
    """A pose like SMPL's rest pose.

    Attributes:
        kind: 'zero pose' or 'frame N'.
        turned: SMPL joint -> (3, 3) orientation of the joint that plays it.
        placed: SMPL joint -> (3,) position of that joint.
        body: (3, 3) the body's axes as columns: left, up, forward.
    """

    kind: str
    turned: dict[int, np.ndarray]
    placed: dict[int, np.ndarray]
    body: np.ndarray


def find_rest_pose(
    capture: Capture, joints: dict[int, int], choice: str | None = None
) -> RestPose | None:
    """Finds the rest pose of a recording.

    Args:
        capture: the recording.
        joints: SMPL joint -> joint of the recording that plays it.
        choice: 'zero', the number of a frame, or 'directions' for none; None decides
            by what the poses look like.

    Returns:
        The rest pose; None if the skeleton has none.

    Raises:
        InputError: if the chosen pose does not exist, or is no rest pose.
    """
    if choice == "directions":
        return None
    if choice is None:
        pose = _pose(capture, joints, None)
        if pose is None and starts_with_rest_pose(capture, joints):
            pose = _pose(capture, joints, 0)
        return pose
    if choice == "zero":
        pose = _pose(capture, joints, None)
    elif choice.isdecimal() and int(choice) < len(capture.values):
        pose = _pose(capture, joints, int(choice))
    else:
        raise InputError(
            f"--rest must be zero, directions or a frame from 0 to "
            f"{len(capture.values) - 1} of {capture.path}, got {choice}"
        )
    if pose is None:
        raise InputError(
            f"{capture.path}: the rest pose must have straight legs and arms, but "
            f"--rest {choice} has not; choose another one or --rest directions"
        )
    return pose


def starts_with_rest_pose(capture: Capture, joints: dict[int, int]) -> bool:
    """Says whether frame 0 is a rest pose that the motion does not continue.

    Args:
        capture: the recording.
        joints: SMPL joint -> joint of the recording that plays it.
    """
    turned, _ = capture.world(list(joints.values()), slice(0, _FOLLOWING + 2))
    steps = np.swapaxes(turned[:-1], -1, -2) @ turned[1:]
    cosines = (np.trace(steps, axis1=-2, axis2=-1) - 1) / 2
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1))).max(1)
    usual = float(np.median(angles[1:])) if len(angles) > 1 else 0.0
    if angles[0] < max(_JUMP, _JUMP_RATIO * usual):
        return False
    above = capture.ancestors(joints[JOINTS["pelvis"]])
    columns = [
        column
        for index, joint in enumerate(capture.joints)
        if index not in above
        for column in joint.turn_columns
    ]
    if np.abs(capture.values[0, columns]).max(initial=0.0) < _ZERO:
        return True
    first = _pose(capture, joints, 0)
    if first is None:
        return False
    lowered = []
    for side in ("left", "right"):
        arm = first.placed[JOINTS[f"{side}_elbow"]]
        arm = arm - first.placed[JOINTS[f"{side}_shoulder"]]
        down = -arm @ first.body[:, 1] / np.linalg.norm(arm)
        lowered.append(np.degrees(np.arcsin(np.clip(down, -1, 1))))
    return max(lowered) < _RAISED


def _pose(capture: Capture, joints: dict[int, int], frame: int | None):
    """Returns the zero pose or a frame as a `RestPose`; None if it is not like one."""
    indices = list(joints.values())
    if frame is None:
        turned, placed = capture.zero_pose(indices)
    else:
        turned, placed = (array[0] for array in capture.world(indices, [frame]))
    placed = dict(zip(joints, placed, strict=True))
    near = _ZERO_POSE_NEAR if frame is None else _FRAME_NEAR
    body = _body_axes(placed, near)
    if body is None:
        return None
    kind = "zero pose" if frame is None else f"frame {frame}"
    return RestPose(kind, dict(zip(joints, turned, strict=True)), placed, body)


def _body_axes(placed: dict[int, np.ndarray], near: float) -> np.ndarray | None:
    """Returns left, up and forward of a body with straight limbs, else None."""

    def bone(start: str, end: str) -> np.ndarray:
        way = placed[JOINTS[end]] - placed[JOINTS[start]]
        return way / max(float(np.linalg.norm(way)), 1e-12)

    def middle(name: str) -> np.ndarray:
        return (placed[JOINTS[f"left_{name}"]] + placed[JOINTS[f"right_{name}"]]) / 2

    up = snapped(middle("hip") - middle("ankle"), max(near, _ZERO_POSE_NEAR))
    left = bone("right_hip", "left_hip")
    left = snapped(left - (left @ up) * up, near)
    if abs(left @ up) > 1e-6:
        return None
    top = "neck" if JOINTS["neck"] in placed else "head"
    trunk = placed[JOINTS[top]] - middle("hip")
    fits = trunk @ up > np.cos(np.radians(35)) * np.linalg.norm(trunk)
    heights = []
    for side, outward in (("left", left), ("right", -left)):
        thigh = bone(f"{side}_hip", f"{side}_knee")
        shin = bone(f"{side}_knee", f"{side}_ankle")
        arm = bone(f"{side}_shoulder", f"{side}_elbow")
        fits &= -thigh @ up > np.cos(np.radians(40))
        fits &= thigh @ shin > np.cos(np.radians(20))
        fits &= arm @ up < np.sin(np.radians(45)) and arm @ outward > -0.3
        if JOINTS[f"{side}_wrist"] in placed:
            forearm = bone(f"{side}_elbow", f"{side}_wrist")
            fits &= arm @ forearm > np.cos(np.radians(45))
        if JOINTS[f"{side}_foot"] in placed:
            toes = bone(f"{side}_ankle", f"{side}_foot")
            fits &= toes @ np.cross(left, up) > 0.3
        heights.append(arm @ up)
    fits &= abs(heights[0] - heights[1]) < 0.3
    return np.stack([left, up, np.cross(left, up)], -1) if fits else None


def snapped(vector: np.ndarray, near: float) -> np.ndarray:
    """Returns the unit vector, or the axis of the file that is nearer than `near`.

    Args:
        vector: (3,) of any length.
        near: degrees.
    """
    unit = vector / max(float(np.linalg.norm(vector)), 1e-12)
    axis = np.zeros(3)
    largest = int(np.abs(unit).argmax())
    axis[largest] = np.sign(unit[largest])
    return axis if unit @ axis > np.cos(np.radians(near)) else unit


def body_frames(
    left: Float[np.ndarray, "*n 3"], up: Float[np.ndarray, "*n 3"]
) -> Float[np.ndarray, "*n 3 3"]:
    """Returns rotations whose second column is along `up` and whose first nears `left`.

    Args:
        left: (..., 3) of any length, not along `up`.
        up: (..., 3) of any length.
    """
    second = up / np.linalg.norm(up, axis=-1, keepdims=True)
    first = left - (left * second).sum(-1, keepdims=True) * second
    first = first / np.linalg.norm(first, axis=-1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], -1)
