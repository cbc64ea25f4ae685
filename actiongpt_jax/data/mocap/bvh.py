"""Reads BVH files of any program.

The BVH packages on PyPI are not used: bvhio needs a compiled vector library, another
needs matplotlib, and a damaged file must be reported here in one sentence.

Source: M. Meredith and S. Maddock, "Motion Capture File Formats Explained", 2001.
"""

import dataclasses
import itertools
import os
import pathlib
import re
import warnings
from typing import Any, NoReturn

import numpy as np

from actiongpt_jax.choices import FPS_LIMITS
from actiongpt_jax.data.mocap.capture import Capture, Joint, checked, read_loose
from actiongpt_jax.errors import InputError

_CHANNEL = re.compile(r"([xyz])(rotation|position)", re.IGNORECASE)
# Frame rates of cameras and programs: a rounded frame time means one of them.
_USUAL_RATES = (12, 15, 20, 24, 25, 30, 48, 50, 60, 72, 75, 90, 100, 120, 144, 150)
_USUAL_RATES += (180, 200, 240, 250, 300, 360, 480, 500, 1000)


def read_bvh(path: str | os.PathLike, fps: float | None = None) -> Capture:
    """Reads a BVH file.

    Args:
        path: the file.
        fps: frames per second, in place of the rate that the file states.

    Returns:
        The recording on its own skeleton.

    Raises:
        InputError: if the file is no BVH file, is damaged, or has fewer than two
            frames; the message names the file and the place.
    """
    path = pathlib.Path(path)
    text = read_loose(path)
    head = re.search(r"^[ \t]*MOTION\b", text, re.MULTILINE | re.IGNORECASE)
    if not re.match(r"\s*HIERARCHY\b", text, re.IGNORECASE) or head is None:
        raise InputError(
            f"{path} must be a BVH file with the words HIERARCHY and MOTION, but is "
            "another file or truncated; export it again"
        )
    joints, columns = _Hierarchy(path).read(text[: head.start()])
    frames, frame_time, start = _motion_header(path, text, head.end())
    values = _numbers(path, text[start:], frames, columns)
    values[:, [c for joint in joints for c in joint.turn_columns]] *= np.pi / 180
    rate = _rate(path, frame_time) if fps is None else fps
    return checked(Capture(path, tuple(joints), values, rate))


class _Hierarchy:
    """Reads the skeleton of a BVH file, line by line."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.joints: list[Joint] = []
        self.open: list[int] = []  # joints whose braces are open
        self.columns = 0

    def read(self, text: str) -> tuple[list[Joint], int]:
        """Returns the joints and the number of channels."""
        # Files may have several things on one line.
        text = re.sub(r"([{}])", r"\n\1\n", text)
        text = re.sub(r"(?<=\S)[ \t]+(?=(?:OFFSET|CHANNELS)[ \t])", "\n", text)
        for line in text.splitlines()[1:]:
            key, rest = (*line.split(maxsplit=1), "", "")[:2]
            key = key.upper()
            if key in ("ROOT", "JOINT", "END"):
                self._begin(key, rest.strip())
            elif key == "{":
                if not self.joints or len(self.joints) - 1 in self.open:
                    self._fail("name a joint before every opening brace")
                self.open.append(len(self.joints) - 1)
            elif key == "}":
                if not self.open:
                    self._fail("close no more braces than it opens")
                self.open.pop()
            elif key == "OFFSET" and self.open:
                self._change(offset=self._offset(rest))
            elif key == "CHANNELS" and self.open:
                self._change(**self._channels(rest))
            elif key:
                self._fail(f"hold joints with OFFSET and CHANNELS, got {line[:40]!r}")
        if self.open or not self.joints:
            self._fail("close every brace that it opens (is the file truncated?)")
        return self.joints, self.columns

    def _begin(self, key: str, name: str) -> None:
        if key == "ROOT" and self.joints:
            self._fail("have one ROOT, got a second one; keep one person per file")
        if key != "ROOT" and not self.open:
            self._fail("begin with a ROOT")
        parent = self.open[-1] if self.open else -1
        if key == "END":
            name = f"{self.joints[parent].name} (tip)"
        self.joints.append(Joint(name, parent, np.zeros(3), is_tip=key == "END"))

    def _change(self, **fields: Any) -> None:
        owner = self.open[-1]
        self.joints[owner] = dataclasses.replace(self.joints[owner], **fields)

    def _offset(self, text: str) -> np.ndarray:
        try:
            offset = np.array(text.split(), np.float64)
        except ValueError:
            offset = np.zeros(0)
        if offset.shape != (3,) or not np.isfinite(offset).all():
            self._fail(f"have three numbers after OFFSET, got {text[:40]!r}")
        return offset

    def _channels(self, text: str) -> dict[str, Any]:
        count, *names = text.split()
        matches = [_CHANNEL.fullmatch(name) for name in names]
        if not count.isdecimal() or int(count) != len(names) or None in matches:
            self._fail(
                "have after CHANNELS their number and names such as Xrotation, got "
                f"{text[:60]!r}"
            )
        found: dict[str, list] = {"rotation": [], "position": []}
        for match in matches:
            if match is not None:
                found[match[2].lower()].append((match[1].upper(), self.columns))
                self.columns += 1
        turns = [axis for axis, _ in found["rotation"]]
        if len(turns) > 3 or any(a == b for a, b in itertools.pairwise(turns)):
            self._fail(f"turn a joint about at most three axes, got {text[:60]!r}")
        return {
            "turns": "".join(turns),
            "turn_columns": tuple(column for _, column in found["rotation"]),
            "shifts": "".join(axis for axis, _ in found["position"]),
            "shift_columns": tuple(column for _, column in found["position"]),
        }

    def _fail(self, what: str) -> NoReturn:
        where = f" at {self.joints[-1].name}" if self.joints else ""
        raise InputError(
            f"{self.path}{where}: the HIERARCHY must {what}; export the file again"
        )


def _motion_header(path: pathlib.Path, text: str, start: int) -> tuple[int, str, int]:
    """Returns the number of frames, the frame time as written, and where both end."""
    pattern = r"\s*Frames\s*:\s*(\d+)\s+Frame\s+Time\s*:\s*(\S+)"
    match = re.compile(pattern, re.IGNORECASE).match(text, start)
    if match is None:
        raise InputError(
            f"{path}: MOTION must begin with 'Frames: N' and 'Frame Time: seconds', "
            f"got {' '.join(text[start : start + 60].split())!r}; export the file again"
        )
    return int(match[1]), match[2], match.end()


def _numbers(path: pathlib.Path, text: str, frames: int, columns: int) -> np.ndarray:
    """Returns the (frames, columns) values of all channels."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            values = np.fromstring(text, np.float64, sep=" ") if text.strip() else []
        except (DeprecationWarning, ValueError) as error:
            raise InputError(
                f"{path}: MOTION must hold numbers only, got another word or sign "
                "among them; export the file again"
            ) from error
    # Compared before anything is made for the stated number of frames.
    if len(values) != frames * columns or not columns:
        raise InputError(
            f"{path} must hold {frames} frames of {columns} channels, "
            f"{frames * columns} numbers, got {len(values)}; the file is truncated or "
            "states a wrong number, export it again"
        )
    return np.reshape(values, (frames, columns))


def _rate(path: pathlib.Path, text: str) -> float:
    """Returns the frames per second that a frame time means, as far as it is rounded.

    0.0083333 is 120 frames per second, and so is 0.008333; 0.08 is 12.5.
    """
    try:
        frame_time = float(text)
    except ValueError:
        frame_time = 0.0
    if not 1 / FPS_LIMITS[1] <= frame_time <= 1 / FPS_LIMITS[0]:
        raise InputError(
            f"{path}: Frame Time must be from {1 / FPS_LIMITS[1]:g} to "
            f"{1 / FPS_LIMITS[0]:g} seconds, got {text}; correct it or state the rate "
            "with --source-fps"
        )
    rate = 1 / frame_time
    if abs(rate - round(rate, 1)) < 1e-9:
        return round(rate, 1)
    mantissa, _, exponent = text.lower().partition("e")
    digits = len(mantissa.partition(".")[2]) - int(exponent or 0)
    # A whole unit of the last digit: some programs cut digits off, not round them.
    unit = 1.001 * 10.0**-digits
    usual = [r for r in _USUAL_RATES if abs(1 / r - frame_time) < unit]
    whole = round(rate)
    if digits >= 5 and abs(1 / whole - frame_time) < unit:
        usual.append(whole)
    return float(min(usual, key=lambda r: abs(r - rate), default=rate))
