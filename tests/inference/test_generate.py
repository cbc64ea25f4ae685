"""Generation: what a motion depends on, diversity, files, errors."""

import numpy as np
import pytest

from actiongpt_jax import generate, train
from actiongpt_jax.data.amass import load_motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.generate import generate_motion
from actiongpt_jax.inference.phrases import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_samples
from actiongpt_jax.inference.trained import load_trained

pytestmark = pytest.mark.xdist_group("inference")

PHRASE = "walk forward"


@pytest.fixture(scope="module")
def run(stores, tmp_path_factory):
    """Returns (workdir, embedding store with single descriptions)."""
    motion, text = stores
    workdir = tmp_path_factory.mktemp("generate") / "run"
    train.main(
        [
            *("--config", "temos:debug", "--workdir", str(workdir)),
            f"--config.data.store={motion}",
            f"--config.text.store={text}",
            "--config.data.max_shapes=1",
            "--config.train.num_steps=2",
        ]
    )
    return workdir, text


@pytest.fixture(scope="module")
def trained(run):
    return load_trained(run[0])


@pytest.fixture(scope="module")
def embedder(trained):
    return PhraseEmbedder(trained.config)


def rotations(trained, requests, **options):
    return [m.rotations for m in generate_motion(trained, requests, **options)]


def test_a_motion_does_not_depend_on_its_batch(trained, embedder):
    requests = [
        *plan_samples(embedder, PHRASE, 40, samples=2),
        *plan_samples(embedder, "jump up", 25),
    ]
    together = generate_motion(trained, requests)
    for request, motion in zip(requests, together, strict=True):
        alone = generate_motion(trained, [request])[0]
        assert motion.rotations.shape == (request.num_frames, 22, 3)
        # Other shapes, other order of float32 sums; latents are of order 1.
        np.testing.assert_allclose(motion.rotations, alone.rotations, atol=1e-4)
        np.testing.assert_allclose(motion.translation, alone.translation, atol=1e-4)


def test_latent_samples_differ_and_repeat(trained, embedder):
    first, second = rotations(trained, plan_samples(embedder, PHRASE, 30, samples=2))
    again, _ = rotations(trained, plan_samples(embedder, PHRASE, 30, samples=2))
    other = rotations(trained, plan_samples(embedder, PHRASE, 30, seed=1))[0]
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - second).max() > 1e-3
    assert np.abs(first - other).max() > 1e-3


def test_fact_zero_is_the_mean_for_every_seed(trained, embedder):
    first, second = rotations(
        trained, plan_samples(embedder, PHRASE, 30, samples=2, fact=0.0)
    )
    np.testing.assert_array_equal(first, second)


def test_descriptions_differ_without_any_noise(trained, embedder):
    requests = plan_samples(embedder, PHRASE, 30, samples=3, diverse="descriptions")
    first, second, third = rotations(trained, requests)
    assert np.abs(first - second).max() > 1e-4
    assert np.abs(second - third).max() > 1e-4
    assert {request.fact for request in requests} == {0.0}


def test_too_many_samples_for_the_descriptions(embedder):
    with pytest.raises(InputError, match="8 descriptions"):
        plan_samples(embedder, PHRASE, 30, samples=9, diverse="descriptions")
    assert len(plan_samples(embedder, PHRASE, 30, samples=9, diverse="both")) == 9


def test_a_descriptions_file_comes_first(trained, embedder, tmp_path):
    file = tmp_path / "own.json"
    file.write_text('{"walk forward": ["Both arms rise.", "The arms go up high."]}')
    own = PhraseEmbedder(trained.config, descriptions=file)
    assert own.tokens(PHRASE).shape != embedder.tokens(PHRASE).shape
    assert len(own.singles(PHRASE)) == 2


def test_unknown_phrase_is_used_itself_with_a_warning(trained):
    embedder = PhraseEmbedder(trained.config)
    with pytest.warns(UserWarning, match="moonwalk"):
        tokens = embedder.tokens("moonwalk")
    assert tokens.shape[1] == trained.config.text.width


def test_command_line_writes_amass_files(run, tmp_path, capsys):
    generate.main(
        [
            *("--workdir", str(run[0]), "--out", str(tmp_path)),
            *("--text", PHRASE, "--seconds", "1.5"),
            *("--text", "jump up", "--seconds", "1", "--samples", "2"),
        ]
    )
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


def test_texts_alike_do_not_overwrite_each_other(run, tmp_path):
    generate.main(
        [
            *("--workdir", str(run[0]), "--out", str(tmp_path)),
            *("--text", PHRASE, "--seconds", "1"),
            *("--text", PHRASE, "--seconds", "1.5"),
        ]
    )
    frames = [
        len(load_motion(tmp_path / f"walk_forward_{i}.npz").translation) for i in (0, 1)
    ]
    assert frames == [30, 45]


def test_a_lost_store_is_told(trained, tmp_path):
    config = trained.config.copy_and_resolve_references()
    config.text.store = str(tmp_path / "gone")
    with pytest.warns(UserWarning, match="gone"):
        PhraseEmbedder(config).tokens(PHRASE)


def test_wrong_commands_are_one_sentence(run, tmp_path):
    workdir = ["--workdir", str(run[0]), "--text", PHRASE, "--out", str(tmp_path)]
    for arguments, word in [
        ([*workdir, "--seconds", "1", "--seconds", "2"], "--seconds"),
        ([*workdir, "--seconds", "0"], "frame"),
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
