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
from actiongpt_jax.inference.generate import (
    generate_motion,
    load_trained,
    plan_samples,
)
from actiongpt_jax.inference.phrases import PhraseEmbedder
from actiongpt_jax.structs import Motion
from actiongpt_jax.viewing.plot import strip

_PICTURED = ("raise", "squat", "kick", "walk", "wave", "jump")


def main(argv: Sequence[str]) -> None:
    """Trains (or continues), prints the table, draws the picture."""
    parser = cli.Parser(prog="python -m actiongpt_jax.demo", description=__doc__)
    parser.add_argument("--config", default="temos:demo", help="any config with :demo")
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
    draw_strip(workdir, picture)
    print(f"generated motions beside real ones: {picture}")
    print(
        "try: python -m actiongpt_jax.generate "
        f"--workdir {workdir} --text 'jump forward' --seconds 2 --samples 3"
    )


def figures_table(metrics: pathlib.Path) -> str:
    """Sets the first and the last validation of a run side by side."""
    records = [json.loads(line) for line in metrics.read_text().splitlines()]
    records = [record for record in records if "val/loss" in record]
    first, last = records[0], records[-1]
    rows = [
        ("loss", "val/loss", ""),
        ("reconstruction from text", "val/recons_text2rfeats", ""),
        *(
            (f"{metric.upper()} {part}", f"val/{metric}_{part}", unit)
            for metric, unit in (("ape", "m"), ("ave", "m^2"))
            for part in ("root", "traj", "local", "global")
        ),
    ]
    head = f"{'validation':<26}{'step 0':>12}{'step ' + str(last['step']):>12}"
    lines = [f"{n:<26}{first[k]:>12.4f}{last[k]:>12.4f} {unit}" for n, k, unit in rows]
    return "\n".join(["", head, "-" * len(head), *lines, ""])


def draw_strip(workdir: pathlib.Path, path: pathlib.Path) -> None:
    """Draws validation motions and what the model generates for their phrases."""
    trained = load_trained(workdir)
    store = open_store(trained.config.data.store)
    items = segments(store, trained.config.data.val_split)
    chosen = _choose(items)
    embedder = PhraseEmbedder(trained.config)
    requests = [
        plan_samples(embedder, item.phrase, item.end - item.start, fact=0.0)[0]
        for item in chosen
    ]
    motions, captions = [], []
    for item, generated in zip(chosen, generate_motion(trained, requests), strict=True):
        start = store.sequences[item.sequence].start
        rows = slice(start + item.start, start + item.end)
        real = _canonical(store.rotations[rows], store.translation[rows])
        motions += [real, generated]
        captions += [f"{item.phrase} (real)", f"{item.phrase} (generated)"]
    strip(motions, path, captions=captions)


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
    return (found or list(items))[:3]


if __name__ == "__main__":
    cli.run(main)
