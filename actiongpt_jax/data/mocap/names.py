"""Recognises the joints of a skeleton by their names.

The words are those of CMU (Acclaim and BVH), HDM05 and Vicon, Mixamo and MotionBuilder,
LaFAN1, Bandai-Namco, Xsens MVN, Rokoko, Character Creator, 3ds Max Biped, the Unreal
mannequin, 100STYLE and SMPL itself.
"""

import re
from collections.abc import Sequence

from actiongpt_jax.data.mocap.capture import Capture

# SMPL joint (without its side) -> names without side, prefix and separators.
_WORDS = {
    "hip": ("hip", "thigh", "upleg", "upperleg", "femur"),
    "knee": ("knee", "leg", "lowleg", "lowerleg", "shin", "calf", "tibia"),
    "ankle": ("ankle", "foot"),
    "foot": ("toe", "toes", "toebase", "toe0", "ball"),
    "collar": ("collar", "clavicle", "collarbone", "shoulder"),
    "shoulder": ("arm", "uparm", "upperarm", "humerus"),
    "elbow": ("elbow", "forearm", "lowarm", "lowerarm", "radius"),
    "wrist": ("wrist", "hand"),
}
# SMPL joint, without its side -> Mixamo's name, without prefix and side.
_MIXAMO = {
    "pelvis": "Hips",
    "spine1": "Spine",
    "spine2": "Spine1",
    "spine3": "Spine2",
    "neck": "Neck",
    "head": "Head",
    "collar": "Shoulder",
    "shoulder": "Arm",
    "elbow": "ForeArm",
    "wrist": "Hand",
    "hip": "UpLeg",
    "knee": "Leg",
    "ankle": "Foot",
    "foot": "ToeBase",
}
_PELVIS = ("hips", "pelvis", "hip")
_NECK = ("neck", "lowerneck", "neck0", "neck1", "neck01", "necktwist01")
_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
# Parts of a name: "LeftUpLeg", "thigh_l", "CC_Base_L_Thigh", "Bip01 L Thigh".
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def mixamo_name(joint: str) -> str:
    """Returns Mixamo's name of an SMPL joint.

    Args:
        joint: name of the joint in `SMPL22`.
    """
    side, _, part = joint.rpartition("_")
    return f"mixamorig:{side.capitalize()}{_MIXAMO[part]}"


def joints_by_name(capture: Capture) -> dict[str, int] | None:
    """Finds the joints that play SMPL's, except the spine.

    Args:
        capture: the recording.

    Returns:
        SMPL joint name -> index of the joint; None if one of hips, knees, ankles,
        shoulders or elbows is not found by name, or is not below the one before it.
    """
    words = _words([joint.name for joint in capture.joints])
    found: dict[str, int] = {}
    for side in ("left", "right"):
        names: dict[str, int] = {}
        for index, (its_side, word) in enumerate(words):
            if its_side == side and not capture.joints[index].is_tip:
                names.setdefault(word, index)
        for role, index in _limbs(names).items():
            found[f"{side}_{role}"] = index
    middle: dict[str, int] = {}
    for index, (side, word) in enumerate(words):
        if not side and not capture.joints[index].is_tip:
            middle.setdefault(word, index)
    for role, choices in (("neck", _NECK), ("head", ("head",))):
        index = next((middle[word] for word in choices if word in middle), None)
        if index is not None:
            found[role] = index
    # Acclaim's bone `head` is the upper part of the head; it turns on `upperneck`.
    if "upperneck" in middle and "lowerneck" in middle:
        found["head"] = middle["upperneck"]
    if not _is_body(capture, found):
        return None
    thighs = (found["left_hip"], found["right_hip"])
    shared = [
        joint
        for joint in capture.ancestors(thighs[0])
        if joint in capture.ancestors(thighs[1])
    ]
    named = [joint for joint in shared if words[joint][1] in _PELVIS]
    found["pelvis"] = (named or shared)[0]
    return found


def _words(names: Sequence[str]) -> list[tuple[str, str]]:
    """Splits every name into its side ('' for none) and a word."""
    parts = [_PARTS.findall(re.split(r"[:|]", name)[-1]) for name in names]
    parts = [[part.lower() for part in row] for row in parts]
    # A prefix that nearly all names share, such as CC_Base_, says nothing.
    while True:
        heads = [row[0] for row in parts if len(row) > 1]
        common = max(set(heads), key=heads.count, default="")
        if not common or common in _SIDES or heads.count(common) < 0.8 * len(parts):
            break
        parts = [row[1:] if row[:1] == [common] and row[1:] else row for row in parts]
    return [_side(row) for row in parts]


def _side(parts: list[str]) -> tuple[str, str]:
    for index in (0, len(parts) - 1):
        if len(parts) > 1 and parts[index] in _SIDES:
            rest = parts[:index] + parts[index + 1 :]
            return _SIDES[parts[index]], "".join(rest)
    word = "".join(parts)
    known = {word for words in _WORDS.values() for word in words}
    for short, side in _SIDES.items():
        if word.startswith(short) and word.removeprefix(short) in known:
            return side, word.removeprefix(short)
    return "", word


def _limbs(names: dict[str, int]) -> dict[str, int]:
    """Returns SMPL joint without side -> joint, for the names of one side."""
    roles = {word: role for role, words in _WORDS.items() for word in words}
    # Some words have two meanings; the other names of the side decide.
    if not any(roles.get(name) == "shoulder" for name in names):
        roles["shoulder"] = "shoulder"
    if "ankle" in names:
        roles["foot"] = "foot"
    if not any(roles.get(name) == "hip" for name in names):
        roles["leg"] = "hip"
    found: dict[str, int] = {}
    for name, index in names.items():
        role = roles.get(name)
        if role is not None and (role not in found or name == "hand"):
            found[role] = index
    return found


def _is_body(capture: Capture, found: dict[str, int]) -> bool:
    if not {"neck", "head"} & set(found):
        return False
    for side in ("left", "right"):
        for limb in (("hip", "knee", "ankle"), ("shoulder", "elbow")):
            chain = [found.get(f"{side}_{role}", -1) for role in limb]
            if -1 in chain:
                return False
            for above, below in zip(chain, chain[1:], strict=False):
                if above == below or above not in capture.ancestors(below):
                    return False
    return True
