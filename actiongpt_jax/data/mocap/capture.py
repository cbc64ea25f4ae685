"""A motion-capture recording on its own skeleton, as its file states it."""

import collections
import dataclasses
import functools
import pathlib
import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.reading import read_bytes

# A larger number is no position (in millimetres it is 10 km) and no angle.
_LARGEST = 1e7
_LARGEST_FILE = 1 << 30
_COMMENT = re.compile(r"(?:^|(?<=\s))(?:#|//)[^\n]*")


@dataclasses.dataclass(frozen=True)
class Joint:
    """One joint of a recorded skeleton; joints with equal names are different joints.

    Attributes:
        name: name in the file; the tip of a limb is named after its parent.
        parent: index of the parent, -1 for the root; parents come first.
        offset: (3,) offset from the parent, in the file's unit and axes.
        turns: axes of the rotation channels, such as 'ZXY'; the first is the outermost.
        turn_columns: the columns of `Capture.values` that hold these angles.
        shifts: axes of the position channels, such as 'XYZ'.
        shift_columns: the columns that hold these positions.
        axes: (3, 3) axes in which the joint turns; None for its parent's axes.
        is_tip: whether this is the end of a limb, which has no channels.
    """

    name: str
    parent: int
    offset: np.ndarray
    turns: str = ""
    turn_columns: tuple[int, ...] = ()
    shifts: str = ""
    shift_columns: tuple[int, ...] = ()
    axes: np.ndarray | None = None
    is_tip: bool = False


@dataclasses.dataclass(frozen=True)
class Capture:
    """A recording.

    Attributes:
        path: the file.
        joints: the J joints, tips included.
        values: (T, C) values of all channels; angles in radians.
        fps: frames per second.
    """

    path: pathlib.Path
    joints: tuple[Joint, ...]
    values: np.ndarray
    fps: float

    @property
    def parents(self) -> tuple[int, ...]:
        """The parent of every joint."""
        return tuple(joint.parent for joint in self.joints)

    def ancestors(self, joint: int) -> list[int]:
        """Returns a joint and all joints above it, up to the root."""
        path = []
        while joint >= 0:
            path.append(joint)
            joint = self.joints[joint].parent
        return path

    def world(
        self, joints: Sequence[int], frames: Sequence[int] | slice = slice(None)
    ) -> tuple[Float[np.ndarray, "t n 3 3"], Float[np.ndarray, "t n 3"]]:
        """Computes orientations and positions in the axes and the unit of the file.

        Args:
            joints: indices of the N joints to compute.
            frames: the T frames to compute.

        Returns:
            (T, N, 3, 3) orientations and (T, N, 3) positions.
        """
        values = self.values[frames]
        needed = sorted({above for joint in joints for above in self.ancestors(joint)})
        turned, placed = {}, {}
        for index in needed:
            joint = self.joints[index]
            turn, place = _turn(joint, values), self._place(joint, values)
            if joint.parent >= 0:
                above = turned[joint.parent]
                place = placed[joint.parent] + (above @ place[..., None])[..., 0]
                turn = above if turn is None else above @ turn
            elif turn is None:
                turn = np.tile(np.eye(3), (len(values), 1, 1))
            turned[index], placed[index] = turn, place
        return (
            np.stack([turned[joint] for joint in joints], 1),
            np.stack([placed[joint] for joint in joints], 1),
        )

    def zero_pose(
        self, joints: Sequence[int]
    ) -> tuple[Float[np.ndarray, "n 3 3"], Float[np.ndarray, "n 3"]]:
        """Computes the pose with all angles zero and all joints at their offsets."""
        places = np.zeros((len(self.joints), 3))
        for index, joint in enumerate(self.joints):
            above = places[joint.parent] if joint.parent >= 0 else 0.0
            places[index] = above + joint.offset
        return np.tile(np.eye(3), (len(joints), 1, 1)), places[list(joints)]

    def _place(self, joint: Joint, values: np.ndarray) -> np.ndarray:
        place = np.tile(joint.offset, (len(values), 1))
        added = bool(joint.shifts) and joint.parent >= 0 and self._adds[joint.shifts]
        for axis, column in zip(joint.shifts, joint.shift_columns, strict=True):
            along = "XYZ".index(axis)
            if added:
                place[:, along] += values[:, column]
            else:
                place[:, along] = values[:, column]
        return place

    @functools.cached_property
    def _adds(self) -> dict[str, bool]:
        """Says whether positions are added to the offsets of joints below the root.

        Programs disagree on this. In a rigid skeleton the positions stay near the
        offset if they replace it, and near zero if they are added to it. All joints
        with the same channels decide together.
        """
        gaps: dict[str, float] = collections.defaultdict(float)
        for joint in self.joints:
            if joint.parent >= 0 and joint.shifts:
                offset = joint.offset[["XYZ".index(axis) for axis in joint.shifts]]
                near = np.median(self.values[:, joint.shift_columns], axis=0)
                length = max(float(np.linalg.norm(offset)), 1e-9)
                # Between -1 and 1, so that one joint that moves does not decide.
                gap = np.linalg.norm(near) - np.linalg.norm(near - offset)
                gaps[joint.shifts] += float(gap) / length
        return {shifts: gap < 0 for shifts, gap in gaps.items()}


def read_loose(path: pathlib.Path) -> str:
    """Reads a text file of any program, without comments and with plain line ends.

    Args:
        path: a file in UTF-8 or latin-1.

    Raises:
        InputError: if the file cannot be read or is not text.
    """
    try:
        content = read_bytes(path, "check the path", _LARGEST_FILE)
    except FileNotFoundError as error:
        raise InputError(
            f"{path} must be a readable file, got: {error.strerror}; check the path"
        ) from error
    if b"\0" in content:
        raise InputError(f"{path} must be text, got binary data; export it as text")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _COMMENT.sub("", text) if "#" in text or "//" in text else text


def checked(capture: Capture) -> Capture:
    """Returns the capture if it can be used.

    Raises:
        InputError: if it has fewer than two frames, or a value that is not finite.
    """
    values = capture.values
    if len(values) < 2:
        raise InputError(
            f"{capture.path} must have at least 2 frames, got {len(values)}; "
            "leave out the file"
        )
    # `not <` so that NaN counts too.
    bad = ~(np.abs(values) < _LARGEST)
    if bad.any():
        frame, column = np.argwhere(bad)[0]
        owner = next(
            joint.name
            for joint in capture.joints
            if column in (*joint.turn_columns, *joint.shift_columns)
        )
        raise InputError(
            f"{capture.path}: the values of {owner} must be finite numbers, got "
            f"{values[frame, column]} in frame {frame}; repair or leave out the file"
        )
    return capture


def _turn(joint: Joint, values: np.ndarray) -> np.ndarray | None:
    """Returns the (T, 3, 3) turns of a joint in its parent, None without channels."""
    if not joint.turns:
        return None
    angles = values[:, joint.turn_columns]
    matrices = Rotation.from_euler(joint.turns, angles).as_matrix()
    if joint.axes is None:
        return matrices
    return joint.axes @ matrices @ joint.axes.T
