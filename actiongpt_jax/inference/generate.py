"""Generates motions from text with a trained model."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from actiongpt_jax.choices import ALIGN, WINDOW, Align
from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError, check_choice
from actiongpt_jax.inference.continuation import joined, so_far, to_continue
from actiongpt_jax.inference.latents import (
    FRAME_STEP,
    TOKEN_STEP,
    to_motion,
)
from actiongpt_jax.inference.next_action import next_action
from actiongpt_jax.inference.requests import Request
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.shapes import next_power_of_two, round_up, stack_padded


def generate_motion(
    trained: Trained, requests: Sequence[Request], batch_size: int = 16
) -> list[Motion]:
    """Generates one motion per request, in batches.

    A motion depends on its own request only, not on the others in its batch.

    Args:
        trained: the model.
        requests: any number of requests, of any lengths.
        batch_size: number of motions that are generated at once.

    Returns:
        Motions in the order of the requests, facing -x at the origin in frame 0.

    Raises:
        InputError: if the embeddings do not have the width that the model was trained
            with.
    """
    return _generate(trained, [(request,) for request in requests], batch_size)


def generate_sequence(
    trained: Trained,
    series: Sequence[Sequence[Request]],
    *,
    align: Align = "full",
    window: int = WINDOW,
    read_past: bool = True,
    after: Motion | None = None,
    batch_size: int = 16,
    on_action: Callable[[int], Any] | None = None,
) -> list[Motion]:
    """Generates one motion per series of requests, and joins its actions.

    A series depends on its own requests only. Memory does not grow with its length,
    except for the result.

    Args:
        trained: the model.
        series: any number of series; each holds its actions' requests in order.
        align: how an action is moved to the end of the previous one: 'full' turns and
            shifts it, 'translation' only shifts it, 'none' leaves it as generated.
        window: length of the slerp transition at the start of each later action, in
            frames; the action's length includes it.
        read_past: whether the model reads how the previous motion ended; if False, the
            actions are generated independently and then joined.
        after: a motion that every series continues, as if its last action came before
            the first of the series; None starts from scratch.
        batch_size: number of series that are generated at once.
        on_action: called after each batch of actions with their number.

    Returns:
        Motions in the order of the series, facing -x at the origin in frame 0;
        their `lengths` are the requested ones. With `after`, each starts with that
        motion, at the model's frame rate, where it is.

    Raises:
        InputError: if an action is too short for its transition and the frames that
            the next one reads, `align` is unknown, or the embeddings do not have the
            width that the model was trained with.
    """
    check_choice("align", align, ALIGN)
    if window < 0:
        raise InputError(f"window must be 0 or more frames, got {window}")
    for requests in series:
        check_lengths(trained, requests, window, read_past, after is not None)
    how = align, window, read_past, on_action
    if after is None:
        return _generate(trained, series, batch_size, *how)
    after = to_continue(after, trained.framerate)
    motions = _generate(trained, series, batch_size, *how, after)
    return [joined(after, motion) for motion in motions]


def check_lengths(
    trained: Trained,
    requests: Sequence[Request],
    window: int,
    read_past: bool,
    continues: bool = False,
) -> None:
    """Checks that the actions of a series are long enough for their transitions.

    Raises:
        InputError: if there is no action, or one is too short.
    """
    if not requests:
        raise InputError("a series must hold at least one action, got none")
    past = trained.model.hist_frames if read_past else 0
    for i, request in enumerate(requests):
        if trained.config.data.shortest_action == "reference":
            least = window + 2 if i or continues else past
        else:
            least = window + max(past, 1) if i or continues else past
        several = len(requests) > 1 or continues
        if several and request.num_frames < least:
            parts = f"{past} for the next action to read"
            if i or continues:
                parts = f"{window} of transition and {least - window} of its own"
            raise InputError(
                f"action {i + 1}, {request.text!r}, must be at least {least} frames "
                f"({least / trained.framerate:.2f} s) long ({parts}), got "
                f"{request.num_frames}; make it longer or --window smaller"
            )


def _generate(
    trained: Trained,
    series: Sequence[Sequence[Request]],
    batch_size: int,
    align: Align = "full",
    window: int = 0,
    read_past: bool = True,
    on_action: Callable[[int], Any] | None = None,
    after: Motion | None = None,
) -> list[Motion]:
    if not trained.family.generates:
        raise InputError(
            "the checkpoint must be of a model that generates, got an evaluator; "
            "give the workdir of a TEMOS, TEACH or MotionCLIP run"
        )
    width = trained.config.text.width
    if trained.family.pooled_text:
        width = trained.config.model.latent_dim
    for request in (request for requests in series for request in requests):
        if width is not None and request.tokens.shape[-1] != width:
            raise InputError(
                f"embeddings of {request.text!r} have width "
                f"{request.tokens.shape[-1]}, the model was trained with {width}; "
                f"embed with its encoder {trained.config.text.encoder!r}"
            )
    motions: list[Motion | None] = [None] * len(series)
    # Series with the same number of actions and similar lengths share a batch.
    order = sorted(
        range(len(series)),
        key=lambda i: (len(series[i]), [r.num_frames for r in series[i]]),
    )
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = [series[i] for i in rows]
        parts = _generate_batch(
            trained, batch, batch_size, align, window, read_past, on_action, after
        )
        for i, actions in zip(rows, parts, strict=True):
            motions[i] = to_motion(
                np.concatenate([rotations for rotations, _ in actions]),
                np.concatenate([translation for _, translation in actions]),
                tuple(request.text for request in series[i]),
                tuple(request.num_frames for request in series[i]),
                trained.framerate,
            )
    return [motion for motion in motions if motion is not None]


def _generate_batch(
    trained: Trained,
    batch: Sequence[Sequence[Request]],
    batch_size: int,
    align: Align,
    window: int,
    read_past: bool,
    on_action: Callable[[int], Any] | None,
    after: Motion | None,
) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Returns the (rotations, translation) of every action of every series."""
    arrays: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in batch]
    # Pad to a power of two, so that a single series does not cost a whole batch.
    rows = min(batch_size, next_power_of_two(len(batch)))
    before = None if after is None else so_far(trained, after, rows, read_past)
    for number in range(max(map(len, batch))):
        requests = [r[number] if number < len(r) else None for r in batch]
        lead = window if before is not None else 0
        tokens, token_mask, seeds, fact, frame_mask = _pad(requests, rows, lead)
        action, before = next_action(
            trained.model,
            trained.variables,
            trained.normalizer,
            tokens,
            token_mask,
            _noise(seeds, fact, number, trained.model.sizes.latent_dim),
            frame_mask,
            before,
            align=align,
            window=lead,
            heading=trained.config.data.heading,
        )
        if not read_past:
            before = before.replace(past=None)
        rotations, translation = jax.device_get((action.rotations, action.translation))
        for row, request in enumerate(requests):
            if request is not None:
                frames = slice(request.num_frames)
                # Copies, because views would keep the whole padded batch in memory.
                arrays[row].append(
                    (rotations[row, frames].copy(), translation[row, frames].copy())
                )
        if on_action is not None:
            on_action(sum(request is not None for request in requests))
    return arrays


def _pad(requests: Sequence[Request | None], rows: int, lead: int):
    """Returns tokens, their mask, seeds, factors and the mask of requested frames."""
    real = [request for request in requests if request is not None]
    frames = round_up(max(r.num_frames - lead for r in real), FRAME_STEP)
    length = round_up(max(len(r.tokens) for r in real), TOKEN_STEP)
    nothing = np.zeros((0, real[0].tokens.shape[-1]), np.float32)
    texts = [nothing if request is None else request.tokens for request in requests]
    tokens, token_mask = stack_padded(texts, length, rows)
    frame_mask = np.zeros((rows, frames), bool)
    seeds = np.zeros((rows, 2), np.uint32)
    fact = np.zeros((rows, 1), np.float32)
    for row, request in enumerate(requests):
        if request is None:
            continue
        frame_mask[row, : request.num_frames - lead] = True
        seeds[row] = request.seed
        fact[row] = request.fact
    return tokens, token_mask, seeds, fact, frame_mask


def _noise(seeds: np.ndarray, fact: np.ndarray, number: int, width: int) -> jax.Array:
    return fact * _normal(seeds, jnp.uint32(number), width)


@functools.partial(jax.jit, static_argnames="width")
def _normal(seeds: jax.Array, number: jax.Array, width: int) -> jax.Array:
    """Draws (B, D) standard normal numbers from (seed, sample) and action number."""

    def draw(seed):
        key = jax.random.fold_in(jax.random.PRNGKey(seed[0]), seed[1])
        return jax.random.normal(jax.random.fold_in(key, number), (width,))

    return jax.vmap(draw)(seeds)
