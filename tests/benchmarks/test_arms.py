"""The scripts of the tables: training missing runs, figures, and formatting."""

import json

import pytest

from actiongpt_jax.data.batches.segments import segments
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.errors import InputError

pytestmark = pytest.mark.slow


def test_arm_is_trained_and_evaluated_once(scripts, stores, tmp_path):
    arms, (motion, text) = scripts("arms"), stores
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "minilm-k2").symlink_to(text)
    args = arms.make_parser("", str(tmp_path / "runs")).parse_args(
        ["--data", str(motion), "--text-dir", str(tmp_path / "text")]
        + ["--descriptions", str(motion / "descriptions.jsonl")]
        + ["--encoder", "minilm", "--config", "debug", "--budget", "1"]
        + ["--limit", "3"]
    )
    written = arms.Arm("written", "temos", k=2)
    unwritten = arms.Arm("unwritten", "temos", k=2, writer="nobody")

    line, pose, clip, missing = arms.run([written, unwritten], args)

    assert [pose["row"], clip["row"]] == ["temos mean pose", "temos random clip"]
    assert pose["figures"]["ape_local"] > 0 and clip["figures"] != pose["figures"]
    assert line["motions"] == 3 and line["steps"] == 1
    assert all(figure > 0 for figure in line["figures"].values())
    for word in ("nobody", "describe --phrases", "embed --descriptions"):
        assert word in missing["missing"]
    assert "figures" not in missing

    checkpoints = sorted((tmp_path / "runs").glob("*/checkpoints/*"))
    stamps = [path.stat().st_mtime_ns for path in checkpoints]
    assert checkpoints and arms.run([written], args) == [line, pose, clip]
    assert [path.stat().st_mtime_ns for path in checkpoints] == stamps


def test_store_without_a_phrase_is_reported_before_training(scripts, stores, tmp_path):
    arms, (motion, _) = scripts("arms"), stores
    lines = (motion / "descriptions.jsonl").read_text().splitlines()
    left_out = segments(open_store(motion), "train")[0].phrase
    some = [line for line in lines if json.loads(line)["phrase"] != left_out]
    (tmp_path / "some.jsonl").write_text("\n".join(some) + "\n")
    args = arms.make_parser("", str(tmp_path / "runs")).parse_args(
        ["--data", str(motion), "--text-dir", str(tmp_path / "text")]
        + ["--descriptions", str(tmp_path / "some.jsonl")]
        + ["--encoder", "minilm", "--config", "debug", "--budget", "1"]
    )

    (line,) = arms.run([arms.Arm("some", "temos", k=1)], args)

    assert (
        f"no descriptions of '{left_out}'; delete it and make it again"
        in line["missing"]
    )
    assert "describe --phrases" in line["missing"]
    assert not (tmp_path / "runs").exists()


def test_errors_of_a_run_are_not_reported_as_missing_text(scripts, stores, tmp_path):
    arms, (motion, text) = scripts("arms"), stores
    (tmp_path / "minilm-k2").symlink_to(text)
    args = arms.make_parser("", str(tmp_path / "runs")).parse_args(
        ["--data", str(motion), "--text-dir", str(tmp_path)]
        + ["--encoder", "minilm", "--config", "debug", "--budget", "1"]
        + ["--split", "nowhere"]
    )
    with pytest.raises(InputError, match="nowhere"):
        arms.run([arms.Arm("written", "temos", k=2)], args)


def test_figures_are_means_over_seeds_with_their_spread(scripts):
    arms, paper = scripts("arms"), scripts("paper")
    result = [
        {
            "motions": 5,
            "ape_ave": {"mean": {name: [value, 0.0, 9.0] for name in paper.COLUMNS}},
            "by_phrase": {"walk": {"ape_local": value, "ape_global": 2 * value}},
        }
        for value in (0.2, 0.3, 0.7)
    ]
    summary = arms.summary(result, {"walk"})
    assert summary["figures"] == dict.fromkeys(paper.COLUMNS, 0.4)
    assert summary["spread"] == dict.fromkeys(paper.COLUMNS, 0.5)
    means = {"ape_local": 0.4, "ape_global": 0.8, "phrases": 1}
    spread = {"ape_local_spread": 0.5, "ape_global_spread": 1.0, "phrases_spread": 0}
    assert summary["seen"] == means | spread
    assert "unseen" not in summary and "retrieval" not in summary


def test_table_shows_the_papers_rows_under_ours(scripts):
    arms, paper = scripts("arms"), scripts("paper")
    figures = dict.fromkeys(paper.COLUMNS, 0.25)
    lines = [
        {
            "row": "motionclip phrase",
            "model": "motionclip",
            "text": "phrase",
            "figures": figures,
        },
        {"row": "k=8", "model": "teach", "text": "descriptions", "missing": "make it"},
    ]
    arms.add_paper_figures(lines[:1], paper.TABLE1)
    arms.add_paper_figures(lines[1:], paper.TABLE2)
    _, ours, published, missing, eight = arms.as_text(lines).splitlines()
    assert ours.split() == ["motionclip", "phrase"] + ["0.250"] * 8
    values = ["-", "-", "0.556", "0.541", "-", "-", "0.056", "0.020"]
    assert published.split() == ["motionclip", "phrase", "paper", *values]
    assert missing.split() == ["k=8", "make", "it"]
    assert eight.split()[:3] == ["k=8", "paper", "0.632"]


def test_tables_of_the_paper_are_complete_and_consistent(scripts):
    paper = scripts("paper")
    for table in (paper.TABLE1, paper.TABLE2):
        assert {len(row) for row in table.values()} == {len(paper.COLUMNS)}
    # The error over all joints includes that of the root, so it is larger.
    rows = [*paper.TABLE1.values(), *paper.TABLE2.values()]
    named = [dict(zip(paper.COLUMNS, row, strict=True)) for row in rows]
    for row in named:
        if row["ape_root"] is not None:
            assert row["ape_traj"] < row["ape_root"] < row["ape_global"]
            assert row["ave_traj"] < row["ave_root"] < row["ave_global"]
    assert set(paper.TABLE3) == set(paper.TABLE1)


def test_effects_average_over_the_other_factors(scripts):
    study = scripts("study")
    seen = [0.1, 0.3, 0.5, 0.9]
    lines = [{"seen": {"ape_local": value}} for value in seen]
    lines += [{"missing": "no texts"}, {"seen": {"ape_local": 7.0}}]
    settings = [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (4, "a"), None]
    by_k = study.effects_of("k", 0, lines, settings)
    assert by_k == [
        {"factor": "k", "value": 1, "arms": 2, "seen": 0.2},
        {"factor": "k", "value": 2, "arms": 2, "seen": 0.7},
    ]
    other = study.effects_of("aggregation", 1, lines, settings)
    # With one description the aggregation has no effect, so k = 1 is left out.
    assert [line["seen"] for line in other] == [0.5, 0.9]
    assert [line["arms"] for line in other] == [1, 1]


def test_series_with_an_unseen_phrase_counts_as_unseen(scripts):
    arms = scripts("arms")
    phrases = {
        "walk": {"ape_local": 0.1, "ape_global": 0.2},
        "walk, then fly": {"ape_local": 0.3, "ape_global": 0.4},
        "fly": {"ape_local": 0.5, "ape_global": 0.8},
    }
    result = arms.by_novelty(phrases, {"walk"})
    # Means of two floats, rounded in the last digit.
    assert result["seen"] == {"ape_local": 0.1, "ape_global": 0.2, "phrases": 1}
    assert result["unseen"] == pytest.approx(
        {"ape_local": 0.4, "ape_global": 0.6, "phrases": 2}, rel=1e-12
    )
    assert arms.by_novelty(phrases, set(phrases) | {"fly"}).keys() == {"seen"}


def test_table2_starts_with_the_default_next_to_the_papers_figures(
    scripts, monkeypatch, capsys
):
    table2, paper, ran = scripts("table2"), scripts("paper"), []

    def run(chosen, args):
        ran.extend(chosen)
        return [{"row": a.row, "model": a.model, "text": a.source} for a in chosen]

    monkeypatch.setattr(table2.arms, "run", run)
    table2.main(["--data", "store", "--text-dir", "texts"])
    assert (ran[0].row, ran[0].source) == ("default", "phrase")
    assert {arm.source for arm in ran[1:]} == {"descriptions"}
    line = next(x for x in capsys.readouterr().out.splitlines() if "default" in x)
    figures = [float(word) for word in line.split()[-8:]]
    assert figures == list(paper.TABLE1["teach", "phrase"])
