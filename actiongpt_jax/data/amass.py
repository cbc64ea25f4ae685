"""Reads AMASS motion files, corrects their known faults, and resamples them.

Source: AMASS (Mahmood et al. 2019, arXiv:1904.03278), its SMPL+H G files.
"""

import dataclasses
import math
import os
import pathlib

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from actiongpt_jax.choices import FRAMERATE
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
# First joint of each hand among SMPL-H's 52 joints (root of the left and of the right
# index finger); it represents the whole hand in the 24-joint SMPL body.
HAND_JOINTS = (22, 37)
# A result frame this close to a source frame, in frames of the source, copies it
# instead of being interpolated.
_SAME_FRAME = 1e-6


@dataclasses.dataclass
class AmassFile:
    """The checked content of one AMASS file, not resampled.

    Attributes:
        poses: (N, 156) axis-angle rotations of SMPL-H's 52 joints, radians.
        trans: (N, 3) metres, z-up.
        fps: frames per second as stated in the file; see `true_fps`.
        gender: 'male', 'female', 'neutral' or any other text found in the file.
        betas: (B,) body shape parameters.
        sha256: hash of the file, hexadecimal.
    """

    poses: np.ndarray
    trans: np.ndarray
    fps: float
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
        path: a `*_poses.npz` file.

    Returns:
        The checked fields at the file's own frame rate.

    Raises:
        InputError: if the file is missing or damaged, or a field is invalid; the
            message names the file, the field and the remedy.
    """
    path = pathlib.Path(path)
    fields = ("poses", "trans", "betas", "gender", *RATE_FIELDS)
    arrays, sha256 = read_fields(path, fields)
    poses, trans = poses_and_trans(path, arrays, (COLUMNS["smplh"],))
    return AmassFile(
        poses=poses,
        trans=trans,
        fps=frame_rate(path, arrays),
        gender=word(arrays.get("gender", "neutral")),
        betas=betas(path, arrays),
        sha256=sha256,
    )


def resample(
    rotations: Float[np.ndarray, "n j 3"],
    translation: Float[np.ndarray, "n 3"],
    fps_source: float,
    fps: float = FRAMERATE,
) -> tuple[Float[np.ndarray, "t j 3"], Float[np.ndarray, "t 3"]]:
    """Resamples a motion in time; frame k of the result is at k / fps seconds.

    A result frame that coincides with a source frame is a copy of it. Between source
    frames, rotations are interpolated along the shortest arc (slerp) and translations
    linearly.

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
    # `as_rotvec` returns angles of at most pi, so this is the shortest arc.
    arc = (turn_start.inv() * turn_end).as_rotvec().reshape(start.shape)
    part = Rotation.from_rotvec((weight * arc).reshape(-1, 3))
    return (turn_start * part).as_rotvec().reshape(start.shape)


# The published names of each set, one set per row. The first two names are those in
# BABEL's `feat_p` (TEACH's list); the third is the name on the AMASS site today.
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
    """Finds the file of a BABEL `feat_p` under any published name of its set.

    BABEL writes the set's name twice (`KIT/KIT/...`,
    `BMLrub/BioMotionLab_NTroje/...`). On disk, the path may contain one of the names
    or both, or `root` may be the set's folder itself.

    Args:
        root: folder that contains AMASS's sets.
        feat_p: path of the file in BABEL's notation.

    Returns:
        Path of an existing file.

    Raises:
        InputError: if there is no such file; the message says so if only its SMPL-X
            variant exists.
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
        f"{feat_p} must lie below {root}, but it was not found there; "
        "download that set's SMPL+H G files from the AMASS site or leave it out"
    )


def _spellings(feat_p: str) -> list[pathlib.PurePath]:
    """Returns the relative paths at which the file may lie, most likely first."""
    parts = pathlib.PurePosixPath(feat_p).parts
    names = _NAMES.get(parts[0], parts[:1])
    doubled = len(parts) > 2 and (parts[1] in names or parts[0] not in _NAMES)
    rest = parts[2:] if doubled else parts[1:]
    heads = [parts[:1], parts[1:2]] if doubled else [parts[:1]]
    heads += [(name,) for name in names]
    heads += [(a, b) for a in names for b in names]
    tails = [parts] + [(*head, *rest) for head in heads] + [rest]
    return [pathlib.PurePath(*tail) for tail in dict.fromkeys(tails) if tail]


# Set -> recordings that state a wrong rate: their folder within the set, or None for
# the whole set; the rate they state; their true rate.
_WRONG_RATES = {
    "BMLhandball": ((None, 120.0, 240.0),),
    "SSMsynced": (
        ("20160930_50032", 120.0, 59.0),
        ("20161014_50033", 120.0, 59.0),
    ),
}


def true_fps(feat_p: str, stated: float) -> float:
    """Returns the true frame rate of an AMASS recording; some files state a wrong one.

    Args:
        feat_p: path of the recording in BABEL's notation, which starts with its set.
        stated: frames per second stated in the file.

    Returns:
        The true frames per second: another one than stated only for a recording of
        AMASS that states the rate known to be wrong, so that a file that was resampled
        or corrected beforehand keeps its rate.

    Source: for the true rates, TEACH's preparation of AMASS.
    """
    parts = pathlib.PurePosixPath(feat_p).parts
    names = _NAMES.get(parts[0], parts[:1])
    for folder, wrong, true in _WRONG_RATES.get(names[0], ()):
        if stated == wrong and (folder is None or folder in parts):
            return true
    return stated
