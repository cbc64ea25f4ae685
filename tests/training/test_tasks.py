"""What a config's fields do to the terms of a model."""

import jax
import numpy as np

from actiongpt_jax.config import load_config
from actiongpt_jax.geometry import body
from actiongpt_jax.losses import motionclip as losses
from actiongpt_jax.training.tasks import TASKS
from tests.losses.test_motionclip import draw, make_body


def test_a_body_file_is_what_rcxyz_compares(tmp_path):
    outputs, batch = draw()
    config, found = load_config("motionclip"), {}
    path = tmp_path / "body.npz"
    body.save(path, make_body(24))
    for file in ("", str(path)):
        config.losses.body = file
        found[file] = jax.jit(TASKS["motionclip"].terms(config, None))(outputs, batch)
    expected = losses.terms(outputs, batch, config, body=body.load(path))
    # Compiled as one program and not: sums in another order.
    np.testing.assert_allclose(found[str(path)]["rcxyz"], expected["rcxyz"], rtol=1e-5)
    # A sum over as many numbers as the body has coordinates: 9 vertices, 22 joints.
    assert found[""]["rcxyz"][1] / found[str(path)]["rcxyz"][1] == 22 / 9
    np.testing.assert_array_equal(found[""]["rc"], found[str(path)]["rc"])
