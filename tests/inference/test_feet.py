"""Cleaned feet: what the physical figures say before and after."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from actiongpt_jax import generate
from actiongpt_jax.data.amass import resample
from actiongpt_jax.data.motion import Motion, load_motion, save_motion
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.geometry.kinematics import place_on_host
from actiongpt_jax.inference.feet import clean_feet
from actiongpt_jax.inference.motions import generate_motions
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.synthetic.corpus import build_synthetic_store
from tests.oracles import physical as oracle

MOVES = ("walk", "run", "jog", "sidestep")


@pytest.fixture(scope="module")
def gaits(tmp_path_factory):
    """Returns captured motions of gaits whose feet were made to slide.

    The pelvis drifts to the side and shakes, as that of a model's motion does.
    """
    store = tmp_path_factory.mktemp("feet") / "motion"
    build_synthetic_store(store, 12)
    store, rng, motions = open_store(store), np.random.default_rng(0), []
    for label in store.labels:
        if label.phrase.startswith(MOVES):
            motion = store.motion(label.sequence, label.start, label.end)
            steps = 0.01 * rng.normal(size=motion.translation.shape)
            shake = np.stack([np.convolve(x, np.ones(8) / 8, "same") for x in steps.T])
            drift = np.arange(len(steps))[:, None] * [0.012, 0.01, 0.0]
            moved = motion.translation + (shake.T + drift).astype(np.float32)
            motions.append(dataclasses.replace(motion, translation=moved, hands=None))
    assert len(motions) >= 5
    return motions


def joints_of(motion):
    turns = Rotation.from_rotvec(motion.rotations.reshape(-1, 3)).as_matrix()
    turns = turns.reshape(*motion.rotations.shape, 3)
    return place_on_host(turns, motion.translation)


def skating(motions):
    return np.concatenate([oracle.skating(joints_of(m), m.fps) for m in motions]).mean()


def jerk(motions):
    return np.mean(
        [
            np.abs(np.diff(joints_of(m), n=3, axis=0)).sum(-1).max(-1).mean() * m.fps**3
            for m in motions
        ]
    )


@pytest.mark.parametrize("fps", [30, 60])
def test_feet_slide_less_and_nothing_gets_jerky(gaits, fps):
    if fps != 30:
        # Frames between those that are known lie on straight lines.
        gaits = [
            Motion(*resample(m.rotations, m.translation, 30, fps), fps) for m in gaits
        ]
    cleaned = [clean_feet(motion) for motion in gaits]
    assert skating(gaits) > 0.1
    # Swinging feet are lifted clear of the height below which a foot skates.
    assert skating(cleaned) < 0.08 * skating(gaits)
    assert jerk(cleaned) < 1.02 * jerk(gaits)
    for before, after in zip(gaits, cleaned, strict=True):
        change = np.linalg.norm(joints_of(after) - joints_of(before), axis=-1)
        assert change.mean() < 0.03
        # Only the legs move, and soles do not sink.
        assert change[:, [0, 3, 6, *range(12, 22)]].max() < 1e-6
        toes = [joints_of(m)[:, (10, 11), 2].min() for m in (before, after)]
        assert toes[1] > toes[0] - 0.02


def test_a_body_that_stands_does_not_change(gaits):
    rows = np.zeros(40, int)
    motion = Motion(gaits[0].rotations[rows], gaits[0].translation[rows])
    change = joints_of(clean_feet(motion)) - joints_of(motion)
    assert np.abs(change).max() < 1e-5


def test_turned_motion_is_cleaned_the_same_way(gaits):
    turn = Rotation.from_rotvec([0, 0, 1.0])
    rotations = gaits[0].rotations.copy()
    rotations[:, 0] = (turn * Rotation.from_rotvec(rotations[:, 0])).as_rotvec()
    turned = Motion(rotations, turn.apply(gaits[0].translation).astype(np.float32))
    found, expected = (joints_of(clean_feet(m)) for m in (turned, gaits[0]))
    found, expected = (joints - joints[:, :1] for joints in (found, expected))
    np.testing.assert_allclose(found, expected @ turn.as_matrix().T, atol=1e-4)


def test_kept_frames_do_not_change_and_join_without_a_jump(gaits):
    motion = gaits[0]
    cleaned = clean_feet(motion, keep=20)
    np.testing.assert_array_equal(cleaned.rotations[:20], motion.rotations[:20])
    assert np.abs(cleaned.rotations[25:] - motion.rotations[25:]).max() > 1e-3
    moves = [np.abs(np.diff(joints_of(m), axis=0)) for m in (motion, cleaned)]
    steps = [move[15:25].max() for move in moves]
    assert steps[1] < 1.5 * steps[0] + 0.01


@pytest.mark.parametrize("frames", [1, 3, 4])
def test_short_motions_are_accepted(gaits, frames):
    motion = gaits[0]
    short = Motion(motion.rotations[:frames], motion.translation[:frames])
    assert clean_feet(short).edits == ("clean feet",)


def test_the_file_says_what_was_done(gaits, tmp_path):
    twice = clean_feet(clean_feet(gaits[0]))
    path = save_motion(tmp_path / "a.npz", twice)
    assert load_motion(path).edits == ("clean feet",)
    with np.load(path, allow_pickle=False) as file:
        assert list(file["edits"]) == ["clean feet"]
    assert load_motion(save_motion(path, gaits[0])).edits == ()


@pytest.mark.slow
def test_the_command_cleans_feet_only_if_asked(train_debug, gaits, tmp_path):
    given = save_motion(tmp_path / "given.npz", gaits[0])
    flags = ["--workdir", str(train_debug("temos:debug")), "--after", str(given)]
    flags += ["--text", "jump up", "--seconds", "1", "--out", str(tmp_path / "out")]
    generate.main(flags)
    (path,) = (tmp_path / "out").iterdir()
    plain = load_motion(path)
    generate.main([*flags, "--clean-feet"])
    cleaned, frames = load_motion(path), len(gaits[0].translation)
    assert (plain.edits, cleaned.edits) == ((), ("clean feet",))
    expected = clean_feet(plain, keep=frames).rotations
    np.testing.assert_allclose(cleaned.rotations, expected, atol=1e-6)
    np.testing.assert_array_equal(cleaned.rotations[:frames], plain.rotations[:frames])


@pytest.mark.slow
def test_feet_of_separate_motions_are_cleaned_from_the_first_frame(train_debug):
    model, texts = load_model(train_debug("temos:debug")), ["walk forward", "jump up"]
    plain = generate_motions(model, texts, 1.0)
    cleaned = generate_motions(model, texts, 1.0, clean_feet=True)
    for one, two in zip(plain, cleaned, strict=True):
        np.testing.assert_allclose(two.rotations, clean_feet(one).rotations, atol=1e-6)
