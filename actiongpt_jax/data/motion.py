"""A motion of the SMPL body in memory, and its file format, which is AMASS's."""

import collections
import dataclasses
import os
import pathlib
import re
import warnings
from collections.abc import Sequence

import numpy as np

from actiongpt_jax import notebook
from actiongpt_jax.choices import FRAMERATE
from actiongpt_jax.data.amass import HAND_JOINTS, NUM_JOINTS
from actiongpt_jax.data.amass_fields import (
    COLUMNS,
    RATE_FIELDS,
    frame_rate,
    poses_and_trans,
    read_fields,
    require_finite,
    word,
)
from actiongpt_jax.data.mocap.reader import MocapSettings, is_mocap, read_mocap
from actiongpt_jax.errors import InputError, check_choice
from actiongpt_jax.files.atomic import replaced
from actiongpt_jax.geometry.skeletons import SMPL22, SMPLX_PELVIS
from actiongpt_jax.shapes import check_shape

# The joints of `HAND_JOINTS` among SMPL-X's 55, after jaw and eyes.
HAND_JOINTS_SMPLX = (25, 40)
# SMPL-X's translation minus SMPL-H's, for the same place of the pelvis, which is
# lower in SMPL-X at rest. Body models do not turn their rest pelvis, so that this is a
# vector of the world.
_TO_SMPLX = np.subtract(SMPL22.offsets[0], SMPLX_PELVIS)


@dataclasses.dataclass(repr=False)
class Motion:
    """One motion of the SMPL body, on the host.

    Attributes:
        rotations: (T, 22, 3) float32 parent-relative axis-angle, radians; joint 0
            is the global orientation. World is z-up.
        translation: (T, 3) float32 metres; pelvis = translation + rest pelvis.
        fps: frames per second.
        text: the phrases, in order of time.
        lengths: number of frames of each phrase; they sum to T.
        hands: (T, 2, 3) axis-angle of SMPL-H joints 22 and 37; None for hands at rest.
        edits: what was done to the motion after it was generated, such as 'clean feet'.
    """

    rotations: np.ndarray
    translation: np.ndarray
    fps: float = FRAMERATE
    text: tuple[str, ...] = ()
    lengths: tuple[int, ...] = ()
    hands: np.ndarray | None = None
    edits: tuple[str, ...] = ()

    @property
    def caption(self) -> str:
        """The phrases, joined to one line."""
        return ", then ".join(self.text)

    def _repr_html_(self) -> str:
        return notebook.to_html([self])

    def __repr__(self) -> str:
        """Returns the phrases and the length in one line."""
        frames = len(self.rotations)
        return f"Motion({self.caption[:80]!r}, {frames} frames, {self.fps:g} fps)"


def save_motion(
    path: str | os.PathLike, motion: Motion, layout: str = "smplh"
) -> pathlib.Path:
    """Writes a motion as an npz file in AMASS's layout, which any AMASS reader opens.

    Args:
        path: the file to write, ending in `.npz`; an existing file is replaced
            atomically.
        motion: the motion to write.
        layout: 'smplh' for AMASS's 156 columns; 'smplx' for the 165 (22 body
            joints, jaw and eyes, hands) that Blender's SMPL-X add-on reads, with the
            translation of SMPL-X's body, and the fields that robot retargeting reads.

    Returns:
        The path.

    Raises:
        InputError: if the layout or the suffix is unknown, a shape is wrong, or a
            value is NaN or infinite.
    """
    path = pathlib.Path(path)
    check_choice("layout", layout, COLUMNS)
    if path.suffix != ".npz":
        raise InputError(f"{path}: the name of a motion file must end in .npz")
    rotations, trans = np.asarray(motion.rotations), np.asarray(motion.translation)
    num_frames = len(rotations)
    sizes = check_shape(f"{path}: rotations", rotations, f"T {NUM_JOINTS} 3")
    check_shape(f"{path}: translation", trans, "T 3", sizes)
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
        "edits": np.array(motion.edits, np.str_),
    }
    if layout == "smplx":
        content |= {
            "layout": np.str_(layout),
            "trans": (trans + _TO_SMPLX).astype(np.float32),
            "root_orient": joints[:, 0],
            "pose_body": joints[:, 1:NUM_JOINTS].reshape(num_frames, -1),
        }
    with replaced(path) as new:
        np.savez(new, **content)
    return path


def save_motions(
    folder: str | os.PathLike,
    motions: Sequence[Motion],
    layout: str = "smplh",
    name: str | None = None,
    replace: bool = True,
) -> list[pathlib.Path]:
    """Writes motions as `<name>_<number>.npz` into a folder, created if missing.

    Motions with the same name are numbered from 0. The number of a file with another
    text, or of a file that is no motion, is left out, so that it is never replaced.

    Args:
        folder: the folder for the files.
        motions: the motions to write.
        layout: columns of the poses; see `save_motion`.
        name: first part of every file name; None derives it from each motion's
            caption.
        replace: whether a file with the same text is replaced, as when a command is
            repeated; False replaces no file.

    Returns:
        The paths, in the order of the motions.

    Raises:
        InputError: as in `save_motion`.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written, paths = collections.Counter(), []
    for motion in motions:
        stem = name or file_stem(motion.caption)
        path = folder / f"{stem}_{written[stem]}.npz"
        while not is_free(path, motion.text, replace):
            written[stem] += 1
            path = folder / f"{stem}_{written[stem]}.npz"
        written[stem] += 1
        paths.append(save_motion(path, motion, layout))
    return paths


def file_stem(caption: str) -> str:
    """Returns the first part of a file's name for a caption."""
    return re.sub(r"[^a-z0-9]+", "_", caption.lower()).strip("_")[:60] or "motion"


def is_free(path: pathlib.Path, text: tuple[str, ...], replace: bool = True) -> bool:
    """Says whether a motion may be written to a path.

    Args:
        path: the path of an npz file.
        text: the phrases of the motion.
        replace: whether a file with the same text may be replaced.
    """
    return not path.exists() or (replace and _text_of(path) == text)


def _text_of(path: pathlib.Path) -> tuple[str, ...] | None:
    """Returns the phrases of a motion file; None for any other file."""
    try:
        arrays, _ = read_fields(path, ("poses", "text"))
    except InputError:
        return None
    return _words(arrays, "text") if "poses" in arrays else None


def _words(arrays: dict[str, np.ndarray], field: str) -> tuple[str, ...]:
    return tuple(str(text) for text in np.atleast_1d(arrays.get(field, ())))


def load_motion(path: str | os.PathLike, mocap: MocapSettings | None = None) -> Motion:
    """Reads a motion file at its own frame rate.

    A `.bvh` or `.amc` file of any human skeleton is transferred to SMPL's body; a
    warning says if a rest pose at its beginning is left out.

    Args:
        path: an npz file of `save_motion` or AMASS with 156 (SMPL-H) or 165 (SMPL-X)
            columns of poses, a `.bvh` file, or an `.amc` file with its `.asf` skeleton
            in the same folder. In files of `save_motion` whose field `layout` is
            'smplx', the translation is that of SMPL-X's body.
        mocap: what to take in place of what a `.bvh` or `.amc` file shows.

    Returns:
        The motion; `hands` is None if the hands are at rest throughout.

    Raises:
        InputError: if the file is missing or damaged, or a field is invalid; the
            message names the file, the field and the remedy.
    """
    if is_mocap(path):
        motion, notes = read_mocap_motion(path, mocap)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return motion
    path = pathlib.Path(path)
    fields = ("poses", "trans", "text", "lengths", "edits", "layout", *RATE_FIELDS)
    arrays, _ = read_fields(path, fields)
    poses, trans = poses_and_trans(path, arrays, tuple(COLUMNS.values()))
    joints = poses.reshape(len(poses), -1, 3).astype(np.float32)
    if _is_smplx(joints.shape[1]) and word(arrays.get("layout", "")) == "smplx":
        trans = trans - _TO_SMPLX
    hands = joints[:, _hand_joints(joints.shape[1])]
    lengths = np.atleast_1d(arrays.get("lengths", np.zeros(0, np.int64)))
    if lengths.size and (lengths.dtype.kind not in "iu" or lengths.sum() != len(poses)):
        raise InputError(
            f"{path}: lengths must be whole numbers that add up to the file's "
            f"{len(poses)} frames; write the file again"
        )
    return Motion(
        rotations=joints[:, :NUM_JOINTS],
        translation=trans.astype(np.float32),
        fps=frame_rate(path, arrays),
        text=_words(arrays, "text"),
        lengths=tuple(int(n) for n in lengths),
        hands=hands if hands.any() else None,
        edits=_words(arrays, "edits"),
    )


def read_mocap_motion(
    path: str | os.PathLike, mocap: MocapSettings | None = None
) -> tuple[Motion, list[str]]:
    """Reads a `.bvh` or `.amc` file; see `load_motion`.

    Returns:
        The motion, and a sentence for everything that was left out.
    """
    body, fps, notes = read_mocap(path, mocap)
    return Motion(body.rotations, body.translation, fps), notes


def _hand_joints(num_joints: int) -> tuple[int, ...]:
    return HAND_JOINTS_SMPLX if _is_smplx(num_joints) else HAND_JOINTS


def _is_smplx(num_joints: int) -> bool:
    return num_joints == COLUMNS["smplx"] // 3
