"""Retrieval precision, FID and diversity against closed forms and statistics."""

import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.metrics import retrieval


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    result = rng.normal(size=(50, 16))
    return result / np.linalg.norm(result, axis=1, keepdims=True)


OWN = np.tile(np.arange(50), 8)


def test_r_precision_is_one_for_motions_at_their_texts(texts):
    result = retrieval.r_precision(texts[OWN], texts, OWN)
    assert result == {"top1": 1, "top2": 1, "top3": 1, "pool": 32, "chance": 1 / 32}
    assert retrieval.matching_distance(texts[OWN], texts, OWN) == 0


def test_r_precision_of_unrelated_motions_is_chance(texts):
    motions = np.random.default_rng(1).normal(size=(400, 16))
    result = retrieval.r_precision(motions, texts, OWN)
    for k in (1, 2, 3):
        # Three standard deviations of 400 trials.
        spread = 3 * np.sqrt(k / 32 * (1 - k / 32) / 400)
        assert result[f"top{k}"] == pytest.approx(k / 32, abs=spread)
    everything = retrieval.r_precision(motions, texts, OWN, pool=None)
    assert everything["pool"] == 50 and everything["chance"] == 1 / 50


def test_pool_shrinks_to_the_number_of_texts(texts):
    few = np.arange(20) % 5
    result = retrieval.r_precision(texts[few], texts[:5], few)
    assert result["pool"] == 5 and result["chance"] == 1 / 5
    # Equal texts share one row and never compete. Distinct texts with equal vectors
    # do compete, and a tie counts against the motion's own text.
    same = retrieval.r_precision(texts[few], np.tile(texts[:1], (5, 1)), few)
    assert same["top1"] == same["top3"] == 0


def test_second_nearest_own_text_counts_in_top2(texts):
    # About half-way between two texts, slightly nearer to the wrong one.
    motions = 0.45 * texts[[0, 1]] + 0.55 * texts[[1, 0]]
    result = retrieval.r_precision(motions, texts[:2], np.array([0, 1]))
    assert [result[f"top{k}"] for k in (1, 2, 3)] == [0, 1, 1]


def test_fid_matches_its_closed_form():
    """The samples have an exact mean and covariance by construction."""
    rng = np.random.default_rng(2)
    raw = rng.normal(size=(200, 3))
    raw -= raw.mean(0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    a, b = white * [1, 2, 3], white * [2, 2, 1] + [3, 0, 4]
    # |mean|^2 plus, for diagonal covariances, squared differences of deviations.
    assert retrieval.fid(a, b) == pytest.approx(25 + 1 + 0 + 4, rel=1e-9)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert retrieval.fid(a @ turn, b @ turn) == pytest.approx(30, rel=1e-9)
    assert retrieval.fid(a, a) == pytest.approx(0, abs=1e-9)
    # With fewer samples than dimensions the covariance does not have full rank.
    assert np.isfinite(retrieval.fid(a[:2], b[:2]))


def test_fid_floor_matches_known_small_sample_bias():
    normal = np.random.default_rng(3).normal(size=(512, 64))
    floor = retrieval.fid_floor(normal)
    assert floor["n"] == 256
    # Two samples of 256 from one 64-dimensional normal distribution have a FID of 8.3
    # (two samples of 1024: 2.1).
    assert floor["mean"] == pytest.approx(8.3, rel=0.1)


def test_diversity_and_multimodality_match_their_definitions():
    line = np.array([[0.0], [3.0]])
    assert retrieval.diversity(line) == {"mean": 3.0, "pairs": 1}
    assert np.isnan(retrieval.diversity(line[:1])["mean"])
    many = retrieval.diversity(np.random.default_rng(4).normal(size=(1000, 2)))
    # Two points of a 2D standard normal have a mean distance of sqrt(pi).
    assert many["pairs"] == 300
    assert many["mean"] == pytest.approx(np.sqrt(np.pi), rel=0.1)
    # The pairs of 0, 1, 3 are 1, 2 and 3 apart; the second text has equal motions.
    samples = [np.array([[0.0], [1.0], [3.0]]), np.ones((4, 1)), np.ones((1, 1))]
    assert retrieval.multimodality(samples) == pytest.approx((2 + 0) / 2)
    assert np.isnan(retrieval.multimodality([]))


def test_invalid_input_raises(texts):
    with pytest.raises(InputError, match="2 distinct texts, got 1"):
        retrieval.r_precision(texts[:3], texts[:1], np.zeros(3, int))
    with pytest.raises(InputError, match="at least 2 motions"):
        retrieval.fid(texts[:1], texts)
    with pytest.raises(InputError, match="row 1 with NaN"):
        retrieval.diversity(np.array([[0.0], [np.nan]]))
    with pytest.raises(InputError, match="n at least 1"):
        retrieval.diversity(np.zeros((0, 3)))
