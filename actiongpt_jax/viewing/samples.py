"""The page with which a training is watched: sampled motions and curves of figures."""

import contextlib
import dataclasses
import html
import math
import pathlib
from collections.abc import Iterator, Sequence

import jax
import numpy as np
from tqdm import tqdm

from actiongpt_jax.config_fields import Config, lookup
from actiongpt_jax.data.batches.segments import Segment, segments
from actiongpt_jax.data.motion import Motion
from actiongpt_jax.data.motion_store import MotionStore, open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.features import rot_velocity
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.files.jsonl import read_lines
from actiongpt_jax.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from actiongpt_jax.inference.generate import generate_motion
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.requests import plan_samples
from actiongpt_jax.inference.trained import make_trained
from actiongpt_jax.training.step import TrainState
from actiongpt_jax.viewing.webpage import write_page

NAME = "samples.html"
# First words of phrases whose motions are easy to recognise.
_PICTURED = ("raise", "squat", "kick", "walk", "wave", "jump")
_PHRASES = 6
# Figures of a record that have no curve: they show the machine, not the model.
_NO_CURVE = ("step", "step_ms", "frames_per_s")
_MOST_POINTS = 300  # of a curve
_WIDTH, _HEIGHT, _MARGIN = 260, 110, 18


class SamplesPage:
    """Writes samples.html into a workdir; an `on_validation` of `training.loop.train`.

    The page has real motions of six phrases, the same ones each time, next to what the
    model generates for them (its mean latent), and curves of metrics.jsonl. A page that
    cannot be written does not stop the training: a note says why.
    """

    def __init__(self, workdir: str | pathlib.Path):
        """Takes the folder of the run."""
        self._workdir = pathlib.Path(workdir)
        self._opened: tuple[MotionStore, list[Segment], PhraseEmbedder] | None = None

    def __call__(
        self, config: Config, normalizer: Normalizer, state: TrainState
    ) -> None:
        """Generates motions and writes the page.

        Args:
            config: config of the run.
            normalizer: normalizer of the features.
            state: the state that was validated.
        """
        try:
            self._write(config, normalizer, state)
        except (InputError, OSError, jax.errors.JaxRuntimeError) as error:
            tqdm.write(f"note: {self._workdir / NAME} was not written: {error}")

    def _write(self, config: Config, normalizer: Normalizer, state: TrainState) -> None:
        step = int(jax.device_get(state.step))
        trained = make_trained(config, jax.device_get(state.params), normalizer, step)
        if self._opened is None:
            store = open_store(config.data.store)
            chosen = _choose(config, store)
            self._opened = store, chosen, PhraseEmbedder(trained.config)
        store, chosen, embedder = self._opened
        # A model of windows knows a single length.
        most = lookup(config, "data.num_frames", None) or config.data.max_frames
        requests = [
            plan_samples(
                embedder, item.phrase, min(item.end - item.start, most), fact=0.0
            )[0]
            for item in chosen
        ]
        generated = generate_motion(trained, requests)
        # Every process of a run generates, so that none waits for another for long.
        if jax.process_index():
            return
        motions: list[Motion] = []
        for item, motion in zip(chosen, generated, strict=True):
            motions += [real_motion(store, [item]), motion]
        write_page(
            self._workdir / NAME,
            motions,
            ["real", f"generated, step {step}"] * len(chosen),
            heading=f"{self._workdir.name}: {config.model.name} at step {step}",
            columns=4,
            below=curves(self._workdir / "metrics.jsonl"),
        )


def _choose(config: Config, store: MotionStore) -> list[Segment]:
    """Returns actions of six phrases of the validation split, or else of training."""
    data = config.data
    for split in (data.val_split, data.train_split):
        with contextlib.suppress(InputError):  # a store may lack a split
            limits = data.min_frames, data.max_frames
            if items := segments(store, split, data.labels, *limits):
                return choose_actions(items, _PHRASES)
    raise InputError(f"{data.store} has no single action to show")


def curves(path: pathlib.Path) -> str:
    """Draws the figures of a run over its steps.

    Args:
        path: its metrics.jsonl; a truncated last line is skipped.

    Returns:
        HTML with one drawing per figure; those of training and validation share one.
    """
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for line in read_lines(path, "move it away", on_truncated=lambda _: None):
        step = line.value["step"]
        for key, value in line.value.items():
            drawn = key not in _NO_CURVE and isinstance(value, int | float)
            if drawn and math.isfinite(value):
                kind, _, name = key.rpartition("/")
                points = lines.setdefault(name, {}).setdefault(kind, [])
                points.append((step, value))
    drawings = "".join(_chart(name, kinds) for name, kinds in lines.items())
    return (
        '<section aria-label="curves" style="display:flex;flex-wrap:wrap;gap:0.8rem;'
        f'padding:0.8rem 1rem">{drawings}</section>'
    )


def _chart(name: str, kinds: dict[str, list[tuple[float, float]]]) -> str:
    every = [point for points in kinds.values() for point in points]
    steps, values = zip(*every, strict=True)
    last = "; ".join(f"{kind} {points[-1][1]:.4g}" for kind, points in kinds.items())
    title = html.escape(f"{name}: {last}")
    drawn = "".join(
        f'<polyline fill="none" stroke="var(--{colour})" stroke-width="1.5" points="'
        f'{" ".join(_placed(_thinned(kinds[kind]), steps, values))}"/>'
        for kind, colour in (("train", "right"), ("val", "left"))
        if kind in kinds
    )
    text = '<text x="{}" y="{}" font-size="10" fill="var(--soft)"{}>{}</text>'
    end = ' text-anchor="end"'
    labels = [
        text.format(0, 10, "", f"{max(values):.4g}"),
        text.format(0, _HEIGHT - 2, "", f"{min(values):.4g}"),
        text.format(_WIDTH, _HEIGHT - 2, end, f"step {max(steps)}"),
    ]
    return (
        f'<figure style="margin:0"><figcaption style="font-size:0.8rem">{title}'
        f'</figcaption><svg role="img" aria-label="{title}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}">{drawn}'
        f"{''.join(labels)}</svg></figure>"
    )


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """Leaves out points so that at most `_MOST_POINTS` and the last one remain."""
    every = -(-len(points) // _MOST_POINTS)
    return [*points[:-1:every], points[-1]]


def _placed(
    points: Sequence[tuple[float, float]],
    steps: Sequence[float],
    values: Sequence[float],
) -> Iterator[str]:
    """Yields the places of points in a drawing, as SVG writes them."""
    width = max(max(steps) - min(steps), 1)
    height = (max(values) - min(values)) or 1.0
    for step, value in points:
        x = (step - min(steps)) / width * _WIDTH
        y = (max(values) - value) / height * (_HEIGHT - 2 * _MARGIN) + _MARGIN
        yield f"{x:.1f},{y:.1f}"


def real_motion(store: MotionStore, actions: Sequence[Segment]) -> Motion:
    """Returns the captured motion of successive actions, with their phrases.

    Args:
        store: the motion store.
        actions: actions of one sequence, in the order of time.

    Returns:
        The motion, turned and moved as generated motions are.
    """
    begins = [action.start for action in actions]
    ends = [*begins[1:], actions[-1].end]
    motion = store.motion(actions[0].sequence, begins[0], ends[-1])
    return dataclasses.replace(
        _canonical(motion),
        text=tuple(action.phrase for action in actions),
        lengths=tuple(e - b for b, e in zip(begins, ends, strict=True)),
    )


def _canonical(motion: Motion) -> Motion:
    """Turns a motion to the first heading of generated motions."""
    matrices = axis_angle_to_matrix(motion.rotations)
    features = rot_velocity.encode(matrices, motion.translation)
    matrices, moved = rot_velocity.decode(features)
    return dataclasses.replace(
        motion,
        rotations=np.asarray(matrix_to_axis_angle(matrices)),
        translation=np.asarray(moved),
        hands=None,
    )


def choose_actions(items: Sequence[Segment], count: int) -> list[Segment]:
    """Returns actions of different phrases, preferably ones easy to recognise.

    Args:
        items: the actions to choose from.
        count: number of actions to return, at most.
    """
    firsts = [
        next((item for item in items if item.phrase.startswith(word)), None)
        for word in _PICTURED
    ]
    chosen = {item.phrase: item for item in firsts if item is not None}
    for item in items:
        chosen.setdefault(item.phrase, item)
    return list(chosen.values())[:count]
