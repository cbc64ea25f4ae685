"""The evaluator's loss and its top-1 metric."""

import jax
import numpy as np
import pytest

from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.losses.contrastive import contrastive
from actiongpt_jax.metrics.retrieval import top1_terms
from actiongpt_jax.models.evaluator import EvaluatorOutputs

SCALE = float(np.log(10))
IDS = np.array([0, 1, 1, 2, 3, 0], np.int32)
MASK = np.array([1, 1, 1, 1, 0, 1], bool)


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    result = rng.normal(size=(2, 6, 5))
    return np.float32(result / np.linalg.norm(result, axis=-1, keepdims=True))


def expected(motion, text):
    """Returns the sum of the cross-entropies in float64, computed pair by pair."""
    total = 0.0
    for a, b in ((motion, text), (text, motion)):
        for i in np.flatnonzero(MASK):
            rivals = [j for j in np.flatnonzero(MASK) if j == i or IDS[j] != IDS[i]]
            logits = [10 * np.dot(a[i].astype(float), b[j]) for j in rivals]
            own_logit = 10 * np.dot(a[i].astype(float), b[i])
            total += np.log(np.sum(np.exp(logits))) - own_logit
    return total / 2


def test_contrastive_matches_float64_cross_entropies(vectors):
    total, count = jax.jit(contrastive)(*vectors, MASK, SCALE, None, IDS)
    assert float(count) == 5
    # Rounding of float32 cosines, times ten.
    np.testing.assert_allclose(total, expected(*vectors), rtol=2e-6)


def test_equal_texts_are_not_negatives(vectors):
    """Motions 1 and 2 have equal texts, so their distances do not add to the loss."""
    motion, text = np.array(vectors)
    only = np.array([False, True, True, False, False, False])
    total, count = contrastive(motion, text, only, SCALE, None, IDS)
    assert (float(total), float(count)) == (0, 2)
    other, _ = contrastive(motion, text, only, SCALE, None, np.arange(6))
    assert float(other) > 0


@pytest.mark.slow
def test_fillers_do_not_change_the_loss(vectors):
    motion, text = np.where(MASK[:, None], vectors, -vectors)
    np.testing.assert_array_equal(
        contrastive(motion, text, MASK, SCALE, None, IDS)[0],
        contrastive(vectors[0], vectors[1], MASK, SCALE, None, IDS)[0],
    )
    nobody = np.zeros(6, bool)
    slope = jax.grad(lambda x: contrastive(x, x, nobody, SCALE, None, IDS)[0])
    assert np.isfinite(slope(vectors[0])).all()


@pytest.mark.slow
def test_devices_compare_with_the_gathered_batch(vectors):
    """vmap with an axis name stands in for several devices."""

    def split(x):
        return x.reshape(2, 3, *x.shape[1:])

    totals, counts = jax.vmap(
        lambda a, b, ids, mask: contrastive(a, b, mask, SCALE, "device", ids),
        axis_name="device",
    )(split(vectors[0]), split(vectors[1]), split(IDS), split(MASK))
    assert float(counts.sum()) == 5
    np.testing.assert_allclose(totals.sum(), expected(*vectors), rtol=2e-6)


def test_top1_counts_motions_nearest_to_their_own_text():
    text = np.eye(4, dtype=np.float32)
    # The second is nearest to the third's text, which equals its own text; the last
    # is nearest to another text.
    motion = text[[0, 2, 2, 0]]
    batch = {
        "frame_mask": np.ones((4, 2), bool),
        "text_id": np.array([0, 1, 1, 2], np.int32),
    }
    nothing = Normalizer(np.zeros(1, np.float32), np.ones(1, np.float32))
    outputs = EvaluatorOutputs(text=text, motion=motion)  # pyright: ignore
    hits, count = top1_terms(outputs, batch, nothing)["top1"]  # pyright: ignore
    # The vector of the second's own text ties with those of others, so it is no hit.
    assert (float(hits), float(count)) == (2, 4)
