"""Converts motion-capture files to motion files in AMASS's layout."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import tqdm

from actiongpt_jax.data.mocap.reader import MocapSettings, is_mocap
from actiongpt_jax.data.motion import read_mocap_motion, save_motion
from actiongpt_jax.errors import InputError

_SHOWN_NOTES = 20


@dataclasses.dataclass
class Converted:
    """What became of the files.

    Attributes:
        written: the npz files.
        seconds: how long all motions last.
        notes: a sentence for everything that was left out of a motion.
        skipped: the sentence that says what is wrong, for each file left out.
    """

    written: list[pathlib.Path]
    seconds: float
    notes: list[str]
    skipped: list[str]


def convert_files(
    paths: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    settings: MocapSettings | None = None,
) -> Converted:
    """Writes an npz file for every motion-capture file.

    One file is in memory at a time. Files that cannot be read are left out.

    Args:
        paths: `.bvh` and `.amc` files, and folders of them; the folders below a given
            folder are kept.
        out: folder for the npz files; files of the same names are replaced.
        settings: what to take in place of what the files show.

    Returns:
        What was written and what was left out.

    Raises:
        InputError: if no file can be read, or two would be written to the same place.
    """
    targets = _targets(paths, pathlib.Path(out))
    result = Converted([], 0.0, [], [])
    bar = tqdm.tqdm(targets.items(), desc="motion", unit="file", mininterval=0.5)
    for target, path in bar:
        try:
            motion, notes = read_mocap_motion(path, settings)
        except InputError as error:
            result.skipped.append(str(error))
            continue
        result.written.append(save_motion(target, motion))
        result.seconds += len(motion.rotations) / motion.fps
        result.notes += notes
    if not result.written:
        more = len(result.skipped) - 1
        rest = f" (and {more} more files could not be read)" if more else ""
        raise InputError(result.skipped[0] + rest)
    return result


def format_converted(result: Converted) -> str:
    """Formats the result for the terminal, with one line per skipped file."""
    lines = [
        f"{len(result.written)} motions, {result.seconds / 60:.3g} minutes, "
        f"{len(result.skipped)} files skipped"
    ]
    lines += [f"  skipped {sentence}" for sentence in result.skipped]
    lines += [f"  note: {note}" for note in result.notes[:_SHOWN_NOTES]]
    if len(result.notes) > _SHOWN_NOTES:
        lines.append(f"  and {len(result.notes) - _SHOWN_NOTES} more notes")
    return "\n".join(lines)


def mocap_files(paths: Sequence[str | os.PathLike]) -> list[pathlib.Path]:
    """Lists the motion-capture files among paths and below folders.

    Raises:
        InputError: if a path does not exist or is another file, or there is no file.
    """
    return list(_targets(paths, pathlib.Path()).values())


def _targets(
    paths: Sequence[str | os.PathLike], out: pathlib.Path
) -> dict[pathlib.Path, pathlib.Path]:
    """Returns file to write -> file to read."""
    targets: dict[pathlib.Path, pathlib.Path] = {}
    for given in map(pathlib.Path, paths):
        if given.is_dir():
            files = [path for path in sorted(given.rglob("*")) if is_mocap(path)]
            found = [(path, path.relative_to(given)) for path in files]
        elif is_mocap(given):
            found = [(given, pathlib.Path(given.name))]
        else:
            raise InputError(
                f"{given} must be a .bvh or .amc file, or a folder of such files"
            )
        for path, name in found:
            target = (out / name).with_suffix(".npz")
            if targets.setdefault(target, path) != path:
                raise InputError(
                    f"{path} and {targets[target]} would both be written to {target}; "
                    "rename one of them or convert them separately"
                )
    if not targets:
        raise InputError(
            f"{', '.join(map(str, paths))} must hold .bvh or .amc files, but has none"
        )
    return targets
