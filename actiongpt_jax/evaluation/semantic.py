"""Judges whether motions do what the phrases of the built-in corpus say.

Every phrase is generated at its usual length and at three seconds, and judged by the
predicates of `synthetic.predicates`; so are real motions, and, as a baseline, copies of
the training motions whose descriptions are nearest.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from actiongpt_jax.choices import FRAMERATE
from actiongpt_jax.data.motion_store import MotionStore
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.cases import (
    Case,
    Sampling,
    Source,
    from_model,
    list_cases,
    quiet,
)
from actiongpt_jax.evaluation.journal import Journal
from actiongpt_jax.evaluation.semantic_figures import (
    LENGTHS,
    feet,
    joints_of,
    summarise,
)
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.synthetic.phrases import phrases_to_judge
from actiongpt_jax.synthetic.predicates.judge import satisfies
from actiongpt_jax.synthetic.texts import WRITER, describe

SAMPLES = 8
_ACTIONS = 3  # number of actions of a series
_CLIPS = 16  # number of real motions that stand for a training phrase
_ROWS = 16  # number of cases between two writes of the journal


def single_cases(fps: float = FRAMERATE) -> list[Case]:
    """Lists every phrase at the middle of its usual lengths and at three seconds.

    Args:
        fps: frames per second of the motions.

    Returns:
        Cases with the key '<phrase>/usual' or '<phrase>/3 s', the shortest first.
    """
    cases = [
        Case(f"{phrase.text}/{name}", (phrase.text,), (round(fps * seconds),), 0)
        for phrase in phrases_to_judge()
        for name, seconds in zip(LENGTHS, (sum(phrase.seconds) / 2, 3.0), strict=True)
    ]
    return sorted(cases, key=lambda case: (case.frames, case.key))


def series_cases(seed: int, fps: float = FRAMERATE) -> list[Case]:
    """Draws series of three seen phrases, of which each phrase occurs once at most.

    Args:
        seed: seed of the draw. Phrases that need a chair are left out.
        fps: frames per second of the motions.
    """
    seen = [p for p in phrases_to_judge() if not p.held_out and not any(p.seated)]
    order = np.random.default_rng(seed).permutation(len(seen))
    rows = order[: len(order) // _ACTIONS * _ACTIONS].reshape(-1, _ACTIONS)
    return [
        Case(
            f"series/{', then '.join(seen[i].text for i in row)}",
            tuple(seen[i].text for i in row),
            tuple(round(fps * sum(seen[i].seconds) / 2) for i in row),
            0,
        )
        for row in rows
    ]


def missing_texts(embedder: PhraseEmbedder) -> dict[str, list[str]]:
    """Returns the built-in descriptions of the phrases that an embedder lacks.

    Args:
        embedder: embeds the model's texts; it may have been made before the corpus had
            all phrases.
    """
    return {
        phrase.text: [
            record.text
            for record in describe(phrase)
            if (record.prompt, record.writer) == ("detail", WRITER)
        ]
        for phrase in phrases_to_judge()
        if not embedder.describes(phrase.text)
    }


def judge_model(
    trained: Trained,
    embedder: PhraseEmbedder,
    store: MotionStore,
    split: str,
    how: Sampling,
    journal: Journal,
) -> dict[str, Any]:
    """Generates motions of all phrases, judges them, and summarises the judgements.

    Args:
        trained: the model.
        embedder: embeds the model's texts.
        store: motion store made from the built-in corpus.
        split: split of the real motions.
        how: how motions are drawn; a model that makes series makes some of three
            actions, in addition to single actions.
        journal: holds the judgements of earlier calls; new ones are added.

    Returns:
        The figures of `summarise`.

    Raises:
        InputError: for a store without the corpus, or a motion with NaN or infinity.
    """
    # Read real motions, of the split and of training.
    data = trained.config.data
    known = list_cases(trained.config, store, data.train_split, False)
    seen = {phrase.text for phrase in phrases_to_judge() if not phrase.held_out}
    names = sorted(seen & {case.phrases[0] for case in known})
    if not names:
        raise InputError(
            "--semantic needs the motions of the built-in corpus, got none of its "
            f"phrases in split {data.train_split!r} of {store.path}; give a store made "
            "by `prepare synthetic` as --data"
        )
    real = list_cases(trained.config, store, split, False)

    # Judge what the model generates: single actions, then series of them.
    fps = trained.framerate
    parts = [(single_cases(fps), dataclasses.replace(how, series="off"))]
    if how.series != "off":
        parts.append((series_cases(how.seed, fps), how))
    total = sum(len(cases) for cases, _ in parts)
    with tqdm(total=total, unit="phrase", leave=False, desc="semantic") as bar:
        for cases, sampling in parts:
            source = quiet(from_model(trained, embedder, sampling))
            judge_cases(cases, source, journal, store.fps, bar.update)

    return summarise(
        {row["key"]: row for row in journal},
        real_motions(store, real),
        real_motions(store, known, _CLIPS),
        nearest_phrases(embedder.tokens, names),
        store.fps,
        how.seed,
    )


def judge_cases(
    cases: Sequence[Case],
    source: Source,
    journal: Journal,
    fps: float,
    on_case: Callable[[int], Any] | None = None,
) -> None:
    """Judges every case that a journal does not hold yet, and adds it there.

    Args:
        cases: all cases, in the same order every time.
        source: generates the motions.
        journal: the journal that rows are added to: key, hits (for each action whether
            each sample satisfies its predicate), stride and skating of the first
            action's samples.
        fps: frames per second of the motions.
        on_case: called with the number of cases that were just finished.

    Raises:
        InputError: for a motion with NaN or infinity.
    """
    by_text = {phrase.text: phrase for phrase in phrases_to_judge()}
    for start in range(0, len(cases), _ROWS):
        chunk = cases[start : start + _ROWS]
        if any(case.key not in journal.done for case in chunk):
            rows = []
            for case, motions in zip(chunk, source(chunk), strict=True):
                edges = np.cumsum((0, *case.lengths))
                actions = [
                    [joints_of(motion, case.key)[a:b] for motion in motions]
                    for a, b in zip(edges, edges[1:], strict=False)
                ]
                hits = [
                    [satisfies(by_text[text], joints, fps) for joints in samples]
                    for text, samples in zip(case.phrases, actions, strict=True)
                ]
                rows.append({"key": case.key, "hits": hits, **feet(actions[0], fps)})
            journal.append(row for row in rows if row["key"] not in journal.done)
        if on_case is not None:
            on_case(len(chunk))


def real_motions(
    store: MotionStore, cases: Sequence[Case], most: int | None = None
) -> dict[str, list[np.ndarray]]:
    """Reads the real motions of the phrases that are judged.

    Args:
        store: the motion store.
        cases: single actions of the store.
        most: largest number of motions of each phrase; None takes all.

    Returns:
        Phrase -> (T, 22, 3) joints of each of its motions.
    """
    motions: dict[str, list[np.ndarray]] = {p.text: [] for p in phrases_to_judge()}
    for case in cases:
        kept = motions.get(case.phrases[0])
        if kept is not None and (most is None or len(kept) < most):
            kept.append(joints_of(case.captured(store), case.key))
    return {text: joints for text, joints in motions.items() if joints}


def nearest_phrases(
    tokens: Callable[[str], np.ndarray], trained: Sequence[str]
) -> dict[str, str]:
    """Finds for every phrase the training phrase with the most similar text.

    Args:
        tokens: phrase -> (n, E) embedding of its text; the mean over tokens is
            compared, by its cosine.
        trained: the training phrases.

    Returns:
        Phrase -> training phrase; a training phrase is nearest to itself.
    """
    texts = [phrase.text for phrase in phrases_to_judge()]
    means = {text: tokens(text).mean(0) for text in {*texts, *trained}}
    unit = {text: mean / np.linalg.norm(mean) for text, mean in means.items()}
    pool = np.stack([unit[text] for text in trained])
    return {text: trained[int((pool @ unit[text]).argmax())] for text in texts}
