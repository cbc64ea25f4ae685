"""Trains a small model on the built-in corpus and shows what it learned.

python -m actiongpt_jax.demo [--workdir runs/demo]

Needs no data, key or GPU. Ends with a table of the validation figures before and
after training and a picture of generated motions beside real ones.
"""

import importlib.util
import json
import pathlib
from collections.abc import Sequence

import numpy as np

from actiongpt_jax import cli, train
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.data.segments import Segment, segments
from actiongpt_jax.errors import InputError
from actiongpt_jax.features import rot_velocity
from actiongpt_jax.geometry.rotations import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
)
from actiongpt_jax.inference.continuing import past_frames
from actiongpt_jax.inference.generate import WINDOW, generate_sequence
from actiongpt_jax.inference.phrases import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_series
from actiongpt_jax.inference.trained import load_trained
from actiongpt_jax.structs import Motion
from actiongpt_jax.viewing.plot import strip

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
    train.main(["--config", args.config, "--workdir", args.workdir])
    workdir = pathlib.Path(args.workdir)
    print(figures_table(workdir / "metrics.jsonl"))
    picture = workdir / "strip.png"
    series = draw_strip(workdir, picture)
    print(f"generated motions beside real ones: {picture}")
    texts = " ".join(f"--text '{phrase}' --seconds 2" for phrase in series)
    print(
        f"try: python -m actiongpt_jax.generate --workdir {workdir} --samples 3 {texts}"
    )


def figures_table(metrics: pathlib.Path) -> str:
    """Sets the first and the last validation of a run side by side."""
    records = [json.loads(line) for line in metrics.read_text().splitlines()]
    records = [record for record in records if "val/loss" in record]
    first, last = records[0], records[-1]
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
    head = f"{'validation':<28}{'step 0':>12}{'step ' + str(last['step']):>12}"
    lines = [f"{n:<28}{first[k]:>12.4f}{last[k]:>12.4f} {unit}" for n, k, unit in rows]
    return "\n".join(["", head, "-" * len(head), *lines, ""])


def draw_strip(workdir: pathlib.Path, path: pathlib.Path) -> list[str]:
    """Draws validation motions and what the model generates for their phrases.

    Returns:
        The phrases of the series among them, in order of time.
    """
    trained = load_trained(workdir)
    store = open_store(trained.config.data.store)
    items = segments(store, trained.config.data.val_split)
    embedder = PhraseEmbedder(trained.config)
    chosen = [_choose_series(items), *([item] for item in _choose(items))]
    series = [
        plan_series(
            embedder,
            [item.phrase for item in actions],
            [max(item.end - item.start, _LEAST_FRAMES) for item in actions],
            fact=0.0,
        )[0]
        for actions in chosen
    ]
    motions, captions = [], []
    reads_past = past_frames(trained.model) > 0
    generated = generate_sequence(trained, series, read_past=reads_past)
    for actions, motion in zip(chosen, generated, strict=True):
        start = store.sequences[actions[0].sequence].start
        rows = slice(start + actions[0].start, start + actions[-1].end)
        caption = ", then ".join(motion.text)
        motions += [_canonical(store.rotations[rows], store.translation[rows]), motion]
        captions += [f"{caption} (real)", f"{caption} (generated)"]
    strip(motions, path, captions=captions)
    return [item.phrase for item in chosen[0]]


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


def _choose_series(items: Sequence[Segment]) -> list[Segment]:
    """Returns the first three actions, or as many as there are, of one sequence."""
    by_sequence: dict[int, list[Segment]] = {}
    for item in items:
        by_sequence.setdefault(item.sequence, []).append(item)
    for actions in by_sequence.values():
        actions.sort(key=lambda item: item.start)
    whole = [a for a in by_sequence.values() if len({i.phrase for i in a[:3]}) == 3]
    longest = max(by_sequence.values(), key=len)
    return (whole[0] if whole else longest)[:3]


if __name__ == "__main__":
    cli.run(main)
