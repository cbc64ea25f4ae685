"""BVH files as programs write them, compared with plain kinematics; damaged files."""

import itertools

import numpy as np
import pytest

from actiongpt_jax.data.mocap.bvh import read_bvh
from actiongpt_jax.errors import InputError
from tests.data.mocap.skeletons import Style, to_bvh, walking
from tests.oracles import mocap

ORDERS = ["".join(axes) for axes in itertools.permutations("XYZ")]
SMALL = """HIERARCHY
ROOT Hips
{
  OFFSET 1 2 3
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Left Leg
  {
    OFFSET 0 -40.5 1e0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -40 0
    }
  }
}
MOTION
Frames: 3
Frame Time: 0.0083333
1 2 3 10 20 30 40 50 60
2 2 3 11 20 30 40 -50 60
3 2 3 12 20 30 40 50 -160
"""


@pytest.fixture
def write(tmp_path):
    """Returns `write(content)` -> path of a BVH file."""

    def write(content):
        path = tmp_path / "motion.bvh"
        content = content.encode() if isinstance(content, str) else content
        path.write_bytes(content)
        return path

    return write


def assert_equals_plain_kinematics(capture, text):
    expected = mocap.bvh(text)
    turned, placed = capture.world(range(len(capture.joints)))
    assert len(expected) == len(capture.joints)
    for j, (turns, places) in enumerate(expected.values()):
        np.testing.assert_allclose(turned[:, j], turns, atol=1e-12)
        np.testing.assert_allclose(placed[:, j], places, atol=1e-9)


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_of_rotation_channels_is_read(write, order):
    turned, pelvis = (array[:20] for array in walking())
    text = to_bvh(Style(order=order, positions=order < "Y"), turned, pelvis)
    assert_equals_plain_kinematics(read_bvh(write(text)), text)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("  ", "\t").replace(": ", ":\t"),
        str.rstrip,
        lambda text: "\ufeff" + text,
        lambda text: text.replace("{\n", "{ # a comment\n").replace(
            "MOTION", "MOTION "
        ),
        lambda text: text.replace("\n{\n", " {\n").replace(
            "Leg {\n    OFF", "Leg {OFF"
        ),
        lambda text: text.replace("1\n    CHAN", "1 CHAN"),
        lambda text: text.replace("rotation", "Rotation").replace(
            "End Site", "End site"
        ),
        lambda text: text.replace("30 40", "30\n40"),
        lambda text: text.replace("Left", "Pied gauche \xe9").encode("latin-1"),
        lambda text: text.replace("Left", "\u5de6\u817f"),
    ],
)
def test_spellings_of_one_file_are_read_equally(write, change):
    expected = read_bvh(write(SMALL))
    capture = read_bvh(write(change(SMALL)))
    assert capture.fps == expected.fps == 120
    assert [joint.parent for joint in capture.joints] == [-1, 0, 1]
    np.testing.assert_array_equal(capture.values, expected.values)
    for joint, other in zip(capture.joints, expected.joints, strict=True):
        np.testing.assert_array_equal(joint.offset, other.offset)


@pytest.mark.parametrize("added", [False, True])
def test_positions_below_the_root_replace_offsets_or_are_added(write, added):
    turned, pelvis = (array[:5] for array in walking())
    style = Style(positions=True)
    text = to_bvh(style, turned, pelvis)
    expected = mocap.bvh(text)
    if added:
        head, motion = text.split("MOTION\n")
        rows = motion.splitlines()
        values = np.array([row.split() for row in rows[2:]], float).reshape(5, -1, 6)
        values[:, 1:, :3] = 0
        rows[2:] = [" ".join(map(str, row)) for row in values.reshape(5, -1)]
        text = f"{head}MOTION\n" + "\n".join(rows)
    capture = read_bvh(write(text))
    placed = capture.world(range(len(capture.joints)))[1]
    for j, (_, places) in enumerate(expected.values()):
        np.testing.assert_allclose(placed[:, j], places, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "fps"),
    [
        ("0.0083333", 120),
        ("0.008333", 120),
        (".0333333", 30),
        ("0.033", 30),
        ("3.33333e-2", 30),
        ("0.016667", 60),
        ("0.0166666", 60),
        ("0.04", 25),
        ("0.08", 12.5),
        ("0.0333667", 29.97),
        ("0.080000000", 12.5),
    ],
)
def test_rounded_frame_times_mean_the_usual_rates(write, text, fps):
    capture = read_bvh(write(SMALL.replace("0.0083333", text)))
    assert capture.fps == pytest.approx(fps, abs=1e-4)


def test_a_stated_rate_replaces_that_of_the_file(write):
    assert read_bvh(write(SMALL), fps=50).fps == 50


SECOND = SMALL[SMALL.index("ROOT") : SMALL.index("MOTION")]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "HIERARCHY and MOTION"),
        (b"\x89PNG\0\0", "binary"),
        ("BVH", "HIERARCHY and MOTION"),
        (SMALL[:80], "HIERARCHY and MOTION"),
        (SMALL[:-30], "27 numbers, got"),
        (SMALL.replace("Frames: 3", "Frames: 4"), "36 numbers, got 27"),
        (SMALL.replace("Frames: 3", "Frames: 10000000"), "90000000 numbers, got 27"),
        (SMALL.replace("Frames: 3", "Frames: 2"), "18 numbers, got 27"),
        (SMALL.replace("Frames: 3", "Frames: x"), "MOTION must begin"),
        (SMALL.replace("0.0083333", "0"), "Frame Time"),
        (SMALL.replace("0.0083333", "fast"), "Frame Time"),
        (SMALL.replace("-160", "nan"), "Left Leg must be finite numbers"),
        (SMALL.replace("-160", "1e300"), "Left Leg must be finite numbers"),
        (SMALL.replace("-160", "-160,5"), "numbers only"),
        (SMALL.replace("-160", "abc"), "numbers only"),
        (SMALL.replace("MOTION", SECOND + "MOTION"), "one ROOT, got a second"),
        (SMALL.replace("}\n}\n", "}\n"), "close every brace"),
        (SMALL.replace("}\nMOTION", "}\n}\nMOTION"), "close no more braces"),
        (SMALL.replace("OFFSET 1 2 3", "OFFSET 1 2"), "three numbers after OFFSET"),
        (SMALL.replace("OFFSET 1 2 3", "OFFSET 1 2 nan"), "three numbers after OFFSET"),
        (SMALL.replace("CHANNELS 6", "CHANNELS 5"), "after CHANNELS their number"),
        (SMALL.replace("Xposition", "Width"), "after CHANNELS their number"),
        (SMALL.replace("Yrotation", "Xrotation"), "at most three axes"),
        (SMALL.replace("  OFFSET 1", "  SCALE 1"), "joints with OFFSET and CHANNELS"),
        (
            SMALL[: SMALL.index("Frames")]
            + "Frames: 1\nFrame Time: 0.1\n1 2 3 4 5 6 7 8 9\n",
            "at least 2 frames, got 1",
        ),
    ],
)
def test_damaged_files_are_refused_in_one_sentence(write, content, fault):
    with pytest.raises(InputError, match=fault) as error:
        read_bvh(write(content))
    assert "motion.bvh" in str(error.value) and "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_bvh(tmp_path / "none.bvh")
