"""Trains a small model on the built-in corpus, twice, and shows what it learned.

python -m actiongpt_jax.demo [--workdir runs/demo]

Needs no data, key or GPU. The first model reads descriptions, the second (in
<workdir>-phrase) the phrases themselves. Ends with a table of the validation figures
before and after training, a picture, and demo.html: series of real motion beside what
either model makes of their phrases.
"""

import dataclasses
import importlib.util
import json
import pathlib
from collections.abc import Sequence

import numpy as np

from actiongpt_jax import cli, train
from actiongpt_jax.config import load_config
from actiongpt_jax.data.batches.segment_batches import padded_tokens
from actiongpt_jax.data.batches.segments import Segment, segments
from actiongpt_jax.data.motion import Motion
from actiongpt_jax.data.motion_store import MotionStore, open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.features import rot_velocity
from actiongpt_jax.geometry.rotations import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
)
from actiongpt_jax.inference.generate import WINDOW, generate_sequence
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_series
from actiongpt_jax.inference.trained import Trained, load_trained
from actiongpt_jax.models.family import past_frames
from actiongpt_jax.text.descriptions import read_descriptions
from actiongpt_jax.text.embeddings.store import open_embeddings
from actiongpt_jax.training.host_memory import keep_memory
from actiongpt_jax.viewing.plot import strip
from actiongpt_jax.viewing.webpage import write_page

_PICTURED = ("raise", "squat", "kick", "walk", "wave", "jump")
# An action of a series must hold the frames that lead over, and some of its own.
_LEAST_FRAMES = WINDOW + 8


def main(argv: Sequence[str]) -> None:
    """Trains (or continues), prints the table, draws the picture."""
    parser = cli.Parser(prog="python -m actiongpt_jax.demo", description=__doc__)
    parser.add_argument("--config", default="teach:demo", help="any config with :demo")
    parser.add_argument("--workdir", default="runs/demo")
    args = parser.parse_args(argv)
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError(
            "the demo draws its result and needs matplotlib; "
            "run `pip install actiongpt_jax[view]`"
        )
    workdir = pathlib.Path(args.workdir)
    baseline = workdir.with_name(f"{workdir.name}-phrase")
    flags = shared_flags(args.config, workdir.parent)
    train.main(["--config", args.config, "--workdir", str(workdir), *flags])
    print("and again, on the phrases themselves:")
    spec = f"{args.config},text=phrase"
    train.main(["--config", spec, "--workdir", str(baseline), *flags])
    print(figures_table(workdir / "metrics.jsonl", baseline / "metrics.jsonl"))
    page, picture = workdir / "demo.html", workdir / "strip.png"
    series = show(load_trained(workdir), load_trained(baseline), page, picture)
    print(f"real and generated motions: {page} (open it in a browser), {picture}")
    texts = " ".join(f"--text '{phrase}' --seconds 2" for phrase in series)
    print(
        f"try: python -m actiongpt_jax.generate --workdir {workdir} --samples 3 "
        f"{texts}\nand: python -m actiongpt_jax.app --workdir {workdir}"
    )


def shared_flags(spec: str, folder: pathlib.Path) -> list[str]:
    """Makes the data, and returns the flags with which both models share programs."""
    config = load_config(spec)
    train.use_builtin_data(config, folder)
    embeddings, store = (
        open_embeddings(config.text.store),
        open_store(config.data.store),
    )
    names = sorted(
        {label.phrase for label in store.labels if label.phrase in embeddings}
    )
    longest = max(
        padded_tokens(embeddings, names, source)
        for source in ("descriptions", "phrase")
    )
    return [
        f"--config.data.store={config.data.store}",
        f"--config.text.store={config.text.store}",
        f"--config.text.num_tokens={longest}",
    ]


def figures_table(metrics: pathlib.Path, baseline: pathlib.Path) -> str:
    """Sets validations of both runs side by side: before training, and after."""
    runs = []
    for path in (metrics, baseline):
        records = [json.loads(line) for line in path.read_text().splitlines()]
        runs.append([record for record in records if "val/loss" in record])
    first, last, other = runs[0][0], runs[0][-1], runs[1][-1]
    recons = "val/recons_text2rfeats"
    rows = [
        ("loss", "val/loss", ""),
        *(
            (f"reconstruction from text{key[len(recons) :]}", key, "")
            for key in first
            if key.startswith(recons)
        ),
        *(
            (f"{metric.upper()} {part}", f"val/{metric}_{part}", unit)
            for metric, unit in (("ape", "m"), ("ave", "m^2"))
            for part in ("root", "traj", "local", "global")
        ),
    ]
    head = f"{'validation':<28}{'untrained':>12}{'descriptions':>14}{'phrases':>12}"
    lines = [
        f"{name:<28}{first[key]:>12.4f}{last[key]:>14.4f}{other[key]:>12.4f} {unit}"
        for name, key, unit in rows
    ]
    return "\n".join(["", head, "-" * len(head), *lines, ""])


def show(
    trained: Trained, baseline: Trained, page: pathlib.Path, picture: pathlib.Path
) -> list[str]:
    """Writes validation motions and what the models make of their phrases.

    Returns:
        The phrases of the first series, in order of time.
    """
    store = open_store(trained.config.data.store)
    items = segments(store, trained.config.data.val_split)
    chosen = [*_choose_series(items), *([item] for item in _choose(items))]
    real = [_real(store, actions) for actions in chosen]
    made = [_generate(model, chosen) for model in (trained, baseline)]
    order = ("real", "from descriptions", "from the phrases")
    in_rows = [list(row) for row in zip(real, *made, strict=True)]
    described = {
        phrase: [description.text for description in found]
        for phrase, found in read_descriptions(
            pathlib.Path(trained.config.data.store, "descriptions.jsonl")
        ).items()
    }
    write_page(
        page,
        [motion for row in in_rows for motion in row],
        list(order) * len(in_rows),
        described,
        heading="Real motion beside what two small models make of its phrases",
    )
    captions = [
        f"{', then '.join(row[1].text)} ({word})"
        for row in in_rows
        for word in ("real", "generated")
    ]
    # The first series, and the single actions.
    shown = [0, *range(len(in_rows) - 2, len(in_rows))]
    strip(
        [motion for i in shown for motion in in_rows[i][:2]],
        picture,
        captions=[caption for i in shown for caption in captions[2 * i : 2 * i + 2]],
    )
    return [item.phrase for item in chosen[0]]


def _generate(trained: Trained, chosen: Sequence[Sequence[Segment]]) -> list[Motion]:
    """Generates every series from its phrases."""
    embedder = PhraseEmbedder(trained.config)
    series = [
        plan_series(
            embedder,
            [item.phrase for item in actions],
            [max(item.end - item.start, _LEAST_FRAMES) for item in actions],
            fact=0.0,
        )[0]
        for actions in chosen
    ]
    reads_past = past_frames(trained.config) > 0
    return generate_sequence(trained, series, read_past=reads_past)


def _real(store: MotionStore, actions: Sequence[Segment]) -> Motion:
    """Returns the real motion of a series, its phrases with it."""
    start = store.sequences[actions[0].sequence].start
    ends = [action.start for action in actions[1:]] + [actions[-1].end]
    rows = slice(start + actions[0].start, start + ends[-1])
    motion = _canonical(store.rotations[rows], store.translation[rows])
    begins = [action.start for action in actions]
    return dataclasses.replace(
        motion,
        text=tuple(action.phrase for action in actions),
        lengths=tuple(e - b for b, e in zip(begins, ends, strict=True)),
    )


def _canonical(rotations: np.ndarray, translation: np.ndarray) -> Motion:
    """Turns a motion to face where generated ones do."""
    features = rot_velocity.encode(axis_angle_to_matrix(rotations), translation)
    matrices, moved = rot_velocity.decode(features)
    return Motion(np.asarray(matrix_to_axis_angle(matrices)), np.asarray(moved))


def _choose(items: Sequence[Segment]) -> list[Segment]:
    chosen = [
        next((item for item in items if item.phrase.startswith(word)), None)
        for word in _PICTURED
    ]
    found = [item for item in chosen if item is not None]
    return (found or list(items))[:2]


def _choose_series(
    items: Sequence[Segment], count: int = 2, length: int = 3
) -> list[list[Segment]]:
    """Returns the first actions of some sequences, of different phrases if possible."""
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


if __name__ == "__main__":
    keep_memory()
    cli.run(main)
