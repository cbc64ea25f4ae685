"""Reads the phrases to describe from a motion store, BABEL's JSON or a text file."""

import os
import pathlib
import unicodedata
from collections.abc import Iterable

from actiongpt_jax.choices import CLIP_FRAMES, NUM_FRAMES
from actiongpt_jax.data.babel import read_babel
from actiongpt_jax.data.batches import windows
from actiongpt_jax.data.motion_store import SPLITS, open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import write_text
from actiongpt_jax.files.reading import read_text

# Unicode's control characters, lone surrogates, line and paragraph separators.
_FORBIDDEN = {"Cc", "Cs", "Zl", "Zp"}


def read_phrases(path: str | os.PathLike) -> list[str]:
    """Reads the distinct phrases of a source; runs of white space become one blank.

    Args:
        path: a motion store, BABEL's folder or one of its train.json, val.json and
            test.json, or a text file with one phrase per line.

    Returns:
        The phrases in the order of the source.

    Raises:
        FileNotFoundError: if there is nothing at the path.
        InputError: if a line is not UTF-8 or has control characters (the message
            names the line), or if there is no phrase.
    """
    path = pathlib.Path(path)
    if not os.path.lexists(path):
        raise FileNotFoundError(
            f"no phrases at {path}; give a motion store (`python -m actiongpt_jax."
            "prepare` makes one), BABEL's JSON, or a text file with one phrase per line"
        )
    phrases: Iterable[str]
    if path.is_dir() and (path / "meta.json").is_file():
        phrases = (label.phrase for label in open_store(path).labels)
    elif path.is_dir():
        phrases = _of_babel(path, SPLITS)
    elif path.suffix == ".json":
        if path.stem not in SPLITS:
            raise InputError(
                f"{path} must be BABEL's train.json, val.json or test.json, or a text"
                " file with one phrase per line and another ending; pass a"
                " {phrase: [texts]} file with --from-file"
            )
        phrases = _of_babel(path.parent, (path.stem,))
    else:
        phrases = _lines(path)
    unique = list(dict.fromkeys(joined for p in phrases if (joined := _join(p))))
    if not unique:
        raise InputError(f"{path} must hold at least one phrase, but it has none")
    return unique


def write_window_phrases(
    out: str | os.PathLike,
    store: str | os.PathLike,
    num_frames: int = NUM_FRAMES,
    clip_frames: int = CLIP_FRAMES,
    window_text: str = "covering",
) -> str:
    """Writes the phrases of MotionCLIP's windows to a text file for `describe`.

    Args:
        out: text file to write, one phrase per line.
        store: folder of the motion store.
        num_frames: number of frames of a window.
        clip_frames: number of frames of the clips that windows are cut from.
        window_text: 'covering' names a window by the phrase that covers most of it,
            'reference' joins all labels of a window by " and ".

    Returns:
        One line that says what was written and which command to run next.

    Raises:
        InputError: if no clip has a window that can be named.
    """
    clips = windows.clips(
        open_store(store),
        num_frames=num_frames,
        clip_frames=clip_frames,
        window_text=window_text,
    )
    if not clips:
        raise InputError(
            f"motion store {store} has no clip of {clip_frames} frames with a labelled "
            f"window of {num_frames}; choose shorter windows with --frames"
        )
    phrases = windows.phrases(clips)
    write_text(out, (f"{phrase}\n" for phrase in phrases))
    return (
        f"{out}: {len(phrases)} phrases of {sum(c.num_windows for c in clips)} "
        f"windows in {len(clips)} clips; describe them with `python -m "
        f"actiongpt_jax.describe --phrases {out}`"
    )


def check_plain(phrase: str, where: str) -> None:
    """Checks that a phrase has no control characters.

    Args:
        phrase: the phrase.
        where: file and line, for the error.

    Raises:
        InputError: if it has one; the message names its place.
    """
    for position, character in enumerate(phrase, start=1):
        if unicodedata.category(character) in _FORBIDDEN:
            raise InputError(
                f"{where} must be plain text with one phrase per line, got the control "
                f"character U+{ord(character):04X} at position {position}; remove it"
            )


def _join(phrase: str) -> str:
    return " ".join(phrase.split())


def _of_babel(folder: pathlib.Path, splits: Iterable[str]) -> list[str]:
    return [
        phrase
        for annotation in read_babel(folder)
        if annotation.split in splits
        for phrase, _, _ in annotation.labels
    ]


def _lines(path: pathlib.Path) -> list[str]:
    phrases = read_text(path).split("\n")
    for number, phrase in enumerate(phrases, start=1):
        check_plain(phrase, f"{path}:{number}")
    return phrases
