"""Limbs of two bones: reach, lengths, and limbs that are straight or too short."""

import numpy as np
import pytest

from actiongpt_jax.geometry.two_bone import reach

RNG = np.random.default_rng(0)


def legs(count=50, straight=0.0):
    """Returns hips, knees and ankles of bent legs, and where their knees point."""
    hips = RNG.normal(size=(count, 3))
    forward = np.tile([0.0, 1.0, 0.0], (count, 1))
    bulge = (1 - straight) * RNG.uniform(0.05, 0.2, (count, 1))
    knees = hips + [0, 0, -0.38] + bulge * forward
    return hips, knees, hips + [0, 0, -0.76], forward


def placed(leg, turns):
    hips, knees, ankles, _ = leg
    knee = hips + turns[0].apply(knees - hips)
    return knee, knee + turns[1].apply(ankles - knees)


@pytest.mark.parametrize("straight", [0.0, 0.999, 1.0])
def test_ankles_come_to_targets_within_reach(straight):
    leg = hips, knees, ankles, forward = legs(straight=straight)
    target = ankles + RNG.uniform(-0.1, 0.1, ankles.shape) + [0, 0, 0.15]
    knee, ankle = placed(leg, reach(*leg[:3], target, forward))
    np.testing.assert_allclose(ankle, target, atol=1e-4)
    # Bones keep their lengths, and knees point forward as before.
    for one, two in (((hips, knees), (hips, knee)), ((knees, ankles), (knee, ankle))):
        lengths = [np.linalg.norm(b - a, axis=-1) for a, b in (one, two)]
        np.testing.assert_allclose(*lengths, atol=1e-9)
    axis = ankle - hips
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    bulge = knee - hips - ((knee - hips) * axis).sum(-1, keepdims=True) * axis
    assert (bulge[:, 1] > 0).all()


def test_a_limb_at_its_target_does_not_turn():
    for straight in (0.0, 1.0):
        leg = legs(straight=straight)
        for turn in reach(*leg[:3], leg[2], leg[3]):
            assert turn.magnitude().max() < 1e-6


def test_targets_out_of_reach_are_approached_without_a_jump():
    hips, knees, ankles, forward = leg = [a.repeat(400, 0) for a in legs(1)]
    steps = np.linspace(0, 1, 400)[:, None]
    # From 70 to 150 % of the length of the leg.
    target = hips + steps * [0.3, 0.2, -0.7] + [0, 0, -0.55]
    knee, ankle = placed(leg, reach(hips, knees, ankles, target, forward))
    direction = target - hips
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    found = ankle - hips
    length = np.linalg.norm(found, axis=-1)
    np.testing.assert_allclose(found / length[:, None], direction, atol=1e-6)
    assert (np.diff(length) > -1e-9).all()
    # The knee's acceleration stays small: it does not snap straight.
    assert np.abs(np.diff(knee, n=2, axis=0)).max() < 2e-4
