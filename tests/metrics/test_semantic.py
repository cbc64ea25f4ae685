"""Measurements of what a body does: swings, strides, travel, turns and reaches."""

import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.metrics.semantic import Recording, stride
from actiongpt_jax.metrics.swings import longest, swings, turning_points

FPS = 30.0
T = np.arange(90) / FPS
# The body at rest, facing -y in a z-up world, as SMPL's does at zero rotation.
REST = SMPL22.rest_joints @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])


def standing():
    return np.repeat(REST[None], len(T), 0)


def walking(step=0.4, speed=0.8):
    """Returns a body whose ankles swing past each other, `step` ahead in turn."""
    joints = standing()
    joints[..., 1] -= speed * T[:, None]
    swing = step / 2 * np.sin(2 * np.pi * T)
    joints[:, [7, 10], 1] -= swing[:, None]
    joints[:, [8, 11], 1] += swing[:, None]
    return joints


def turned(joints, angle, place=(0.0, 0.0, 0.0)):
    cos, sin = np.cos(angle), np.sin(angle)
    return joints @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) + place


def test_swings_are_counted_from_extreme_to_extreme():
    wave = np.sin(2 * np.pi * T)  # three periods from 0: seven swings, two are halves
    assert swings(wave, 1.5) == 5
    assert swings(wave, 0.5) == 7
    assert swings(wave, 2.5) == 0
    points = turning_points(wave, 1.5)
    assert np.allclose(np.abs(wave[points]), 1.0, atol=0.01)
    assert swings(np.zeros(5), 0.1) == swings(np.zeros(0), 0.1) == 0


def test_noise_below_the_least_swing_changes_no_count():
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, len(T))
    assert swings(np.sin(2 * np.pi * T) + noise, 1.45) == 5


def test_longest_is_the_longest_unbroken_time():
    assert longest(np.array([1, 1, 0, 1, 1, 1, 0], bool), 2.0) == 1.5
    assert longest(np.zeros(4, bool), 2.0) == 0.0


def test_stride_is_how_far_the_ankles_pass_each_other():
    # Between two steps, the distance of the ankles changes by twice the step.
    assert stride(walking(step=0.4), FPS) == pytest.approx(0.8, abs=0.02)


def test_a_body_that_slides_has_no_stride():
    joints = standing()
    joints[..., 1] -= T[:, None]
    assert stride(joints, FPS) == 0.0
    # The hips of the built-in skeleton are turned by one degree.
    assert Recording(joints, FPS).travelled == pytest.approx([T[-1], 0.0], abs=0.06)


def test_measurements_do_not_depend_on_place_and_heading():
    one = Recording(walking(), FPS)
    other = Recording(turned(walking(), 2.0, (3.0, -1.0, 0.5)), FPS)
    for name in ("apart", "velocity", "travelled", "trunk", "head", "pelvis", "twist"):
        assert np.allclose(getattr(one, name), getattr(other, name), atol=1e-6), name
    assert other.speed == pytest.approx(0.8, abs=0.02)


def test_turns_to_the_left_are_positive_and_may_exceed_a_full_turn():
    angles = np.linspace(0.0, 2.5 * np.pi, len(T))
    joints = np.concatenate([turned(REST[None], a) for a in angles])
    assert Recording(joints, FPS).turned == pytest.approx(450, abs=0.1)


def test_arms_are_measured_from_their_shoulders():
    joints = standing()
    joints[:, 20] = joints[:, 16] + (0.1, -0.4, 0.2)  # +x is left, -y ahead
    joints[:, 21] = joints[:, 17] + (0.1, -0.4, 0.2)
    body = Recording(joints, FPS)
    # The shoulders of the built-in skeleton are not quite level with each other.
    assert np.allclose(body.hand(0), (0.4, 0.1, 0.2), atol=0.02)
    assert np.allclose(body.hand(1), (0.4, -0.1, 0.2), atol=0.02)


@pytest.mark.parametrize(
    ("shape", "fps"), [((5, 24, 3), 30.0), ((1, 22, 3), 30.0), ((5, 22, 3), 0.0)]
)
def test_rejects_wrong_shapes_and_frame_rates(shape, fps):
    with pytest.raises(InputError):
        Recording(np.zeros(shape), fps)
