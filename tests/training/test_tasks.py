"""Effects of config fields on the items and the loss terms of a model."""

import jax
import numpy as np
import pytest

from actiongpt_jax.config import load_config
from actiongpt_jax.geometry import body
from actiongpt_jax.losses import motionclip as losses
from actiongpt_jax.training.inputs import training_items
from actiongpt_jax.training.tasks import TASKS
from tests.data.batches.cases import make_store
from tests.losses.motionclip_cases import draw, make_body


@pytest.mark.slow
def test_rcxyz_compares_vertices_of_the_body_file(tmp_path):
    outputs, batch = draw()
    config, terms = load_config("motionclip"), {}
    path = tmp_path / "body.npz"
    body.save(path, make_body(24))
    for file in ("", str(path)):
        config.losses.body = file
        terms[file] = jax.jit(TASKS["motionclip"](config).terms(None))(outputs, batch)
    expected = losses.terms(outputs, batch, config, body=body.load(path))
    # One side is compiled as a whole: sums are in another order.
    np.testing.assert_allclose(terms[str(path)]["rcxyz"], expected["rcxyz"], rtol=1e-5)
    # Counts are proportional to the numbers of points: 22 joints, 9 vertices.
    assert terms[""]["rcxyz"][1] / terms[str(path)]["rcxyz"][1] == 22 / 9
    np.testing.assert_array_equal(terms[""]["rc"], terms[str(path)]["rc"])


def test_each_task_lists_its_training_phrases():
    labels = [
        (0, 0, 70, "walk"),
        (0, 70, 140, "turn"),
        (0, 140, 300, "sit down"),
        (1, 0, 90, "dance", "sequence"),
        (2, 0, 40, "hop"),
    ]
    store = make_store([300, 90, 40], labels)

    def known(model, **data):
        config = load_config(model)
        config.data.update(data)
        return TASKS[model].phrases(training_items(config, store))

    single = ["hop", "sit down", "turn", "walk"]
    assert known("temos") == known("evaluator") == single
    assert known("temos", max_frames=100) == ["hop", "turn", "walk"]
    assert known("temos", limit=2) == ["turn", "walk"]
    # The phrases of consecutive actions only.
    assert known("teach") == ["sit down", "turn", "walk"]
    assert known("teach", max_frames=100) == ["turn", "walk"]
    # Labels of whole sequences count too; 40 frames are too few for a window.
    assert known("motionclip") == ["dance", "sit down", "turn", "walk"]
