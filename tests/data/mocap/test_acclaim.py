"""Acclaim files compared with plain kinematics; units, damaged files."""

import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.mocap.acclaim import find_skeleton, read_acclaim
from actiongpt_jax.errors import InputError
from tests.oracles import mocap

ASF = """# made f\xfcr a test
:version 1.10
:name VICON
:units
  mass 1.0
  length 0.45
  angle deg
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name hip
     direction 0.6 -0.8 0
     length 2.5
     axis 0 0 0 XYZ
  end
  begin
     id 2
     name femur
     direction 0.34202 -0.939693 0
     length 7.2
     axis 10 -20 30 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
     id 3
     name tibia
     direction 0.34202 -0.939693 0
     length 7.4
     axis 0 0 20 XYZ
    dof rx
    limits (-10.0 170.0)
  end
:hierarchy
  begin
    root hip
    hip femur
    femur tibia
  end
"""
AMC = """#!OML:ASF X:\\f\xfcr Bonn\\x.ASF
:FULLY-SPECIFIED
:DEGREES
1
root 9.3 17.8 -17.3 -2.1 -7.5 -3.2
femur -29.5 -11.7 -80.4
tibia 21.2
2
root 9.4 17.8 -17.2 -2.2 -7.5e0 -203.2
femur -28.5 -11.7 80.4
tibia 3.64024e-015
"""


@pytest.fixture
def write(tmp_path):
    """Returns `write(asf, amc)` -> path of the motion."""

    def write(asf=ASF, amc=AMC, name="01_01.amc", skeleton="01.asf"):
        (tmp_path / skeleton).write_bytes(asf.replace("\n", "\r\n").encode("latin-1"))
        (tmp_path / name).write_bytes(amc.encode("latin-1"))
        return tmp_path / name

    return write


def world(capture):
    names = [joint.name for joint in capture.joints]
    turned, placed = capture.world(range(len(names)))
    return {name: (turned[:, i], placed[:, i]) for i, name in enumerate(names)}


def test_bones_are_where_plain_kinematics_puts_them(write):
    capture = read_acclaim(write())
    assert capture.fps == 120
    actual = world(capture)
    expected = mocap.acclaim(ASF, AMC, 2)
    for bone, (turned, start, _) in expected.items():
        np.testing.assert_allclose(actual[bone][0], turned, atol=1e-12)
        np.testing.assert_allclose(
            actual[bone][1], start, atol=1e-5
        )  # directions are rounded
    np.testing.assert_allclose(
        actual["tibia (tip)"][1], expected["tibia"][2], atol=1e-5
    )


def in_radians(text, keys):
    def scaled(match):
        numbers = match[2].split()
        first = 3 if match[1].strip() == "root" else 0
        numbers[first:] = [repr(float(np.radians(float(x)))) for x in numbers[first:]]
        return match[1] + " ".join(numbers)

    return re.sub(
        rf"^([ ]*(?:{keys}) )([-\d. e]+(?= XYZ|$))", scaled, text, flags=re.MULTILINE
    )


def test_radians_are_read_as_degrees_are(write):
    expected = world(read_acclaim(write()))
    asf = in_radians(ASF.replace("angle deg", "angle rad"), "axis")
    amc = in_radians(AMC.replace(":DEGREES\n", ""), "root|femur|tibia")
    for motion in (amc, amc.replace(":FULLY", ":RADIANS\n:FULLY"), AMC):
        for joint, (turned, placed) in world(read_acclaim(write(asf, motion))).items():
            np.testing.assert_allclose(turned, expected[joint][0], atol=1e-9)
            np.testing.assert_allclose(placed, expected[joint][1], atol=1e-6)


def test_any_axis_order_is_read(write):
    # The same axes in another order of turns.
    axes = mocap.turn("Z", 30) @ mocap.turn("Y", -20) @ mocap.turn("X", 10)
    x, z, y = Rotation.from_matrix(axes).as_euler("xzy", degrees=True)
    asf = ASF.replace("axis 10 -20 30 XYZ", f"axis {x:.9f} {z:.9f} {y:.9f} XZY")
    expected = world(read_acclaim(write()))
    for joint, (turned, _) in world(read_acclaim(write(asf))).items():
        np.testing.assert_allclose(turned, expected[joint][0], atol=1e-6)


def test_bones_without_motion_stay_at_zero(write):
    amc = re.sub(r"femur.*\n", "", AMC)
    expected = read_acclaim(write(amc=re.sub(r"(femur) .*", r"\1 0 0 0", AMC)))
    np.testing.assert_array_equal(read_acclaim(write(amc=amc)).values, expected.values)


@pytest.mark.parametrize(
    ("motion", "skeletons", "found"),
    [
        ("01_01.amc", ["01.asf", "0.asf", "011.asf"], "01.asf"),
        (
            "HDM_mm_hop_033_120.AMC",
            ["HDM_mm.asf", "HDM_tr.asf", "HDM.asf"],
            "HDM_mm.asf",
        ),
        ("walk.amc", ["WALK.ASF"], "WALK.ASF"),
    ],
)
def test_the_skeleton_begins_the_name_of_the_motion(tmp_path, motion, skeletons, found):
    for name in skeletons:
        (tmp_path / name).touch()
    assert find_skeleton(tmp_path / motion).name == found


def test_a_motion_without_skeleton_names_the_flag(write, tmp_path):
    path = write(skeleton="other.asf")
    with pytest.raises(InputError, match="--skeleton"):
        read_acclaim(path)
    assert len(read_acclaim(path, tmp_path / "other.asf").values) == 2


@pytest.mark.parametrize(
    ("asf", "amc", "fault"),
    [
        (ASF, AMC[:120], "frame"),
        (ASF, AMC[:-20], "differs"),
        (ASF, AMC.replace("tibia 21.2", "tibia 21.2 3"), "tibia must have 1 numbers"),
        (ASF, AMC.replace("tibia 21.2", "tibia x"), "tibia must have 1 numbers"),
        (ASF, AMC.replace("tibia", "shin"), "shin must have 0 numbers"),
        (ASF, AMC.replace("21.2", "nan"), "tibia must be finite"),
        (ASF, AMC[: AMC.index("\n2\n")], "at least 2 frames"),
        (ASF, "", "has no frame"),
        ("", AMC, "section :root"),
        (ASF[: ASF.index(":hier")], AMC, "section :hierarchy"),
        (ASF.replace("length 7.2", "length x"), AMC, "femur must have a direction"),
        (ASF.replace("dof rx ry rz", "dof rx up"), AMC, "femur must have a direction"),
        (ASF.replace("name tibia", "name femur"), AMC, "a name of its own"),
        (ASF.replace("    femur tibia\n", ""), AMC, "lacks tibia"),
        (ASF.replace("hip femur", "hip femur knee"), AMC, "every bone once"),
        (ASF.replace("root hip", "root hip\n tibia hip"), AMC, "every bone once"),
    ],
)
def test_damaged_files_are_refused_in_one_sentence(write, asf, amc, fault):
    with pytest.raises(InputError, match=fault) as error:
        read_acclaim(write(asf, amc))
    assert "\n" not in str(error.value)
