"""Compares real motions with those that models generate from the same phrases."""

import pathlib
from collections.abc import Mapping, Sequence

from actiongpt_jax.choices import WINDOW
from actiongpt_jax.data.batches.segments import Segment, segments
from actiongpt_jax.data.motion import Motion
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.inference.generate import generate_sequence
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_series
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.text.descriptions import read_descriptions
from actiongpt_jax.viewing.plot import strip
from actiongpt_jax.viewing.samples import choose_actions, real_motion
from actiongpt_jax.viewing.webpage import write_page

VAL_SPLIT = "val"
# An action of a series must be longer than the transition at its start.
_LEAST_FRAMES = WINDOW + 8


def write_comparison(
    models: Mapping[str, Trained],
    corpus: str | pathlib.Path,
    page: pathlib.Path,
    picture: pathlib.Path,
) -> list[str]:
    """Writes a page and a picture of validation motions and of models' motions.

    Args:
        models: title of a column -> a model, at least one.
        corpus: motion store of the built-in corpus, whose validation motions are shown.
        page: HTML file to write; each row shows a series of actions or one action.
        picture: PNG file to write; it shows real motions and those of the first model.

    Returns:
        The phrases of the first series, in temporal order.
    """
    store = open_store(corpus)
    items = segments(store, VAL_SPLIT)
    series = _choose_series(items)
    chosen = [*series, *([item] for item in choose_actions(items, 4))]
    columns = {"real": [real_motion(store, actions) for actions in chosen]}
    columns |= {name: _generate(model, chosen) for name, model in models.items()}
    rows = list(zip(*columns.values(), strict=True))
    known = read_descriptions(pathlib.Path(corpus, "descriptions.jsonl"))
    write_page(
        page,
        [motion for row in rows for motion in row],
        [*columns] * len(rows),
        {phrase: [one.text for one in known[phrase]] for phrase in known},
        heading="Real motion and the motions of small models for the same phrases",
        columns=len(columns),
    )
    # The first series, and two single actions.
    pictured = [rows[0], *rows[len(series) :][:2]]
    strip(
        [motion for row in pictured for motion in row[:2]],
        picture,
        captions=[
            f"{row[1].caption} ({word})"
            for row in pictured
            for word in ("real", "generated")
        ],
    )
    return [item.phrase for item in chosen[0]]


def _generate(model: Trained, chosen: Sequence[Sequence[Segment]]) -> list[Motion]:
    """Generates one motion per series from its phrases."""
    embedder = PhraseEmbedder(model.config)
    series = [
        plan_series(
            embedder,
            [item.phrase for item in actions],
            [max(item.end - item.start, _LEAST_FRAMES) for item in actions],
            fact=0.0,
        )[0]
        for actions in chosen
    ]
    return generate_sequence(model, series, read_past=model.model.hist_frames > 0)


def _choose_series(
    items: Sequence[Segment], count: int = 2, length: int = 3
) -> list[list[Segment]]:
    """Returns the first actions of `count` sequences with the most distinct phrases."""
    by_sequence: dict[int, list[Segment]] = {}
    for item in items:
        by_sequence.setdefault(item.sequence, []).append(item)
    for actions in by_sequence.values():
        actions.sort(key=lambda item: item.start)
    ranked = sorted(
        (actions[:length] for actions in by_sequence.values()),
        key=lambda actions: -len({item.phrase for item in actions}),
    )
    return ranked[:count]
