"""The page, picture and table with which the demo compares two trained models."""

import json
import re

import pytest

from actiongpt_jax.evaluation.tables import validation_table
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.viewing.comparison import write_comparison

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(train_debug):
    """Returns the workdirs of a model of descriptions and of a model of phrases."""
    # The validation split has no shorter pair of actions.
    flags = ("--config.data.max_frames=132", "--config.train.num_steps=1")
    return [
        train_debug("teach:debug", f"--config.text.source={source}", *flags)
        for source in ("descriptions", "phrase")
    ]


def test_page_has_rows_of_one_real_and_two_generated_motions(runs, tmp_path):
    page, picture = tmp_path / "demo.html", tmp_path / "strip.png"
    trained, baseline = map(load_model, runs)
    series = write_comparison(trained, baseline, page, picture)
    assert len(series) == 3
    assert picture.stat().st_size > 10_000
    content = page.read_text()
    (data,) = re.findall(r'id="data">(.*?)</script>', content, re.DOTALL)
    motions = json.loads(data)["motions"]
    titles = [motion["title"] for motion in motions]
    assert titles[:3] == ["real", "from descriptions", "from the phrases"]
    assert len(motions) % 3 == 0
    for first in range(0, len(motions), 3):
        texts = [motion["text"] for motion in motions[first : first + 3]]
        assert texts[0] == texts[1] == texts[2]
    assert set(series) <= set(json.loads(data)["descriptions"])


def test_validation_table_has_a_column_per_model_and_untrained(runs):
    first, second = (run / "metrics.jsonl" for run in runs)
    table = validation_table(first, second)
    head, *_ = table.strip().splitlines()
    assert head.split() == ["validation", "untrained", "descriptions", "phrases"]
    assert len(re.findall(r"^(APE|AVE)", table, re.MULTILINE)) == 8
