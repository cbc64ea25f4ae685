"""A workdir is used while a training runs there: restored, generated from, served."""

import http.client
import json
import subprocess
import threading

import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.run import evaluate_model
from actiongpt_jax.inference.motions import generate_motions
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.text.embeddings.store import open_embeddings
from actiongpt_jax.training import checkpoints
from actiongpt_jax.training.workdir import holds_checkpoints, lock_workdir
from actiongpt_jax.viewing.app.queue import GenerationQueue
from actiongpt_jax.viewing.app.server import Server

pytestmark = pytest.mark.slow

# Every step is saved, and the one before the last is deleted.
ENDLESS = (
    "--config.train.num_steps=1000000",
    "--config.train.checkpoint_steps=1",
    "--config.train.keep_checkpoints=1",
    "--config.train.log_steps=1000000",
    "--config.train.eval_epochs=1000000",
)


@pytest.fixture
def in_training(training, tmp_path):
    """Yields a workdir in which another process trains, and that process."""
    process = training(tmp_path / "run", *ENDLESS)
    while not holds_checkpoints(tmp_path / "run"):
        assert process.poll() is None, process.communicate()[0]
        try:
            process.communicate(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
    yield tmp_path / "run", process
    assert process.poll() is None, "the training has ended"
    process.kill()
    process.communicate()


def test_workdir_in_training_can_be_used(in_training, stores):
    workdir, process = in_training
    with pytest.raises(InputError, match="by another process"), lock_workdir(workdir):
        pass
    # Restoring comes across steps that are being deleted.
    steps = [0]
    while len(steps) < 20:
        assert process.poll() is None
        restored = checkpoints.restore(workdir)
        assert restored is not None and restored.step >= steps[-1]
        steps += [restored.step] * (restored.step > steps[-1])

    phrase = open_embeddings(stores[1]).phrases[0]
    (motion,) = generate_motions(load_model(workdir), phrase, 0.5)
    assert np.isfinite(motion.rotations).all()

    figures = evaluate_model(workdir, limit=1)
    assert figures["motions"] == 1 and figures["step"] >= steps[-1]

    model = load_model(workdir)
    queue = GenerationQueue(model, PhraseEmbedder(model.config), {})
    server = Server(queue)
    threading.Thread(target=server.serve_forever).start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
        action = {"phrase": phrase, "seconds": 0.5}
        content = json.dumps({"actions": [action]})
        kind = {"Content-Type": "application/json"}
        connection.request("POST", "/generate", content, kind)
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        server.shutdown()
        server.server_close()
        queue.close()
