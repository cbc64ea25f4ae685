"""AMASS motion files: reading with every known trap, resampling, writing.

Source: AMASS (Mahmood et al. 2019, arXiv:1904.03278), its SMPL+H G files.
"""

import dataclasses
import math
import os
import pathlib

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.amass_fields import (
    COLUMNS,
    RATE_FIELDS,
    betas,
    frame_rate,
    poses_and_trans,
    read_fields,
    word,
)
from actiongpt_jax.errors import InputError

NUM_JOINTS = 22
# First joint of each hand in SMPL-H's 52 joints (left and right index finger's
# root), which stands for the whole hand in the 24-joint SMPL body.
HAND_JOINTS = (22, 37)
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


# A rate this close (relative) to a whole number is that number: 120.00004577 is
# how some files store 120. Over ten minutes the difference is below 6 ms.
_WHOLE_RATE = 1e-5
# Published names of one set, one row each. The first two are those of BABEL's
# `feat_p` (TEACH's list); a third is what the AMASS site calls it today.
SETS = (
    ("ACCAD",),
    ("BMLrub", "BioMotionLab_NTroje"),
    ("CMU",),
    ("BMLmovi",),
    ("EKUT",),
    ("DFaust67", "DFaust_67", "DFaust"),
    ("HumanEva",),
    ("EyesJapanDataset", "Eyes_Japan_Dataset"),
    ("KIT",),
    ("MPIHDM05", "MPI_HDM05", "HDM05"),
    ("MPILimits", "MPI_Limits", "PosePrior"),
    ("MPImosh", "MPI_mosh", "MoSh"),
    ("SFU",),
    ("SSMsynced", "SSM_synced", "SSM"),
    ("TCDhandMocap", "TCD_handMocap", "TCDHands"),
    ("TotalCapture",),
    ("Transitionsmocap", "Transitions_mocap", "Transitions"),
    ("DanceDB",),
    ("BMLhandball",),
)
_NAMES = {name: names for names in SETS for name in names}


def locate(root: str | os.PathLike, feat_p: str) -> pathlib.Path:
    """Finds the file of a BABEL `feat_p`, whichever set names the disk uses.

    BABEL names the set twice (`KIT/KIT/...`, `BMLrub/BioMotionLab_NTroje/...`);
    disks have one of the names or both, or `root` is the set's folder itself.

    Args:
        root: folder with AMASS's sets.
        feat_p: path as BABEL writes it.

    Returns:
        Path of an existing file.

    Raises:
        InputError: if there is no such file; says so when the SMPL-X variant of
            it lies there instead.
    """
    candidates = [pathlib.Path(root, path) for path in _spellings(feat_p)]
    for path in candidates:
        if path.is_file():
            return path
    for path in candidates:
        other = path.with_name(path.name.replace("_poses.npz", "_stageii.npz"))
        if other != path and other.is_file():
            raise InputError(
                f"{path} must be an SMPL+H G motion file, got only its SMPL-X variant "
                f"{other.name}; download the SMPL+H G files of this set"
            )
    raise InputError(
        f"{feat_p} must lie below {root}, got no file under any name of its set; "
        "download that set's SMPL+H G files from the AMASS site or leave it out"
    )


def _spellings(feat_p: str) -> list[pathlib.PurePath]:
    parts = pathlib.PurePosixPath(feat_p).parts
    names = _NAMES.get(parts[0], parts[:1])
    doubled = len(parts) > 2 and (parts[1] in names or parts[0] not in _NAMES)
    rest = parts[2:] if doubled else parts[1:]
    heads = [parts[:1], parts[1:2]] if doubled else [parts[:1]]
    heads += [(name,) for name in names]
    heads += [(a, b) for a in names for b in names]
    tails = [parts] + [(*head, *rest) for head in heads] + [rest]
    return [pathlib.PurePath(*tail) for tail in dict.fromkeys(tails) if tail]


def true_fps(path: str | os.PathLike, fps_file: float) -> float:
    """Corrects the frame rate of the AMASS files known to state a wrong one.

    Args:
        path: of the file, below the folder of its set.
        fps_file: the rate that the file states.

    Returns:
        The rate to believe; whole where the file's is whole but for rounding.

    Source: TEACH's preparation of AMASS.
    """
    path = pathlib.PurePath(path)
    if "BMLhandball" in path.parts:
        return 240.0
    if any(subject in str(path) for subject in ("20160930_50032", "20161014_50033")):
        return 59.0
    whole = float(round(fps_file))
    return whole if abs(fps_file - whole) < _WHOLE_RATE * whole else fps_file
