"""Pose strips: left and right, up and down, one row per motion."""

import matplotlib.image
import numpy as np

from actiongpt_jax.viewing import plot
from tests.viewing.motions import HOSTILE, upright


def test_viewer_sees_the_front(monkeypatch):
    joints = plot.motion_joints(upright(2))[1]
    assert joints[20, 2] > joints[15, 2]  # left wrist above the head
    assert joints[10, 0] < joints[7, 0]  # toes point to -x
    drawn = []

    class Axis:
        def plot(self, x, y, color, zorder, **_):
            drawn.append((x, y, color, zorder))

    plot._draw_pose(Axis(), joints, place=0.0)
    left = [x.mean() for x, _, color, _ in drawn if color == plot._LEFT]
    right = [x.mean() for x, _, color, _ in drawn if color == plot._RIGHT]
    # Who faces us has the left side on our right.
    assert np.mean(left) > np.mean(right)
    raised = max(drawn, key=lambda bone: bone[1].max())
    assert raised[2] == plot._LEFT


def test_strip_writes_a_picture_with_a_row_per_motion(tmp_path):
    one, three = tmp_path / "one.png", tmp_path / "three.png"
    plot.strip([upright(30)], one, poses=4)
    plot.strip([upright(30), upright(10), upright(50)], three, poses=4)
    first = matplotlib.image.imread(one)
    second = matplotlib.image.imread(three)
    assert 2.5 < second.shape[0] / first.shape[0] < 3.5
    assert first.std() > 0.01


def test_hostile_captions_are_text(tmp_path):
    for number, text in enumerate(HOSTILE):
        motion = upright(4, (text,))
        plot.strip([motion], tmp_path / f"{number}.png", poses=2)
    sizes = {matplotlib.image.imread(p).shape for p in tmp_path.iterdir()}
    # No caption moves or shrinks the picture.
    assert len(sizes) == 1
