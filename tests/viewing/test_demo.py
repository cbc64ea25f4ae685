"""The demo: what it shows before and after training, with and without pretrained."""

import json
import pathlib
import re
import shutil

import pytest

from actiongpt_jax import demo
from actiongpt_jax.config import to_json
from actiongpt_jax.evaluation.tables import validation_table
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.metrics.ape_ave import PARTS
from actiongpt_jax.viewing.comparison import write_comparison

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(random_run):
    """Returns the workdirs of a model of descriptions and of a model of phrases."""
    workdirs = [
        random_run("teach:debug", f"--config.text.source={source}")
        for source in ("descriptions", "phrase")
    ]
    names = ["loss", "recons_text2rfeats_0", "recons_text2rfeats_1"]
    names += [f"{metric}_{part}" for metric in ("ape", "ave") for part in PARTS]
    for workdir, last in zip(workdirs, (0.25, 0.125), strict=True):
        records = [{"step": 0}, {"step": 5, "train/loss": 1.0}, {"step": 9}]
        for record, value in ((records[0], 0.5), (records[2], last)):
            record.update({f"val/{name}": value for name in names})
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (workdir / "metrics.jsonl").write_text(lines)
    return workdirs


def motions_of(page: pathlib.Path) -> list[dict]:
    (data,) = re.findall(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    return json.loads(data)["motions"]


def test_page_has_rows_of_one_real_motion_and_one_of_each_model(
    packed, stores, tmp_path
):
    page, picture = tmp_path / "demo.html", tmp_path / "strip.png"
    models = {name: load_model(packed / name) for name in ("teach", "temos")}
    series = write_comparison(models, stores[0], page, picture)
    assert len(series) == 3
    assert picture.stat().st_size > 10_000
    motions = motions_of(page)
    titles = [motion["title"] for motion in motions]
    assert titles[:3] == ["real", "teach", "temos"]
    assert len(motions) % 3 == 0
    rows = [motions[first : first + 3] for first in range(0, len(motions), 3)]
    for row in rows:
        assert row[0]["text"] == row[1]["text"] == row[2]["text"]
    # Series first, then single phrases.
    assert [len(row[0]["text"]) for row in rows][:3] == [3, 3, 1]
    assert all(phrase in page.read_text() for phrase in series)


def test_validation_table_has_a_column_per_model_and_untrained(runs):
    first, second = (run / "metrics.jsonl" for run in runs)
    table = validation_table({"descriptions": first, "phrases": second})
    head, _, *rows = table.strip().splitlines()
    assert head.split() == ["validation", "untrained", "descriptions", "phrases"]
    assert len(rows) == 11
    for row in rows:
        assert "  0.5000" in row and "  0.2500" in row and "  0.1250" in row
        assert row.index("0.1250") + 6 == len(head)
    assert "phrases" not in validation_table({"trained here": first})


@pytest.fixture
def run_demo(runs, tmp_path, monkeypatch):
    """Returns `run_demo()` -> its titles at the start of each training.

    In place of training, the workdir of a trained model is copied.
    """
    trained, at_start = iter(runs), []
    page = tmp_path / "runs" / "demo" / "demo.html"
    config = to_json(load_model(runs[0]).config)
    (tmp_path / "config.json").write_text(config)

    def train(config, workdir):
        shown = motions_of(page) if page.exists() else []
        at_start.append({motion["title"] for motion in shown})
        shutil.copytree(next(trained), workdir, dirs_exist_ok=True)

    def run():
        monkeypatch.setattr("actiongpt_jax.training.loop.train", train)
        flags = ["--config", str(tmp_path / "config.json"), "--workdir"]
        demo.main([*flags, str(page.parent)])
        return at_start, {motion["title"] for motion in motions_of(page)}

    return run


def test_pretrained_model_is_shown_before_the_only_training(
    run_demo, pretrained, capsys
):
    at_start, at_end = run_demo()
    assert at_start == [{"real", "pretrained"}]
    assert at_end == {"real", "pretrained", "trained here"}
    said = capsys.readouterr().out
    first = said.index("those of the pretrained model: ")
    assert first < said.index("now a small model is trained") < said.index("untrained")
    assert "generate --text" in said
    assert str(pretrained / "teach" / "README.md") in said


def test_without_a_pretrained_model_two_models_are_compared(
    run_demo, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("actiongpt_jax.inference.pretrained.FOLDER", tmp_path / "none")
    at_start, at_end = run_demo()
    assert at_start == [set(), set()]
    assert at_end == {"real", "descriptions", "phrases"}
    said = capsys.readouterr().out
    assert "note: the pretrained model 'teach' is not installed" in said
    assert (tmp_path / "runs" / "demo-phrase").is_dir()
    assert f"generate --workdir {tmp_path / 'runs' / 'demo'} --text" in said
