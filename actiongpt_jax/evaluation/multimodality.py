"""Measures how different the motions of one text are, for each kind of variation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from actiongpt_jax.choices import DIVERSE
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.cases import Case
from actiongpt_jax.evaluation.evaluator import Evaluator
from actiongpt_jax.evaluation.journal import Journal, pack, unpack
from actiongpt_jax.inference.generate import generate_motion
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_samples, seed_of
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.metrics.retrieval import multimodality

# Number of motions per text that are compared with each other, as published.
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
    """Generates ten motions for each of some texts and compares them.

    Args:
        trained: the model.
        embedder: embeds the model's texts.
        evaluator: embeds the motions; distances are measured in its space.
        journal: holds the motions' vectors from earlier calls; new ones are added.
        cases: the cases that phrases, and the lengths of their motions, are taken from.
        count: number of phrases to draw.
        fact: factor on the latent's deviation from its mean.
        seed: seed of all random numbers.

    Returns:
        Kind of `--diverse` -> mean distance, number of texts, and motions per text
        (with 'descriptions', at most the number of descriptions); or `missing`, a
        sentence that says why this kind could not be measured.
    """
    lengths: dict[str, int] = {}
    for case in cases:
        lengths |= dict(zip(case.phrases, case.lengths, strict=True))
    names = sorted(lengths)
    order = np.random.default_rng(seed).permutation(len(names))[:count]
    names = [names[i] for i in sorted(order)]
    results: dict[str, Any] = {}

    # Generate what the journal does not hold yet.
    with journal.locked():
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
                    embedded = evaluator.motions(
                        [(motion.rotations, motion.translation) for motion in motions]
                    )
                    row = {"key": key, "kind": kind, "phrase": phrase}
                    journal.append([{**row, "vectors": pack(embedded)}])
            except InputError as error:
                # Without single descriptions this kind of variation does not exist.
                results[kind] = {"missing": str(error)}

    # Compare the motions of each text.
    drawn = set(names)
    vectors: dict[str, list[np.ndarray]] = {}
    for row in journal:
        if row["phrase"] in drawn:
            vectors.setdefault(row["kind"], []).append(unpack(row["vectors"]))
    for kind, by_text in vectors.items():
        if kind not in results:
            mean = multimodality(by_text)
            results[kind] = {"mean": mean, "texts": len(by_text), "motions": _MOTIONS}
    return results
