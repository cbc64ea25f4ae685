"""Aligns a skeleton without a rest pose with SMPL by the directions of its bones.

The bone of a limb gives two of the three angles. For the third, a joint whose zero
angles continue the bone above it is at rest there; elbows and knees bend one way only;
and other joints are assumed to be at rest on average. Bones usually lie along an axis
of their joint and bend about another one. Then the third angle is a multiple of a
quarter turn, so that all recordings of a skeleton are aligned alike.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.mocap.alignment import (
    BONES,
    FEET,
    SPINE,
    Turns,
    spine_turn,
)
from actiongpt_jax.data.mocap.rest_pose import JOINTS, body_frames, snapped
from actiongpt_jax.geometry.skeletons import SMPL22

# Mean bend of a limb that shows in which direction it bends, as a sine.
_BENT = 0.2
_NEAR_AXIS = 30.0  # degrees
# A joint whose mean is nearer than this to a turn of its axes by quarters is at rest in
# that turn, degrees.
_AT_REST = 60.0
_TRUNK = tuple(JOINTS[name] for name in ("pelvis", "spine3", "neck", "head"))
_WRISTS = (JOINTS["left_wrist"], JOINTS["right_wrist"])
_STRAIGHT = 10.0  # degrees that a limb may bend at zero angles
_FLAT = 30  # percentile of the heel's height up to which a standing foot is flat
# A bone lies along an axis of its joint if its direction is within this, degrees.
_ALONG = 3.0
_FEW = 3  # a foot that stands in fewer frames says nothing about its pitch
_LEFT, _UP, _FORWARD = np.eye(3)
_OFFSETS = np.array(SMPL22.offsets)
_AXES = np.concatenate([np.eye(3), -np.eye(3)])


@dataclasses.dataclass(frozen=True)
class Poses:
    """The joints that play SMPL's in every frame of a recording.

    Attributes:
        turned: SMPL joint -> (T, 3, 3) orientations, of joints that can turn.
        placed: SMPL joint -> (T, 3) positions.
        up: (3,) the world's up.
        standing: foot joint -> (T,) whether that foot stands.
        zero: SMPL joint -> (3,) position with all angles zero.
    """

    turned: dict[int, np.ndarray]
    placed: dict[int, np.ndarray]
    up: np.ndarray
    standing: dict[int, Bool[np.ndarray, " t"]]
    zero: dict[int, np.ndarray]


def align_directions(poses: Poses) -> Turns:
    """Returns C of `alignment` for every joint that turns."""
    return _Alignment(poses).run()


class _Alignment:
    def __init__(self, poses: Poses):
        self.poses = poses
        self.constant: Turns = {}
        self.snap = self._bones_lie_along_axes()

    def run(self) -> Turns:
        straight = self._trunk_is_straight_at_zero()
        self._pelvis(straight)
        for joint in range(1, SMPL22.num_joints):
            if joint not in self.poses.turned:
                continue
            end = BONES.get(joint)
            if end is not None and end in self.poses.placed:
                self._limb(joint, end)
            elif joint in FEET:
                self._foot(joint, FEET[joint])
            elif joint in _TRUNK and straight:
                along = self.constant[JOINTS["pelvis"]] @ _UP
                self.constant[joint] = body_frames(
                    self._side_at_zero(joint, _TRUNK[0], along, _LEFT), along
                )
            else:
                self._at_rest_on_average(joint)
        self._spine()
        return self.constant

    def _pelvis(self, straight: bool) -> None:
        pelvis, placed, zero = JOINTS["pelvis"], self.poses.placed, self.poses.zero
        hips = [placed[JOINTS[f"{side}_hip"]] for side in ("left", "right")]
        left = self._local(pelvis, hips[0] - hips[1])
        above = next(j for j in (*SPINE, *_TRUNK[2:]) if j in placed)
        if straight:
            up = zero[above] - zero[pelvis]
        else:
            up = self._local(pelvis, placed[above] - (hips[0] + hips[1]) / 2)
        if self.snap:
            left, up = snapped(left, _NEAR_AXIS / 2), snapped(up, _NEAR_AXIS)
        self.constant[pelvis] = body_frames(left, up)

    def _limb(self, joint: int, end: int) -> None:
        """Aligns the bone; how the next joint bends gives the turn about it."""
        placed = self.poses.placed
        bone = self._local(joint, placed[end] - placed[joint])
        bone = bone / np.linalg.norm(bone)
        is_arm, above = joint >= JOINTS["left_shoulder"], SMPL22.parents[joint]
        next_end = BONES.get(end)
        side, smpl_side = np.zeros(3), _FORWARD if is_arm else -_FORWARD
        if self._is_straight_at_zero(joint, end):
            smpl_side = _UP if is_arm else _LEFT
            side = self._side_at_zero(joint, above, bone, smpl_side)
        elif next_end is not None and next_end in placed:
            next_bone = placed[next_end] - placed[end]
            next_bone = next_bone / np.linalg.norm(next_bone, axis=-1, keepdims=True)
            side = self._local(joint, next_bone)
            side = side - (side @ bone) * bone
        if np.linalg.norm(side) < _BENT:
            # Legs and forearms turn like hinges; arms hang sideways down from level.
            smpl_side = (_UP if above in BONES else _FORWARD) if is_arm else _LEFT
            side = self._local(joint, self._parent(joint) @ smpl_side)
            side = side - (side @ bone) * bone
        if self.snap:
            across = [
                axis for axis in _AXES if abs(axis @ bone) < np.sin(np.radians(5))
            ]
            side = max(across, key=lambda axis: axis @ side, default=side)
        there = body_frames(side, bone)
        self.constant[joint] = there @ body_frames(smpl_side, _OFFSETS[end]).T

    def _side_at_zero(
        self, joint: int, above: int, along: np.ndarray, smpl_side: np.ndarray
    ) -> np.ndarray:
        """Returns where SMPL's side of a joint is that continues another at zero.

        It is where it is for the other joint, unless the motion shows that the axes of
        the two differ by a quarter turn or a half turn.
        """
        side = self.constant[above] @ smpl_side
        side = side - (side @ along) * along
        shown = self._local(joint, self._parent(joint) @ smpl_side)
        shown = shown - (shown @ along) * along
        lengths = np.linalg.norm(side) * np.linalg.norm(shown)
        if side @ shown > np.cos(np.radians(_AT_REST)) * lengths:
            return side
        across = np.cross(along, side)
        return max((side, across, -side, -across), key=lambda other: other @ shown)

    def _trunk_is_straight_at_zero(self) -> bool:
        """Says whether pelvis, chest, neck and head are in a line at zero angles."""
        zero = self.poses.zero
        line = np.array([zero[joint] for joint in _TRUNK if joint in zero])
        bones = np.diff(line, axis=0)
        lengths = np.linalg.norm(bones, axis=-1)
        bones = bones[lengths > 0] / lengths[lengths > 0][:, None]
        cosines = (bones[1:] * bones[:-1]).sum(-1)
        return len(cosines) > 0 and cosines.min() > np.cos(np.radians(_NEAR_AXIS))

    def _is_straight_at_zero(self, joint: int, end: int) -> bool:
        """Says whether a joint's zero angles make its bone continue the one above."""
        above, zero = SMPL22.parents[joint], self.poses.zero
        if above not in BONES or above not in self.constant:
            return False
        upper, lower = zero[joint] - zero[above], zero[end] - zero[joint]
        cosine = upper @ lower / (np.linalg.norm(upper) * np.linalg.norm(lower))
        return bool(cosine > np.cos(np.radians(_STRAIGHT)))

    def _foot(self, ankle: int, foot: int) -> None:
        """Aligns a foot: it is flat where it stands, and its toes give forward."""
        placed = self.poses.placed
        if foot not in placed:
            return self._at_rest_on_average(ankle)
        toes = self._local(ankle, placed[foot] - placed[ankle])
        standing = self.poses.standing.get(foot)
        up = np.zeros(3)
        if standing is not None and standing.sum() >= _FEW:
            turned = self.poses.turned[ankle][standing]
            # Among these frames are some with raised heels.
            heel = (placed[ankle] - placed[foot])[standing] @ self.poses.up
            turned = turned[heel <= np.percentile(heel, _FLAT)]
            up = np.swapaxes(turned, -1, -2).mean(0) @ self.poses.up
        left = np.cross(up, toes)
        if np.linalg.norm(left) > _BENT * np.linalg.norm(toes):
            there = body_frames(left, up)
            here = body_frames(np.cross(_UP, _OFFSETS[foot]), _UP)
        else:
            left = self._local(ankle, self._parent(ankle) @ _LEFT)
            there = body_frames(left, toes)
            here = body_frames(_LEFT, _OFFSETS[foot])
        self.constant[ankle] = there @ here.T
        return None

    def _at_rest_on_average(self, joint: int) -> None:
        turned, above = self.poses.turned[joint], SMPL22.parents[joint]
        if joint in _WRISTS and self._is_straight_at_zero(above, joint):
            self.constant[joint] = self.constant[above]
            return
        if joint in FEET.values():
            standing = self.poses.standing.get(joint)
            if standing is not None and standing.sum() >= _FEW:
                turned = np.where(standing[:, None, None], turned, 0)
        total = (np.swapaxes(turned, -1, -2) @ self._parent(joint)).sum(0)
        mean = _nearest_rotation(total)
        if self.snap and joint not in FEET.values():
            axes = _axis_rotation(mean)
            angle = np.degrees(Rotation.from_matrix(axes.T @ mean).magnitude())
            mean = axes if angle < _AT_REST else mean
        self.constant[joint] = mean

    def _spine(self) -> None:
        """Turns the spine as if the source's trunk were upright at rest."""
        for joint in SPINE:
            if joint in self.constant:
                self.constant[joint] = self.constant[joint] @ spine_turn(_UP)

    def _local(self, joint: int, vectors: np.ndarray) -> Float[np.ndarray, "3"]:
        """Returns the mean of (T, 3) vectors in the axes of a source joint."""
        turned = self.poses.turned[joint]
        return np.einsum("tji,tj->i", turned, vectors) / len(turned)

    def _parent(self, joint: int) -> Float[np.ndarray, "t 3 3"]:
        """Returns the orientations of the SMPL joint above, all that turn so far."""
        above = SMPL22.parents[joint]
        while above not in self.constant:
            above = SMPL22.parents[above]
        return self.poses.turned[above] @ self.constant[above]

    def _bones_lie_along_axes(self) -> bool:
        placed = self.poses.placed
        nearest = []
        for joint, end in BONES.items():
            if joint in self.poses.turned and end in placed:
                bone = self._local(joint, placed[end] - placed[joint])
                nearest.append(np.abs(bone).max() / np.linalg.norm(bone))
        return bool(np.median(nearest) > np.cos(np.radians(_ALONG)))


def _nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    left, _, right = np.linalg.svd(matrix)
    left[:, -1] *= np.sign(np.linalg.det(left @ right))
    return left @ right


def _axis_rotation(turn: np.ndarray) -> np.ndarray:
    """Returns the rotation nearest to `turn` that takes axes to axes."""
    up = _AXES[np.argmax(_AXES @ turn[:, 1])]
    across = _AXES[np.abs(_AXES @ up) < 0.5]
    return body_frames(across[np.argmax(across @ turn[:, 0])], up)
