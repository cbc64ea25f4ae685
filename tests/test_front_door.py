"""The public names of `import actiongpt_jax as agpt`, which research scripts use."""

import json
import pathlib
import subprocess
import sys

import nbformat
import numpy as np
import pytest

import actiongpt_jax as agpt
from actiongpt_jax.errors import InputError
from actiongpt_jax.text.descriptions import write_published
from tests.notebooks import execute

pytestmark = pytest.mark.slow

REPO = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def workdir(train_debug):
    return train_debug("teach:debug")


@pytest.fixture(scope="module")
def model(workdir):
    return agpt.load_model(workdir)


def test_import_is_light_and_completes_its_names():
    code = (
        "import sys, actiongpt_jax as agpt;"
        "assert not {'jax', 'flax', 'scipy'} & set(sys.modules);"
        "assert 'generate_motions' in dir(agpt);"
        "import rlcompleter;"
        "found = rlcompleter.Completer({'agpt': agpt}).attr_matches('agpt.generate_');"
        "assert found == ['agpt.generate_motions('], found"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPO)
    with pytest.raises(AttributeError, match="no attribute 'generate_everything'"):
        _ = agpt.generate_everything  # pyright: ignore[reportAttributeAccessIssue]


def test_teach_generates_a_series_that_can_be_saved(model, tmp_path):
    texts = ["walk forward", "jump up"]
    (motion,) = agpt.generate_motions(model, texts, seconds=[1, 1.5])
    assert isinstance(motion, agpt.Motion)
    assert (motion.text, motion.lengths) == (tuple(texts), (30, 45))
    path = agpt.save_motion(tmp_path / "series.npz", motion)
    again = agpt.load_motion(path)
    np.testing.assert_array_equal(again.rotations, motion.rotations)
    assert again.caption == "walk forward, then jump up"
    joints = agpt.forward_kinematics(
        np.tile(np.eye(3), (75, 22, 1, 1)), motion.translation
    )
    assert joints.shape == (75, 22, 3)


def test_single_text_with_several_samples(model):
    motions = agpt.generate_motions(model, "walk forward", 1, samples=3)
    assert [len(motion.translation) for motion in motions] == [30] * 3
    assert np.abs(motions[0].rotations - motions[1].rotations).max() > 1e-3
    (again,) = agpt.generate_motions(model, "walk forward", 1, seed=0)
    # Other shapes of a batch, other order of float32 sums.
    np.testing.assert_allclose(again.rotations, motions[0].rotations, atol=1e-4)


def test_one_duration_applies_to_every_text(model):
    texts = ["walk forward", "jump up", "walk forward"]
    (motion,) = agpt.generate_motions(model, texts, 1.0)
    assert motion.lengths == (30, 30, 30)
    motions = agpt.generate_motions(model, texts, 1.0, series="off", fact=0)
    assert [motion.text for motion in motions] == [(text,) for text in texts]
    np.testing.assert_allclose(
        motions[0].rotations, motions[2].rotations, rtol=0, atol=1e-6
    )


def test_given_descriptions_are_used(model, tmp_path):
    texts = {"walk forward": ["Both arms rise.", "The arms go up high."]}
    (stored,) = agpt.generate_motions(model, "walk forward", 1, fact=0)
    (own,) = agpt.generate_motions(model, "walk forward", 1, fact=0, descriptions=texts)
    assert np.abs(stored.rotations - own.rotations).max() > 1e-5
    file = write_published(tmp_path / "own.json", texts)
    (read,) = agpt.generate_motions(model, "walk forward", 1, fact=0, descriptions=file)
    np.testing.assert_array_equal(read.rotations, own.rotations)


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ([], {}, "at least one phrase"),
        (["walk", "run"], {"seconds": [1]}, "got 1 for 2 texts"),
        ("walk", {"seconds": 0}, "above 0"),
        ("walk", {"fact": float("nan")}, "--fact"),
        ("walk", {"samples": 0}, "sample"),
        ("walk", {"series": "past", "align": "half"}, "align"),
    ],
)
def test_invalid_values_are_named(model, texts, options, message):
    with pytest.raises(InputError, match=message):
        agpt.generate_motions(model, texts, **options)


def test_evaluate_model_returns_and_writes_its_figures(workdir):
    result = agpt.evaluate_model(workdir, split="train", limit=2, series="off")
    assert result["motions"] == 2
    written = json.loads(pathlib.Path(result["path"]).read_text())
    figure = result["ape_ave"]["mean"]["ape_root"]
    assert written["ape_ave"]["mean"]["ape_root"] == list(figure)
    with pytest.raises(TypeError, match="sample"):
        agpt.evaluate_model(workdir, sample=2)


def test_motion_is_shown_in_a_notebook(model, tmp_path):
    (motion,) = agpt.generate_motions(model, "walk forward", 1)
    path = agpt.save_motion(tmp_path / "walk.npz", motion)
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_code_cell("import actiongpt_jax as agpt"),
        nbformat.v4.new_code_cell(f"agpt.load_motion({str(path)!r})"),
        nbformat.v4.new_code_cell("[_, _]"),
        nbformat.v4.new_code_cell("[_[0], 1]"),
        nbformat.v4.new_code_cell("[]"),
    ]
    execute(notebook, tmp_path)
    one, several, mixed, empty = (
        output["data"] for cell in notebook.cells[1:] for output in cell.outputs
    )
    assert "<iframe" in one["text/html"] and "walk forward" in one["text/html"]
    assert one["text/plain"] == "Motion('walk forward', 30 frames, 30 fps)"
    # A list is one comparison: one frame, whose page holds both motions.
    assert several["text/html"].count("<iframe") == 1
    assert several["text/html"].count("&quot;root&quot;") == 2
    assert "text/html" not in mixed and "text/html" not in empty
