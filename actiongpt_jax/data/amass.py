"""AMASS motion files: reading with every known trap, resampling, writing.

Source: AMASS (Mahmood et al. 2019, arXiv:1904.03278), its SMPL+H G files.
"""

import dataclasses
import math
import os
import pathlib
import tempfile

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.amass_sets import true_fps
from actiongpt_jax.data.npz_fields import (
    COLUMNS,
    RATE_FIELDS,
    betas,
    frame_rate,
    poses_and_trans,
    read_fields,
    require_finite,
    word,
)
from actiongpt_jax.errors import InputError
from actiongpt_jax.structs import Motion

NUM_JOINTS = 22
# First joint of each hand in SMPL-H's 52 joints (left and right index finger's
# root), which stands for the whole hand in the 24-joint SMPL body.
HAND_JOINTS = (22, 37)
# The same two in SMPL-X's 55 joints, after jaw and eyes.
HAND_JOINTS_SMPLX = (25, 40)
# Frame indices this close to a source frame are that frame, not a mixture.
_SAME_FRAME = 1e-6


@dataclasses.dataclass
class AmassFile:
    """One AMASS file as it lies on the disk, checked.

    Attributes:
        poses: (N, 156) axis-angle of SMPL-H's 52 joints, radians.
        trans: (N, 3) metres, z-up.
        fps: true frames per second.
        fps_file: what the file says; differs where the file is known to be wrong.
        gender: 'male', 'female', 'neutral' or whatever else the file says.
        betas: (B,) body shape.
        sha256: of the file, hexadecimal.
    """

    poses: np.ndarray
    trans: np.ndarray
    fps: float
    fps_file: float
    gender: str
    betas: np.ndarray
    sha256: str

    @property
    def rotations(self) -> np.ndarray:
        """(N, 24, 3): the 22 body joints, then the two of `HAND_JOINTS`."""
        joints = self.poses.reshape(len(self.poses), -1, 3)
        return joints[:, (*range(NUM_JOINTS), *HAND_JOINTS)]


def read_amass(path: str | os.PathLike) -> AmassFile:
    """Reads one SMPL-H motion file; Python objects in it are never unpickled.

    Args:
        path: of a `*_poses.npz`.

    Returns:
        The checked fields at the file's own frame rate.

    Raises:
        InputError: one sentence with file, field and what to do.
    """
    path = pathlib.Path(path)
    fields = ("poses", "trans", "betas", "gender", *RATE_FIELDS)
    arrays, sha256 = read_fields(path, fields)
    poses, trans = poses_and_trans(path, arrays, (COLUMNS["smplh"],))
    fps_file = frame_rate(path, arrays)
    fps = true_fps(path, fps_file)
    return AmassFile(
        poses=poses,
        trans=trans,
        fps=fps,
        fps_file=fps_file,
        gender=word(arrays.get("gender", "neutral")),
        betas=betas(path, arrays),
        sha256=sha256,
    )


def resample(
    rotations: Float[np.ndarray, "n j 3"],
    translation: Float[np.ndarray, "n 3"],
    fps_source: float,
    fps: float = 30.0,
) -> tuple[Float[np.ndarray, "t j 3"], Float[np.ndarray, "t 3"]]:
    """Resamples a motion in time; frame k of the result is at k / fps seconds.

    Result frames that fall on a source frame are copied. Between two, rotations
    are interpolated along the shortest arc (slerp) and translation linearly.

    Args:
        rotations: (N, J, 3) axis-angle, radians.
        translation: (N, 3) metres.
        fps_source: frames per second of the input.
        fps: frames per second of the result.

    Returns:
        (T, J, 3) and (T, 3) float32, T = floor((N - 1) fps / fps_source) + 1.
    """
    num_source = len(rotations)
    num_frames = math.floor((num_source - 1) * fps / fps_source + _SAME_FRAME) + 1
    index = np.arange(num_frames) * (fps_source / fps)
    first = np.floor(index + _SAME_FRAME).astype(np.int64)
    weight = index - first
    out_rotations = rotations[first].astype(np.float32)
    out_translation = translation[first].astype(np.float32)
    between = np.flatnonzero(weight > _SAME_FRAME)
    if between.size:
        first, weight = first[between], weight[between, None]
        start, end = rotations[first], rotations[first + 1]
        out_rotations[between] = _slerp(start, end, weight[..., None])
        start, end = translation[first], translation[first + 1]
        out_translation[between] = start + weight * (end.astype(np.float64) - start)
    return out_rotations, out_translation


def _slerp(start: np.ndarray, end: np.ndarray, weight: np.ndarray) -> np.ndarray:
    turn_start = Rotation.from_rotvec(start.reshape(-1, 3).astype(np.float64))
    turn_end = Rotation.from_rotvec(end.reshape(-1, 3).astype(np.float64))
    # A rotation vector of scipy's is never longer than pi: the shortest arc.
    arc = (turn_start.inv() * turn_end).as_rotvec().reshape(start.shape)
    part = Rotation.from_rotvec((weight * arc).reshape(-1, 3))
    return (turn_start * part).as_rotvec().reshape(start.shape)


def save_motion(
    path: str | os.PathLike, motion: Motion, layout: str = "smplh"
) -> pathlib.Path:
    """Writes a motion as an AMASS-layout npz that any AMASS reader opens.

    Args:
        path: of the file to write, ending in `.npz`; replaced as a whole.
        motion: what to write.
        layout: 'smplh' for AMASS's 156 columns; 'smplx' for the 165 (22 body
            joints, jaw and eyes, hands) that Blender's SMPL-X add-on reads.

    Returns:
        The path.

    Raises:
        InputError: for another layout or suffix, wrong shapes or NaN.
    """
    path = pathlib.Path(path)
    if layout not in COLUMNS:
        raise InputError(f"layout must be one of {', '.join(COLUMNS)}, got {layout!r}")
    if path.suffix != ".npz":
        raise InputError(f"{path}: the name of a motion file must end in .npz")
    rotations, trans = np.asarray(motion.rotations), np.asarray(motion.translation)
    num_frames = len(rotations)
    if rotations.shape != (num_frames, NUM_JOINTS, 3) or trans.shape != (num_frames, 3):
        raise InputError(
            f"{path}: rotations and translation must be (T, 22, 3) and (T, 3), "
            f"got {rotations.shape} and {trans.shape}"
        )
    if motion.lengths and sum(motion.lengths) != num_frames:
        raise InputError(
            f"{path}: lengths must add up to the motion's {num_frames} frames, "
            f"got {sum(motion.lengths)}"
        )
    joints = np.zeros((num_frames, COLUMNS[layout] // 3, 3), np.float32)
    joints[:, :NUM_JOINTS] = rotations
    if motion.hands is not None:
        joints[:, _hand_joints(joints.shape[1])] = motion.hands
    require_finite(path, "rotations", joints)
    require_finite(path, "translation", trans)
    content = {
        "poses": joints.reshape(num_frames, -1),
        "trans": trans.astype(np.float32),
        "betas": np.zeros(16, np.float32),
        "gender": np.str_("neutral"),
        "mocap_framerate": np.float64(motion.fps),
        "mocap_frame_rate": np.float64(motion.fps),
        "text": np.array(motion.text, np.str_),
        "lengths": np.array(motion.lengths, np.int64),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(".npz", f".{path.stem}-", path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **content)
        os.chmod(temporary, 0o644)  # mkstemp's own mode hides it from colleagues
        os.replace(temporary, path)
    except OSError as error:
        pathlib.Path(temporary).unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    return path


def load_motion(path: str | os.PathLike) -> Motion:
    """Reads a motion of `save_motion`, or any AMASS file, at its own frame rate.

    Args:
        path: of an npz with 156 (SMPL-H) or 165 (SMPL-X) columns of poses.

    Returns:
        The motion; `hands` is None where the file's hands are at rest.

    Raises:
        InputError: one sentence with file, field and what to do.
    """
    path = pathlib.Path(path)
    fields = ("poses", "trans", "text", "lengths", *RATE_FIELDS)
    arrays, _ = read_fields(path, fields)
    poses, trans = poses_and_trans(path, arrays, tuple(COLUMNS.values()))
    joints = poses.reshape(len(poses), -1, 3).astype(np.float32)
    hands = joints[:, _hand_joints(joints.shape[1])]
    text = tuple(str(t) for t in np.atleast_1d(arrays.get("text", ())))
    lengths = np.atleast_1d(arrays.get("lengths", np.zeros(0, np.int64)))
    if lengths.size and (lengths.dtype.kind not in "iu" or lengths.sum() != len(poses)):
        raise InputError(
            f"{path}: lengths must be whole frames that add up to {len(poses)}; "
            "write the file again"
        )
    return Motion(
        rotations=joints[:, :NUM_JOINTS],
        translation=trans.astype(np.float32),
        fps=true_fps(path, frame_rate(path, arrays)),
        text=text,
        lengths=tuple(int(n) for n in lengths),
        hands=hands if hands.any() else None,
    )


def _hand_joints(num_joints: int) -> tuple[int, ...]:
    smplx = num_joints == COLUMNS["smplx"] // 3
    return HAND_JOINTS_SMPLX if smplx else HAND_JOINTS
