"""Choice of samples, bootstrap intervals and breakdowns by phrase."""

import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.tables import table
from actiongpt_jax.metrics import intervals as report
from actiongpt_jax.metrics.ape_ave import NAMES, ape_ave_each

PUBLISHED = {
    "root": "root",
    "traj": "traj",
    "local": "mean_pose",
    "global": "mean_joints",
}


@pytest.mark.slow
def test_best_of_three_matches_published(golden):
    g = golden("temos_teach/metrics")
    lengths = g["lengths"]
    samples = [  # as published, frames beyond the lengths affect the floor
        ape_ave_each(sample, g["joints_ref"], lengths, protocol="reference")
        for sample in g["gens_best"]
    ]
    errors = {
        name: np.stack([np.asarray(each[name]).mean(-1) for each in samples], 1)
        for name in NAMES
    }
    best = report.figures(report.choose_samples(errors, "best"), lengths, draws=0)
    for name in NAMES:
        metric, part = name.split("_")
        published = g[f"best_mm/{metric.upper()}_{PUBLISHED[part]}"]
        # The published code divides APE by 1000 and AVE by 1000 ** 2; the tolerance is
        # the published one for metrics.
        scale = 1e3 if metric == "ape" else 1e6
        np.testing.assert_allclose(
            best[name][0], published * scale, rtol=0, atol=1e-5, err_msg=name
        )


def test_best_takes_all_figures_from_one_sample():
    errors = {
        "ape_root": np.array([[1.0, 0.5], [0.1, 0.2]]),
        "ave_root": np.array([[7.0, 9.0], [3.0, 1.0]]),
    }
    best = report.choose_samples(errors, "best")
    assert best["ape_root"].tolist() == [0.5, 0.1]
    assert best["ave_root"].tolist() == [9, 3]
    mean = report.choose_samples(errors, "mean")
    assert mean["ave_root"].tolist() == [8, 2]
    with pytest.raises(InputError, match="how must be one of mean, best"):
        report.choose_samples(errors, "worst")


def test_ape_is_weighted_by_frames_and_ave_by_motions():
    errors = {"ape_root": np.array([1.0, 4.0, 9.0]), "ave_root": np.array([1.0, 3, 0])}
    result = report.figures(errors, np.array([30, 10, 1]), draws=0)
    assert result["ape_root"][0] == pytest.approx((30 + 40 + 9) / 41)
    assert result["ave_root"][0] == pytest.approx(2)  # one frame has no variance


def test_intervals_cover_the_true_mean_at_their_level():
    """The means of 60 exponential draws, repeated 200 times with fixed seeds."""
    rng = np.random.default_rng(0)
    counts = np.ones((60, 1))
    covered = 0
    for seed in range(200):
        values = rng.exponential(size=(60, 1))
        _, low, high = report.ratios(values, counts, draws=200, seed=seed)[0]
        covered += low <= 1 <= high
    # The level is 95 %, slightly less for few skewed draws; 5 % is three deviations.
    assert 0.88 <= covered / 200 <= 0.98


def test_same_seed_gives_the_same_interval():
    values = np.random.default_rng(1).random((30, 2))
    first, again, other = (
        report.ratios(values, np.ones((30, 2)), seed=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first[:, 0] == other[:, 0]).all() and (first[:, 1] != other[:, 1]).all()
    # The mean of 30 uniform numbers from [0, 1] has a deviation of 0.053.
    width = first[:, 2] - first[:, 1]
    np.testing.assert_allclose(width, 2 * 1.96 * 0.053, rtol=0.3)


def test_empty_counts_give_nan():
    result = report.ratios(np.zeros((3, 1)), np.zeros((3, 1)))
    assert np.isnan(result).all()
    some = report.ratios(np.array([[1.0], [0]]), np.array([[1.0], [0]]), draws=50)
    assert some[0].tolist() == [1, 1, 1]


def test_by_phrase_groups_motions_by_phrase():
    errors = {"ape_root": np.array([1.0, 2, 6])}
    result = report.by_phrase(errors, np.array([10, 10, 30]), ["walk", "sit", "walk"])
    assert list(result) == ["walk", "sit"]
    assert result["walk"] == {"motions": 2, "ape_root": pytest.approx(19 / 4)}


def test_table_aligns_columns_and_fills_gaps():
    text = table(
        {"a": {"x": [1.0, 0.5, 1.7], "y": None}, "real": {"x": float("nan"), "z": 3}}
    )
    assert text.splitlines() == [
        "                  x  y  z",
        "a     1.000 +-0.600  -  -",
        "real              -  -  3",
    ]
