"""How far motions of one text lie apart, for each way in which samples can differ."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from actiongpt_jax.choices import DIVERSE
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.cases import Case, seed_of
from actiongpt_jax.evaluation.evaluator import Evaluator
from actiongpt_jax.evaluation.journal import Journal, pack, unpack
from actiongpt_jax.inference.generate import generate_motion
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_samples
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.metrics.retrieval import multimodality

# Published: motions of one text that are compared with each other.
_MOTIONS = 10


def multimodalities(
    trained: Trained,
    embedder: PhraseEmbedder,
    evaluator: Evaluator,
    journal: Journal,
    cases: Sequence[Case],
    count: int,
    fact: float = 1.0,
    seed: int = 0,
) -> dict[str, Any]:
    """Generates ten motions of each of some texts and compares them.

    Args:
        trained: the model.
        embedder: of its texts.
        evaluator: in whose space distances are.
        journal: of what was generated before; added to.
        cases: whose phrases there are, and how long a motion of each is.
        count: of phrases to draw.
        fact: factor on the latent's deviation from its mean.
        seed: of all draws.

    Returns:
        Kind of `--diverse` -> mean distance, texts, motions of each (by description
        only, as many as there are descriptions); or missing, a sentence.
    """
    lengths: dict[str, int] = {}
    for case in cases:
        lengths |= dict(zip(case.phrases, case.lengths, strict=True))
    names = sorted(lengths)
    order = np.random.default_rng(seed).permutation(len(names))[:count]
    names = [names[i] for i in sorted(order)]
    found: dict[str, Any] = {}
    for kind in ("descriptions",) if embedder.pooled else DIVERSE:
        try:
            for phrase in tqdm(names, unit="text", leave=False, desc=kind):
                if (key := f"{kind}/{phrase}") in journal.done:
                    continue
                samples = _MOTIONS
                if kind == "descriptions":
                    samples = min(samples, len(embedder.singles(phrase)))
                requests = plan_samples(
                    embedder,
                    phrase,
                    lengths[phrase],
                    samples,
                    kind,
                    fact,
                    seed_of(seed, phrase),
                )
                motions = generate_motion(trained, requests)
                made = evaluator.motions(
                    [(motion.rotations, motion.translation) for motion in motions]
                )
                row = {"key": key, "kind": kind, "phrase": phrase}
                journal.append([{**row, "vectors": pack(made)}])
        except InputError as error:
            # Without single descriptions there is no such diversity to measure.
            found[kind] = {"missing": str(error)}
    wanted = set(names)
    vectors: dict[str, list[np.ndarray]] = {}
    for row in journal:
        if row["phrase"] in wanted:
            vectors.setdefault(row["kind"], []).append(unpack(row["vectors"]))
    for kind, own in vectors.items():
        if kind not in found:
            mean = multimodality(own)
            found[kind] = {"mean": mean, "texts": len(own), "motions": _MOTIONS}
    return found
