"""Synthetic motions do what their phrases say, smoothly and with planted feet."""

import functools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.synthetic import rig
from actiongpt_jax.synthetic.person import draw_person
from actiongpt_jax.synthetic.phrases import load_phrases
from actiongpt_jax.synthetic.sequence import make_action, make_sequence
from tests.oracles import kinematics as kinematics_oracle

FPS = 30.0
BY_TEXT = {phrase.text: phrase for phrase in load_phrases()}
LEFT, RIGHT = 0, 1
SIDE = {"left": LEFT, "right": RIGHT}


def joints_of(rotations, translation):
    matrices = Rotation.from_rotvec(rotations.reshape(-1, 3)).as_matrix()
    matrices = matrices.reshape(-1, 22, 3, 3)
    return np.stack(
        [
            kinematics_oracle.forward_kinematics(
                pose, place, SMPL22.parents, SMPL22.offsets
            )
            for pose, place in zip(matrices, translation, strict=True)
        ]
    )


@functools.cache
def perform(text, seed=0):
    """Returns (track, rotations, joints) of a phrase, from the origin, facing +x."""
    rng = np.random.default_rng([seed, 77])
    track = make_action(BY_TEXT[text], draw_person(rng), rng, FPS)
    rotations, translation = rig.solve(track, FPS)
    return track, rotations, joints_of(rotations, translation)


def turns(rotations):
    """Returns (T - 1, 22) angles of every joint from frame to frame."""
    count = len(rotations)
    poses = Rotation.from_rotvec(rotations.reshape(-1, 3))
    steps = poses[:-22].inv() * poses[22:]
    return steps.magnitude().reshape(count - 1, 22)


ALL = pytest.mark.parametrize("text", BY_TEXT)


@pytest.mark.slow
@ALL
def test_feet_are_planted_and_no_joint_is_under_the_floor(text):
    track, _, joints = perform(text)
    for side in (LEFT, RIGHT):
        planted = track.contact[:, side]
        ball = joints[planted, rig.BALL[side]]
        # Inverse kinematics is exact if the leg reaches, so only rounding remains.
        np.testing.assert_allclose(ball, track.ball[planted, side], atol=1e-6)
        both = planted[1:] & planted[:-1]
        steps = np.diff(joints[:, rig.BALL[side], :2], axis=0)[both]
        assert np.linalg.norm(steps, axis=-1).max(initial=0.0) < 1e-3
        np.testing.assert_allclose(ball[:, 2], rig.BALL_HEIGHT, atol=1e-3)
    assert joints[..., 2].min() > 0.0


@ALL
def test_moves_smoothly_and_ends_at_rest(text):
    track, rotations, joints = perform(text)
    # In recorded motion, the fastest joint reaches 13 m/s and 67 degrees per frame at
    # the 75th percentile of the sequences.
    speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1) * FPS
    assert speed.max() < 10.0
    assert np.degrees(turns(rotations).max()) < 60.0
    assert speed[-1].max() < 0.7
    stance = track.ball[-1, 0, :2] - track.ball[-1, 1, :2]
    across = np.array([-np.sin(track.heading[-1]), np.cos(track.heading[-1])])
    assert 0.15 < stance @ across < 0.27
    middle = track.ball[-1, :, :2].mean(axis=0) - track.path[-1]
    assert np.linalg.norm(middle) < 0.1


@ALL
def test_knees_and_elbows_bend_the_right_way(text):
    _, rotations, _ = perform(text)
    # A straight limb deviates from the rest pose of the skeleton by a few degrees.
    assert rotations[:, rig.KNEE, 0].min() > -0.15
    assert rotations[:, rig.ELBOW[LEFT], 1].max() < 0.15
    assert rotations[:, rig.ELBOW[RIGHT], 1].min() > -0.15


def test_body_frame_puts_left_at_plus_y_when_looking_along_x():
    _, _, joints = perform("salute")
    assert joints[0, rig.HIP[LEFT], 1] > joints[0, rig.HIP[RIGHT], 1]
    toes = joints[0, rig.BALL] - joints[0, rig.ANKLE]
    assert (toes[:, 0] > 0.08).all()
    assert joints[0, 15, 2] > joints[0, 0, 2] > joints[0, rig.KNEE[LEFT], 2]


@pytest.mark.parametrize("side", SIDE)
@pytest.mark.parametrize(
    ("text", "joint"),
    [
        ("kick forward with the {} leg", rig.ANKLE),
        ("kick to the side with the {} leg", rig.ANKLE),
        ("lift the {} knee", rig.KNEE),
        ("wave with the {} hand", rig.WRIST),
        ("raise the {} arm", rig.WRIST),
        ("point forward with the {} hand", rig.WRIST),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_named_limb_rises(text, joint, side, seed):
    _, _, joints = perform(text.format(side), seed)
    active, other = joint[SIDE[side]], joint[1 - SIDE[side]]
    rise = joints[..., 2].max(axis=0) - joints[0, :, 2]
    assert rise[active] > rise[other] + 0.2


@pytest.mark.parametrize("side", SIDE)
def test_actions_go_to_the_named_side(side):
    which, sign = SIDE[side], 1.0 if side == "left" else -1.0
    other = 1 - which
    for text, least in (
        ("turn around to the {}", 2.5),
        ("walk and turn {}", 1.3),
        ("walk in a circle to the {}", 5.0),
    ):
        track, _, _ = perform(text.format(side))
        assert sign * track.heading[-1] > least
    track, _, _ = perform(f"sidestep to the {side}")
    assert sign * track.path[-1, 1] > 0.4
    _, rotations, joints = perform(f"look to the {side}")
    middle = len(joints) // 2
    assert sign * rotations[middle, [12, 15], 1].sum() > 0.5
    _, _, joints = perform(f"bend to the {side}")
    assert sign * joints[len(joints) // 2, 15, 1] > 0.12
    _, _, joints = perform(f"kick to the side with the {side} leg")
    assert (sign * joints[:, rig.ANKLE[which], 1]).max() > 0.5
    _, _, joints = perform(f"lunge with the {side} leg")
    feet = joints[len(joints) // 2, rig.BALL, 0]
    assert feet[which] > feet[other] + 0.3
    track, _, joints = perform(f"hop on the {side} leg")
    assert not track.contact[:, which].all()
    assert joints[len(joints) // 2, rig.ANKLE[other], 2] > 0.25
    _, _, joints = perform(f"throw with the {side} hand")
    behind = (joints[:, rig.WRIST, 0] - joints[:, :1, 0]).min(axis=0)
    assert behind[which] < behind[other] - 0.1
    _, _, joints = perform(f"punch with the {side} hand")
    ahead = joints[:, rig.WRIST, 0].max(axis=0)
    assert ahead[which] > ahead[other] + 0.1


def test_whole_body_actions_do_what_they_say():
    assert perform("walk forward")[0].path[-1, 0] > 1.0
    assert perform("walk backwards")[0].path[-1, 0] < -0.5
    assert perform("jump forward")[0].path[-1, 0] > 0.4
    _, _, joints = perform("kneel on the left knee")
    assert joints[..., 4, 2].min() < 0.15 < joints[..., 5, 2].min()
    pelvis = perform("take a seat")[2][:, 0, 2]
    assert pelvis[0] > 0.85 and 0.4 < pelvis[-1] < 0.6
    pelvis = perform("stand up from the chair")[2][:, 0, 2]
    assert pelvis[-1] > 0.85 and 0.4 < pelvis[0] < 0.6
    assert perform("squat")[2][:, 0, 2].min() < 0.7
    track, _, joints = perform("jump up")
    assert not track.contact[len(joints) // 2].any()
    assert joints[:, 0, 2].max() > 1.1
    _, _, joints = perform("take a bow")
    assert joints[len(joints) // 2, 15, 0] > 0.25
    _, _, joints = perform("applaud")
    apart = np.linalg.norm(joints[:, 20] - joints[:, 21], axis=-1)
    assert apart.min() < 0.12


def speed_of(text):
    """Returns the mean speed over four people, m/s."""
    runs = [perform(text, seed)[0] for seed in range(4)]
    return np.mean([abs(run.path[-1, 0]) / (len(run) / FPS) for run in runs])


def test_faster_gaits_travel_faster():
    order = ["walk slowly", "walk forward", "walk quickly", "jog", "run"]
    speeds = [speed_of(text) for text in order]
    assert speeds == sorted(speeds) and speeds[-1] > 2 * speeds[1]


def test_people_differ_in_pace_and_size():
    runs = [perform("squat", seed) for seed in range(6)]
    assert len({len(track) for track, _, _ in runs}) > 3
    depths = [joints[:, 0, 2].min() for _, _, joints in runs]
    assert max(depths) - min(depths) > 0.03


@pytest.mark.slow
@pytest.mark.parametrize("fps", [30.0, 60.0, 120.0])
def test_sequences_are_blended_and_keep_feet_planted(fps):
    texts = (
        "raise both arms",
        "walk and turn left",
        "take a seat",
        "kick to the side with the left leg",
        "put the hands on the hips",
    )
    for seed in range(3):
        rng = np.random.default_rng(seed)
        person = draw_person(rng)
        sequence = make_sequence([BY_TEXT[text] for text in texts], person, rng, fps)
        joints = joints_of(sequence.rotations, sequence.translation)
        speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1) * fps
        assert speed.max() < 10.0
        # The velocity has no steps, neither at joins nor within actions. Recorded
        # motion reaches 100 m/s^2 in half of the sequences.
        assert np.abs(np.diff(joints, 2, axis=0)).max() * fps**2 < 200.0
        assert turns(sequence.rotations).max() * fps < np.radians(60.0 * 30.0)
        for side in (LEFT, RIGHT):
            both = sequence.contact[1:, side] & sequence.contact[:-1, side]
            steps = np.diff(joints[:, rig.BALL[side]], axis=0)[both]
            assert np.linalg.norm(steps, axis=-1).max() < 1e-3
        actions = [x for x in sequence.labels if x.text != "transition"]
        assert [x.text for x in actions] == list(texts)
        ends = [label.end for label in sequence.labels]
        assert ends[-1] == pytest.approx(len(joints) / fps, abs=1e-3)


def test_standing_body_is_above_the_middle_of_the_feet():
    _, _, joints = perform("applaud")
    feet = joints[:, rig.BALL, :2].mean(axis=1)
    assert np.linalg.norm(joints[:, 0, :2] - feet, axis=-1).max() < 0.15


def test_two_bone_reaches_its_target():
    rng = np.random.default_rng(0)
    upper, lower = rig.OFFSETS[4], rig.OFFSETS[7]
    target = rng.normal(size=(200, 3))
    target *= rng.uniform(0.2, 0.75, (200, 1)) / np.linalg.norm(target, axis=1)[:, None]
    hint = rng.normal(size=(200, 3))
    first, angle = rig.two_bone(target, hint, upper, lower, rig.KNEE_AXIS)
    bent = upper + Rotation.from_rotvec(angle[:, None] * rig.KNEE_AXIS).apply(lower)
    reached = np.einsum("tij,tj->ti", first, bent)
    np.testing.assert_allclose(reached, target, atol=1e-9)  # float64 rounding
    np.testing.assert_allclose(np.linalg.det(first), 1.0, atol=1e-9)
    knee = np.einsum("tij,j->ti", first, upper)
    line = target / np.linalg.norm(target, axis=1, keepdims=True)
    off = knee - np.sum(knee * line, 1, keepdims=True) * line
    # The knee bends about a hinge, so it stays a little off the hinted plane.
    assert (np.sum(off * hint, axis=1) > -0.05).all()
