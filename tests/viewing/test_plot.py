"""Pose strips: left and right, up and down, one row per motion."""

import matplotlib.image
import numpy as np

from actiongpt_jax.viewing import plot
from tests.viewing.motions import HOSTILE, upright


def test_viewer_sees_the_front(tmp_path):
    motion = upright(2)
    joints = plot.motion_joints(motion)[1]
    assert joints[20, 2] > joints[15, 2]  # left wrist above the head
    assert joints[10, 0] < joints[7, 0]  # toes point to -x
    plot.strip([motion], tmp_path / "strip.png", poses=2)
    red, _, blue = matplotlib.image.imread(tmp_path / "strip.png")[..., :3].T
    left, right = red > blue + 0.2, blue > red + 0.2
    assert left.any() and right.any()
    # Who faces us has the left side on our right.
    assert np.argwhere(left)[:, 0].mean() > np.argwhere(right)[:, 0].mean()
    # The raised left hand is the highest of all.
    assert np.argwhere(left)[:, 1].min() < np.argwhere(right)[:, 1].min()


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
