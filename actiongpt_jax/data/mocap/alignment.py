"""Finds the constant turns between the joints of a recorded skeleton and SMPL's.

A joint of SMPL is oriented as W C, where W is the orientation of the joint that plays
it and C is constant. So it turns as its source does, and C makes its bone point along
the source's bone.
"""

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.mocap.rest_pose import JOINTS, RestPose
from actiongpt_jax.geometry.skeletons import SMPL22

Turns = dict[int, Float[np.ndarray, "3 3"]]
_LIMBS = (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
# SMPL joint -> the SMPL joint at the other end of its bone, for thighs, shins and arms.
BONES = {
    JOINTS[f"{side}_{start}"]: JOINTS[f"{side}_{end}"]
    for side in ("left", "right")
    for start, end in _LIMBS
}
SPINE = (JOINTS["spine1"], JOINTS["spine2"], JOINTS["spine3"])
FEET = {JOINTS[f"{side}_ankle"]: JOINTS[f"{side}_foot"] for side in ("left", "right")}
_MOST_BENT = np.radians(40.0)
_STEPS = 12  # each at least halves what the lower spine is bent too much
_OFFSETS = np.array(SMPL22.offsets)


def align_rest_pose(rest: RestPose) -> Turns:
    """Returns C for every joint, from a pose that corresponds to SMPL's rest pose."""
    local = {joint: place @ rest.body for joint, place in rest.placed.items()}
    extra = {joint: np.eye(3) for joint in rest.turned}
    for start, end in BONES.items():
        if start in local and end in local:
            extra[start] = smallest_turn(_OFFSETS[end], local[end] - local[start])
    for ankle, foot in FEET.items():
        if ankle in local:
            extra[ankle] = _foot_turn(ankle, foot, local)
            extra[foot] = extra[ankle]
    for side in ("left", "right"):  # a hand at rest continues its forearm
        elbow, wrist = JOINTS[f"{side}_elbow"], JOINTS[f"{side}_wrist"]
        extra[wrist] = extra.get(elbow, np.eye(3))
    neck = JOINTS["neck"]
    if neck in local:
        turn = spine_turn(local[neck] - local[JOINTS["pelvis"]])
        extra.update(dict.fromkeys(SPINE, turn))
    return {
        joint: turned.T @ rest.body @ extra[joint]
        for joint, turned in rest.turned.items()
    }


def smallest_turn(start: np.ndarray, end: np.ndarray) -> Float[np.ndarray, "3 3"]:
    """Returns the smallest rotation that takes one direction to another.

    Args:
        start: (3,) of any length.
        end: (3,) of any length, not opposite to `start`.
    """
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    axis, cosine = np.cross(start, end), float(start @ end)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-12:
        return np.eye(3)
    return Rotation.from_rotvec(axis / sine * np.arctan2(sine, cosine)).as_matrix()


def spine_turn(trunk: np.ndarray) -> Float[np.ndarray, "3 3"]:
    """Returns the turn of SMPL's spine that makes pelvis to neck point along `trunk`.

    Args:
        trunk: (3,) of any length, in the axes of SMPL's rest pose.
    """
    low = _OFFSETS[SPINE[0]]
    high = _OFFSETS[[*SPINE[1:], JOINTS["neck"]]].sum(0)
    along = trunk / np.linalg.norm(trunk)
    # The length of s along - low is that of `high`: spine1 is where low ends.
    half = float(along @ low)
    s = half + np.sqrt(half**2 - low @ low + high @ high)
    return smallest_turn(high, s * along - low)


def bend_spine(
    pelvis: Float[np.ndarray, "t 3 3"],
    chest: Float[np.ndarray, "t 3 3"],
    trunk: Float[np.ndarray, "t 3"],
) -> tuple[Float[np.ndarray, "t 3 3"], Float[np.ndarray, "t 3 3"]]:
    """Bends the spine so that pelvis to neck points along the source's trunk.

    Spines have different numbers of joints at different heights, so joint by joint a
    bent trunk would point elsewhere. The pelvis keeps its orientation, and spine1 and
    spine2 are turned as one from half-way between pelvis and chest. The chest gives way
    only where they would be turned by more than `_MOST_BENT`.

    Args:
        pelvis: (T, 3, 3) orientation in the world.
        chest: (T, 3, 3) orientation of spine3 in the world.
        trunk: (T, 3) from the source's pelvis to its neck, of any length.

    Returns:
        (T, 3, 3) the orientation of spine1 and spine2, and that of spine3.
    """
    along = trunk / np.linalg.norm(trunk, axis=-1, keepdims=True)
    start, end = pelvis @ _OFFSETS[SPINE[0]], _OFFSETS[JOINTS["neck"]]
    between = _OFFSETS[[*SPINE[1:]]].sum(0)
    step = np.swapaxes(pelvis, -1, -2) @ chest
    half = Rotation.from_matrix(step).as_rotvec() / 2
    half = pelvis @ Rotation.from_rotvec(half).as_matrix()
    now = half @ (between / np.linalg.norm(between))
    for last in (False,) * _STEPS + (True,):
        fixed = start + chest @ end
        # fixed + (a vector as long as `between`) = s along; where no s solves this, the
        # vector points as far towards the trunk as it can.
        shadow = (along * fixed).sum(-1)
        root = shadow**2 - (fixed * fixed).sum(-1) + between @ between
        goal = (shadow + np.sqrt(np.maximum(root, 0)))[:, None] * along - fixed
        axis = np.cross(now, goal)
        sine = np.linalg.norm(axis, axis=-1)
        angle = np.arctan2(sine, (now * goal).sum(-1))
        axis /= np.maximum(sine, 1e-12)[:, None]
        excess = np.maximum(angle - _MOST_BENT, 0)
        if last or not excess.any():
            break
        chest = Rotation.from_rotvec(axis * excess[:, None] / 2).as_matrix() @ chest
    return Rotation.from_rotvec(axis * angle[:, None]).as_matrix() @ half, chest


def _foot_turn(ankle: int, foot: int, local: dict[int, np.ndarray]) -> np.ndarray:
    """Returns the turn of a foot, which keeps the pitch of the source's flat foot.

    Legs that are spread at rest tilt the foot sideways with the shin; the toes of the
    source may point further out or in than SMPL's.
    """
    knee = SMPL22.parents[ankle]
    shin, toes = _OFFSETS[ankle], _OFFSETS[foot]
    roll = 0.0
    if knee in local:
        its_shin = local[ankle] - local[knee]
        roll = np.arctan2(its_shin[0], -its_shin[1]) - np.arctan2(shin[0], -shin[1])
    tilt = Rotation.from_euler("z", roll)
    yaw = 0.0
    if foot in local:
        its_toes = tilt.inv().apply(local[foot] - local[ankle])
        yaw = np.arctan2(its_toes[0], its_toes[2]) - np.arctan2(toes[0], toes[2])
    return (tilt * Rotation.from_euler("y", yaw)).as_matrix()
