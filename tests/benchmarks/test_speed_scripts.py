"""The scripts that measure speed report every case, on tiny sizes."""

import json
import sys

import pytest


@pytest.fixture
def run(scripts, monkeypatch, capsys, tmp_path):
    """Returns `run(name, *flags)` -> the rows that a script prints and saves."""
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

    def run(name: str, *flags: str) -> list[dict]:
        path = tmp_path / "record.json"
        argv = [name, "--small", "--save", str(path), *flags]
        monkeypatch.setattr(sys, "argv", argv)
        scripts(name).main()
        printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert json.loads(path.read_text())["cases"] == printed
        return printed

    return run


@pytest.mark.slow
def test_generation_measures_motions_and_series(run):
    motions, series = run("generation", "--model", "teach", "--batch", "16")
    assert [motions["case"], series["case"]] == ["generate", "series"]
    assert motions["batch"] == series["batch"] == 2
    assert series["frames"] == series["actions"] * motions["frames"]
    assert min(row["motions_per_s"] for row in (motions, series)) > 0


@pytest.mark.soak
@pytest.mark.parametrize("model", ["temos", "teach"])
def test_pipeline_share_compares_streamed_and_repeated_batches(run, model):
    (row,) = run("pipeline_share", "--model", model, "--batch", "16")
    assert row["frames"] == [20] * (1 if model == "temos" else 2)
    assert row["streamed_ms"] > 0 and row["repeated_ms"] > 0
    assert row["share"] == pytest.approx(
        1 - row["repeated_ms"] / row["streamed_ms"],
        abs=0.01,  # both times are rounded
    )
    assert 0 <= row["wait_ms"] <= row["streamed_ms"]


@pytest.mark.slow
def test_pipeline_share_reads_given_stores(run, stores):
    motion, text = map(str, stores)
    flags = ["--model", "temos", "--batch", "32", "--data", motion, "--text", text]
    (row,) = run("pipeline_share", *flags)
    assert row["batch"] == 4 and row["batch_mib"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["distilbert", "clip"])
def test_text_encoder_extrapolates_to_babel(run, encoder):
    rows = run("text_encoder", "--encoder", encoder)
    assert [row["case"] for row in rows] == ["full", "mixed", "babel"]
    _, mixed, babel = rows
    assert babel["tokens"] == 260_000 * (77 if encoder == "clip" else 128)
    minutes = babel["tokens"] / mixed["ours"]["tokens_per_s"] / 60
    assert babel["ours_minutes"] == pytest.approx(minutes, abs=0.01)


def test_text_encoder_agrees_with_torch(run):
    pytest.importorskip("torch", reason="torch is not installed (the extra `peers`)")
    pytest.importorskip("transformers", reason="part of the extra `peers`")
    rows = run("text_encoder", "--peer", "--encoder", "distilbert", "clip")
    gaps = [row["largest_difference"] for row in rows if row["case"] != "babel"]
    assert len(gaps) == 4
    # Float32 through two layers; states are of order 1.
    assert max(gaps) < 1e-4


@pytest.mark.soak
def test_table3_has_seconds_of_an_epoch_and_a_row_of_parameters(run):
    flags = ["--model", "temos", "--steps", "1", "--batch", "4", "--items", "401"]
    *rows, counts = run("table3", *flags)
    assert [(row["text"], row["embedding"]) for row in rows] == [
        (text, place)
        for text in ("phrase", "descriptions")
        for place in ("precomputed", "inside")
    ]
    for row in rows:
        # 101 steps; both times are rounded.
        epoch = pytest.approx(1.01 * row["train_s"], abs=0.1)
        assert row["epoch_s"] == epoch and row["generate_s"] > 0
    trained = counts["parameters"]
    assert trained["phrase"] == trained["descriptions"] > 0 < counts["frozen"]
