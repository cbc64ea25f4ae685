"""What is peculiar to single sets of AMASS: folder names, wrong frame rates."""

import os
import pathlib

from actiongpt_jax.errors import InputError

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
