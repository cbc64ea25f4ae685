"""The test of the paper's claim: splits, figures, verdicts, and the whole road."""

import argparse
import collections
import dataclasses
import itertools
import json
import pathlib

import numpy as np
import pytest

from actiongpt_jax.data.batches.segments import segments
from actiongpt_jax.data.motion_store import Label, open_store
from actiongpt_jax.data.store_builder import make_report
from actiongpt_jax.data.store_writer import StoreWriter
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import write_json
from actiongpt_jax.text.embeddings.store import open_embeddings

RULE = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "styled.yaml"


@pytest.fixture(scope="module")
def splits(scripts):
    return scripts("claim_splits")


@pytest.fixture(scope="module")
def factors(splits):
    return splits.read_factors(RULE)


def test_rule_has_ten_actions_in_seven_manners(factors):
    assert len(factors) == 70
    assert factors["walk"] == ("walk", "")
    elderly = factors["wave both hands like an elderly person"]
    assert elderly == ("wave both hands", "like an elderly person")


@pytest.mark.parametrize("replicate", range(4))
def test_replicate_leaves_out_a_manner_an_action_and_combinations(
    splits, factors, replicate
):
    split = splits.draw(factors, factors, replicate)
    counts = collections.Counter(split.left_out.values())
    assert counts == {"combination": 10, "manner": 9, "action": 6, "": 1}
    assert len(split.seen) == 44 and not split.seen & split.left_out.keys()
    known = [{factors[phrase][i] for phrase in split.seen} for i in (0, 1)]
    for phrase, name in split.left_out.items():
        knows = tuple(x in k for x, k in zip(factors[phrase], known, strict=True))
        expected = {
            "combination": (True, True),
            "manner": (True, False),
            "action": (False, True),
            "": (False, False),
        }
        assert knows == expected[name]
    # Every known action and manner keeps two phrases or more.
    kept = collections.Counter(itertools.chain(*(factors[p] for p in split.seen)))
    assert min(kept.values()) >= 2


def test_replicates_leave_out_other_phrases_and_never_the_plain_manner(splits, factors):
    drawn = [splits.draw(factors, factors, r) for r in range(3)]
    assert drawn[2] == splits.draw(reversed(sorted(factors)), factors, 2)
    for name, distinct in (("combination", 30), ("manner", 27), ("action", 18)):
        left_out = [{p for p, x in s.left_out.items() if x == name} for s in drawn]
        assert len(set().union(*left_out)) == distinct
        assert name != "manner" or "walk" not in set().union(*left_out)


def test_phrases_without_factors_leave_out_a_seventh(splits, factors):
    first, second = (splits.draw(factors, {}, r) for r in (0, 1))
    assert set(first.left_out.values()) == {"unseen"} and len(first.left_out) == 10
    assert not first.left_out.keys() & second.left_out.keys()
    with pytest.raises(InputError, match="lacks 'fly'"):
        splits.draw([*factors, "fly"], factors, 0)


def test_permuted_phrases_share_neither_action_nor_manner(splits, factors):
    given = splits.permuted(factors, factors, 0)
    assert sorted(given.values()) == sorted(factors)
    for phrase, other in given.items():
        a, b = factors[phrase], factors[other]
        assert a[0] != b[0] and a[1] != b[1]
    assert given != splits.permuted(factors, factors, 1)
    with pytest.raises(InputError, match="permutation"):
        splits.permuted(["walk", "run"], factors, 0)


@pytest.fixture(scope="module")
def clips(stores, tmp_path_factory):
    """Returns a store of seven phrases with nine clips of 20 to 40 frames each."""
    source, rng = open_store(stores[0]), np.random.default_rng(0)
    phrases = open_embeddings(stores[1]).phrases[:7]
    out = tmp_path_factory.mktemp("clips") / "motion"
    plan = {f"{i:02}": "" for i in range(63)}
    with StoreWriter(out, plan, None, fps=30.0) as writer:
        for i, name in enumerate(plan):
            start = int(rng.integers(len(source.rotations) - 40))
            rows = slice(start, start + int(rng.integers(20, 40)))
            arrays = {
                "rotations": source.rotations[rows],
                "translation": source.translation[rows],
            }
            length = len(arrays["translation"])
            arrays["hands"] = np.zeros((length, 2, 3), np.float32)
            row = dataclasses.replace(source.sequences[0], name=name, length=length)
            label = Label(0, 0, length, phrases[i % 7], "frame")
            writer.add(row, arrays, [label])
        writer.commit(make_report)
    return out


def test_phrases_that_are_left_out_are_in_no_training_split(splits, clips, tmp_path):
    source = open_store(clips)
    split = splits.draw(splits.phrases_of(source), {}, 0)
    store = open_store(splits.write_split(source, split, 0, tmp_path / "split"))
    counts = {
        name: collections.Counter(item.phrase for item in segments(store, name))
        for name in ("train", "val", "test", "judge")
    }
    seen = {"train": 6, "val": 1, "test": 2}
    for phrase in counts["train"] + counts["test"]:
        expected = seen if phrase in split.seen else {"test": 3, "judge": 6}
        found = {name: count[phrase] for name, count in counts.items() if count[phrase]}
        assert found == expected
    assert np.array_equal(store.rotations, source.rotations)
    assert store.meta["inputs"] != source.meta["inputs"]


def test_vectors_of_categories_are_at_right_angles(scripts, stores, tmp_path):
    texts, like = scripts("claim_texts"), open_embeddings(stores[1])
    phrases = like.phrases[:7]
    texts.write_category_store(tmp_path / "category", phrases, like)
    store = open_embeddings(tmp_path / "category")
    vectors = np.concatenate([store.tokens(phrase, "phrase") for phrase in phrases])
    assert vectors.shape == (7, like.width)
    products = vectors.astype(np.float64) @ vectors.T
    square = np.mean(
        [
            (token.astype(np.float64) ** 2).sum()
            for phrase in phrases
            for token in like.tokens(phrase, "phrase")
        ]
    )
    # Half precision has three digits.
    np.testing.assert_allclose(products, square * np.eye(7), rtol=3e-3)


def test_linear_probe_reads_what_is_linear(scripts):
    figures, rng = scripts("claim_figures"), np.random.default_rng(0)
    vectors = rng.normal(size=(300, 5))
    names = np.where(vectors[:, 0] + vectors[:, 3] > 0, "up", "down")
    probe = figures.linear_probe(vectors[:200], names[:200])
    assert (probe(vectors[200:]) == names[200:]).mean() > 0.9
    random = figures.linear_probe(vectors[:200], rng.permutation(names[:200]))
    assert (random(vectors[200:]) == names[200:]).mean() < 0.7


def test_interval_is_over_replicates_and_their_phrases(scripts):
    interval = scripts("claim_figures").interval
    rng = np.random.default_rng(0)
    # One replicate: the bootstrap of a mean.
    values = rng.normal(size=40)
    mean, low, high = interval([[values]])
    assert mean == pytest.approx(values.mean())
    error = values.std() / np.sqrt(40)
    assert (mean - low, high - mean) == pytest.approx((1.96 * error,) * 2, rel=0.1)
    # Equal phrases, different replicates: draws are means of three replicates.
    assert interval([[[0.0] * 5, [3.0] * 5, [6.0] * 5]]) == [3.0, 0.0, 6.0]
    # Splits share the replicates of a draw, so that a common offset cancels out.
    split = [[0.0] * 5, [3.0] * 5, [6.0] * 5]
    shifted = [[1.0] * 4, [4.0] * 4, [7.0] * 4]
    assert interval([shifted, split], [1.0, -1.0]) == [1.0, 1.0, 1.0]


def test_own_phrase_is_compared_with_chance_of_its_split(scripts):
    figures = scripts("claim_figures")
    places = {"walk": 0.0, "run": 1.0, "wave": 5.0, "jump": 6.0}
    vectors = np.array([[x] for x in places.values()])
    judge = figures.Judge({}, {}, vectors, [*places])
    # At 0.1 the order is walk, run, wave, jump. Rates have four digits.
    rates = judge.figures(np.array([[0.1]]), "walk", ["wave", "jump"])
    assert rates == {"nearer": 1.0, "nearer_chance": pytest.approx(1 / 6, abs=1e-4)}
    assert "nearer_chance" not in judge.figures(vectors, "walk", [])


@pytest.mark.parametrize(
    "difference, recognition, expected",
    [
        ([0.02, 0.01, 0.03], [0.0, -0.1, 0.1], "support"),
        ([0.02, 0.01, 0.03], [-0.2, -0.3, -0.1], "open"),
        ([-0.02, -0.03, -0.01], [0.0, -0.1, 0.1], "contrary"),
        ([-0.02, -0.03, -0.01], [0.2, 0.1, 0.3], "open"),
        ([0.0, -0.004, 0.005], [0.2, 0.1, 0.3], "none"),
        ([0.0, -0.006, 0.002], [0.0, -0.1, 0.1], "open"),
    ],
)
def test_verdicts_follow_the_protocol(scripts, difference, recognition, expected):
    assert scripts("claim_figures").verdict(difference, recognition, 0.1) == expected


@pytest.mark.slow
def test_whole_road_and_tables_from_files_alone(
    scripts, stores, clips, tmp_path, capsys
):
    claim, descriptions = scripts("claim"), stores[1].parent / "few.jsonl"
    flags = ["--data", str(clips), "--descriptions", str(descriptions)]
    flags += ["--k", "2", "--small", "--samples", "1", "--patience", "2", "--most", "2"]
    flags += ["--seeds", "0", "--arms", "descriptions", "--out", str(tmp_path / "runs")]
    results = tmp_path / "results"
    flags += ["--results", str(results)]
    claim.main(flags)
    printed = capsys.readouterr().out
    tables = printed[printed.index("|arm|replicate") :]
    for words in ("pose error, mm", "control", "**no**", "| random_clip |"):
        assert words in tables

    files = sorted(results.iterdir())
    names = ("descriptions", "mean_pose", "random_clip", "real")
    assert [file.stem for file in files] == [f"{name}-0" for name in names]
    of_arm = json.loads(files[0].read_text())
    assert of_arm["training"]["steps"] == 2 and of_arm["commit"]
    assert {x["split"] for x in of_arm["phrases"].values()} == {"seen", "unseen"}
    own, other = of_arm["phrases"], of_arm["with_other_descriptions"]
    assert own.keys() == other.keys() and own != other

    # A finished arm is not run again, and the tables need nothing but the files.
    (tmp_path / "runs").rename(tmp_path / "away")
    claim.main(flags)
    assert capsys.readouterr().out == tables
    for figures in own.values():
        figures["ape_local"] += 0.01
    write_json(results / "phrase-0.json", {**of_arm, "arm": "phrase"})
    claim.main(["--table", "--results", str(results)])
    answer = [
        line.split(" | ")
        for line in capsys.readouterr().out.splitlines()
        if line.endswith(("| support |", "| open |"))
    ]
    # Every phrase is 10 mm worse, so the unseen ones lose no more than the seen ones.
    assert [row[0] for row in answer] == ["| seen", "| unseen", "| unseen minus seen"]
    assert [row[2] for row in answer] == ["10.0 [10.0, 10.0]"] * 2 + ["0.0 [0.0, 0.0]"]


def test_missing_data_are_an_error(scripts):
    with pytest.raises(InputError, match="--descriptions must be given"):
        scripts("claim").main(["--data", "motion"])


def test_training_ends_when_validation_stops_improving(
    scripts, tmp_path, monkeypatch, debug_config
):
    runs, config = scripts("claim_runs"), debug_config("temos:debug")
    metric, errors = config.train.best_metric, [9.0, 5.0, 4.0, 6.0, 4.5, 7.0]
    stages = []

    def train(config, workdir):
        """Writes what a training would: a validation at the end of each stage."""
        stages.append(config.train.num_steps)
        line = {"step": stages[-1], metric: errors[len(stages)]}
        workdir.mkdir(exist_ok=True)
        with (workdir / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    monkeypatch.setattr(runs, "train", train)
    args = argparse.Namespace(patience=20, most=100)
    result = runs.train_until_flat(config, tmp_path / "run", args)
    assert stages == [10, 20, 30, 40]
    assert result == {"steps": 40, "best_step": 20, "best": 4.0, "converged": True}
    # A finished run is not trained any further; one that may not go on ends unfinished.
    assert runs.train_until_flat(config, tmp_path / "run", args) == result
    assert len(stages) == 4
    stages.clear()
    args.most = 15
    result = runs.train_until_flat(config, tmp_path / "other", args)
    assert stages == [10, 15] and not result["converged"]
