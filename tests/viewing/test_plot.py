"""Pose strips: orientation of the body, one row per motion, hostile captions."""

import numpy as np
import pytest
from PIL import Image, ImageColor

from actiongpt_jax.viewing import plot
from actiongpt_jax.viewing.figure import ACTION_COLOURS
from tests.viewing.motions import HOSTILE, upright


def test_strip_shows_the_body_upright_from_the_front(tmp_path):
    motion = upright(2)
    joints = plot.motion_joints(motion)[1]
    assert joints[20, 2] > joints[15, 2]  # left wrist above the head
    assert joints[10, 0] < joints[7, 0]  # toes point to -x
    plot.strip([motion], tmp_path / "strip.png", poses=2)
    picture = np.asarray(Image.open(tmp_path / "strip.png"), float)
    red, _, blue = picture.T
    left, right = red > blue + 50, blue > red + 50
    assert left.any() and right.any()
    # A body that faces the viewer has its left side on the viewer's right.
    assert np.argwhere(left)[:, 0].mean() > np.argwhere(right)[:, 0].mean()
    # The raised left hand is the highest point.
    assert np.argwhere(left)[:, 1].min() < np.argwhere(right)[:, 1].min()


@pytest.mark.slow
def test_strip_has_one_row_per_motion(tmp_path):
    one, three = tmp_path / "one.png", tmp_path / "three.png"
    plot.strip([upright(30)], one, poses=4)
    plot.strip([upright(30), upright(10), upright(50)], three, poses=4)
    first, second = (np.asarray(Image.open(path)) for path in (one, three))
    assert second.shape == (3 * first.shape[0], *first.shape[1:])
    for row in np.split(second, 3):
        assert (row < 150).sum() > 1000


def test_hostile_captions_do_not_change_the_layout(tmp_path):
    for number, text in enumerate(HOSTILE):
        motion = upright(4, (text,))
        plot.strip([motion], tmp_path / f"{number}.png", poses=2)
    sizes = {Image.open(p).size for p in tmp_path.iterdir()}
    # No caption changes the size of the picture.
    assert len(sizes) == 1


def test_series_is_coloured_by_action_on_its_path_and_below_the_poses(tmp_path):
    def colours(*motions):
        plot.strip(motions, tmp_path / "strip.png", poses=3)
        picture = Image.open(tmp_path / "strip.png").convert("RGB")
        return [
            np.nonzero((np.asarray(picture) == ImageColor.getrgb(colour)).all(-1))
            for colour in ACTION_COLOURS
        ], picture.size

    alone, size = colours(upright(60))
    assert all(len(rows) == 0 for rows, _ in alone)
    series = upright(60, ("walk", "jump", "sit"))
    used, larger = colours(series)
    assert larger[0] == size[0] and larger[1] > size[1]
    assert [len(rows) > 100 for rows, _ in used] == [True] * 3 + [False] * 2
    # The lines follow each other from left to right; the path is on the right.
    lines = [columns[rows > size[1] - 4] for rows, columns in used[:3]]
    assert lines[0].max() < lines[1].min() and lines[1].max() < lines[2].min()
    paths = [columns[rows < size[1] - 40] for rows, columns in used[:3]]
    assert min(path.min() for path in paths) > lines[2].max()
    # A picture of both has rows of one height.
    assert colours(upright(60), series)[1] == (larger[0], 2 * larger[1])
