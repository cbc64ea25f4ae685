"""Evaluation: its figures, the scores of real motion, resuming, and bad input."""

import dataclasses
import json
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from actiongpt_jax import evaluate
from actiongpt_jax.data.batches.segments import Segment, middle_window, segments
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation import measure
from actiongpt_jax.evaluation.cases import list_cases, mean_pose
from actiongpt_jax.evaluation.evaluator import Evaluator
from actiongpt_jax.evaluation.journal import Journal, pack
from actiongpt_jax.evaluation.measure import measure_cases
from actiongpt_jax.evaluation.run import evaluate_model
from actiongpt_jax.evaluation.summary import summarise
from actiongpt_jax.evaluation.tables import readable, validation_table
from actiongpt_jax.geometry.kinematics import forward_kinematics
from actiongpt_jax.geometry.rotations import axis_angle_to_matrix
from actiongpt_jax.inference.generate import generate_motion
from actiongpt_jax.inference.motions import generate_motions
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_samples, seed_of
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.metrics.ape_ave import NAMES, ape_ave

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def small_batches():
    """Makes batches of four, so that a few motions fill several batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "ROWS", 4)
        yield


@pytest.fixture(scope="module")
def runs(train_debug):
    """Returns `workdir(model)`, each trained once for two steps."""
    return lambda model: train_debug(f"{model}:debug")


@pytest.fixture(scope="module")
def evaluated(runs, tmp_path_factory):
    """Returns (flags, result) of one whole evaluation of TEMOS."""
    flags = shlex.split(
        f"--workdir {runs('temos')} --limit 10 --samples 2 --baselines -m 2 "
        f"--evaluator {runs('evaluator')} --split train"
    )
    out = tmp_path_factory.mktemp("evaluated") / "result.json"
    evaluate.main([*flags, "--out", str(out)])
    return flags, json.loads(out.read_text())


def test_result_has_every_part(evaluated):
    result = evaluated[1]
    assert (result["motions"], result["samples"]) == (10, 2)
    assert result["data"] == "motion"  # the file does not tell where the store is
    for how in ("mean", "best"):
        figures = result["ape_ave"][how]
        assert set(figures) == set(NAMES)
        for value, low, high in figures.values():
            assert 0 < low <= value <= high
    assert result["ape_ave"]["best"]["ape_root"] < result["ape_ave"]["mean"]["ape_root"]
    assert len(result["by_joint"]["ape_global"]) == 22
    assert list(result["by_joint"]["ape_local"])[0] == "left_hip"
    motions = [row["motions"] for row in result["by_phrase"].values()]
    assert sum(motions) == 10
    assert set(result["physical"]) == {"generated", "real"}
    for side in result["physical"].values():
        # A skeleton whose bones cannot stretch; rounding of bones of 0.4 m.
        assert side["bone_drift"][0] < 1e-6
    retrieval = result["retrieval"]
    assert retrieval["actions"] == 10
    pool = min(32, retrieval["distinct_texts"])
    for row in ("generated", "real", "shuffled_texts"):
        assert retrieval[row]["pool"]["pool"] == pool
    assert retrieval["fid"]["real_versus_real"]["n"] == 5
    assert set(result["multimodality"]) == {"latent", "descriptions", "both"}
    assert all(kind["texts"] == 2 for kind in result["multimodality"].values())
    assert len(result["evaluator"]["hash"]) == len(result["parameters"]) == 32
    assert set(result["baselines"]) == {"mean_pose", "random_clip"}
    # The evaluator was trained on every phrase of that split.
    assert "known_phrases" not in retrieval


def test_training_logs_every_figure_of_the_validation_table(runs):
    table = validation_table({"temos": runs("temos") / "metrics.jsonl"})
    assert len(re.findall("^(APE|AVE|loss|reconstruction)", table, re.MULTILINE)) == 10


def test_joint_figures_average_to_the_total(evaluated):
    result = evaluated[1]
    whole = result["ape_ave"]["mean"]["ape_global"][0]
    joints = result["by_joint"]["ape_global"].values()
    # Numbers of seven digits.
    assert np.mean(list(joints)) == pytest.approx(whole, rel=1e-5)


def test_tables_have_rows_of_real_motion(evaluated, capsys):
    evaluate.main(evaluated[0])
    text = capsys.readouterr().out
    for words in (
        "generated, mean of 2",
        "generated, best of 2",
        "mean_pose",
        "R@1 of",
    ):
        assert words in text
    assert text.count("\nreal ") == 3
    assert evaluated[1]["evaluator"]["hash"] in text
    assert (
        "figures of real motions look too good" in text
    )  # the evaluator was trained on that split


def test_tables_show_phrases_of_the_evaluators_training_separately(evaluated):
    sides = ("generated", "real", "shuffled_texts")
    found = evaluated[1]["retrieval"]
    apart = {"actions": 7, "distinct_texts": 5, **{side: found[side] for side in sides}}
    result = {**evaluated[1], "retrieval": {**found, "known_phrases": apart}}
    text = readable(result)
    assert "of these 7 actions of 5 phrases that the evaluator was trained on" in text
    assert text.count("\nreal, shuffled texts") == 2


def test_resume_skips_finished_items(evaluated, monkeypatch, tmp_path):
    def never(*_, **__):
        raise AssertionError("generated again")

    package = "actiongpt_jax.evaluation"
    monkeypatch.setattr(f"{package}.cases.generate_sequence", never)
    monkeypatch.setattr(f"{package}.multimodality.generate_motion", never)
    out = tmp_path / "again.json"
    evaluate.main([*evaluated[0], "--out", str(out)])
    assert json.loads(out.read_text()) == evaluated[1]


# The first line is the header; then come batches of four lines. The process is killed
# after the second batch, whose last line is truncated.
KILL = """
import os, signal
from actiongpt_jax import cli, evaluate
from actiongpt_jax.evaluation import journal, measure
measure.ROWS = 4
append, left = journal.append_lines, [2]
def dying_append(path, lines):
    append(path, lines)
    left[0] -= 1
    if left[0] < 0:
        os.truncate(path, path.stat().st_size - 40)
        os.kill(os.getpid(), signal.SIGKILL)
journal.append_lines = dying_append
cli.run(evaluate.main)
"""


def test_killed_evaluation_resumes_to_the_same_result(evaluated, runs, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(runs("temos"), workdir)
    shutil.rmtree(workdir / "evaluation")
    flags = [*evaluated[0], "--workdir", str(workdir)]
    killed = subprocess.run(
        [sys.executable, "-c", KILL, *flags], check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    journal = next((workdir / "evaluation").glob("*-model.jsonl"))
    left = journal.read_text()
    assert left.count("\n") == 1 + 4 + 3 and not left.endswith("\n")

    out = tmp_path / "again.json"
    evaluate.main([*flags, "--out", str(out)])

    assert journal.read_text().startswith(left)
    assert json.loads(out.read_text()) == evaluated[1]


def test_other_options_give_separate_results(runs):
    temos = ["--workdir", str(runs("temos")), "--limit", "4", "--split", "train"]
    for flags in ([], ["--seed", "1"], ["--mean"], ["--protocol", "reference"]):
        evaluate.main([*temos, *flags])
    found = list((runs("temos") / "evaluation").glob("train-*.json"))
    results = [json.loads(path.read_text()) for path in found]
    results = [result for result in results if result["motions"] == 4]
    assert len(results) == 4
    assert len({json.dumps(result["ape_ave"]) for result in results}) == 4


@jax.jit
def figures_of(rotations, translation, real_rotations, real_translation, frames):
    generated, real = (
        forward_kinematics(axis_angle_to_matrix(a), b)
        for a, b in ((rotations, translation), (real_rotations, real_translation))
    )
    return ape_ave(generated, real, frames, protocol="paper")


def padded(motion):
    rotations, translation = motion
    more = 64 - len(translation)
    return (
        np.pad(rotations, ((0, more), (0, 0), (0, 0))),
        np.pad(translation, ((0, more), (0, 0))),
    )


def test_figures_match_the_motions_of_generate(runs, stores, tmp_path):
    out = tmp_path / "result.json"
    workdir = str(runs("temos"))
    flags = ["--workdir", workdir, "--split", "train", "--limit", "4"]
    evaluate.main([*flags, "--seed", "3", "--out", str(out)])
    trained, store = load_model(workdir), open_store(stores[0])
    cases = list_cases(trained.config, store, "train", paired=False)
    rng = np.random.default_rng(3)
    cases = [cases[i] for i in sorted(rng.permutation(len(cases))[:4])]
    embedder = PhraseEmbedder(trained.config)
    requests = [
        plan_samples(embedder, case.phrases[0], case.frames, seed=seed_of(3, case.key))[
            0
        ]
        for case in cases
    ]
    totals, frames = dict.fromkeys(NAMES, 0.0), 0
    motions = generate_motion(trained, requests)
    for case, motion in zip(cases, motions, strict=True):
        captured = case.captured(store)
        generated = motion.rotations, motion.translation
        figures = figures_of(*padded(generated), *padded(captured), case.frames)
        frames += case.frames
        for name, value in figures.items():
            weight = case.frames if name.startswith("ape") else 1
            totals[name] += weight * float(value)
    found = json.loads(out.read_text())["ape_ave"]["mean"]
    for name, total in totals.items():
        expected = total / (frames if name.startswith("ape") else 4)
        # The same motions; sums of float32 in another order.
        assert found[name][0] == pytest.approx(expected, rel=1e-5), name


@pytest.fixture
def cases(runs, stores):
    store = open_store(stores[0])
    config = load_model(runs("temos")).config
    return store, list_cases(config, store, "train", paired=True)


@pytest.mark.parametrize("protocol", ["paper", "reference"])
def test_real_motion_has_zero_error(cases, tmp_path, protocol):
    store, some = cases
    journal = Journal(tmp_path / "a.jsonl", {})

    def perfect(asked_for):
        return [[case.captured(store)] for case in asked_for]

    measure_cases(some, store, perfect, journal, protocol)
    result = summarise(journal, protocol, store.fps)
    assert all(value == [0, 0, 0] for value in result["ape_ave"]["mean"].values())
    assert result["physical"]["generated"] == result["physical"]["real"]
    assert result["physical"]["real"]["seams"] == len(some)


def test_evaluator_lists_its_training_phrases(runs, stores):
    evaluator = Evaluator(runs("evaluator"))
    items = segments(open_store(stores[0]), "train")
    short = {item.phrase for item in items if item.end - item.start <= 64}
    assert set() < short < {item.phrase for item in items}
    assert evaluator.known_phrases() == short
    evaluator.config.data.store = str(stores[0] / "gone")
    assert evaluator.known_phrases() is None


def test_known_phrases_are_summarised_separately(cases, tmp_path):
    store, some = cases
    journal = Journal(tmp_path / "a.jsonl", {})
    measure_cases(
        some, store, lambda x: [[c.captured(store)] for c in x], journal, "paper"
    )
    names = sorted({phrase for case in some for phrase in case.phrases})
    places = np.eye(len(names), dtype=np.float32)
    known = set(names[::2])
    # Motions of unknown phrases lie where another phrase's text lies.
    seen = [i if name in known else i - 1 for i, name in enumerate(names)]
    rows = []
    for row in journal:
        vectors = places[[seen[names.index(phrase)] for phrase in row["phrases"]]]
        packed = {"generated": pack(vectors[None]), "real": pack(vectors)}
        rows.append({**row, "vectors": packed})

    def texts(phrases):
        return places[[names.index(phrase) for phrase in phrases]]

    found = summarise(rows, "paper", store.fps, 0, texts, known)["retrieval"]

    phrases = [phrase for case in some for phrase in case.phrases]
    own = [phrase for phrase in phrases if phrase in known]
    apart = found["known_phrases"]
    assert (apart["actions"], apart["distinct_texts"]) == (len(own), len(known))
    for side in ("generated", "real"):
        assert apart[side]["pool"]["top1"] == 1
        assert apart[side]["matching_distance"] == 0
        share = found[side]["all_texts"]["top1"]
        assert share == pytest.approx(len(own) / len(phrases))
    alone = summarise(rows, "paper", store.fps, 0, texts)["retrieval"]
    assert "known_phrases" not in alone and alone["real"] == found["real"]


def test_standing_body_has_no_skating_and_no_jerk(cases, tmp_path):
    store, some = cases
    journal = Journal(tmp_path / "a.jsonl", {})
    measure_cases(some, store, mean_pose(store, some), journal, "paper")
    found = summarise(journal, "paper", store.fps)["physical"]["generated"]
    for name in ("skating", "foot_slide", "jerk", "transition"):
        assert found[name][0] == 0, name
    # The curve is 0, so its distance from the level of real motion is that level over
    # the 31 frames around a seam.
    assert found["area_under_jerk"] == pytest.approx(
        31 * found["level_of_jerk"] / 30, rel=1e-5
    )


def test_teach_is_evaluated_on_pairs(runs, tmp_path):
    result = evaluate_model(
        runs("teach"),
        out=tmp_path / "result.json",
        split="train",
        protocol="reference",
        evaluator=runs("evaluator"),
        multimodality=0,
    )
    assert "heels of this protocol are an estimate" in readable(result)
    assert result["series"] == "past"
    assert result["retrieval"]["actions"] == 2 * result["motions"]
    assert len(result["by_joint"]["ape_local"]) == 20
    for side in result["physical"].values():
        assert side["seams"] == result["motions"]
        assert side["peak_jerk"] > 0
        assert side["transition"][0] >= side["transition_aligned"][0] > 0


def message_of(flags):
    with pytest.raises((InputError, FileNotFoundError)) as caught:
        evaluate.main(flags)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_bad_input_is_one_sentence(runs, stores, tmp_path):
    temos, evaluator = str(runs("temos")), str(runs("evaluator"))
    assert "no checkpoint" in message_of(["--workdir", str(tmp_path)])
    own = ["--workdir", temos, "--limit", "2"]
    assert "got 'vall'" in message_of([*own, "--split", "vall"])
    empty = message_of(["--workdir", str(runs("teach"))])
    assert "no pair of 15 to 64 frames in split 'val'" in empty
    assert "--samples must be 1 or more" in message_of([*own, "--samples", "0"])
    assert "--fact must be finite" in message_of([*own, "--fact", "nan"])
    assert "must be the workdir of an evaluator" in message_of(
        [*own, "--evaluator", temos]
    )
    assert "give it as --evaluator" in message_of(["--workdir", evaluator])
    assert "--series past needs" in message_of([*own, "--series", "past"])
    with pytest.raises(InputError, match="must be of a model that generates"):
        generate_motions(load_model(evaluator), "walk")


def test_motions_that_are_not_finite_are_rejected(runs, stores, cases, tmp_path):
    broken = tmp_path / "motion"
    shutil.copytree(stores[0], broken)
    translation = np.load(broken / "translation.npy")
    translation[:] = np.nan
    np.save(broken / "translation.npy", translation)
    message = message_of(["--workdir", str(runs("temos")), "--data", str(broken)])
    assert "NaN or infinity in frame 0" in message and str(broken) in message

    store, some = cases
    bad = np.full((some[0].frames, 22, 3), np.inf, np.float32)

    def source(asked_for):
        return [[(bad[: c.frames], bad[: c.frames, 0])] for c in asked_for]

    one = [dataclasses.replace(some[0])]
    with pytest.raises(InputError, match=f"generated for {some[0].key}"):
        measure_cases(one, store, source, Journal(tmp_path / "a.jsonl", {}), "paper")


def test_motionclip_is_judged_on_the_middle_window_in_place(random_run, stores):
    workdir = random_run("motionclip:debug", "--config.data.max_frames=750")
    result = evaluate_model(workdir, split="train", limit=6)
    figures = result["ape_ave"]["mean"]
    for name, (value, _, _) in figures.items():
        assert np.isnan(value) == name.endswith(("root", "traj")), name
    assert result["frames"] == 6 * 60
    shown = readable(result)
    assert "pelvis held in place" in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("generated ")][:1]
    assert line.split().count("-") == 4
    json.loads(pathlib.Path(result["path"]).read_text(), parse_constant=pytest.fail)
    # The published protocol takes whole actions, with their paths.
    published = evaluate_model(workdir, split="train", limit=6, protocol="reference")
    assert published["frames"] != 6 * 60
    assert all(np.isfinite(x[0]) for x in published["ape_ave"]["mean"].values())


def test_middle_window_is_in_the_middle_of_its_segment():
    segment = Segment("a-0", 3, 10, 91, "walk")
    assert middle_window(segment, 61) == Segment("a-0", 3, 20, 81, "walk")
