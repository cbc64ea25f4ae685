"""Which joint plays which: by names of many programs, by structure, by a map."""

import json

import pytest

from actiongpt_jax.data.mocap.bvh import read_bvh
from actiongpt_jax.data.mocap.joint_map import find_joints, read_map, show_map
from actiongpt_jax.data.mocap.names import joints_by_name
from actiongpt_jax.data.mocap.reader import MocapSettings, open_mocap
from actiongpt_jax.data.mocap.structure import joints_by_structure
from actiongpt_jax.errors import InputError
from tests.data.mocap.skeletons import NAMES, Style, along_x, to_bvh, walking

BODY = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")
LIMBS = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")
# Names of the six joints of the body, and of one side's limbs with {} for the side.
SKELETONS = {
    "mixamo": (
        "mixamorig:Hips mixamorig:Spine mixamorig:Spine1 mixamorig:Spine2 "
        "mixamorig:Neck mixamorig:Head",
        "mixamorig:{}UpLeg mixamorig:{}Leg mixamorig:{}Foot mixamorig:{}ToeBase "
        "mixamorig:{}Shoulder mixamorig:{}Arm mixamorig:{}ForeArm mixamorig:{}Hand",
        ("Left", "Right"),
    ),
    "cmu": (
        "Hips LowerBack Spine Spine1 Neck Head",
        "{}UpLeg {}Leg {}Foot {}ToeBase {}Shoulder {}Arm {}ForeArm {}Hand",
        ("Left", "Right"),
    ),
    "lafan1": (
        "Hips Spine Spine1 Spine2 Neck Head",
        "{}UpLeg {}Leg {}Foot {}Toe {}Shoulder {}Arm {}ForeArm {}Hand",
        ("Left", "Right"),
    ),
    "bandai": (
        "Hips Spine Spine3 Chest Neck Head",
        "UpperLeg_{} LowerLeg_{} Foot_{} Toes_{} Shoulder_{} UpperArm_{} LowerArm_{} "
        "Hand_{}",
        ("L", "R"),
    ),
    "xsens": (
        "Pelvis L5 L3 T8 Neck Head",
        "{}UpperLeg {}LowerLeg {}Foot {}Toe {}Shoulder {}UpperArm {}ForeArm {}Hand",
        ("Left", "Right"),
    ),
    "100style": (
        "Hips Chest Chest2 Chest3 Neck Head",
        "{}Hip {}Knee {}Ankle {}Toe {}Collar {}Shoulder {}Elbow {}Wrist",
        ("Left", "Right"),
    ),
    "rokoko": (
        "Hips Spine1 Spine2 Spine3 Neck Head",
        "{}Thigh {}Shin {}Foot {}Toe {}Shoulder {}Arm {}ForeArm {}Hand",
        ("Left", "Right"),
    ),
    "character creator": (
        "CC_Base_Hip CC_Base_Waist CC_Base_Spine01 CC_Base_Spine02 "
        "CC_Base_NeckTwist01 CC_Base_Head",
        "CC_Base_{}_Thigh CC_Base_{}_Calf CC_Base_{}_Foot CC_Base_{}_ToeBase "
        "CC_Base_{}_Clavicle CC_Base_{}_Upperarm CC_Base_{}_Forearm CC_Base_{}_Hand",
        ("L", "R"),
    ),
    "hdm05": (
        "root lowerback upperback thorax lowerneck upperneck",
        "{}femur {}tibia {}foot {}toes {}clavicle {}humerus {}radius {}hand",
        ("l", "r"),
    ),
    "unreal": (
        "pelvis spine_01 spine_02 spine_03 neck_01 head",
        "thigh_{} calf_{} foot_{} ball_{} clavicle_{} upperarm_{} lowerarm_{} hand_{}",
        ("l", "r"),
    ),
    "biped": (
        "Bip01 Bip01_Spine Bip01_Spine1 Bip01_Spine2 Bip01_Neck Bip01_Head",
        "Bip01_{}_Thigh Bip01_{}_Calf Bip01_{}_Foot Bip01_{}_Toe0 "
        "Bip01_{}_Clavicle Bip01_{}_UpperArm Bip01_{}_Forearm Bip01_{}_Hand",
        ("L", "R"),
    ),
    "smpl": (
        "Pelvis Spine1 Spine2 Spine3 Neck Head",
        "{}_Hip {}_Knee {}_Ankle {}_Foot {}_Collar {}_Shoulder {}_Elbow {}_Wrist",
        ("L", "R"),
    ),
}
LETTERS = {name: chr(ord("a") + i) * 3 for i, name in enumerate(NAMES)}


def names_of(skeleton):
    body, limbs, sides = SKELETONS[skeleton]
    names: dict[str, str] = dict(zip(BODY, body.split(), strict=True))
    for side, mark in zip(("left", "right"), sides, strict=True):
        for limb, name in zip(LIMBS, limbs.split(), strict=True):
            names[f"{side}_{limb}"] = name.format(mark)
    return names


@pytest.fixture
def read(tmp_path):
    """Returns `read(style)` -> the walk on another skeleton."""

    def read(style):
        path = tmp_path / "walk.bvh"
        path.write_text(to_bvh(style, *walking()))
        return read_bvh(path)

    return read


def found_names(capture, joints):
    return {
        NAMES[joint]: capture.joints[source].name
        for joint, source in joints.joints.items()
    }


@pytest.mark.parametrize("skeleton", SKELETONS)
def test_names_of_many_programs_are_known(read, skeleton):
    names = names_of(skeleton)
    capture = read(Style(names=names))
    joints = find_joints(capture)
    assert joints.how == "names"
    for lower in ("spine1", "spine2"):  # these bend as the trunk does
        del names[lower]
    assert found_names(capture, joints) == names


@pytest.mark.parametrize("frames", [{}, along_x()], ids=["t-pose", "along-x"])
@pytest.mark.parametrize("up", ["y", "z"])
@pytest.mark.parametrize("below", [False, True])
def test_structure_alone_finds_limbs_and_sides(read, frames, up, below):
    style = Style(names=LETTERS, frames=frames, up=up, placed_below=below, scale=2.5)
    capture = read(style)
    joints = find_joints(capture)
    assert joints.how == "structure"
    expected = {n: v for n, v in LETTERS.items() if n not in ("spine1", "spine2")}
    assert found_names(capture, joints) == expected


@pytest.mark.parametrize("file", ["acclaim/01_01.bvh", "acclaim/11_01.amc"])
def test_structure_finds_in_real_files_what_names_say(shared_file, file):
    capture, _ = open_mocap(shared_file(f"data/{file}"), MocapSettings())
    named, structural = joints_by_name(capture), joints_by_structure(capture)
    assert named is not None and structural is not None
    limbs = [name for name in named if name.startswith(("left", "right"))]
    assert len(limbs) == 16
    for name in limbs:
        assert structural[name] == named[name], name


def test_a_map_replaces_what_is_found(read, tmp_path):
    capture = read(Style(names=LETTERS))
    path = tmp_path / "map.json"
    # The left hand plays the right foot, and nothing plays the head.
    path.write_text(json.dumps({"right_foot": LETTERS["left_wrist"], "head": None}))
    joints = find_joints(capture, read_map(path))
    names = found_names(capture, joints)
    assert names["right_foot"] == LETTERS["left_wrist"] and "head" not in names
    assert names["left_knee"] == LETTERS["left_knee"]
    path.with_suffix(".yaml").write_text(
        "\n".join(f"{k}: {v}" for k, v in LETTERS.items())
    )
    joints = find_joints(capture, read_map(path.with_suffix(".yaml")))
    assert joints.how == "map" and found_names(capture, joints) == LETTERS


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[1, 2]", "must hold names such as"),
        ("", "must hold names such as"),
        ("{", "must be plain YAML or JSON"),
        ('{"tail": "Hips"}', "tail must be a joint of SMPL"),
        ('{"pelvis": 3}', "pelvis must be a name"),
        ('{"pelvis": "Nowhere"}', "has no Nowhere"),
    ],
)
def test_faulty_maps_are_refused(read, tmp_path, text, fault):
    (tmp_path / "map.json").write_text(text)
    with pytest.raises(InputError, match=fault):
        find_joints(read(Style()), read_map(tmp_path / "map.json"))


def test_a_skeleton_that_is_no_body_is_refused_with_the_flag(tmp_path):
    path = tmp_path / "arm.bvh"
    path.write_text(
        "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n"
        "JOINT b\n{\nOFFSET 0 1 0\nCHANNELS 1 Zrotation\nEnd Site\n{\nOFFSET 0 1 0\n}\n"
        "}\n}\nMOTION\nFrames: 2\nFrame Time: 0.1\n0 0 0 0\n0 0 0 1\n"
    )
    with pytest.raises(InputError, match="two arms and two legs.*--map"):
        find_joints(read_bvh(path))


def test_the_tree_shows_what_plays_what(read):
    capture = read(Style(names=names_of("mixamo")))
    lines = show_map(capture, find_joints(capture)).splitlines()
    (row,) = [line for line in lines if "LeftForeArm" in line]
    indent = len(row) - len(row.lstrip())
    assert row.split() == ["mixamorig:LeftForeArm", "left_elbow"] and indent == 12
    assert "found by names" in lines[-2] and "spine1, spine2" in lines[-1]
