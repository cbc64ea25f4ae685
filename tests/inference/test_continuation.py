"""Motions that go on from a given motion."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from actiongpt_jax import generate
from actiongpt_jax.data.amass import resample
from actiongpt_jax.data.motion import Motion, load_motion, save_motion
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.motions import generate_motions
from actiongpt_jax.inference.trained import load_model

pytestmark = pytest.mark.slow
FRAMES = 60


@pytest.fixture(scope="module")
def captured(stores):
    """Returns two seconds of captured motion in the middle of a recording."""
    motion = open_store(stores[0]).motion(0, 40, 40 + FRAMES)
    return dataclasses.replace(motion, hands=None)


@pytest.fixture(scope="module")
def teach(train_debug):
    return load_model(train_debug("teach:debug"))


@pytest.fixture(scope="module")
def temos(train_debug):
    return load_model(train_debug("temos:debug"))


def goes_on(model, motion, **options):
    how: dict[str, Any] = {"fact": 0.0, **options}
    (result,) = generate_motions(model, "jump up", 1.0, after=motion, **how)
    return result


def test_the_given_motion_is_kept_and_goes_on_where_it_ends(teach, captured):
    result = goes_on(teach, captured)
    assert result.text == ("the given motion", "jump up")
    assert result.lengths == (FRAMES, 30) and len(result.translation) == FRAMES + 30
    # Stored as float32.
    np.testing.assert_allclose(result.rotations[:FRAMES], captured.rotations, atol=1e-6)
    np.testing.assert_array_equal(result.translation[:FRAMES], captured.translation)
    generated = result.translation[FRAMES:, :2] - captured.translation[-1, :2]
    alone = generate_motions(teach, "jump up", 1.0, fact=0.0)[0].translation[:, :2]
    # The transition's eight frames hold the place; the rest moves as it does alone.
    assert np.abs(generated[:9]).max() < 1e-5
    assert np.abs(generated).max() < 2 * np.abs(alone).max() + 0.1


def test_a_saved_action_goes_on_as_a_series_does(temos, tmp_path):
    how: dict[str, Any] = {"series": "independent", "fact": 0.0}
    (series,) = generate_motions(temos, ["walk forward", "jump up"], [2.0, 1.0], **how)
    (first,) = generate_motions(temos, "walk forward", 2.0, **how)
    path = save_motion(tmp_path / "first.npz", first)
    result = goes_on(temos, load_motion(path), series="independent")
    assert (result.text, result.lengths) == (series.text, series.lengths)
    # Axis-angle is converted to matrices and back.
    np.testing.assert_allclose(result.translation, series.translation, atol=1e-5)
    turns = [Rotation.from_rotvec(m.rotations.reshape(-1, 3)) for m in (result, series)]
    assert (turns[0].inv() * turns[1]).magnitude().max() < 1e-3


def test_a_turned_and_moved_motion_goes_on_turned_and_moved(teach, captured):
    turn, shift = Rotation.from_rotvec([0, 0, 2.0]), np.array([3, -2, 0], np.float32)
    rotations = captured.rotations.copy()
    rotations[:, 0] = (turn * Rotation.from_rotvec(rotations[:, 0])).as_rotvec()
    moved = Motion(rotations, (turn.apply(captured.translation) + shift).astype("f4"))
    expected = turn.apply(goes_on(teach, captured).translation) + shift
    np.testing.assert_allclose(goes_on(teach, moved).translation, expected, atol=1e-4)


def test_only_a_model_that_reads_the_past_reads_the_last_frames(teach, captured):
    # The last pose is the same, the frames before it are not.
    other = captured.rotations.copy()
    other[-5:-1, 3:] += 0.5
    other = dataclasses.replace(captured, rotations=other)
    for series, differs in (("past", True), ("independent", False)):
        one, two = (
            goes_on(teach, motion, series=series).rotations[FRAMES:]
            for motion in (captured, other)
        )
        assert (np.abs(one - two).max() > 1e-4) == differs


def test_samples_and_texts_go_on_from_the_same_motion(temos, captured):
    texts = ["walk forward", "jump up"]
    motions = generate_motions(temos, texts, 1.0, samples=2, after=captured)
    assert [motion.text[1:] for motion in motions] == [
        (t,) for t in texts for _ in "ab"
    ]
    assert all(motion.lengths == (FRAMES, 30) for motion in motions)


def test_hands_of_the_given_motion_stay(temos, captured):
    hands = np.linspace(0, 1, FRAMES * 6, dtype=np.float32).reshape(FRAMES, 2, 3)
    found = goes_on(temos, dataclasses.replace(captured, hands=hands)).hands
    assert found is not None
    np.testing.assert_allclose(found[:FRAMES], hands, atol=1e-6)
    last = np.repeat(found[FRAMES - 1 : FRAMES], 30, axis=0)
    np.testing.assert_array_equal(found[FRAMES:], last)


def test_the_command_resamples_and_says_so(
    teach, captured, train_debug, tmp_path, capsys
):
    arrays = resample(captured.rotations, captured.translation, 30, 60)
    given = save_motion(tmp_path / "given.npz", Motion(*arrays, 60.0))
    flags = f"--workdir {train_debug('teach:debug')} --seconds 1 --mean".split()
    flags += ["--text", "jump up", "--after", str(given)]
    generate.main([*flags, "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert said.count("60 frames per second; it is resampled to 30") == 1
    (path,) = (tmp_path / "out").iterdir()
    result, expected = load_motion(path), goes_on(teach, captured)
    assert path.name == "the_given_motion_then_jump_up_0.npz"
    # Times that both rates have are copied.
    np.testing.assert_allclose(result.translation, expected.translation, atol=1e-4)


def test_bad_input_is_one_sentence(teach, captured, train_debug, tmp_path):
    with pytest.raises(InputError, match="action 1, .*at least 13 frames .*8 of trans"):
        generate_motions(teach, "jump up", 0.4, after=captured)
    flags = ["--workdir", str(train_debug("teach:debug")), "--text", "jump up"]
    (tmp_path / "a.npz").write_text("no motion")
    with pytest.raises(InputError, match=r"a\.npz"):
        generate.main([*flags, "--after", str(tmp_path / "a.npz")])
