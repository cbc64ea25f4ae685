"""Latents of texts and motions, motions decoded from them, and the `edit` command."""

import dataclasses

import numpy as np
import pytest

from actiongpt_jax import edit
from actiongpt_jax.data.amass import resample
from actiongpt_jax.data.motion import Motion, load_motion, save_motion
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry.kinematics import facing, forward_kinematics
from actiongpt_jax.geometry.rotations import axis_angle_to_matrix
from actiongpt_jax.inference.editing import nearest_phrases
from actiongpt_jax.inference.generate import generate_motion, generate_sequence
from actiongpt_jax.inference.latents import (
    decode_latents,
    encode_motions,
    encode_texts,
)
from actiongpt_jax.inference.motions import generate_motions
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_samples, plan_series
from actiongpt_jax.inference.trained import load_model

pytestmark = pytest.mark.slow

PHRASES = ("walk forward", "jump up")


@pytest.fixture(scope="module")
def clip_run(train_debug):
    return train_debug("motionclip:debug")


@pytest.fixture(scope="module")
def clip(clip_run):
    return load_model(clip_run)


@pytest.fixture(scope="module", params=["temos", "motionclip"])
def trained(request, train_debug, clip):
    if request.param == "motionclip":
        return clip
    return load_model(train_debug("temos:debug"))


def requests_of(trained, frames=(40, 25)):
    embedder = PhraseEmbedder(trained.config)
    return [
        plan_samples(embedder, phrase, count, fact=0.0)[0]
        for phrase, count in zip(PHRASES, frames, strict=True)
    ]


@pytest.fixture(scope="module")
def motions(stores):
    """Returns two captured motions at 30 fps, with random hands."""
    store = open_store(stores[0])
    rng = np.random.default_rng(0)
    motions = []
    for sequence, frames in zip(store.sequences, (50, 33), strict=False):
        rows = slice(sequence.start, sequence.start + frames)
        hands = rng.normal(0, 0.3, (frames, 2, 3)).astype(np.float32)
        motion = Motion(store.rotations[rows], store.translation[rows], hands=hands)
        motions.append(motion)
    return motions


def joints_of(motion):
    return np.asarray(
        forward_kinematics(axis_angle_to_matrix(motion.rotations), motion.translation)
    )


def test_decoded_text_latents_equal_generated_motions(trained):
    requests = requests_of(trained)
    latents = encode_texts(trained, requests)
    decoded = decode_latents(trained, latents, [40, 25], PHRASES)
    for phrase, motion, generated in zip(
        PHRASES, decoded, generate_motion(trained, requests), strict=True
    ):
        assert motion.text == (phrase,)
        # Other shapes change the order of float32 sums.
        np.testing.assert_allclose(motion.rotations, generated.rotations, atol=1e-4)
        np.testing.assert_allclose(motion.translation, generated.translation, atol=1e-4)


def test_motionclip_generates_bodies_with_hands_on_the_floor(clip):
    for motion, frames in zip(
        generate_motion(clip, requests_of(clip)), (40, 25), strict=True
    ):
        assert motion.rotations.shape == (frames, 22, 3)
        assert motion.hands is not None
        assert motion.hands.shape == (frames, 2, 3)
        # Metres; float32 kinematics of a body of 1.7 m.
        assert abs(joints_of(motion)[..., 2].min()) < 1e-5
        np.testing.assert_allclose(motion.translation[0, :2], 0, atol=1e-6)
        pelvis = np.asarray(axis_angle_to_matrix(motion.rotations[0, 0]))
        np.testing.assert_allclose(np.asarray(facing(pelvis)), [-1, 0], atol=1e-5)


def test_motionclip_motion_does_not_depend_on_its_batch(clip):
    requests = requests_of(clip)
    together = generate_motion(clip, requests)
    alone = generate_motion(clip, requests[1:])[0]
    np.testing.assert_allclose(together[1].rotations, alone.rotations, atol=1e-4)
    np.testing.assert_allclose(together[1].translation, alone.translation, atol=1e-4)


def test_motionclip_actions_join_without_a_jump(clip):
    embedder = PhraseEmbedder(clip.config)
    (series,) = plan_series(embedder, PHRASES, [40, 30])
    (motion,) = generate_sequence(clip, [series], window=8)
    assert motion.lengths == (40, 30)
    moves = np.linalg.norm(np.diff(joints_of(motion)[:, 0, :2], axis=0), axis=-1)
    # At the join the pelvis moves no further per frame than elsewhere.
    assert moves[39:49].max() <= moves[:39].max() + moves[49:].max() + 1e-3


def test_motionclip_samples_differ_only_by_description(clip):
    embedder = PhraseEmbedder(clip.config)
    with pytest.raises(InputError, match="--diverse descriptions"):
        plan_samples(embedder, PHRASES[0], 30, samples=2)
    requests = plan_samples(embedder, PHRASES[0], 30, 2, "descriptions")
    first, second = encode_texts(clip, requests)
    assert np.abs(first - second).max() > 1e-3
    mean = encode_texts(clip, plan_samples(embedder, PHRASES[0], 30))[0]

    def direction(vector):
        return vector / np.linalg.norm(vector)

    # 'matched' gives text latents the length of motion latents; the aggregate of two
    # descriptions lies between theirs.
    between = direction(direction(first) + direction(second))
    assert direction(mean) @ between > 0.9


def test_motion_latent_does_not_depend_on_batch_or_frame_rate(trained, motions):
    together = encode_motions(trained, motions)
    alone = encode_motions(trained, motions[1:])[0]
    scale = np.abs(together).max()
    np.testing.assert_allclose(together[1], alone, atol=1e-5 * scale)
    fast = dataclasses.replace(motions[1], fps=120.0)
    joints = np.concatenate([fast.rotations, fast.hands], 1)
    slow_joints, slow_translation = resample(joints, fast.translation, 120.0, 30.0)
    slow = Motion(slow_joints[:, :22], slow_translation, hands=slow_joints[:, 22:])
    np.testing.assert_array_equal(
        encode_motions(trained, [fast]), encode_motions(trained, [slow])
    )


def test_motionclip_encodes_hands(clip, motions):
    without = [dataclasses.replace(motion, hands=None) for motion in motions]
    difference = encode_motions(clip, motions) - encode_motions(clip, without)
    assert np.abs(difference).max() > 1e-4


def test_nearest_phrases_are_sorted_by_cosine(clip, motions):
    embedder = PhraseEmbedder(clip.config)
    actual = nearest_phrases(clip, embedder, motions[0], list(PHRASES))
    latent = encode_motions(clip, motions[:1])[0].astype(np.float64)
    texts = encode_texts(clip, requests_of(clip)).astype(np.float64)
    cosines = texts @ latent / np.linalg.norm(texts, axis=-1) / np.linalg.norm(latent)
    expected = sorted(zip(PHRASES, cosines, strict=True), key=lambda pair: -pair[1])
    assert [phrase for phrase, _ in actual] == [phrase for phrase, _ in expected]
    # float32 cosines.
    np.testing.assert_allclose(
        [score for _, score in actual], [score for _, score in expected], atol=1e-5
    )


def test_latents_of_another_width_are_rejected(trained):
    with pytest.raises(InputError, match="latents must have shape"):
        decode_latents(trained, np.zeros((1, 7), np.float32), [30], ["x"])


def test_edit_command_writes_motions_and_prints_phrases(
    clip_run, clip, motions, tmp_path, capsys
):
    file = save_motion(tmp_path / "mine.npz", motions[0])
    start = ["--workdir", str(clip_run), "--out", str(tmp_path / "out")]
    edit.main([*start, "interpolate", "walk forward", str(file), "--steps", "3"])
    latents = encode_texts(clip, requests_of(clip)[:1])
    (first,) = decode_latents(clip, latents, [60], ["x"])
    made = load_motion(tmp_path / "out" / "interpolate_0.npz")
    np.testing.assert_allclose(made.rotations, first.rotations, atol=1e-4)
    assert len(list((tmp_path / "out").glob("interpolate_*.npz"))) == 3
    words = ["change", "walk forward", "--minus", "walk forward", "--plus", "jump up"]
    edit.main([*start, "--seconds", "1", *words])
    changed = load_motion(tmp_path / "out" / "change_0.npz")
    assert len(changed.translation) == 30
    assert changed.text == ("walk forward - walk forward + jump up",)
    other = save_motion(tmp_path / "other" / "mine.npz", motions[1])
    for path in (file, other):
        edit.main(["reconstruct", str(path), *start])
    results = [load_motion(tmp_path / "out" / f"reconstruct_{i}.npz") for i in (0, 1)]
    assert np.abs(results[0].rotations - results[1].rotations).max() > 1e-4
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("\n".join(PHRASES))
    capsys.readouterr()
    edit.main([*start, "recognise", str(file), "--among", str(phrases)])
    printed = capsys.readouterr().out
    assert all(repr(phrase) in printed for phrase in PHRASES)


def test_motionclip_samples_use_different_descriptions(clip):
    first, second = generate_motions(clip, "walk forward", 1, samples=2)
    assert np.abs(first.rotations - second.rotations).max() > 1e-4
    with pytest.raises(InputError, match="--series past"):
        generate_motions(clip, "walk forward", 1, series="past")
