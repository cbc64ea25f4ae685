"""Cuts labelled clips out of recordings, and mirrors motions."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from actiongpt_jax.data.motion_store import Label
from actiongpt_jax.geometry.skeletons import SMPL22

_SWAPPED = {"left": "right", "right": "left"}
# The joint that plays each of the 22 body joints and two hands of a mirrored body.
_MIRRORED = [
    SMPL22.names.index("_".join([_SWAPPED.get(side, side), *rest]))
    for side, *rest in (name.split("_") for name in SMPL22.names)
] + [23, 22]


@dataclasses.dataclass(frozen=True)
class Clip:
    """How the labelled part of a recording becomes a sequence of its own.

    Attributes:
        mirrored: whether left and right are swapped.
        counted_fps: None if the times of labels are seconds at the rate that the file
            states. Otherwise they count every int(rate / counted_fps)-th frame of the
            file as 1 / counted_fps seconds.
    """

    mirrored: bool = False
    counted_fps: float | None = None

    def true_second(self, stated_fps: float, true_fps: float) -> float:
        """Returns how many seconds a second of the labels lasts.

        Args:
            stated_fps: frames per second stated in the file.
            true_fps: frames per second at which it was recorded.
        """
        if self.counted_fps is None:
            return stated_fps / true_fps
        step = max(int(stated_fps / self.counted_fps), 1)
        return step * self.counted_fps / true_fps

    def cut(
        self,
        rotations: Float[np.ndarray, "t 24 3"],
        translation: Float[np.ndarray, "t 3"],
        labels: Sequence[Label],
    ) -> tuple[Float[np.ndarray, "c 24 3"], Float[np.ndarray, "c 3"], list[Label]]:
        """Cuts a recording to the frames that its labels cover.

        Args:
            rotations: (T, 24, 3) axis-angle of 22 body joints and two hands, radians.
            translation: (T, 3) metres.
            labels: at least one label with frames of the recording.

        Returns:
            The (C, 24, 3) rotations, (C, 3) translation and labels of the clip.
        """
        first = min(label.start for label in labels)
        frames = slice(first, max(label.end for label in labels))
        moved = [
            dataclasses.replace(row, start=row.start - first, end=row.end - first)
            for row in labels
        ]
        rotations, translation = rotations[frames], translation[frames]
        if self.mirrored:
            rotations, translation = mirror(rotations, translation)
        return rotations, translation, moved


def mirror(
    rotations: Float[np.ndarray, "*batch 24 3"],
    translation: Float[np.ndarray, "*batch 3"],
) -> tuple[Float[np.ndarray, "*batch 24 3"], Float[np.ndarray, "*batch 3"]]:
    """Mirrors a motion in the vertical plane through the origin of its translation.

    The plane's normal is the world's x axis, as in HumanML3D. The mirrored body has
    the proportions of the body itself, whose left and right differ by millimetres.

    Args:
        rotations: (..., 24, 3) parent-relative axis-angle of SMPL's 22 body joints,
            the left and the right hand, radians.
        translation: (..., 3) metres.

    Returns:
        The mirrored (rotations, translation), shapes as given.
    """
    # A rotation vector is an axial vector: mirroring keeps its component along the
    # normal and negates the others.
    turned = rotations[..., _MIRRORED, :] * np.array([1, -1, -1], rotations.dtype)
    return turned, translation * np.array([-1, 1, 1], translation.dtype)
