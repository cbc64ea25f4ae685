import jax
import numpy as np
import pytest

from actiongpt_jax.metrics.retrieval import is_recognised, similarities


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(40, 6)).astype(np.float32)
    texts = 10 * rng.normal(size=(9, 6)).astype(np.float32)
    return latents, texts, rng.random((40, 9)) < 0.2


def test_similarities_are_cosines(case):
    latents, texts, _ = case
    a, b = latents.astype(np.float64), texts.astype(np.float64)
    lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    result = similarities(latents, texts)
    np.testing.assert_allclose(result, a @ b.T / lengths, rtol=0, atol=1e-6)
    with jax.numpy_rank_promotion("raise"):
        folded = similarities(latents.reshape(5, 8, 6), texts)
    np.testing.assert_allclose(folded.reshape(40, 9), result, rtol=0, atol=1e-6)
    assert np.isfinite(similarities(0 * latents, texts)).all()


@pytest.mark.parametrize("k", [1, 3, 5])
def test_any_valid_class_among_the_k_best_is_recognised(case, k):
    latents, texts, valid = case
    scores = np.asarray(similarities(latents, texts))
    best = np.argsort(-scores, axis=1)[:, :k]
    expected = [valid[i, row].any() for i, row in enumerate(best)]
    np.testing.assert_array_equal(is_recognised(scores, valid, k), expected)


def test_tied_scores_are_not_recognised():
    valid = np.array([[True, False, False]])
    assert not is_recognised(np.zeros((1, 3)), valid, 1).any()
    assert is_recognised(np.zeros((1, 3)), valid, 3).all()
    assert not is_recognised(np.ones((1, 3)), 0 * valid == 1, 3).any()
