"""The lengths of phrases that a model keeps from its training."""

import pathlib
import statistics

import numpy as np
import pytest

from actiongpt_jax.conversion.pack import pack
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.motions import generate_motions
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.training.phrase_lengths import (
    LENGTHS,
    PhraseLengths,
    measure_lengths,
    read_lengths,
    unit_mean,
    write_lengths,
)


@pytest.fixture
def lengths():
    vectors = np.eye(8, dtype=np.float16)
    phrases = tuple(f"phrase {i} é" for i in range(8))
    return PhraseLengths(phrases, np.arange(20, 100, 10, dtype=np.int32), vectors)


def test_lengths_survive_the_file(lengths, tmp_path):
    write_lengths(tmp_path, lengths)
    read = read_lengths(tmp_path)
    assert read is not None and read.phrases == lengths.phrases
    np.testing.assert_array_equal(read.frames, lengths.frames)
    np.testing.assert_array_equal(read.vectors, lengths.vectors)
    assert read_lengths(tmp_path / "other") is None


def test_an_unknown_phrase_gets_the_median_of_its_nearest(lengths):
    # The means of these tokens are nearest to phrases 0 to 4, of 20 to 60 frames.
    tokens = np.array([[5, 4, 3, 2, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0, -1]], float)
    assert lengths.nearest(tokens) == 40
    assert lengths.known("phrase 3 é") == 50 and lengths.known("phrase") is None


@pytest.mark.parametrize("damage", ["truncated", "names", "frames", "huge", "text"])
def test_a_damaged_file_is_one_sentence(lengths, tmp_path, damage):
    if damage == "frames":
        lengths = PhraseLengths(lengths.phrases, lengths.frames * 0, lengths.vectors)
    if damage == "huge":  # as after a flipped bit
        lengths = PhraseLengths(
            lengths.phrases, lengths.frames + 2**30, lengths.vectors
        )
    if damage == "names":
        lengths = PhraseLengths(("one",), lengths.frames, lengths.vectors)
    write_lengths(tmp_path, lengths)
    path = tmp_path / LENGTHS
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-9])
    if damage == "text":
        path.write_bytes(path.read_bytes().replace("é".encode(), b"\xc3\xff"))
    with pytest.raises(InputError, match=LENGTHS):
        read_lengths(tmp_path)


def test_lengths_are_the_medians_of_the_training_split(debug_config, stores):
    config = debug_config("temos:debug", "--config.data.max_frames=750")
    measured = measure_lengths(config)
    assert measured is not None
    store = open_store(pathlib.Path(stores[0]))
    frames: dict[str, list[int]] = {}
    for label in store.labels:
        whole = store.sequences[label.sequence].split, label.kind
        if whole == ("train", "frame") and label.end - label.start >= 15:
            frames.setdefault(label.phrase, []).append(label.end - label.start)
    for phrase in measured.phrases:
        assert measured.known(phrase) == round(statistics.median(frames[phrase]))
    assert measure_lengths(debug_config("motionclip:debug")) is None


@pytest.mark.slow
def test_motions_have_the_lengths_of_the_training(train_debug, tmp_path):
    workdir = train_debug("temos:debug")
    pack(workdir, tmp_path / "packed", commit="0123abc")
    for folder in (workdir, tmp_path / "packed"):
        model = load_model(folder)
        assert model.lengths is not None
        phrase = model.lengths.phrases[0]
        known, unknown = generate_motions(model, [phrase, f"{phrase}!"], series="off")
        assert known.lengths == (model.lengths.known(phrase),)
        assert 15 <= unknown.lengths[0] <= 64


@pytest.mark.slow
def test_motionclip_gets_its_window(random_run):
    model = load_model(random_run("motionclip:debug"))
    (motion,) = generate_motions(model, "walk forward")
    assert motion.lengths == (60,)
    with pytest.warns(UserWarning, match="trained on motions of 60 frames .2 s. only"):
        generate_motions(model, "walk forward", 3.0)


def test_unit_mean_of_nothing_is_finite():
    assert np.isfinite(unit_mean(np.zeros((2, 4)))).all()
