"""Series of actions: how they are joined, what each reads, and memory use."""

import functools
import pathlib
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.choices import ALIGN, WINDOW
from actiongpt_jax.config import load_config
from actiongpt_jax.errors import InputError
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.inference.generate import (
    generate_motion,
    generate_sequence,
)
from actiongpt_jax.inference.next_action import next_action
from actiongpt_jax.inference.requests import Request, plan_series
from actiongpt_jax.inference.trained import Trained
from actiongpt_jax.models.build import build
from actiongpt_jax.models.example import example_inputs
from actiongpt_jax.models.teach import last_frames
from tests.oracles import features as feature_oracle
from tests.oracles import kinematics as kinematics_oracle
from tests.oracles import rotations as rotation_oracle

pytestmark = pytest.mark.slow

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
WIDTH, PAST = 6, 5
SIZES = {"num_layers": 1, "latent_dim": 16, "ff_size": 32, "num_heads": 2}
# Every action has at most 32 frames besides its transition: few shapes to compile.
LENGTHS = (20, 30, 13, 38)
# Angles and metres through float32 axis-angles and sums over some 100 frames.
JOIN = 2e-4


def make_trained(**model) -> Trained:
    """Returns an untrained model whose mean motion is a body that stands and drifts."""
    config = load_config(str(CONFIGS / "teach.py"))
    config.model.update(SIZES | model)
    config.text.width = WIDTH
    module = build(config)
    variables = jax.jit(module.init)(jax.random.key(0), *example_inputs(config))
    # Joint 0 of a body that stands upright is turned a quarter about x.
    upright = [1, 0, 0, 0, 0, -1]
    mean = np.array([0.9, 0.02, -0.01, *upright, *[1, 0, 0, 0, 1, 0] * 21], np.float32)
    std = np.array([0.05, 0.02, 0.02, *[0.25] * 132], np.float32)
    return Trained(config, module, variables, Normalizer(mean, std), step=0)


@pytest.fixture(scope="module")
def trained():
    return make_trained()


def tokens_of(text: str) -> np.ndarray:
    rng = np.random.default_rng(list(text.encode()))
    return rng.standard_normal((3 + len(text) % 9, WIDTH)).astype(np.float32)


def series_of(*lengths, texts="abcdefgh", **options) -> tuple[Request, ...]:
    return tuple(
        Request(text, tokens_of(text), frames, **options)
        for text, frames in zip(
            (texts[i % len(texts)] for i in range(len(lengths))), lengths, strict=True
        )
    )


def one(trained, series, **options):
    (motion,) = generate_sequence(trained, [series], **options)
    return motion


def joins(lengths):
    """Returns (last frame before, first frame after) of every transition."""
    ends = np.cumsum(lengths)[:-1]
    return [(int(end) - 1, int(end) + WINDOW) for end in ends]


def matrix(axis_angle):
    return rotation_oracle.axis_angle_to_matrix(axis_angle)


def heading(motion, frame):
    yaw = kinematics_oracle.yaw(matrix(motion.rotations[frame, 0]))
    return np.array([np.cos(yaw), np.sin(yaw)])


def angle(a, b):
    """Returns the angle between two axis-angle rotations, radians."""
    cos = (np.trace(matrix(a).T @ matrix(b)) - 1) / 2
    return np.arccos(np.clip(cos, -1, 1))


@pytest.fixture(scope="module")
def aligned(trained):
    """Returns align -> the same series, joined with that alignment."""
    series = series_of(*LENGTHS)
    return {align: one(trained, series, align=align) for align in ALIGN}


def test_full_alignment_keeps_place_and_heading_at_joins(aligned):
    motion = aligned["full"]
    turns = []
    for last, first in joins(LENGTHS):
        np.testing.assert_allclose(
            motion.translation[first, :2], motion.translation[last, :2], atol=JOIN
        )
        np.testing.assert_allclose(
            heading(motion, first), heading(motion, last), atol=JOIN
        )
        turns.append(heading(aligned["none"], first) @ heading(aligned["none"], last))
    # Without alignment the body would jump to another heading.
    assert min(turns) < 0.99


def test_alignment_by_translation_does_not_change_headings(aligned):
    motion, raw = aligned["translation"], aligned["none"]
    for last, first in joins(LENGTHS):
        np.testing.assert_allclose(
            motion.translation[first, :2], motion.translation[last, :2], atol=JOIN
        )
        end = first - WINDOW + 13
        np.testing.assert_array_equal(
            motion.rotations[first:end], raw.rotations[first:end]
        )
        assert np.abs(raw.translation[first, :2] - raw.translation[last, :2]).max() > (
            10 * JOIN
        )


@pytest.mark.parametrize("align", ["full", "translation"])
def test_alignment_is_one_rigid_motion_per_action(aligned, align):
    motion, raw = aligned[align], aligned["none"]
    for (_, first), end in zip(joins(LENGTHS), np.cumsum(LENGTHS)[1:], strict=True):
        frames = slice(first, int(end))
        np.testing.assert_allclose(
            motion.rotations[frames, 1:], raw.rotations[frames, 1:], atol=1e-6
        )
        np.testing.assert_allclose(
            motion.translation[frames, 2], raw.translation[frames, 2], atol=1e-6
        )
        turn = matrix(motion.rotations[first, 0]) @ matrix(raw.rotations[first, 0]).T
        # The turn is about the vertical.
        np.testing.assert_allclose(turn[2], [0, 0, 1], atol=JOIN)
        for frame in range(first, int(end)):
            np.testing.assert_allclose(
                matrix(motion.rotations[frame, 0]),
                turn @ matrix(raw.rotations[frame, 0]),
                atol=JOIN,
            )
        path = motion.translation[frames] - motion.translation[first]
        raw_path = raw.translation[frames] - raw.translation[first]
        np.testing.assert_allclose(path, raw_path @ turn.T, atol=JOIN)


@pytest.mark.parametrize("align", ALIGN)
def test_transition_frames_are_evenly_spaced(aligned, align):
    motion = aligned[align]
    for last, first in joins(LENGTHS):
        whole = [
            angle(a, b)
            for a, b in zip(
                motion.rotations[last], motion.rotations[first], strict=True
            )
        ]
        start, end = motion.translation[[last, first]].astype(np.float64)
        for number in range(1, WINDOW + 1):
            share = number / (WINDOW + 1)
            frame = last + number
            np.testing.assert_allclose(
                motion.translation[frame], start + share * (end - start), atol=JOIN
            )
            for joint, total in enumerate(whole):
                pose = motion.rotations[frame, joint]
                before = angle(motion.rotations[last, joint], pose)
                after = angle(pose, motion.rotations[first, joint])
                # Near 0 the arc cosine of float32 matrices is accurate to 1e-3 radians.
                np.testing.assert_allclose(
                    (before, after), (share * total, (1 - share) * total), atol=2e-3
                )


def actions_of(trained, series, align, window):
    """Returns each action's normalised features, directly from `next_action`."""
    found, before = [], None
    for i, request in enumerate(series):
        lead = window if i else 0
        tokens = np.zeros((1, 16, WIDTH), np.float32)
        tokens[0, : len(request.tokens)] = request.tokens
        count = request.num_frames - lead
        action, before = next_action(
            trained.model,
            trained.variables,
            trained.normalizer,
            tokens,
            np.arange(16)[None] < len(request.tokens),
            np.zeros((1, SIZES["latent_dim"]), np.float32),
            np.arange(32)[None] < count,
            before,
            align=align,
            window=lead,
        )
        found.append(np.asarray(action.features[0, :count]))
    return found


@pytest.mark.parametrize("window", [0, WINDOW])
def test_without_alignment_features_are_decoded_as_one_motion(trained, window):
    lengths = (20, 30, 17)
    series = series_of(*lengths, fact=0.0)
    motion = one(trained, series, align="none", window=window)
    parts = []
    for features in actions_of(trained, series, "none", window):
        features = trained.normalizer.unnormalize(features.astype(np.float64))
        # During the transition the body moves on at the speed of the first frame.
        parts += [features[:1]] * window if parts else []
        parts.append(features)
    rotations, translation = feature_oracle.rot_velocity_inverse(np.concatenate(parts))
    np.testing.assert_allclose(motion.translation[:, :2], translation[:, :2], atol=JOIN)
    decoded = np.ones(sum(lengths), bool)
    for end in np.cumsum(lengths)[:-1]:
        decoded[end : end + window] = False
    heights = motion.translation[decoded, 2]
    np.testing.assert_allclose(heights, translation[decoded, 2], atol=JOIN)
    for frame in np.flatnonzero(decoded):
        for joint in range(22):
            np.testing.assert_allclose(
                matrix(motion.rotations[frame, joint]),
                rotations[frame, joint],
                atol=JOIN,
            )


@pytest.mark.parametrize("frames", [WINDOW + PAST, WINDOW + PAST + 1, 39, 40])
def test_motion_has_the_requested_lengths(trained, frames):
    lengths = (PAST, frames, WINDOW + PAST, frames)
    motion = one(trained, series_of(*lengths))
    assert motion.lengths == lengths
    assert motion.text == ("a", "b", "c", "d")
    assert motion.rotations.shape == (sum(lengths), 22, 3)
    assert motion.translation.shape == (sum(lengths), 3)
    assert np.isfinite(motion.rotations).all()
    assert np.isfinite(motion.translation).all()


@pytest.mark.parametrize(
    ("lengths", "options", "number", "least"),
    [
        ((20, 12, 30), {}, 2, "13 frames (0.43 s)"),
        ((20, 30, 1), {}, 3, "13 frames (0.43 s)"),
        ((4, 30), {}, 1, "5 frames (0.17 s)"),
        ((20, 4), {"window": 0}, 2, "5 frames (0.17 s)"),
        ((20, 8), {"read_past": False}, 2, "9 frames (0.30 s)"),
    ],
)
def test_action_that_is_too_short_is_named(trained, lengths, options, number, least):
    with pytest.raises(InputError) as caught:
        generate_sequence(trained, [series_of(*lengths)], **options)
    message = str(caught.value)
    assert "\n" not in message
    text = "abc"[number - 1]
    for part in (f"action {number}", f"'{text}'", least, f"{lengths[number - 1]}"):
        assert part in message


def test_reference_needs_two_frames_beyond_the_window():
    trained = make_trained()
    trained.config.data.shortest_action = "reference"
    assert len(one(trained, series_of(20, 10)).translation) == 30
    with pytest.raises(InputError, match="at least 10 frames"):
        one(trained, series_of(20, 9))


@pytest.mark.parametrize("options", [{}, {"batch_size": 1}])
def test_series_does_not_depend_on_its_batch(trained, options):
    series = [
        series_of(20, 30, 25),
        series_of(9, texts="xyz"),
        series_of(32, 40, texts="uvw", seed=(3, 1)),
        series_of(6, 13, 40, 22, texts="klmn"),
    ]
    together = generate_sequence(trained, series, **options)
    for requests, motion in zip(series, together, strict=True):
        alone = one(trained, requests)
        assert motion.lengths == alone.lengths == tuple(r.num_frames for r in requests)
        assert motion.text == alone.text
        # Other shapes, other order of float32 sums; past frames pass the error on.
        for name in ("rotations", "translation"):
            np.testing.assert_allclose(
                getattr(motion, name), getattr(alone, name), atol=JOIN
            )


@pytest.mark.parametrize("read_past", [True, False])
def test_previous_action_is_read_only_with_read_past(trained, read_past):
    # In an untrained model texts make little difference; large latents make more.
    motions = [
        one(trained, (*first, *series_of(30, texts="b")), read_past=read_past)
        for first in (series_of(20, fact=9.0), series_of(20, fact=9.0, seed=(1, 0)))
    ]
    # All joints but the root, which the alignment turns.
    own = slice(20 + WINDOW, None)
    first, second = (motion.rotations[own, 1:] for motion in motions)
    if read_past:
        assert np.abs(first - second).max() > 1e-3
    else:
        np.testing.assert_array_equal(first, second)


def test_action_without_past_equals_the_motion_of_its_text(trained):
    series = series_of(20, 30, fact=0.0)
    motion = one(trained, series, align="translation", read_past=False)
    (alone,) = generate_motion(trained, series_of(22, texts="b", fact=0.0))
    # 22 frames besides the transition; axis-angles near half a turn lose digits.
    own = motion.rotations[20 + WINDOW :]
    np.testing.assert_allclose(own, alone.rotations, atol=JOIN)


def test_motion_equals_a_series_of_one_action(trained):
    requests = [*series_of(20), *series_of(31, texts="x", seed=(2, 5))]
    motions = generate_motion(trained, requests)
    series = generate_sequence(trained, [(request,) for request in requests])
    for motion, same in zip(motions, series, strict=True):
        np.testing.assert_array_equal(motion.rotations, same.rotations)
        np.testing.assert_array_equal(motion.translation, same.translation)
        assert (motion.text, motion.lengths) == (same.text, same.lengths)
    # It may be shorter than the window or the past: nothing is joined to it.
    assert len(one(trained, series_of(3)).translation) == 3


@pytest.mark.parametrize("z_prev_text", [False, True])
def test_action_reads_its_text_and_the_end_of_the_last_action(z_prev_text):
    trained = make_trained(z_prev_text=z_prev_text)
    series = series_of(20, 30, fact=0.0)
    model, variables = trained.model, trained.variables
    first, second = actions_of(trained, series, "full", WINDOW)

    def apply(method, *arguments) -> Any:
        step = functools.partial(model.apply, method=method)
        return jax.jit(step)(variables, *arguments)

    def text_of(request):
        return request.tokens[None], np.ones((1, len(request.tokens)), bool)

    mean = apply("encode_text", *text_of(series[0])).mu
    decoded = apply("decode", mean, np.ones((1, 20), bool))
    # float32 sums of other shapes.
    np.testing.assert_allclose(first, decoded[0], atol=1e-5)
    past = last_frames(decoded, jnp.array([20]), PAST)
    context = (past, mean) if z_prev_text else (past,)
    mean = apply("encode_text", *text_of(series[1]), *context).mu
    decoded = apply("decode", mean, np.ones((1, 22), bool))
    np.testing.assert_allclose(second, decoded[0], atol=1e-5)


def test_long_series_needs_no_more_programs_or_memory(trained, caplog):
    alive, counts = [], []

    def on_action(count):
        counts.append(count)
        alive.append(len(jax.live_arrays()))

    one(trained, series_of(*[20] * 3))
    before = len(jax.live_arrays())
    with jax.log_compiles(), caplog.at_level("WARNING"):
        motion = one(trained, series_of(*[20] * 100), on_action=on_action)
    assert counts == [1] * 100
    assert len(motion.translation) == 2000
    assert not [line for line in caplog.messages if "ompiling" in line]
    # The first action has no past, so fewer arrays are alive.
    assert len(set(alive[1:])) == 1
    assert len(jax.live_arrays()) == before


def test_progress_counts_the_actions_of_each_batch(trained):
    counts = []
    series = [series_of(20, 20), series_of(20, 20, 20), series_of(20)]
    generate_sequence(trained, series, on_action=counts.append)
    assert counts == [3, 2, 1]


class Texts:
    """Stands in for the phrase embedder: every phrase has three descriptions."""

    pooled = False

    def tokens(self, phrase):
        return tokens_of(phrase)

    def singles(self, phrase):
        return [tokens_of(f"{phrase} {i}") for i in range(3)]


def plan(phrases, frames, **options):
    return plan_series(cast(Any, Texts()), phrases, frames, **options)


def test_samples_of_a_series_differ_in_every_action(trained):
    series = plan(["walk", "sit"], [20, 30], samples=2, seed=4)
    assert [[r.seed for r in requests] for requests in series] == [
        [(4, 0)] * 2,
        [(4, 1)] * 2,
    ]
    first, second = generate_sequence(trained, series)
    for frames in (slice(20), slice(20 + WINDOW, None)):
        difference = first.rotations[frames, 1:] - second.rotations[frames, 1:]
        assert np.abs(difference).max() > 1e-3
    again, _ = generate_sequence(trained, series)
    np.testing.assert_array_equal(again.rotations, first.rotations)


def test_equal_actions_of_a_series_get_different_latents(trained):
    motion = one(trained, plan(["walk", "walk"], [20, 28])[0], read_past=False)
    first, second = motion.rotations[:20, 1:], motion.rotations[28:, 1:]
    assert np.abs(first - second).max() > 1e-3


def test_diverse_samples_take_one_description_each():
    phrases, frames = ["walk", "sit"], [20, 30]
    for diverse, fact in (("descriptions", 0.0), ("both", 0.5)):
        series = plan(phrases, frames, samples=3, diverse=diverse, fact=0.5)
        for i, requests in enumerate(series):
            for phrase, count, request in zip(phrases, frames, requests, strict=True):
                np.testing.assert_array_equal(
                    request.tokens, tokens_of(f"{phrase} {i}")
                )
                assert (request.text, request.num_frames) == (phrase, count)
                assert request.fact == fact
    with pytest.raises(InputError, match="3 descriptions"):
        plan(phrases, frames, samples=4, diverse="descriptions")
    assert len(plan(phrases, frames, samples=4, diverse="both")) == 4


@pytest.mark.parametrize(
    ("phrases", "frames", "options", "message"),
    [
        (["walk", "sit"], [30], {}, "2 texts and 1 durations"),
        (["walk"], [30, 20], {}, "1 texts and 2 durations"),
        ([], [], {}, "0 texts"),
        (["walk", "sit"], [30, 0], {}, "0 frames"),
        (["walk"], [30], {"samples": 0}, "0 samples"),
        (["walk"], [30], {"diverse": "words"}, "'words'"),
        (["walk"], [30], {"seed": 2**32}, "--seed"),
    ],
)
def test_invalid_plans_are_named(phrases, frames, options, message):
    with pytest.raises(InputError, match=message):
        plan(phrases, frames, **options)


def test_bad_options_are_named(trained):
    series = series_of(20, 30)
    with pytest.raises(InputError, match="full, translation, none.*'half'"):
        one(trained, series, align="half")
    with pytest.raises(InputError, match="window.*-1"):
        one(trained, series, window=-1)
    wide = Request("sit", np.zeros((4, WIDTH + 1), np.float32), 30)
    with pytest.raises(InputError, match="'sit' have width 7"):
        one(trained, (series[0], wide))
    with pytest.raises(InputError, match="at least one action"):
        generate_sequence(trained, [()])
