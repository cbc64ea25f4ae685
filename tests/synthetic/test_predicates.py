"""Predicates of the built-in phrases: what real motion shows, and what it does not."""

import dataclasses
import functools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from actiongpt_jax.geometry.kinematics import place_on_host
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.metrics.semantic import Recording
from actiongpt_jax.synthetic.compositions import STAND, mirrored
from actiongpt_jax.synthetic.person import draw_person
from actiongpt_jax.synthetic.phrases import (
    KINDS,
    Phrase,
    kind_of,
    load_compositions,
    load_phrases,
    opaque_phrases,
    phrases_to_judge,
)
from actiongpt_jax.synthetic.predicates.judge import PREDICATES, satisfies
from actiongpt_jax.synthetic.sequence import MOVES, make_sequence
from actiongpt_jax.synthetic.texts import describe

FPS = 30.0
PHRASES = {phrase.text: phrase for phrase in phrases_to_judge()}
LEGS = (1, 2, 4, 5, 7, 8, 10, 11)
NAMES = SMPL22.names
OTHER = {"left": "right", "right": "left"}
# For each joint, the one on the other side.
SWAP = [
    NAMES.index("_".join(OTHER.get(word, word) for word in name.split("_")))
    for name in NAMES
]


def perform(phrase, rng, before=None, seconds=None):
    """Returns the joints of one performance, as its label cuts them out."""
    person = draw_person(rng)
    if seconds is not None:
        phrase = dataclasses.replace(phrase, seconds=[seconds * person.pace] * 2)
    first = [] if before is None or phrase.seated[0] else [before]
    sequence = make_sequence([*first, phrase], person, rng, FPS)
    matrices = Rotation.from_rotvec(sequence.rotations.reshape(-1, 3)).as_matrix()
    shape = (*sequence.rotations.shape, 3)
    joints = place_on_host(matrices.reshape(shape), sequence.translation)
    label = [x for x in sequence.labels if x.text == phrase.text][-1]
    return joints[int(label.start * FPS) : int(label.end * FPS)]


def mirror(joints):
    """Returns the mirror image of a motion."""
    return (joints * (1.0, -1.0, 1.0))[:, SWAP]


def acts(phrase):
    return frozenset(part for part in phrase.parts if part != STAND)


@functools.cache
def samples():
    """Returns phrase -> joints: after another action, at first, and of three seconds.

    People are those of neither split.
    """
    rng = np.random.default_rng(2024)
    others = [p for p in PHRASES.values() if not any(p.seated)]
    return {
        text: [
            perform(phrase, rng, others[rng.integers(len(others))]),
            perform(phrase, rng),
            perform(phrase, rng, others[rng.integers(len(others))], seconds=3.0),
        ]
        for text, phrase in PHRASES.items()
    }


def shares(change=lambda joints: joints, chosen=tuple(PHRASES)):
    """Returns the share of each phrase's samples that satisfy it after a change."""
    return {
        text: np.mean(
            [satisfies(PHRASES[text], change(x), FPS) for x in samples()[text]]
        )
        for text in chosen
    }


def test_every_move_has_a_predicate():
    assert set(PREDICATES) == set(MOVES)


def test_kinds_of_phrases():
    kinds = {text: kind_of(phrase) for text, phrase in PHRASES.items()}
    assert set(kinds.values()) == set(KINDS)
    assert kinds["walk forward"] == "seen"
    assert kinds["hop on the left leg"] == "mirrored"
    assert kinds["catch the bus"] == "opaque"
    assert kinds["squat and raise both arms"] == "composition"
    assert list(kinds.values()).count("composition") >= 16


def test_new_compositions_combine_what_training_has():
    seen = [phrase for phrase in load_phrases() if not phrase.held_out]
    parts = {part for phrase in seen for part in phrase.parts}
    motions = {acts(phrase) for phrase in seen}
    for phrase in load_compositions():
        assert phrase.held_out and phrase.text not in opaque_phrases()
        assert kind_of(phrase) == "composition", phrase.text
        assert set(phrase.parts) <= parts, phrase.text
        assert acts(phrase) not in motions, phrase.text
        assert frozenset(mirrored(tuple(acts(phrase)))) not in motions, phrase.text
        assert len(describe(phrase)) == 24


@pytest.mark.slow
def test_real_motion_satisfies_its_own_phrase():
    own = shares()
    assert np.mean(list(own.values())) >= 0.97
    assert min(own.values()) >= 2 / 3, own


@pytest.mark.slow
def test_another_phrases_motion_rarely_satisfies_a_phrase():
    hits = []
    for text, (joints, *_) in samples().items():
        body = Recording(joints, FPS)
        hits += [
            satisfies(other, body)
            for other in PHRASES.values()
            if acts(other) != acts(PHRASES[text])
        ]
    assert np.mean(hits) < 0.15


@pytest.mark.slow
def test_place_heading_and_frame_rate_do_not_matter():
    def moved(joints):
        turn = Rotation.from_euler("z", 2.5).as_matrix()
        return (joints @ turn.T + (40.0, -7.0, 0.3)).astype(np.float32)

    assert shares(moved) == shares()
    twice = [
        satisfies(PHRASES[text], np.repeat(x, 2, 0), 2 * FPS)
        for text, motions in samples().items()
        for x in motions
    ]
    assert np.mean(twice) >= 0.97


@pytest.mark.slow
def test_the_other_side_does_not_satisfy_a_phrase_with_a_side():
    sided = [text for text, phrase in PHRASES.items() if phrase.sides]
    assert np.mean(list(shares(mirror, sided).values())) < 0.05
    others = [t for t in PHRASES if t not in sided and t != "play golf"]
    assert np.mean(list(shares(mirror, others).values())) >= 0.97


@pytest.mark.slow
def test_both_sides_at_once_do_not_satisfy_a_phrase_with_a_side():
    for both, one in (
        ("raise both arms", "raise the left arm"),
        ("greet the crowd", "wave with the right hand"),
        ("reach forward", "point forward with the left hand"),
    ):
        joints = samples()[both][1]
        assert satisfies(PHRASES[both], joints, FPS)
        assert not satisfies(PHRASES[one], joints, FPS)


@pytest.mark.slow
def test_standing_still_satisfies_no_phrase():
    rng = np.random.default_rng(1)
    stand = Phrase("stand", (STAND,), (3.0, 3.0), ("stand",))
    idle = [perform(stand, rng) for _ in range(3)]
    still = [np.repeat(joints[:1], 90, 0) for joints in idle]
    for joints in (*idle, *still):
        body = Recording(joints, FPS)
        assert not [text for text, p in PHRASES.items() if satisfies(p, body)]


@pytest.mark.slow
def test_the_mean_motion_rarely_satisfies_a_phrase():
    """The mean of motions that face the same way, stretched to the same length."""
    total = np.zeros((90, 22, 3))
    for joints in (x for motions in samples().values() for x in motions):
        heading = Recording(joints, FPS).facing[0]
        turn = Rotation.from_euler("z", -np.arctan2(heading[1], heading[0]))
        place = joints[0, 0] * (1.0, 1.0, 0.0)
        rows = np.linspace(0, len(joints) - 1, 90).round().astype(int)
        total += (joints[rows] - place) @ turn.as_matrix().T
    body = Recording(total / (3 * len(PHRASES)), FPS)
    assert np.mean([satisfies(p, body) for p in PHRASES.values()]) < 0.05


@pytest.mark.slow
def test_gaits_with_frozen_legs_satisfy_nothing():
    """The legs keep their first pose while the pelvis travels and turns as before."""

    def frozen(joints):
        heading = np.radians(Recording(joints, FPS).heading)
        turns = Rotation.from_euler("z", heading[:, None]).as_matrix()
        legs = joints[0, LEGS, :] - joints[0, 0]
        slid = joints.copy()
        slid[:, LEGS] = np.einsum("tij,lj->tli", turns, legs) + joints[:, :1]
        return slid

    gaits = {"walk", "stroll", "stride", "back", "jog", "run", "sidestep", "circle"}
    gaits |= {"walk_turn", "march", "sneak", "tiptoe", "step_over"}
    chosen = [text for text, phrase in PHRASES.items() if phrase.parts[0][0] in gaits]
    assert max(shares(frozen, chosen).values()) == 0.0
