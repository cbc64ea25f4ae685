"""Generation: what a motion depends on, diversity, output files, errors."""

import shlex

import numpy as np
import pytest

from actiongpt_jax import generate
from actiongpt_jax.choices import WINDOW
from actiongpt_jax.data.motion import load_motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.generate import generate_motion
from actiongpt_jax.inference.motions import generate_motions
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_samples
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.training import checkpoints

pytestmark = pytest.mark.slow

PHRASE = "walk forward"


@pytest.fixture(scope="module")
def run(stores, train_debug):
    """Returns (workdir, embedding store with single descriptions)."""
    return train_debug("temos:debug"), stores[1]


@pytest.fixture(scope="module")
def teach_run(train_debug):
    """Returns the workdir of a model that reads past frames."""
    return train_debug("teach:debug")


@pytest.fixture(scope="module")
def trained(run):
    return load_model(run[0])


@pytest.fixture(scope="module")
def embedder(trained):
    return PhraseEmbedder(trained.config)


def rotations(trained, requests, **options):
    return [m.rotations for m in generate_motion(trained, requests, **options)]


def test_motion_does_not_depend_on_its_batch(trained, embedder):
    requests = [
        *plan_samples(embedder, PHRASE, 40, samples=2),
        *plan_samples(embedder, "jump up", 25),
    ]
    together = generate_motion(trained, requests)
    for request, motion in zip(requests, together, strict=True):
        alone = generate_motion(trained, [request])[0]
        assert motion.rotations.shape == (request.num_frames, 22, 3)
        # Other shapes change the order of float32 sums; latents are of order 1.
        np.testing.assert_allclose(motion.rotations, alone.rotations, atol=1e-4)
        np.testing.assert_allclose(motion.translation, alone.translation, atol=1e-4)


def test_latent_samples_differ_and_are_reproducible(trained, embedder):
    first, second = rotations(trained, plan_samples(embedder, PHRASE, 30, samples=2))
    again, _ = rotations(trained, plan_samples(embedder, PHRASE, 30, samples=2))
    other = rotations(trained, plan_samples(embedder, PHRASE, 30, seed=1))[0]
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - second).max() > 1e-3
    assert np.abs(first - other).max() > 1e-3


def test_fact_zero_gives_the_mean_for_every_seed(trained, embedder):
    first, second = rotations(
        trained, plan_samples(embedder, PHRASE, 30, samples=2, fact=0.0)
    )
    np.testing.assert_array_equal(first, second)


def test_samples_of_single_descriptions_differ_without_noise(trained, embedder):
    requests = plan_samples(embedder, PHRASE, 30, samples=3, diverse="descriptions")
    first, second, third = rotations(trained, requests)
    assert np.abs(first - second).max() > 1e-4
    assert np.abs(second - third).max() > 1e-4
    assert {request.fact for request in requests} == {0.0}


def test_more_samples_than_descriptions_is_an_error(embedder):
    with pytest.raises(InputError, match="8 descriptions"):
        plan_samples(embedder, PHRASE, 30, samples=9, diverse="descriptions")
    assert len(plan_samples(embedder, PHRASE, 30, samples=9, diverse="both")) == 9


def test_descriptions_file_takes_precedence_over_the_store(trained, embedder, tmp_path):
    file = tmp_path / "own.json"
    file.write_text('{"walk forward": ["Both arms rise.", "The arms go up high."]}')
    from_file = PhraseEmbedder(trained.config, descriptions=file)
    assert from_file.tokens(PHRASE).shape != embedder.tokens(PHRASE).shape
    assert len(from_file.singles(PHRASE)) == 2


def test_unknown_phrase_is_embedded_itself_with_a_warning(trained):
    embedder = PhraseEmbedder(trained.config)
    with pytest.warns(UserWarning, match="moonwalk"):
        tokens = embedder.tokens("moonwalk")
    assert tokens.shape[1] == trained.config.text.width


def test_long_and_empty_texts_are_said(trained):
    with pytest.warns(UserWarning, match="1 of 1 texts are cut .* 256 word pieces"):
        generate_motions(trained, "walk and turn " * 100, 1.0)
    with pytest.warns(UserWarning, match="a text is empty"):
        generate_motions(trained, " ", 1.0)
    with pytest.warns(UserWarning, match="and 18000 frames .600 s. were asked for"):
        with pytest.raises(InputError, match="half a character"):
            generate_motions(trained, "walk \udc80", 600.0)


def test_command_line_writes_amass_files(run, tmp_path, capsys):
    texts = "--text 'walk forward' --seconds 1.5 --text 'jump up' --seconds 1"
    arguments = shlex.split(f"--workdir {run[0]} --out {tmp_path} {texts} --samples 2")
    generate.main(arguments)
    names = sorted(path.name for path in tmp_path.iterdir())
    expected = [f"{p}_{i}.npz" for p in ("jump_up", "walk_forward") for i in (0, 1)]
    assert names == expected
    motion = load_motion(tmp_path / "walk_forward_0.npz")
    assert motion.text == (PHRASE,)
    assert motion.rotations.shape == (45, 22, 3)
    with np.load(tmp_path / "jump_up_1.npz", allow_pickle=False) as file:
        assert file["poses"].shape == (30, 156)
        assert file["mocap_framerate"] == file["mocap_frame_rate"] == 30
    assert str(tmp_path / "jump_up_0.npz") in capsys.readouterr().out


def test_equal_texts_get_separate_files(run, tmp_path):
    texts = "--text 'walk forward' --seconds 1 --text 'walk forward' --seconds 1.5"
    generate.main(shlex.split(f"--workdir {run[0]} --out {tmp_path} {texts}"))
    frames = [
        len(load_motion(tmp_path / f"walk_forward_{i}.npz").translation) for i in (0, 1)
    ]
    assert frames == [30, 45]


def test_missing_store_is_named_in_the_warning(trained, tmp_path):
    config = trained.config.copy_and_resolve_references()
    config.text.store = str(tmp_path / "gone")
    with pytest.warns(UserWarning, match="gone"):
        PhraseEmbedder(config).tokens(PHRASE)


def test_invalid_flags_raise_one_sentence(run, tmp_path):
    workdir = ["--workdir", str(run[0]), "--text", PHRASE, "--out", str(tmp_path)]
    for arguments, word in [
        ([*workdir, "--seconds", "1", "--seconds", "2"], "--seconds"),
        ([*workdir, "--seconds", "0"], "above 0"),
        ([*workdir, "--seconds", "1e12"], "at most 600"),
        ([*workdir, "--fact", "inf"], "--fact"),
        ([*workdir, "--series", "past"], "temos"),
        ([*workdir, "--series", "all"], "--series"),
        ([*workdir, "--samples", "0"], "sample"),
        ([*workdir, "--seconds", "nan"], "finite"),
        ([*workdir, "--seed", "-1"], "--seed"),
        ([*workdir, "--checkpoint", "77"], "77"),
        ([*workdir, "--checkpoint", "newest"], "newest"),
        (["--workdir", str(tmp_path), "--text", PHRASE], "no checkpoint"),
    ]:
        with pytest.raises((InputError, FileNotFoundError)) as caught:
            generate.main(arguments)
        assert word in str(caught.value)
        assert "\n" not in str(caught.value)


# No action has more than 32 frames in addition to its transition: one shape to compile.
SERIES = shlex.split(
    "--text 'walk forward' --seconds 1 --text 'jump up' --seconds 1.2 "
    "--text 'walk forward' --seconds 0.5"
)
LENGTHS = (30, 36, 15)


def written(workdir, out, *arguments):
    """Returns file name -> motion of the files that `generate` writes."""
    generate.main(["--workdir", str(workdir), "--out", str(out), *arguments])
    return {path.name: load_motion(path) for path in sorted(out.iterdir())}


NAME = "walk_forward_then_jump_up_then_walk_forward"


def test_command_line_writes_one_series(teach_run, tmp_path, capsys):
    result = written(teach_run, tmp_path, *SERIES, "--samples", "2")
    assert list(result) == [f"{NAME}_{i}.npz" for i in (0, 1)]
    for motion in result.values():
        assert motion.text == (PHRASE, "jump up", PHRASE)
        assert motion.lengths == LENGTHS
        assert motion.rotations.shape == (sum(LENGTHS), 22, 3)
    first, second = result.values()
    assert np.abs(first.rotations - second.rotations).max() > 1e-3
    # The body continues where it was: its place does not change during a transition.
    for join in np.cumsum(LENGTHS)[:-1]:
        ground = first.translation[join - 1 : join + WINDOW + 1, :2]
        np.testing.assert_allclose(
            ground, ground[:1] + np.zeros_like(ground), atol=1e-5
        )
    printed = capsys.readouterr().out
    assert "'walk forward, then jump up, then walk forward', 81 frames" in printed


def test_independent_actions_do_not_read_the_past(teach_run, run, tmp_path):
    modes = ("past", "independent")
    past, independent = (
        written(teach_run, tmp_path / mode, *SERIES, "--series", mode, "--mean")
        for mode in modes
    )
    assert list(past) == list(independent) == [f"{NAME}_0.npz"]
    read, unread = past[f"{NAME}_0.npz"], independent[f"{NAME}_0.npz"]
    assert read.lengths == unread.lengths == LENGTHS
    np.testing.assert_allclose(
        read.rotations[:30], unread.rotations[:30], rtol=0, atol=1e-5
    )
    later = slice(30 + WINDOW, 66)
    assert np.abs(read.rotations[later, 1:] - unread.rotations[later, 1:]).max() > 1e-4
    # A model that does not read past frames makes a series of independent actions too.
    result = written(run[0], tmp_path / "temos", *SERIES, "--series", "independent")
    assert result[f"{NAME}_0.npz"].lengths == LENGTHS


def test_joined_series_is_one_prompt(teach_run, tmp_path, capsys):
    result = written(teach_run, tmp_path, *SERIES, "--series", "joined")
    (motion,) = result.values()
    assert motion.text == ("walk forward, jump up, walk forward",)
    assert motion.lengths == (sum(LENGTHS),)
    # No description covers all three phrases together.
    assert "no descriptions of 'walk forward, jump up, " in capsys.readouterr().err


def test_series_off_makes_one_motion_per_text(teach_run, tmp_path):
    result = written(teach_run, tmp_path, *SERIES, "--series", "off")
    lengths = {name: motion.lengths for name, motion in result.items()}
    assert lengths == {
        "jump_up_0.npz": (36,),
        "walk_forward_0.npz": (30,),
        "walk_forward_1.npz": (15,),
    }


def test_command_line_sets_alignment_and_window(teach_run, tmp_path):
    result = written(
        teach_run, tmp_path, *SERIES[:8], "--align", "translation", "--window", "0"
    )
    (motion,) = result.values()
    np.testing.assert_array_equal(
        motion.translation[30, :2], motion.translation[29, :2]
    )


def test_invalid_series_raise_one_sentence(teach_run, tmp_path):
    command = ["--workdir", str(teach_run), "--out", str(tmp_path / "none")]
    text = ["--text", PHRASE, "--text", "jump up", "--text", "sit"]
    for arguments, words in [
        ([*text, "--seconds", "1", "--seconds", "2"], ["2 for 3 texts"]),
        ([*text, "--seconds", "1"], ["1 for 3 texts"]),
        (
            [*text[:4], "--seconds", "1", "--seconds", "0.4"],
            ["action 2", "'jump up'", "0.43 s"],
        ),
        (
            [*text[:4], "--seconds", "1", "--seconds", "1", "--window", "40"],
            ["action 2", "45 frames", "--window"],
        ),
        ([*text[:2], "--seconds", "1e12"], ["at most 600"]),
        ([*text[:4], "--seconds", "1", "--seconds", "-1"], ["above 0"]),
        ([*text[:2], "--align", "half"], ["--align"]),
        ([*text[:2], "--window", "-1"], ["window"]),
    ]:
        with pytest.raises(InputError) as caught:
            generate.main([*command, *arguments])
        message = str(caught.value)
        assert all(word in message for word in words), message
        assert "\n" not in message
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("change", ["text_mask", "compat"])
def test_loaded_model_masks_padded_text_tokens(run, tmp_path, change):
    """The published mask attends to padding, which a single text does not have."""
    restored = checkpoints.restore(run[0])
    assert restored is not None
    config = restored.config.copy_and_resolve_references()
    if change == "compat":
        config.compat = "reference"
    else:
        config.model.text_mask = "shipped"
    checkpoints.save_weights(tmp_path, config, restored.normalizer, restored.variables)
    trained = load_model(tmp_path)
    assert trained.model.text_mask == trained.config.model.text_mask == "bool"
