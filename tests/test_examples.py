"""Every script in examples/ and the notebook run as they say, with a small model."""

import pathlib
import runpy
import sys

import nbformat
import numpy as np
import pytest

import actiongpt_jax as agpt
from actiongpt_jax.conversion.convert import state_dict_of
from tests.conversion.states import small_temos_state
from tests.conversion.torch_writer import save_state, write_stats
from tests.notebooks import execute

pytestmark = pytest.mark.slow

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
NOTEBOOK = EXAMPLES / "actiongpt.ipynb"


@pytest.fixture(scope="module")
def workdir(train_debug):
    return train_debug("teach:debug")


@pytest.fixture
def folder(workdir, tmp_path, monkeypatch):
    """Returns the working folder, in which runs/demo is a trained model."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(workdir)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Returns `run("series.py", *flags)` -> what the script printed."""

    def run(name, *flags):
        monkeypatch.setattr(sys, "argv", [name, *map(str, flags)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_every_script_is_short_and_run_by_a_test():
    source = pathlib.Path(__file__).read_text()
    assert SCRIPTS
    for path in SCRIPTS:
        assert len(path.read_text().splitlines()) < 60, path
        assert f'run("{path.name}"' in source, f"no test runs {path}"


def test_generated_motion_is_saved_with_a_page(run):
    out = run("generate_motion.py", "--text", "jump up", "--seconds", 1)
    assert "rotations (30, 22, 3), translation (30, 3)" in out
    motion = agpt.load_motion("motions/jump_up_0.npz")
    assert (motion.text, motion.lengths) == (("jump up",), (30,))
    page = pathlib.Path("motions/jump_up_0.html").read_text()
    assert '"text":["jump up"]' in page


def test_series_is_one_motion_with_two_joins(run):
    out = run("series.py", "--seconds", 1)
    assert "90 frames" in out
    assert "'squat' starts at frame 30 (1.0 s)" in out
    assert "'raise both arms' starts at frame 60 (2.0 s)" in out
    motion = agpt.load_motion("motions/series_0.npz")
    assert motion.text == ("walk forward", "squat", "raise both arms")
    assert motion.lengths == (30, 30, 30)


def test_own_descriptions_change_the_motion_and_make_a_store(run, workdir):
    run("own_descriptions.py")
    plain, own = (agpt.load_motion(f"motions/own_{i}.npz") for i in (0, 1))
    (phrase,) = own.text
    page = pathlib.Path("motions/own.html").read_text()
    assert "The person bends both knees" in page
    store = agpt.open_embeddings("motions/own-text")
    assert (store.phrases, store.k, store.encoder) == ([phrase], 2, "minilm")
    (stored,) = agpt.generate_motions(
        agpt.load_model(workdir), phrase, fact=0, embeddings="motions/own-text"
    )
    # The store holds the same embeddings, rounded to float16.
    change = np.abs(own.rotations - plain.rotations).max()
    assert np.abs(stored.rotations - own.rotations).max() < 0.1 * change


def test_converted_checkpoint_is_trained_further(run, stores):
    mean, std = np.zeros(135), np.full(135, 2.0)
    write_stats(pathlib.Path("stats"), mean, std)
    save_state("last.ckpt", state := small_temos_state())
    command = ["last.ckpt", "--stats", "stats", "--workdir", "runs/tuned"]
    command += ["--motion", stores[0], "--text", stores[1], "--steps"]
    out = run("finetune_checkpoint.py", *command, 1)
    assert "last.ckpt: temos" in out
    assert (agpt.load_model("runs/tuned").normalizer.std == std).all()
    name = "motiondecoder.final_layer.weight"
    converted, tuned = (state_dict_of("runs/tuned", step)[1][name] for step in (0, 1))
    np.testing.assert_array_equal(converted, state[name])
    # The first step of Adam changes a weight by at most about the learning rate, 1e-5.
    assert 1e-6 < np.abs(tuned - converted).max() < 1e-4
    # Called again, it converts nothing and continues.
    assert "last.ckpt" not in run("finetune_checkpoint.py", *command, 2)
    assert agpt.load_model("runs/tuned").step == 2


def test_blends_lead_from_one_motion_to_the_other(run, workdir, stores):
    captured = agpt.open_store(stores[0]).motion(0, end=60)
    agpt.save_motion("captured.npz", captured)
    run("edit_latent.py", "walk forward", "squat", "--base", "captured.npz")
    paths = sorted(pathlib.Path("motions").glob("edited_*.npz"))
    motions = [agpt.load_motion(path) for path in paths]
    assert [len(motion.rotations) for motion in motions] == [60] * 6
    assert motions[5].caption == "captured.npz - walk forward + squat"
    ends = agpt.generate_motions(
        agpt.load_model(workdir), ["walk forward", "squat"], 2, series="off", fact=0
    )
    for blend, end in zip((motions[0], motions[4]), ends, strict=True):
        # Other shapes of a batch, other order of float32 sums.
        np.testing.assert_allclose(blend.rotations, end.rotations, rtol=0, atol=1e-4)
    assert "75% squat" in pathlib.Path("motions/edited.html").read_text()


def test_notebook_holds_no_output():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs"), cell.source
        assert cell.get("execution_count") is None, cell.source


def test_notebook_shows_captured_and_generated_motion(folder):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (folder / "examples").mkdir()
    execute(notebook, folder / "examples")
    shown = [
        output["data"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "data" in output
    ]
    pages = [data["text/html"] for data in shown if "text/html" in data]
    assert len(pages) == 2 and all("<iframe" in page for page in pages)
    assert "generated" in pages[1]
    assert any("image/png" in data for data in shown)
