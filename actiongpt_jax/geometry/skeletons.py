"""Skeletons: joint names, parents and rest offsets."""

import dataclasses
import functools

import numpy as np


@functools.cache
def tree_levels(parents: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Groups joints by depth: level n holds the joints n bones away from the root.

    Args:
        parents: index of each joint's parent, -1 for the root; every parent comes
            before its children.
    """
    depths = []
    for parent in parents:
        depths.append(0 if parent < 0 else depths[parent] + 1)
    return tuple(
        tuple(j for j, depth in enumerate(depths) if depth == level)
        for level in range(max(depths) + 1)
    )


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """A kinematic tree at rest.

    Attributes:
        names: names of the J joints; every parent comes before its children.
        parents: index of each joint's parent, -1 for the root.
        offsets: J rows (x, y, z), the offset from the parent at rest, metres; for the
            root its position at zero translation.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: tuple[tuple[float, float, float], ...]

    @property
    def num_joints(self) -> int:
        """Number of joints J."""
        return len(self.parents)

    @functools.cached_property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """Joints grouped by depth: level n holds the joints n bones from the root."""
        return tree_levels(self.parents)

    @functools.cached_property
    def rest_joints(self) -> np.ndarray:
        """(J, 3) float64 joint positions at rest, metres."""
        joints = np.array(self.offsets, np.float64)
        for j, parent in enumerate(self.parents):
            if parent >= 0:
                joints[j] += joints[parent]
        return joints


# Position of the pelvis of SMPL-X at rest and zero translation: neutral body, zero
# betas, rounded to 0.1 mm, in the axes of `SMPL22`.
SMPLX_PELVIS = (0.0031, -0.3514, 0.0120)
_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
# The offsets are those of SMPL's neutral body with zero betas, rounded to 0.1 mm, as in
# the MJCF humanoid of the PHC/SMPLSim family. Body frame: x left, y up, z forward.
SMPL22 = Skeleton(
    names=(
        "pelvis",
        "left_hip",
        "right_hip",
        "spine1",
        "left_knee",
        "right_knee",
        "spine2",
        "left_ankle",
        "right_ankle",
        "spine3",
        "left_foot",
        "right_foot",
        "neck",
        "left_collar",
        "right_collar",
        "head",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
    ),
    parents=_PARENTS,
    offsets=(
        (-0.0018, -0.2233, 0.0282),
        (0.0695, -0.0914, -0.0068),
        (-0.0677, -0.0905, -0.0043),
        (-0.0025, 0.1090, -0.0267),
        (0.0343, -0.3752, -0.0045),
        (-0.0383, -0.3826, -0.0089),
        (0.0055, 0.1352, 0.0011),
        (-0.0136, -0.3980, -0.0437),
        (0.0158, -0.3984, -0.0423),
        (0.0015, 0.0529, 0.0254),
        (0.0264, -0.0558, 0.1193),
        (-0.0254, -0.0481, 0.1233),
        (-0.0028, 0.2139, -0.0429),
        (0.0788, 0.1217, -0.0341),
        (-0.0818, 0.1188, -0.0386),
        (0.0052, 0.0650, 0.0513),
        (0.0910, 0.0305, -0.0089),
        (-0.0960, 0.0326, -0.0091),
        (0.2596, -0.0128, -0.0275),
        (-0.2537, -0.0133, -0.0214),
        (0.2492, 0.0090, -0.0012),
        (-0.2553, 0.0078, -0.0056),
    ),
)
# Height of the lower toe joint above the floor, and that of the pelvis when the body
# stands in its rest pose, metres.
TOE_HEIGHT = 0.02
STANDING_PELVIS = float(
    TOE_HEIGHT - (SMPL22.rest_joints - SMPL22.rest_joints[0]).min(0)[1]
)
