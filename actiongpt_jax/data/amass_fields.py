"""Reads and checks the fields of AMASS npz files; each fault has its error message."""

import pathlib

import numpy as np

from actiongpt_jax.choices import FPS_LIMITS
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.arrays import read_npz
from actiongpt_jax.files.reading import sha256
from actiongpt_jax.shapes import check_shape

Arrays = dict[str, np.ndarray]

COLUMNS = {"smplh": 156, "smplx": 165}  # columns of `poses`: three for each joint
RATE_FIELDS = ("mocap_framerate", "mocap_frame_rate")
# A rate is rounded if the relative difference is below this: some files store 120 as
# 120.00004577. Over ten minutes the difference amounts to less than 6 ms.
_WHOLE_RATE = 1e-5


def read_fields(path: pathlib.Path, fields: tuple[str, ...]) -> tuple[Arrays, str]:
    """Reads the named fields of an npz file; fields that it lacks are left out.

    Args:
        path: the file to read.
        fields: names of the fields to read; no other field is decoded.

    Returns:
        The arrays by field name, and the file's sha256 in hexadecimal.

    Raises:
        InputError: if the file is missing or damaged, or a field needs unpickling.
    """
    remedy = "use AMASS's SMPL+H G files, or download it again"
    try:
        arrays = read_npz(path, fields, remedy)
        return arrays, sha256(path, remedy)
    except FileNotFoundError as error:
        raise InputError(
            f"{path} must be a readable AMASS npz, got: {error.strerror}; {remedy}"
        ) from error


def poses_and_trans(
    path: pathlib.Path, arrays: Arrays, columns: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns poses (N, one of `columns`) and trans (N, 3), checked; N > 0.

    Raises:
        InputError: for a missing field, wrong type or shape, NaN or infinity.
    """
    for field in ("poses", "trans"):
        if field not in arrays:
            raise InputError(
                f"{path} must hold the field {field}, but it is missing; "
                "use AMASS's SMPL+H G motion files"
            )
        if arrays[field].dtype.kind not in "fiu":
            raise InputError(
                f"{path}: {field} must be numbers, got type {arrays[field].dtype}; "
                "download the file again"
            )
    poses, trans = arrays["poses"], arrays["trans"]
    if poses.ndim != 2 or poses.shape[1] not in columns:
        smplx = poses.ndim == 2 and poses.shape[1] == COLUMNS["smplx"]
        raise InputError(
            f"{path}: poses must be (frames, {' or '.join(map(str, columns))}), "
            f"got {poses.shape}{' (SMPL-X)' if smplx else ''}; "
            "use AMASS's SMPL+H G files"
        )
    axes, remedy = f"{len(poses)} 3", "download the file again"
    check_shape(f"{path}: trans", trans, axes, remedy=remedy)
    if len(poses) == 0:
        raise InputError(
            f"{path}: poses must have at least 1 frame, got 0; leave the file out"
        )
    poses, trans = (
        a if a.dtype.kind == "f" else a.astype(float) for a in (poses, trans)
    )
    require_finite(path, "poses", poses)
    require_finite(path, "trans", trans)
    return poses, trans


def require_finite(path: pathlib.Path, field: str, array: np.ndarray) -> None:
    """Raises InputError, naming the first frame, if `array` has NaN or infinity."""
    finite = np.isfinite(array).reshape(len(array), -1).all(-1)
    if not finite.all():
        raise InputError(
            f"{path}: {field} must be finite, got NaN or infinity in "
            f"{np.count_nonzero(~finite)} of {len(array)} frames (first: frame "
            f"{int(np.argmin(finite))}); repair or leave out the file"
        )


def frame_rate(path: pathlib.Path, arrays: Arrays) -> float:
    """Returns the stated frames per second, stored under either of two field names.

    A rate that differs from a whole number only by rounding is rounded.

    Raises:
        InputError: if the field is missing or is not one number within
            `choices.FPS_LIMITS`.
    """
    field = next((name for name in RATE_FIELDS if name in arrays), None)
    if field is None:
        raise InputError(
            f"{path} must hold the field {' or '.join(RATE_FIELDS)}, got neither; "
            "use AMASS's motion files (shape.npz holds no motion)"
        )
    value = arrays[field]
    rate = (
        float(value.item()) if value.size == 1 and value.dtype.kind in "fiu" else None
    )
    if rate is None or not FPS_LIMITS[0] <= rate <= FPS_LIMITS[1]:
        raise InputError(
            f"{path}: {field} must be one number from {FPS_LIMITS[0]:g} to "
            f"{FPS_LIMITS[1]:g}, got {np.array2string(value, threshold=3)}; "
            "correct the field"
        )
    whole = float(round(rate))
    return whole if abs(rate - whole) < _WHOLE_RATE * whole else rate


def word(value: np.ndarray | str) -> str:
    """Returns a text field as str; it may be bytes or, in SSM_synced, an array."""
    array = np.asarray(value).reshape(-1)
    word = array[0] if array.size else "neutral"
    return word.decode("latin-1") if isinstance(word, bytes) else str(word)


def betas(path: pathlib.Path, arrays: Arrays) -> np.ndarray:
    """Returns the (B,) float32 body shape; 16 zeros if the file lacks it.

    Raises:
        InputError: if the values are not finite numbers.
    """
    values = np.asarray(arrays.get("betas", np.zeros(16))).reshape(-1)
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise InputError(
            f"{path}: betas must be finite numbers, got type {values.dtype}; "
            "download the file again"
        )
    return values.astype(np.float32)
