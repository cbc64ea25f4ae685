"""The page with which a training is watched."""

import dataclasses
import html.parser
import json
import os
import re

import numpy as np
import pytest

from actiongpt_jax import train
from actiongpt_jax.data.batches.segments import segments
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.viewing.samples import curves, real_motion

FIGURES = [
    {"step": 0, "val/loss": 3.0},
    {"step": 10, "train/loss": 2.0, "train/kl <b>": 1.0, "step_ms": 5.0},
    {"step": 20, "train/loss": 1.5, "train/kl <b>": 0.5, "step_ms": 5.0},
    {"step": 20, "val/loss": 1.0, "val/note": "text"},
]


def data_of(path):
    text = path.read_text()
    found = re.search(r'<script type="application/json" id="data">(.*)</script>', text)
    assert found
    return json.loads(found[1]), text


@pytest.mark.slow
def test_a_training_writes_its_page_at_every_validation(debug_config, tmp_path, capsys):
    config = debug_config("temos:debug")
    workdir = tmp_path / "run"
    stores = [f"--config.{s}.store={config[s].store}" for s in ("data", "text")]
    flags = [f"--workdir={workdir}", "--config=temos:debug", *stores]
    flags += ["--config.data.max_shapes=1", "--config.data.max_frames=64"]
    flags += ["--config.data.val_split=train"]  # the other split has few phrases
    flags += ["--config.text.num_tokens=96", "--config.model.num_layers=1"]
    train.main([*flags, "--config.train.num_steps=2", "--no-samples"])
    assert not (workdir / "samples.html").exists()
    train.main([*flags, "--config.train.num_steps=3"])
    first, text = data_of(workdir / "samples.html")
    # Whenever a validation is saved, the page is written again.
    train.main([*flags, "--config.train.num_steps=4"])
    second, _ = data_of(workdir / "samples.html")
    assert len(first["motions"]) == 12 and first["columns"] == 4
    titles = [motion["title"] for motion in first["motions"]]
    assert titles == ["real", "generated, step 3"] * 6
    assert second["motions"][1]["title"] == "generated, step 4"
    phrases = [motion["text"][0] for motion in first["motions"]]
    assert phrases[::2] == phrases[1::2] and len({*phrases}) == 6
    # The real motions and the phrases stay, what is generated changes.
    for one, two in zip(first["motions"], second["motions"], strict=True):
        assert (one["points"] == two["points"]) == (one["title"] == "real")
    assert "loss: val" in text and "ape_root: val" in text and "step_ms" not in text
    # A page that cannot be written does not stop the training.
    (workdir / "samples.html").unlink()
    os.mkdir(workdir / "samples.html")
    train.main([*flags, "--config.train.num_steps=5"])
    said = capsys.readouterr().out
    assert "samples.html was not written: " in said and "done: " in said


def test_real_motion_starts_like_generated_motion_and_keeps_its_rate(stores):
    store = open_store(stores[0])
    store = dataclasses.replace(store, meta={**store.meta, "fps": 20.0})
    item = segments(store, "train")[0]
    motion = real_motion(store, [item])
    assert (motion.fps, motion.text) == (20.0, (item.phrase,))
    np.testing.assert_allclose(motion.translation[0, :2], 0, atol=1e-6)


class Reader(html.parser.HTMLParser):
    """Collects the attributes of all tags."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_curves_show_training_and_validation_to_scale(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps(record) + "\n" for record in FIGURES]
    path.write_text("".join(lines) + '{"step": 30, "tr')
    reader = Reader(curves(path))
    labels = [attrs["aria-label"] for tag, attrs in reader.tags if tag == "svg"]
    assert labels == ["loss: val 1; train 1.5", "kl <b>: train 0.5"]
    assert not [tag for tag, _ in reader.tags if tag == "b"]
    train_line, val_line, other = (
        [tuple(map(float, point.split(","))) for point in attrs["points"].split()]
        for tag, attrs in reader.tags
        if tag == "polyline"
    )
    steps = [[x for x, _ in line] for line in (train_line, val_line)]
    assert steps == [[130, 260], [0, 260]]
    # Values from 1 to 3 over the height of the drawing without its margins.
    assert [y for _, y in val_line] == [18, 92]
    assert train_line[0][1] == pytest.approx(55) and len(other) == 2


def test_long_curves_are_thinned_and_flat_ones_drawn(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(f'{{"step": {i}, "train/a": 1.0}}\n' for i in range(5000)))
    ((_, line),) = [t for t in Reader(curves(path)).tags if t[0] == "polyline"]
    points = line["points"].split()
    assert len(points) <= 301 and points[-1].startswith("260.0,")
