"""A trained retrieval evaluator, opened from its workdir."""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from actiongpt_jax.data.batches.segment_batches import encode_features
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.latents import TOKEN_STEP
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.models.family import FAMILIES
from actiongpt_jax.nn.parameters import parameter_hash
from actiongpt_jax.shapes import next_power_of_two, round_up, stack_padded
from actiongpt_jax.training.inputs import training_phrases

_ROWS, _LEAST_FRAMES = 16, 64


class Evaluator:
    """Embeds texts and motions as vectors of one space.

    Attributes:
        config: config of its training.
        hash: `nn.parameters.parameter_hash` of its variables; only figures measured
            with the same evaluator can be compared.
    """

    def __init__(
        self,
        workdir: str | pathlib.Path,
        embeddings: str | None = None,
        descriptions: str | None = None,
    ):
        """Opens the latest checkpoint.

        Args:
            workdir: workdir of a run of configs/evaluator.py.
            embeddings: embedding store made with the evaluator's encoder; None takes
                the one used in training.
            descriptions: file or folder of descriptions; see `PhraseEmbedder`.

        Raises:
            FileNotFoundError: if there is no checkpoint.
            InputError: if the workdir is that of another model.
        """
        self._trained = trained = load_model(workdir)
        if trained.family is not FAMILIES["evaluator"]:
            raise InputError(
                f"--evaluator must be the workdir of an evaluator, got {workdir} "
                f"with a {trained.config.model.name} model; train one with `python -m "
                "actiongpt_jax.train --config configs/evaluator.py`"
            )
        self.config = trained.config
        self.hash = parameter_hash(trained.variables)
        self._embedder = PhraseEmbedder(trained.config, embeddings, descriptions)

    def known_phrases(self) -> frozenset[str] | None:
        """Returns its training phrases; None if their store no longer exists."""
        try:
            return training_phrases(self.config)
        except (InputError, OSError):
            return None

    def texts(self, phrases: Sequence[str]) -> np.ndarray:
        """Returns (n, P) unit vectors of phrases."""
        batches = []
        for start in range(0, len(phrases), _ROWS):
            tokens = [self._embedder.tokens(p) for p in phrases[start : start + _ROWS]]
            size = round_up(max(map(len, tokens)), TOKEN_STEP)
            padded, mask = stack_padded(tokens, size, _ROWS)
            vectors = _texts(self._trained.model, self._trained.variables, padded, mask)
            batches.append(np.asarray(vectors)[: len(tokens)])
        return np.concatenate(batches)

    def motions(self, motions: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Returns (n, P) unit vectors of motions.

        Args:
            motions: (rotations (T, 22, 3) axis-angle, translation (T, 3)) of each
                motion, at the frame rate of its training.
        """
        order = sorted(range(len(motions)), key=lambda i: len(motions[i][1]))
        in_order: list[Any] = [None] * len(motions)
        for start in range(0, len(order), _ROWS):
            part = order[start : start + _ROWS]
            longest = max(len(motions[i][1]) for i in part)
            size = max(_LEAST_FRAMES, next_power_of_two(longest))
            rotations, mask = stack_padded([motions[i][0] for i in part], size, _ROWS)
            translation, _ = stack_padded([motions[i][1] for i in part], size, _ROWS)
            vectors = _motions(
                self._trained.model,
                self._trained.variables,
                self._trained.normalizer,
                rotations,
                translation,
                mask,
                self.config.data.heading,
            )
            for i, vector in zip(part, np.asarray(vectors), strict=False):
                in_order[i] = vector
        return np.stack(in_order)


@functools.partial(jax.jit, static_argnames="model")
def _texts(model, variables, tokens, mask):
    return model.apply(variables, tokens, mask, method="encode_text")


@functools.partial(jax.jit, static_argnames=("model", "heading"))
def _motions(model, variables, normalizer, rotations, translation, mask, heading):
    features = encode_features(rotations, translation, heading)
    features = jnp.where(mask[..., None], normalizer.normalize(features), 0.0)
    return model.apply(variables, features, mask, method="encode_motion")
